"""The parent process and the command line."""
