"""The job child: takes jobs, runs them, reports what became of them."""
