"""Files of jobs below one URI: in S3 and what speaks like it, or in a folder.

    from job_item.storage import open_storage

    storage = open_storage("s3://bucket/results/test/1", region="ap-southeast-2")
    storage.upload("suitable.geojson")

`names` and `place` are pure; `local` and `bucket` are the two implementations of `seam.Storage`, `limited` counts the
files of either. The library for S3 is
loaded with the first bucket, so local files cost nothing of it.
"""

from job_item.storage.opening import open_storage
from job_item.storage.seam import Storage, Stored, Watch

__all__ = ("Storage", "Stored", "Watch", "open_storage")
