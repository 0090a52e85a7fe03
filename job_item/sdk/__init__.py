"""What a job's script may do with one call: read its task, notify, upload, hand in its result.

The command line's `save` and `upload` are made of the same parts. Authors import from `job_item`.
"""
