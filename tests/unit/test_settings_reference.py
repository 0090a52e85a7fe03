"""The reference of the settings and the schema for editors: written from the models, whole, and true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from pydantic import BaseModel

from job_item.errors import SettingsError
from job_item.load import load
from job_item.settings import Settings
from tests.conftest import ROOT
from tools import settings_page, settings_schema
from tools.settings_models import ENVIRONMENT, Setting, settings_of

CONFIGURATIONS = (
    *(ROOT / "examples").rglob("config.yaml"),
    ROOT / "config.yaml",
)
JOB = "jobs: [{event: e, cmd: x, %s}]"
EXEC = "execs: [{key: k, cmd: x, %s}]"


class Core(yaml.SafeLoader):
    """YAML as editors read it (1.2): only `true` and `false` are truth values, so `on` is a key like any other."""


Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def all_settings(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    for setting in settings_of(model, prefix):
        yield setting
        for below in setting.below:
            yield from all_settings(below, f"{setting.path}.")


def test_every_setting_says_what_it_is_for() -> None:
    settings = list(all_settings(Settings))
    assert len(settings) > 150
    assert [one.path for one in settings if len(one.text) < 5 or not one.text.endswith((".", ".)"))] == []


def test_the_page_is_up_to_date_and_each_table_says_kind_default_and_bounds() -> None:
    page = settings_page.PAGE.read_text()
    assert settings_page.fill_in(page) == page, "run `make docs`"
    for name, table in settings_page.tables().items():
        assert f"<!-- {name}: written by `make docs` -->\n{table}\n<!-- end of {name} -->" in page, name
    assert "| `heartbeat.timeout` | duration (s), > 0 | `20` |" in page
    assert "| `output_limit` | size (bytes), >= 0 | `64 MiB` |" in page
    assert "Variable: `POLL_INTERVAL_MS`, in milliseconds. |" in page


def test_every_setting_is_in_exactly_one_table() -> None:
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \|", "\n".join(settings_page.tables().values()), flags=re.MULTILINE)
    within = ("jobs", "execs", "broker_connection")
    top = {one.path for one in all_settings(Settings) if not one.below and one.path.split(".")[0] not in within}
    assert top <= set(rows)
    assert [path for path in top if rows.count(path) != 1 and path not in ("handlers",)] == []
    for one in all_settings(Settings):
        inner = re.sub(r"^(jobs|execs|broker_connection)\.", "", one.path)
        assert one.below or inner in rows, one.path


def test_the_schema_is_up_to_date() -> None:
    assert settings_schema.FILE.read_text() == settings_schema.text(), "run `make docs`"


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.validator_for(settings_schema.schema())


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_schema_takes_every_example(file: Path, validator: Any) -> None:
    validator.validate(yaml.load(file.read_text(), Core))


def test_the_sample_configuration_names_the_schema() -> None:
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", (ROOT / "config.yaml").read_text())
    assert found is not None and ROOT / found[1] == settings_schema.FILE


GOOD = (
    "",
    "jobs:",
    "drain_grace: 1h30m",
    "drain_grace: 0.5",
    "drain_grace: ${GRACE}",
    "keep: {log_bytes: 1.5 GiB, days: 0.5}",
    "log: {level: warn}",
    "identity_id: 12",
    "pass_env: [LANG, AWS_*]",
    "handlers: a.py, b",
    "project: {anything: [1]}",
    JOB % "pub_type: x, retries: {on: [lost]}, env: {A: 1, B: }",
    "jobs: [{event: e, cmd: [echo, 1]}]",
    EXEC % "depends_on: {}, stop_signal: 15, ready: {tcp: 5432}, attempt: -1",
    "execs: [{name: n, cmd: x}]",
    "broker_connection: {type: redis, host: h, port: 6379, password: 12345, secure: 'no'}",
    "broker_connection: {type: nats, servers: 'a, b:4222'}",
    "reefguide: {api_endpoint: 'http://a', job_types: TEST, username: u, password: p}",
)
BAD = (
    "drain_grce: 1",
    "drain_grace: soon",
    "drain_grace: -1",
    "keep: {log_bytes: 1 XB}",
    "log: {level: LOUD}",
    "sync: maybe",
    "api: {port: 65536}",
    "limits: {queue: 0}",
    "jobs: {event: e}",
    "jobs: [{cmd: x}]",
    JOB % "retries: {on: [lust]}",
    EXEC % "restart: sometimes",
    EXEC % "ready: {tcp: 1, log: x, intervall: 3}",
    "broker_connection: {type: kafka, host: h}",
    "broker_connection: {type: rabbitmq, host: h}",
    "reefguide: {api_endpoint: 'http://a'}",
)


@pytest.mark.parametrize("text", [*GOOD, *BAD])
def test_the_schema_and_the_node_agree(text: str, validator: Any, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "a.py").touch()
    try:
        load(tmp_path / "config.yaml", {"GRACE": "3"})
        is_taken = True
    except SettingsError:
        is_taken = False
    assert is_taken == (text in GOOD)
    assert validator.is_valid(yaml.load(text, Core)) == is_taken


@pytest.mark.parametrize(
    ("path", "variable", "value", "counts"),
    [
        ("identity_id", "WORKER_ID", "w", "w"),
        ("identity_id", "JOB_ITEM_IDENTITY_ID", "i", "i"),
        ("log.level", "LOG_LEVEL", "ERROR", "ERROR"),
        ("handlers", "JOB_ITEM_HANDLERS", "a.py", ("a.py",)),
    ],
)
def test_a_variable_that_the_page_names_says_the_same_as_the_key(
    path: str, variable: str, value: str, counts: object, tmp_path: Path
) -> None:
    assert variable in ENVIRONMENT[path]
    (tmp_path / "config.yaml").touch()
    found: Any = load(tmp_path / "config.yaml", {variable: value}).settings
    for part in path.split("."):
        found = getattr(found, part)
    assert str(found) == str(counts) or tuple(Path(one).name for one in found) == counts


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from supervisor.cli.settings import show_schema

    show_schema()
    assert json.loads(capsys.readouterr().out) == settings_schema.schema()
