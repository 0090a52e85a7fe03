"""The log of several real processes in one pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys

WRITER = """
import os, sys
from job_item import log

class Settings:
    level, format = "INFO", "json"

log.configure(Settings, room=sys.argv[1], secrets=["hunter22"], environ={})
for number in range(400):
    log.get(sys.argv[1]).info("line.written", number=number, filler=sys.argv[1] * (number * 20), note="hunter22")
"""


def test_lines_of_several_processes_never_mix() -> None:
    output, entrance = os.pipe()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, room], stderr=entrance) for room in ("a", "b", "c")]
    os.close(entrance)
    with open(output, "rb") as stream:
        lines = [json.loads(line) for line in stream]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    for room in ("a", "b", "c"):
        mine = [line for line in lines if line["room"] == room]
        assert [line["number"] for line in mine] == list(range(400))
        assert all(set(line["filler"].split("...[")[0]) <= {room} for line in mine)
    assert not any("hunter22" in json.dumps(line) for line in lines)
