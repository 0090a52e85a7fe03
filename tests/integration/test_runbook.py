"""The commands of deploy/README.md, as they stand there, from the built file to a service that is kept alive.

They are for a whole machine; here they are done for one user, below a home of his own: what stands for the other is in
`OWN`, and `systemctl` is the stand-in of tests/systemctl.py.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import job_item
from job_item.built import name_version
from job_item.exits import Exit
from tests.artifacts import BASE, run
from tests.conftest import ROOT, free_port
from tests.units import read_unit

pytestmark = pytest.mark.timeout(900)

PAGE = (ROOT / "deploy" / "README.md").read_text()
OWN = {
    "sudo -u job_item ": "",
    "sudo ": "",
    " -o job_item -g job_item": "",
    "install-service": "install-service --user",
    "/etc/systemd/system": "$HOME/.config/systemd/user",
    "/etc/job_item": "$HOME/.config/job_item",
    "/var/lib/job_item": "$HOME/.local/state/job_item",
    "/opt/job_item": "$HOME/.local/share/job_item",
    "/usr/local/bin/job_item": "$HOME/.local/bin/job_item",
    # Who reads the page sees when it is there again; a busy machine takes longer than it says.
    "systemctl kill --signal=KILL job-item\nsleep 3\n": (
        "was=$(cat run/job-item.main); systemctl kill --signal=KILL job-item\n"
        "known() { sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p' .local/state/job_item/node.json; }\n"
        'until [ "$(known)" != "$was" ] && [ "$(known)" = "$(cat run/job-item.main)" ]; do sleep 0.1; done\n'
        "until curl --silent --fail http://127.0.0.1:8080/readyz; do sleep 0.1; done\n"
    ),
    # Scripts say it in words of their own, since the ports of tests are none that are known beforehand.
    "8080": "$PORT",
    "8081": "$SECOND",
}


def blocks() -> dict[str, str]:
    """The marked blocks, each by the heading that it stands below (those of one heading together)."""
    found: dict[str, str] = {}
    heading = ""
    for match in re.finditer(r"^## ([^\n]*)$|^<!-- run -->\n```bash\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
        heading = match[1] or heading
        if match[2]:
            found[heading] = found.get(heading, "") + match[2]
    return found


class User:
    """Somebody with the built files in an empty folder, and Python."""

    def __init__(self, home: Path, dist: Path) -> None:
        self.home = home
        self._programs = home / "programs"
        (home / "run" / "systemd").mkdir(parents=True)
        self._programs.mkdir()
        self._script("systemctl", f'cd / && PYTHONPATH={ROOT} exec {sys.executable} -m tests.systemctl "$@"')
        self._script("python3", f'exec {BASE} "$@"')
        for name in ("job_item.pyz", "SHA256SUMS"):
            shutil.copy(dist / name, home)
        self.ports = {"PORT": str(free_port()), "SECOND": str(free_port())}
        self.environ = {
            **self.ports,
            "HOME": str(home),
            "PATH": f"{self._programs}:{home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(home / "run"),
        }

    def _script(self, name: str, text: str) -> None:
        (self._programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (self._programs / name).chmod(0o755)

    def run(self, text: str) -> str:
        """Commands of the page."""
        for words, own in OWN.items():
            text = text.replace(words, own)
        return run("bash", "-euc", text, environ=self.environ, cwd=self.home)

    @property
    def config(self) -> Path:
        return self.home / ".config" / "job_item" / "config.yaml"

    @property
    def unit(self) -> dict[str, str]:
        return read_unit((self.home / ".config/systemd/user/job-item.service").read_text())["Service"]

    def asked(self) -> list[str]:
        """What the service manager has been asked."""
        return (self.home / "run" / "asked").read_text().splitlines()


@pytest.fixture(scope="module")
def user(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    user = User(tmp_path_factory.mktemp("home"), dist)
    # The first node has a port that is free here, so its settings are there already; all else is as on a new machine.
    user.config.parent.mkdir(parents=True)
    state = user.home / ".local" / "state" / "job_item"
    user.config.write_text(
        f"state_dir: {state}\nwork_dir: {state}/work\napi: {{port: {user.ports['PORT']}}}\n"
        "jobs: [{event: hello, cmd: 'echo Hello, {{name}}.'}]\n"
    )
    try:
        yield user
    finally:
        for name in ("job-item", "job-item-second"):
            if (user.home / "run" / f"{name}.keeper").exists():
                user.run(f"systemctl stop {name}")


def test_the_runbook_works_as_written_from_the_built_file_to_the_end(user: User) -> None:
    steps = blocks()
    version = f"job_item {name_version(job_item.__version__)}\n"

    said = user.run(steps.pop("Install"))
    assert "job_item.pyz: OK\n" + version in said
    assert user.asked() == [
        f"--user {verb}" for verb in ("daemon-reload", "enable job-item.service", "restart job-item.service")
    ]
    link = user.home / ".local" / "bin" / "job_item"
    assert user.unit["ExecStart"] == f"{link.readlink()} --config {user.config}"
    assert list(link.readlink().parent.parent.rglob("typer/__pycache__/*.pyc")), "compiled beforehand"

    said = user.run(steps.pop("See that it runs"))
    assert '"ready":true' in said
    assert "Hello, Ada." in said
    assert "Hello, Eve." in said, "killed, it was started again"

    user.run(steps.pop("Configure"))
    versions = os.listdir(link.readlink().parent.parent.parent)
    assert user.run(steps.pop("Upgrade, and back")).endswith(version)
    assert os.listdir(link.readlink().parent.parent.parent) == versions, "the same version is not unpacked twice"
    user.run(steps.pop("Stop, and signals"))
    user.run(steps.pop("Back up the state folder"))
    assert "./journal.sqlite" in run("tar", "--list", "--file", user.home / "state.tar.gz").split("\n")
    assert "Hello from the second, Ada." in user.run(steps.pop("Several nodes on one machine"))

    good = user.config.read_text()
    user.config.write_text("jobs: nonsense\n")
    with pytest.raises(AssertionError, match="ERR-CFG"):
        user.run("python3 job_item.pyz install-service")
    user.config.write_text(good)
    assert "Hello, Eve." in user.run("job_item --config /etc/job_item/config.yaml submit hello name=Eve --follow")

    user.run(steps.pop("Remove"))
    assert not link.exists()
    assert not steps, "every block has its place here"


def test_the_runbook_names_every_exit_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*?) \|", PAGE, flags=re.MULTILINE))
    assert set(map(int, rows)) == set(Exit)
    left = {int(code) for code in re.findall(r"^\| (\d+) \|.*\| leaves it \|$", PAGE, flags=re.MULTILINE)}
    assert left == {Exit.DONE, Exit.CASCADE, Exit.CONFIGURATION}


def test_every_file_that_the_runbook_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / "deploy" / link).exists()] == []


def test_what_the_runbook_says_of_sizes_was_measured() -> None:
    measured = (ROOT / "benchmarks" / "results.md").read_text()
    told = PAGE[PAGE.index("## How large") : PAGE.index("Jobs at once")]

    def figure(row: str) -> float:
        found = re.search(rf"^\| {re.escape(row)} \| ([\d.,]+)", measured, flags=re.MULTILINE)
        assert found, row
        return float(found[1].replace(",", ""))

    for row, said in {
        "idle: PSS of all processes": "101 MB",
        "- keeper": "3 MB more",
        "2,000 queued jobs `bash -c true`": "700 a second",
        "durable creates from 8 clients": "4,800 a second",
        "memory for 99,000 more queued jobs": "3 MB of memory",
        "trigger to process start at 50/s, 3 times 250 jobs, p50": "| 3 ms",
        "SIGKILL of the job child to served again, 25 kills, p50": "44 ms",
    }.items():
        assert said in told
        number = float(re.sub(r"[^\d.]", "", said.replace(",", "").split(" m")[0]) or 0)
        assert abs(figure(row) - number) <= 0.15 * number, f"{row}: {figure(row)}, told as {said}"
