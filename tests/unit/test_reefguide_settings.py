"""The variables of the ReefGuide workers and the section `reefguide`: protocol reefguide.md, section 2 and row 15."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_item.check import check
from job_item.errors import Fault, SettingsError
from job_item.load import Loaded, load, redacted
from job_item.reefspec import ReefGuide
from job_item.reefvars import is_ours

NEEDED = {
    "API_ENDPOINT": "http://api:5000",
    "JOB_TYPES": "TEST",
    "WORKER_USERNAME": "worker@example.org",
    "WORKER_PASSWORD": "sesame-open",
}
JOBS = "jobs: [{event: TEST, cmd: 'echo {}'}]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def spec_of(loaded: Loaded) -> ReefGuide:
    assert loaded.settings.reefguide is not None
    return loaded.settings.reefguide


def faults_of(environ: dict[str, str], path: Path | None = None) -> tuple[Fault, ...]:
    with pytest.raises(SettingsError) as refused:
        load(path, environ)
    return refused.value.faults


# the variables alone


def test_the_variables_alone_are_enough_and_the_defaults_are_those_of_the_original() -> None:
    loaded = load(None, NEEDED)
    spec = spec_of(loaded)
    assert (spec.api_endpoint, spec.job_types, spec.username) == ("http://api:5000", ("TEST",), "worker@example.org")
    assert spec.password.get_secret_value() == "sesame-open"
    assert (spec.poll_interval, spec.idle_timeout, spec.aws_region) == (2.0, 300.0, "ap-southeast-2")
    assert (spec.max_concurrent_jobs, spec.s3_endpoint, spec.data_path, spec.sentry_dsn) == (1, None, None, None)
    assert loaded.layers["reefguide.api_endpoint"] == "environment API_ENDPOINT"
    assert loaded.warnings == ()


def test_every_variable_is_read(folder: Path) -> None:
    more = {
        "JOB_TYPES": " TEST , ADRIA_MODEL_RUN,TEST",
        "DATA_PATH": "'/data/reefguide'",
        "CACHE_PATH": '"/data/cache"',
        "AWS_REGION": "eu-central-1",
        "S3_ENDPOINT": "http://minio:9000",
        "POLL_INTERVAL_MS": "5000",
        "IDLE_TIMEOUT_MS": "600000",
        "MAX_CONCURRENT_JOBS": "3",
        "SENTRY_DSN": "http://key@sentry/1",
    }
    spec = spec_of(load(None, NEEDED | more))
    assert spec.job_types == ("TEST", "ADRIA_MODEL_RUN")
    assert (spec.data_path, spec.cache_path) == ("/data/reefguide", "/data/cache")
    assert (spec.aws_region, spec.s3_endpoint) == ("eu-central-1", "http://minio:9000")
    assert (spec.poll_interval, spec.idle_timeout, spec.max_concurrent_jobs) == (5.0, 600.0, 3)


@pytest.mark.parametrize("given", ["http://api:5000/", "http://api:5000//", " http://api:5000 "])
def test_a_slash_at_the_end_of_the_address_is_stripped(given: str) -> None:
    assert spec_of(load(None, NEEDED | {"API_ENDPOINT": given})).api_endpoint == "http://api:5000"


@pytest.mark.parametrize("name", ["AWS_REGION", "S3_ENDPOINT", "POLL_INTERVAL_MS", "DATA_PATH", "SENTRY_DSN"])
def test_an_empty_variable_is_as_good_as_none(name: str) -> None:
    assert spec_of(load(None, NEEDED | {name: ""})) == spec_of(load(None, NEEDED))


@pytest.mark.parametrize("given", ["0", "-1"])
def test_an_idle_time_out_of_nothing_or_less_is_never(given: str) -> None:
    assert spec_of(load(None, NEEDED | {"IDLE_TIMEOUT_MS": given})).idle_timeout == 0


def test_all_faults_are_told_at_once_each_with_its_variable() -> None:
    faults = faults_of({"JOB_TYPES": "test,,X", "WORKER_USERNAME": "a@b.c", "POLL_INTERVAL_MS": "soon"})
    assert {(fault.file, fault.code) for fault in faults} == {
        ("environment API_ENDPOINT", "ERR-CFG-006"),
        ("environment WORKER_PASSWORD", "ERR-CFG-006"),
        ("environment JOB_TYPES", "ERR-RFG-001"),
        ("environment POLL_INTERVAL_MS", "ERR-CFG-005"),
    }
    assert len([fault for fault in faults if fault.code == "ERR-RFG-001"]) == 3
    assert any("did you mean 'TEST'" in fault.message for fault in faults)
    assert any(fault.remedy == "Set API_ENDPOINT." for fault in faults)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_ENDPOINT", "api:5000"),
        ("API_ENDPOINT", "ftp://api"),
        ("API_ENDPOINT", "http://"),
        ("API_ENDPOINT", "http://a b"),
        ("POLL_INTERVAL_MS", "99"),
        ("POLL_INTERVAL_MS", "-5"),
        ("MAX_CONCURRENT_JOBS", "0"),
        ("JOB_TYPES", ","),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: str) -> None:
    assert {fault.file for fault in faults_of(NEEDED | {name: value})} == {f"environment {name}"}


def test_without_the_variables_there_is_no_such_section_whatever_else_is_set() -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load(None, {"AWS_REGION": "x", "DATA_PATH": "/data", "SENTRY_DSN": "x"})


def test_in_ecs_the_drain_ends_before_the_kill(folder: Path) -> None:
    ecs = {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}
    assert load(None, NEEDED | ecs).settings.drain_grace == 20
    write(folder, JOBS + "drain_grace: 7\n")
    assert load(None, NEEDED | ecs).settings.drain_grace == 7


# with a file


def test_variables_win_over_the_section_and_the_rest_of_the_section_stays(folder: Path) -> None:
    section = "reefguide: {api_endpoint: 'http://old', job_types: [TEST], username: u, password: p, settle: 2s}\n"
    write(folder, section + JOBS)
    spec = spec_of(load(None, {"API_ENDPOINT": "http://new"}))
    assert (spec.api_endpoint, spec.username, spec.settle) == ("http://new", "u", 2.0)


def test_the_section_alone_is_enough(folder: Path) -> None:
    write(folder, "reefguide: {api_endpoint: 'http://a', job_types: TEST, username: u, password: p, idle_timeout: 1h}")
    assert spec_of(load(None, {})).idle_timeout == 3600


def test_a_fault_in_the_section_names_its_line(folder: Path) -> None:
    path = write(folder, "reefguide:\n  api_endpoint: http://a\n  job_types: [TESTS]\n  usrname: u\n  password: p\n")
    found = {(fault.line, fault.code) for fault in faults_of({}, path)}
    assert {(3, "ERR-RFG-001"), (4, "ERR-CFG-004")} <= found


def test_the_password_may_stand_in_a_file(folder: Path) -> None:
    write(folder, "from a file\n", "secret")
    environ = {name: value for name, value in NEEDED.items() if name != "WORKER_PASSWORD"}
    spec = spec_of(load(None, environ | {"WORKER_PASSWORD_FILE": str(folder / "secret")}))
    assert spec.password.get_secret_value() == "from a file"


def test_variables_may_stand_in_dotenv_and_no_job_sees_the_password(folder: Path) -> None:
    write(folder, "\n".join(f"{name}={value}" for name, value in NEEDED.items()), ".env")
    loaded = load(None, {})
    assert spec_of(loaded).password.get_secret_value() == "sesame-open"
    assert "WORKER_PASSWORD" not in loaded.dotenv
    assert loaded.dotenv["JOB_TYPES"] == "TEST"


def test_secrets_are_never_shown(folder: Path) -> None:
    loaded = load(None, NEEDED | {"SENTRY_DSN": "http://key@sentry/1"})
    assert {"sesame-open", "http://key@sentry/1"} <= set(loaded.secrets)
    assert "sesame-open" not in str(redacted(loaded))
    assert "sesame-open" not in repr(loaded.settings)


def test_a_readable_configuration_is_not_blamed_for_a_password_of_the_environment(folder: Path) -> None:
    write(folder, JOBS).chmod(0o644)
    assert load(None, NEEDED).warnings == ()


# CONFIG_PATH of the deployment


def test_a_config_path_that_is_missing_is_warned_about_and_ignored() -> None:
    loaded = load(None, NEEDED | {"CONFIG_PATH": "/data/reefguide/config.toml"})
    assert [(fault.code, fault.warning) for fault in loaded.warnings] == [("ERR-RFG-003", True)]
    assert spec_of(loaded).job_types == ("TEST",)


@pytest.mark.parametrize("text", ['[server]\nport = 8000\nkey = "x"\n', "server:\n  port: 1\n", '{"a": 1}', "\xff"])
def test_a_config_path_that_is_not_ours_is_warned_about_and_ignored(folder: Path, text: str) -> None:
    path = folder / "config.toml"
    path.write_bytes(text.encode("latin-1"))
    loaded = load(None, NEEDED | {"CONFIG_PATH": str(path)})
    assert [fault.code for fault in loaded.warnings] == ["ERR-RFG-003"]


def test_a_config_path_that_is_ours_is_taken_and_its_faults_are_refused(folder: Path) -> None:
    path = write(folder, JOBS, "node.yaml")
    assert load(None, NEEDED | {"CONFIG_PATH": str(path)}).config_path == path
    write(folder, "jobs: [{evnt: TEST}]\n", "node.yaml")
    assert faults_of(NEEDED | {"CONFIG_PATH": str(path)})


def test_a_config_path_without_the_variables_must_be_there(folder: Path) -> None:
    assert faults_of({"CONFIG_PATH": str(folder / "none.yaml")})[0].code == "ERR-CFG-001"


def test_a_file_that_the_option_names_must_be_there(folder: Path) -> None:
    assert faults_of(NEEDED, folder / "none.yaml")[0].code == "ERR-CFG-001"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", True), ("jobs:\n", True), ("# x\nlog: {}\n", True), ("  jobs:\n", False), ("x: 1\njobs:\n", True)],
)
def test_a_text_is_ours_by_a_key_at_its_top(text: str, expected: bool) -> None:
    assert is_ours(text) is expected


# what is served


def test_a_type_that_nothing_serves_stops_the_start(folder: Path) -> None:
    write(folder, JOBS)
    faults = check(load(None, NEEDED | {"JOB_TYPES": "TEST,ADRIA_MODEL_RUN"}))
    assert [(fault.code, fault.warning) for fault in faults if fault.code.startswith("ERR-RFG")] == [
        ("ERR-RFG-002", False)
    ]
    assert "ADRIA_MODEL_RUN" in next(fault.message for fault in faults if fault.code == "ERR-RFG-002")


def test_what_nothing_serves_is_named_where_it_stands(folder: Path) -> None:
    loaded = load(None, NEEDED | {"JOB_TYPES": "TEST,ADRIA_MODEL_RUN"})
    (fault, *_) = (each for each in check(loaded) if each.code == "ERR-RFG-002")
    assert (fault.file, fault.line) == ("environment JOB_TYPES", None)
    path = write(folder, JOBS + "reefguide:\n  job_types: [TEST, ADRIA_MODEL_RUN]\n")
    environ = {name: value for name, value in NEEDED.items() if name != "JOB_TYPES"}
    (fault,) = (each for each in check(load(None, environ)) if each.code == "ERR-RFG-002")
    assert (fault.file, fault.line, fault.path) == (str(path), 3, "reefguide.job_types[1]")


def test_as_many_jobs_run_as_the_variable_says(folder: Path) -> None:
    most = load(None, NEEDED).settings.limits.concurrency
    assert load(None, NEEDED | {"MAX_CONCURRENT_JOBS": "1"}).settings.limits.concurrency == most
    assert load(None, NEEDED | {"MAX_CONCURRENT_JOBS": str(most + 5)}).settings.limits.concurrency == most + 5
    write(folder, JOBS + "limits: {concurrency: 3, queue: 7}\n")
    limits = load(None, NEEDED | {"MAX_CONCURRENT_JOBS": str(most + 5)}).settings.limits
    assert (limits.concurrency, limits.queue) == (3, 7)
    write(folder, JOBS + "limits: {queue: 7}\n")
    limits = load(None, NEEDED | {"MAX_CONCURRENT_JOBS": str(most + 5)}).settings.limits
    assert (limits.concurrency, limits.queue) == (most + 5, 7)
