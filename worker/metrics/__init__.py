"""What `/metrics` shows: what is counted while jobs run, what is asked of the machine, and how both are written.

Counting costs a job a few additions; everything else is done when somebody asks.
"""
