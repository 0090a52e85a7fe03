"""The unit for systemd says what the node does, and `install-service` what it is about to do."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.exits import Exit
from job_item.settings import Settings
from supervisor.progress import Progress
from supervisor.service.install import SYSTEM, Found, Origin, own_place, plan
from supervisor.service.steps import Command, NewFile, Step, carry_out
from supervisor.service.unit import DEFAULT, Program, system_unit, user_unit
from tests.conftest import ROOT
from tests.unit.test_notify import RULES, node_after
from tests.units import read_unit

FILE = ROOT / "deploy" / "job-item.service"
NOTHING = Found(has_user=False, has_config=False, has_environment=False, may_link=True)
ALL = Found(has_user=True, has_config=True, has_environment=True, may_link=False)
PYZ = Origin(Path("/x/bin/job_item"), Path("/root/job_item.pyz"), Path("/usr/bin/python3.11"), "1.0.0-0123")


def service() -> dict[str, str]:
    return read_unit(FILE.read_text())["Service"]


def test_the_file_is_the_unit_that_is_installed() -> None:
    assert FILE.read_text() == system_unit(DEFAULT)


def test_the_watchdog_is_more_patient_than_the_node() -> None:
    settings = Settings.model_validate({})
    assert settings.heartbeat.timeout == RULES.silence_s
    assert float(service()["WatchdogSec"]) > Progress.begin(node_after(), 0.0).patience_s


def test_a_node_without_jobs_stops_in_time() -> None:
    assert float(service()["TimeoutStopSec"]) > Settings.model_validate({}).drain_grace


def test_what_people_have_to_mend_is_not_started_again() -> None:
    assert service()["RestartPreventExitStatus"].split() == [str(int(Exit.CASCADE)), str(int(Exit.CONFIGURATION))]


def test_only_the_node_itself_speaks_and_is_told_to_stop() -> None:
    assert (service()["Type"], service()["NotifyAccess"], service()["KillMode"]) == ("notify", "main", "mixed")


def test_the_control_group_is_the_nodes_own() -> None:
    assert (service()["Delegate"], service()["OOMPolicy"]) == ("yes", "continue")
    assert "ProtectControlGroups" not in service()


def test_a_service_of_a_user_asks_for_nothing_that_its_manager_cannot_do() -> None:
    unit = read_unit(user_unit(DEFAULT))
    assert not {"User", "CapabilityBoundingSet", "ProtectSystem", "StateDirectory"} & set(unit["Service"])
    assert unit["Install"]["WantedBy"] == "default.target"
    assert "network-online.target" not in str(unit)


def test_a_path_with_signs_of_systemd_stays_one_word() -> None:
    unit = read_unit(system_unit(Program(Path("/o p/50%/job_item"), Path("/etc/$x.yaml"))))
    assert unit["Service"]["ExecStart"] == '"/o p/50%%/job_item" --config /etc/$$x.yaml'


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="read_unit knows the directives in its place")
def test_systemd_takes_the_unit_and_finds_it_safe_enough(tmp_path: Path) -> None:
    unit = tmp_path / FILE.name
    unit.write_text(FILE.read_text().replace("/opt/job_item/bin/job_item", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=45", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout.splitlines()[-1]


def test_a_first_installation_makes_all_that_is_missing_and_starts_the_service_last() -> None:
    steps = list(map(str, plan(PYZ, SYSTEM, NOTHING)))
    order = [
        "useradd --system",
        "PEX_TOOLS=1 /usr/bin/python3.11",
        "install -d -m 0700 -o job_item",
        "# write /etc/job",
    ]
    order += ["STATE_DIRECTORY=/var/lib/job_item runuser -u job_item -- /opt/job_item/1.0.0-0123/bin/job_item check"]
    order += ["# write /etc/systemd/system/job-item.service", "systemctl daemon-reload", "systemctl restart"]
    places = [next(place for place, step in enumerate(steps) if step.startswith(start)) for start in order]
    assert places == sorted(places)
    assert places[-1] == len(steps) - 1


def test_an_upgrade_leaves_alone_what_is_there() -> None:
    steps = "\n".join(map(str, plan(replace(PYZ, label="2.0.0-4567"), SYSTEM, ALL)))
    assert "useradd" not in steps
    assert "# write /etc/job_item/config.yaml" not in steps
    assert "ln " not in steps
    assert "ExecStart=/opt/job_item/2.0.0-4567/bin/job_item" in steps


def test_a_command_that_is_installed_already_is_used_where_it_is() -> None:
    place = own_place(Path("/home/ada"))
    steps = "\n".join(map(str, plan(Origin(Path("/home/ada/venv/bin/job_item")), place, replace(ALL, has_user=False))))
    assert "PEX_TOOLS" not in steps
    assert "useradd" not in steps
    assert "runuser" not in steps
    assert "ExecStart=/home/ada/venv/bin/job_item --config /home/ada/.config/job_item/config.yaml" in steps


def test_a_step_that_fails_is_named_and_nothing_follows(tmp_path: Path) -> None:
    steps: list[Step] = [NewFile(tmp_path / "a", "text", 0o640), Command(("false",)), NewFile(tmp_path / "b", "text")]
    with pytest.raises(NodeError, match="`false` ended with exit code 1") as caught:
        carry_out(steps, {"PATH": "/usr/bin:/bin"})
    assert caught.value.code == "ERR-SUP-060"
    assert ((tmp_path / "a").stat().st_mode & 0o777, (tmp_path / "a").read_text()) == (0o640, "text")
    assert not (tmp_path / "b").exists()
    with pytest.raises(NodeError, match=r"# write .*nowhere/c"):
        carry_out([NewFile(tmp_path / "nowhere" / "c", "")], {})
