"""A stand-in for the Job Manager's HTTP side, and what it sends."""
