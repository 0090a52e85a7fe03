"""The sample unit for systemd says what the node does."""

from __future__ import annotations

from job_item.exits import Exit
from job_item.settings import Settings
from supervisor.progress import Progress
from tests.conftest import ROOT
from tests.unit.test_notify import RULES, node_after


def service() -> dict[str, str]:
    lines = (ROOT / "deploy" / "job-item.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


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
