"""A `systemctl --user` for tests: it keeps services alive as their units say, one process for each.

It stands in PATH as a script with PYTHONPATH set; RUNTIME is the folder of its own files.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import eventually
from tests.services import ServiceManager
from tests.units import Supervised, read_unit

HOME = Path.home()
UNITS = HOME / ".config" / "systemd" / "user"
RUNTIME = Path(os.environ.get("XDG_RUNTIME_DIR", HOME / "run"))


def main(words: list[str]) -> int:
    """Do one verb."""
    options = [word for word in words if word.startswith("-")]
    verb, *names = [word for word in words if not word.startswith("-")]
    if verb == "serve":
        return serve(names[0])
    with (RUNTIME / "asked").open("a") as asked:
        asked.write(f"{' '.join(words)}\n")
    if verb == "daemon-reload":
        for unit in UNITS.glob("*.service"):
            read_unit(unit.read_text())
        return 0
    (name,) = [name.removesuffix(".service") for name in names]
    assert (UNITS / f"{name}.service").exists(), name
    if verb in ("stop", "restart"):
        stop(name)
    if verb in ("start", "restart"):
        return start(name)
    if verb in ("kill", "reload"):
        number = signal.SIGHUP if verb == "reload" else signal.Signals[f"SIG{options[0].partition('=')[2]}"]
        os.kill(int((RUNTIME / f"{name}.main").read_text()), number)
    if verb == "status":
        print(f"{name}: active, main process {(RUNTIME / f'{name}.main').read_text()}")
    return 0


def start(name: str) -> int:
    """Begin to keep it alive, and wait until it is ready or has failed."""
    outcome = RUNTIME / f"{name}.outcome"
    outcome.unlink(missing_ok=True)
    with (RUNTIME / f"{name}.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.systemctl", "serve", name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (RUNTIME / f"{name}.keeper").write_text(str(keeper.pid))
    eventually(lambda: outcome.exists() or keeper.poll() is not None, within_s=90, what=f"{name} is ready")
    return 0 if outcome.exists() else 1


def stop(name: str) -> None:
    """Stop it, and wait until it is gone."""
    file = RUNTIME / f"{name}.keeper"
    if file.exists():
        keeper = os.pidfd_open(int(file.read_text()))
        signal.pidfd_send_signal(keeper, signal.SIGTERM)
        eventually(lambda: not is_alive(int(file.read_text())), within_s=90, what=f"{name} is stopped")
        os.close(keeper)
        file.unlink()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def serve(name: str) -> int:
    """Keep the service alive until TERM, or until its unit says that this was the end."""

    def end(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, end)
    unit = read_unit((UNITS / f"{name}.service").read_text())
    with tempfile.TemporaryDirectory() as folder, ServiceManager(Path(folder) / "notify") as manager:
        path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        service = Supervised(unit, HOME, manager, path, lambda pid: _write(RUNTIME / f"{name}.main", str(pid)))
        try:
            service.start()
            _write(RUNTIME / f"{name}.outcome", "started")
            while service.attend(within_s=None):
                pass
        finally:
            service.stop()
    return 0


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
