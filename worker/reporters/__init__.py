"""Who hears of a job's steps (`worker.seams.Reporter`)."""
