"""A file of 1 GiB (quick: 256 MiB) from the cache to a bucket that throws it away, by our storage and by `obstore.put`.

In turn, each in a process of its own whose start does not count; the bucket is a third process. `obstore.put` reads the
file itself, with its defaults. Beside it stands the most memory that each process held, start and libraries included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.sink import sink
from benchmarks.table import Figure, Tier, against, amount, at_most

SIZES_MIB = {"smoke": (16, 64), "quick": (64, 256), "night": (256, 1_024)}
ROUNDS = {"smoke": 1, "quick": 3, "night": 9}
FLOOR = 0.7
GROWTH_MB = 8
"""By which the memory for the larger file may exceed that for the smaller."""

_OURS = """
from job_item.storage import open_storage
storage = open_storage("s3://bucket/results/test/1", region="us-east-1", endpoint=endpoint)
def put():
    storage.upload(path, "file.bin")
"""
_BARE = """
import obstore
from obstore.store import S3Store
store = S3Store("bucket", prefix="results/test/1", region="us-east-1", endpoint=endpoint,
                client_options={"allow_http": True}, access_key_id="a", secret_access_key="b")
def put():
    obstore.put(store, "file.bin", path)
"""
_CLOCK = """
import json, pathlib, resource, sys, time
endpoint, path = sys.argv[1], pathlib.Path(sys.argv[2])
{how}
begun = time.perf_counter()
put()
print(json.dumps([time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def measure(tier: Tier) -> list[Figure]:
    """Send it in turn."""
    small_mib, large_mib = SIZES_MIB[tier]
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    with TemporaryDirectory(prefix="ji-") as name, sink() as endpoint:
        small, large = (_file(Path(name), size_mib) for size_mib in (small_mib, large_mib))
        for _ in range(ROUNDS[tier]):
            bare.append(_timed(_BARE, endpoint, large))
            ours.append(_timed(_OURS, endpoint, large))
        small_mb = median(_timed(_OURS, endpoint, small)[1] for _ in range(ROUNDS[tier]))
    (our_s, our_mb), (bare_s, bare_mb) = (tuple(map(median, zip(*runs, strict=True))) for runs in (ours, bare))
    return [
        against(
            f"upload of {large_mib} MiB to a storage",
            large_mib / our_s,
            "MiB/s",
            ("`obstore.put`", large_mib / bare_s),
            FLOOR,
        ),
        Figure("- the most memory of its process", amount(our_mb, "MB"), f"`obstore.put`: {amount(bare_mb, 'MB')}"),
        at_most(
            f"- of it more than for {small_mib} MiB",
            max(0.0, our_mb - small_mb),
            GROWTH_MB,
            "MB",
            beside=f"{small_mib} MiB: {amount(small_mb, 'MB')}",
        ),
    ]


def _file(folder: Path, size_mib: int) -> Path:
    path = folder / f"{size_mib}.bin"
    path.touch()
    os.truncate(path, size_mib << 20)
    return path


def _timed(how: str, endpoint: str, path: Path) -> tuple[float, float]:
    """Seconds of one upload, and the most memory (MB) of its process."""
    keys = {"MINIO_USERNAME": "a", "MINIO_PASSWORD": "b"}
    program = [sys.executable, "-c", _CLOCK.replace("{how}", how), endpoint, str(path)]
    between = ["sh", "-c", '"$@"; exit $?', "sh"]  # the kernel counts the memory of the one that forked, too
    done = subprocess.run([*between, *program], env={**os.environ, **keys}, check=True, stdout=subprocess.PIPE)
    seconds, kib = json.loads(done.stdout)
    return seconds, kib * 1024 / 1e6
