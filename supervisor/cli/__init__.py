"""The command line: one file for each noun, all heavy imports inside the commands so that `--help` answers at once."""
