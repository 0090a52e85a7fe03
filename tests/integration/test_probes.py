"""Each kind of probe against something real."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from execs.probes import Answer, Inquirer
from job_item.keeper.command import Command
from job_item.keeper.pool import KeeperPool
from job_item.probespec import HealthProbe
from tests.certificate import PEM
from tests.orphans import new_mark, processes_with
from tests.pools import with_pool
from tests.rosters import Muster, mustered, soon


class Handler(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.partition("?")[0].strip("/") or "200"))
        self.end_headers()

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            certificate.write_text(PEM)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def ask(folder: Path, *probes: dict[str, Any]) -> list[Answer]:
    """Ask some probes, one after the other, as an exec in `folder` has them."""
    answers: list[Answer] = []

    async def use(inquirer: Inquirer, command: Command) -> None:
        specs = [HealthProbe.model_validate({"timeout": 20, **probe}) for probe in probes]
        answers.extend([await inquirer.ask(spec, command) for spec in specs])

    with_inquirer(folder, use)
    return answers


def with_inquirer(folder: Path, use: Callable[[Inquirer, Command], Awaitable[None]]) -> None:
    command = Command(("true",), {"PATH": os.environ["PATH"], "ONE": "1"}, str(folder), str(folder / "out"), 1 << 20)

    async def body(pool: KeeperPool) -> None:
        await use(Inquirer(pool), command)

    with_pool(body)


def test_a_command_is_asked_where_the_exec_runs_and_its_output_goes_nowhere(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    yes, no, killed = ask(
        tmp_path,
        {"cmd": "echo out; echo err >&2; test -e there && test $ONE = 1"},
        {"cmd": "exit 7"},
        {"cmd": "kill -9 $$"},
    )
    assert yes.is_yes is True
    assert no == Answer(False, "the probe ended with exit code 7")
    assert killed == Answer(False, "the probe ended with signal 9")
    assert {path.name for path in tmp_path.iterdir()} == {"there"}


def test_a_command_that_does_not_end_is_killed_with_its_tree(tmp_path: Path) -> None:
    mark = new_mark()
    (answer,) = ask(tmp_path, {"cmd": f"trap '' TERM; (setsid sleep {mark} &); sleep {mark}; :", "timeout": 0.3})
    assert answer == Answer(False, "no answer within 0.3 s")
    assert processes_with(mark) == []


def test_a_probe_that_is_broken_off_leaves_no_process(tmp_path: Path) -> None:
    mark = new_mark()

    async def use(inquirer: Inquirer, command: Command) -> None:
        probe = HealthProbe.model_validate({"cmd": f"sleep {mark}; :", "timeout": 60})
        task = asyncio.create_task(inquirer.ask(probe, command))
        await soon(lambda: processes_with(mark))
        task.cancel()
        await soon(lambda: not processes_with(mark))

    with_inquirer(tmp_path, use)


@pytest.mark.parametrize(
    ("path", "is_yes"), [("/", True), ("/204", True), ("/302?a=b", True), ("/404", False), ("/503", False)]
)
def test_an_address_is_well_with_a_status_below_400(path: str, is_yes: bool, tmp_path: Path) -> None:
    with serving() as port:
        (answer,) = ask(tmp_path, {"http": f"http://127.0.0.1:{port}{path}"})
    assert answer.is_yes is is_yes


def test_a_certificate_has_to_be_trusted_unless_it_is_not_looked_at(tmp_path: Path) -> None:
    with serving(tmp_path / "pem") as port:
        url = f"https://localhost:{port}/"
        refused, taken = ask(tmp_path, {"http": url}, {"http": url, "verify": False})
    assert refused.is_yes is False
    assert "the certificate is not trusted" in refused.why
    assert taken.is_yes is True


def test_what_does_not_answer_or_speaks_otherwise_is_not_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        late, refused, unreachable = ask(
            tmp_path,
            {"http": f"http://127.0.0.1:{silent.getsockname()[1]}/", "timeout": 0.2},
            {"http": f"http://127.0.0.1:{closed.getsockname()[1]}/"},
            {"tcp": closed.getsockname()[1]},
        )
    assert late == Answer(False, "no answer within 0.2 s")
    assert refused == unreachable == Answer(False, "Connection refused")


@pytest.mark.parametrize("said", [b"SSH-2.0\r\n", b"", b"x" * 100_000])
def test_an_answer_that_is_no_http_is_a_no(said: bytes, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                with suppress(OSError):  # it has heard enough
                    client.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        (heard,) = ask(tmp_path, {"http": f"http://127.0.0.1:{server.getsockname()[1]}/"})
        thread.join()
    assert heard.is_yes is False


@pytest.mark.parametrize("host", ["", "127.0.0.1:", "localhost:"])
def test_a_port_that_takes_connections_is_well(host: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(tmp_path, {"tcp": f"{host}{server.getsockname()[1]}"}) == [Answer(True)]


def test_an_exec_becomes_ready_by_a_line_of_this_run_only(tmp_path: Path) -> None:
    text = "while [ ! -e go ]; do sleep 0.01; done; rm go; echo 'listening on 80'; exec sleep 600"

    async def use(muster: Muster) -> None:
        for _ in range(2):
            await muster.until_state("one", "running", ready=False)
            (tmp_path / "go").touch()
            await muster.until_state("one", "running", ready=True)
            assert muster.order("one", "restart") is None
            await muster.until(lambda: not muster.states["one"].ready)

    mustered(tmp_path, [{"key": "one", "cmd": text, "ready": {"log": r"^listening on \d+$"}}], use)


def test_an_unhealthy_exec_is_restarted_and_gives_up_like_any_that_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def use(muster: Muster) -> None:
        (tmp_path / "well").touch()
        first = (await muster.until_state("one", "running", health="healthy")).pid
        (tmp_path / "well").unlink()
        await muster.until(lambda: muster.states["one"].pid not in (None, first))
        failed = await muster.until_state("one", "failed")
        assert failed.reason == "given up after 2 of 2 tries: unhealthy: the probe ended with exit code 1"

    health = {"cmd": "test -e well", "interval": 0.05, "failures": 2, "timeout": 20}
    mustered(tmp_path, [{"key": "one", "cmd": "exec sleep 600", "attempt": 2, "backoff": 0.05, "health": health}], use)
    assert "ERR-EXE-013" in capfd.readouterr().err


def test_probes_of_many_execs_that_hang_hold_up_nobody(tmp_path: Path) -> None:
    hanging = {"cmd": "sleep 600", "timeout": 30, "interval": 0.05}

    async def use(muster: Muster) -> None:
        await muster.until(lambda: sum(state.state == "running" for state in muster.states.values()) == 20)
        assert muster.order("e0", "stop") is None
        await muster.until_state("e0", "stopped")

    mustered(tmp_path, [{"key": f"e{n}", "cmd": "exec sleep 600", "health": hanging} for n in range(20)], use)
