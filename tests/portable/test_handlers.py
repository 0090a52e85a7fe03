"""Typed handlers on the portable path: they run, fail and are ended as elsewhere."""

from __future__ import annotations

from pathlib import Path

from tests import handlers
from tests.conftest import eventually
from tests.nodes import is_alive, running


def test_handlers_run_fail_and_are_ended(tmp_path: Path) -> None:
    handlers.write(tmp_path)
    jobs = [{"event": "calm", "handler": "DO", "kill_grace": 0.3}]
    with running(tmp_path, {"handlers": ["acts.py"], "jobs": jobs}, {"JOB_ITEM_PORTABLE": "1"}) as node:
        job = node.await_status(node.submit("AREA", {"width": 2, "height": 3}))
        assert job["output"] == {"area": 6.0}
        printed = node.submit("PRINT", {"name": "n"})
        node.await_status(printed)
        assert sorted(node.output(printed).split(b"\n"))[1:3] == [b"INFO job_item.handlers.PRINT: log n", b"error n"]
        job = node.await_status(node.submit("DO", {"what": "exit"}))
        assert (job["status"], job["error"]["code"]) == ("error", "ERR-HND-014")
        path = tmp_path / "pid"
        task_id = node.submit("calm", {"what": "ignore", "pid": str(path)})
        pid = int(eventually(lambda: path.exists() and path.read_text(), what="it has begun"))
        assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
        assert node.await_status(task_id)["status"] == "terminate"
        eventually(lambda: not is_alive(pid), what="its process is gone")
