"""Who may ask the example Job Manager what."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path

from tests.brokers.servers import NatsServer
from tests.jobmanager import managing


def test_the_manager_lets_nobody_in_without_his_word(nats: Callable[[], NatsServer], tmp_path: Path) -> None:
    with managing(tmp_path / "manager", nats().settings(), [{"event": "work"}]) as manager:

        def status(method: str, path: str, body: object = None, **headers: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", manager.port, timeout=20)
            connection.request(method, path, json.dumps(body), headers)
            try:
                return connection.getresponse().status
            finally:
                connection.close()

        config = "/api/worker/config"
        assert status("POST", config, {"project_id": "P", "secret_key": "the-key-of-the-project"}) == 200
        assert status("POST", config, {"project_id": "P", "secret_key": "wrong"}) == 403
        assert status("POST", config + "/tls/download", {"app_id": "P", "app_secret": None}) == 403
        for path in ("/api/worker/job_record/result/T", "/api/worker/job_record/file/T"):
            assert status("POST", path, {}, Authorization="Bearer wrong") == 401
        assert status("GET", "/") == 401
        assert status("GET", "/api/overview", Authorization="Basic eDp4") == 401
        assert status("POST", "/api/jobs", {"event": "work"}) == 401
        assert manager.ask("GET", "/")[0] == 200
