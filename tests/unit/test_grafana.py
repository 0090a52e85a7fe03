"""The Grafana board and the alert rules speak of metrics and labels that there are, and are well formed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from job_item.hardware.disk import Usage
from job_item.hardware.network import Traffic
from job_item.job import Status
from job_item.link import ExecState
from job_item.manager.state import ManagerState
from job_item.release.marker import Marker, Staged
from job_item.reload import SettingsState
from job_item.settings import Job
from tests.conftest import ROOT
from worker.desk import BrokerState, Health, OutboxState
from worker.journal import Settlement
from worker.metrics.exposition import write
from worker.metrics.families import families
from worker.metrics.machine import Machine, Process
from worker.metrics.meter import Meter
from worker.metrics.observation import Jobs, Observation
from worker.seams import Assignment

BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/job_item.json").read_text())
RULES = ROOT / "deploy/prometheus/job_item.rules.yaml"
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""

METRIC = re.compile(r"\b(job_item_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def observation() -> Observation:
    """A node that has everything that can be shown."""
    meter = Meter()
    assignment = Assignment("T", "e", 1, 1, b"{}", Job(event="e", cmd="true"), 1.0, 0.0)
    meter.started(assignment)
    meter.settled(assignment, Settlement("T", 1, 1, Status.FINISH, 2.0), Status.FINISH, {})
    machine = Machine(
        1,
        {"user": 1.0},
        {"total": 1, "used": 1},
        {"state": Usage(1, 1, 1, 1)},
        {"eth0": Traffic(1, 1, 1, 1)},
        (1.0, 1.0, 1.0),
        {"worker": Process(1.0, 1)},
        {"cpu": "No."},
    )
    jobs = Jobs({}, {}, {}, 1, 1, 1, frozenset({"e"}), meter)
    execs = (ExecState("x", "", "running", 1, 1, None, 0.0, True, "healthy"),)
    health = Health("1", "i", 1.0, 1, 1, 1, broker=BrokerState("nats", True, 0.0))
    health = replace(health, outbox=OutboxState({"finish": 1}), settings=SettingsState(manager=ManagerState("u", 0.0)))
    health = replace(health, updates=Marker().stage(Staged("2.0", ""), 1, 60.0, 1.0), channel="stable")
    return Observation(health, True, jobs, execs, {"worker": 1}, machine)


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The labels of each metric that a node shows."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(write(families(observation()))):
        for sample in family.samples:
            found[sample.name] |= {*sample.labels, *SCRAPED}
    return dict(found)


def expressions() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])


@pytest.mark.parametrize(("name", "expression"), list(expressions()))
def test_every_expression_names_metrics_and_labels_that_there_are(
    name: str, expression: str, known: dict[str, set[str]]
) -> None:
    used = METRIC.findall(expression)
    assert used, name
    labels: set[str] = set()
    for metric, matchers in used:
        assert metric in known, f"{name}: {metric}"
        assert set(LABEL.findall(matchers)) <= known[metric], f"{name}: {matchers}"
        labels |= known[metric]
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= labels, f"{name}: by ({grouped})"
    for opened, closed in ("()", "{}", "[]"):
        assert expression.count(opened) == expression.count(closed), name


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_legend_names_labels_of_its_expression(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        grouped = {label.strip() for text in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in text.split(",")}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped, target


def test_the_board_can_be_imported_into_any_grafana() -> None:
    assert BOARD["schemaVersion"] >= 36
    assert "id" not in BOARD, "Grafana gives it its own"
    assert BOARD["uid"]
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in BOARD["templating"]["list"]}
    named = set(re.findall(r"\$\{?(\w+)\}?", json.dumps([panel["targets"] for panel in PANELS])))
    assert {name for name in named if not name.startswith("__")} <= variables
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_panel_covers_another() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        columns = range(place["x"], place["x"] + place["w"])
        rows = range(place["y"], place["y"] + place["h"])
        own = {(column, row) for column in columns for row in rows}
        assert not own & cells, panel["title"]
        cells |= own


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_alert_rules_are_right_in_the_eyes_of_promtool() -> None:
    """Where there is none, the tests above are all there is."""
    promtool = shutil.which("promtool")
    if promtool is not None:
        command = [promtool, "check", "rules", str(RULES)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr


def test_every_metric_is_explained(known: dict[str, set[str]]) -> None:
    text = Path(ROOT / "docs/metrics.md").read_text()
    for metric in known:
        base = re.sub(r"_(bucket|sum|count)$", "", metric)
        assert f"`{base}`" in text or f"`{metric}`" in text, metric


def test_no_metric_is_explained_that_is_not_there(known: dict[str, set[str]]) -> None:
    text = Path(ROOT / "docs/metrics.md").read_text()
    bases = {re.sub(r"_(bucket|sum|count)$", "", metric) for metric in known} | set(known)
    assert set(re.findall(r"`(job_item_\w+)`", text)) <= bases
