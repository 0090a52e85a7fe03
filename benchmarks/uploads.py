"""A file of 1 GiB from the cache to a server that throws it away, by `job_item.upload` and by `curl -F`, in turn.

Both send the same form over the loopback interface; the clock is that of the caller. The server is a process of its own
that reads blocks of 1 MiB. Beside it stand the memory of `job_item upload`, and how long it takes for a file of 1 KiB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.bare import bare
from benchmarks.table import Figure, Tier, against, amount, at_most
from job_item import upload

SIZE_MIB = 1_024
ROUNDS = {"smoke": 1, "quick": 3, "night": 15}
FLOOR = 0.5
MEMORY_MB = 80


def measure(tier: Tier) -> list[Figure]:
    """Send it in turn."""
    ours: list[float] = []
    curls: list[float] = []
    with TemporaryDirectory(prefix="ji-") as name, bare("swallow") as port:
        large, small = Path(name) / "large", Path(name) / "small"
        large.write_bytes(b"")
        os.truncate(large, SIZE_MIB << 20)
        small.write_bytes(b"x" * 1024)
        os.environ["JOB_MANAGER_UPLOAD_FILE"] = url = f"http://127.0.0.1:{port}/file"
        os.environ["JOB_ITEM_PROJECT_KEY"] = "key"
        for _ in range(ROUNDS[tier]):
            begun = time.perf_counter()
            subprocess.run(("curl", "-sS", "-f", "-F", f"file=@{large}", url), check=True, capture_output=True)
            curls.append(SIZE_MIB / (time.perf_counter() - begun))
            begun = time.perf_counter()
            upload(large)
            ours.append(SIZE_MIB / (time.perf_counter() - begun))
        _, memory_mb = _command(large)
        small_s = median(_command(small)[0] for _ in range(ROUNDS[tier]))
    return [
        against(f"upload of {SIZE_MIB} MiB", median(ours), "MiB/s", ("`curl -F`", median(curls)), FLOOR),
        at_most("- memory of `job_item upload`", memory_mb, MEMORY_MB, "MB"),
        Figure("- `job_item upload` of 1 KiB, start to end", amount(small_s * 1000, "ms")),
    ]


def _command(path: Path) -> tuple[float, float]:
    """Seconds and the most memory (MB) of the command line."""
    begun = time.perf_counter()
    command = str(Path(sys.executable).with_name("job_item"))
    process = subprocess.Popen((command, "upload", str(path)), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - begun, usage.ru_maxrss * 1024 / 1e6
