"""From a file and an environment to settings, or to one list of faults with their places."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import SettingsError
from job_item.load import load
from tests.loading import faults_of, load_text, write

# the file


def test_an_empty_file_gives_all_defaults(folder: Path) -> None:
    loaded = load_text(folder, "")
    assert loaded.settings.jobs == ()
    assert loaded.work_dir == folder
    assert set(loaded.layers.values()) == {"default"}


@pytest.mark.parametrize("text", ["---\n", "# nothing\n", "~\n", "\n\n", "\ufeff"])
def test_a_file_without_content_is_empty(folder: Path, text: str) -> None:
    assert load_text(folder, text).settings.execs == ()


def test_the_option_wins_over_the_environment_and_that_over_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for name in ("config.yaml", "environ.yaml", "option.yaml"):
        write(folder, f"identity_id: {name}", name)
    environ = {"CONFIG_PATH": "environ.yaml"}
    assert load(None, {}).settings.identity_id == "config.yaml"
    assert load(None, environ).settings.identity_id == "environ.yaml"
    assert load(Path("option.yaml"), environ).settings.identity_id == "option.yaml"


def test_a_relative_path_is_made_absolute_once_and_nobody_changes_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "conf").mkdir()
    write(folder / "conf", "")
    loaded = load(Path("conf/config.yaml"), {})
    assert loaded.config_path == folder / "conf" / "config.yaml"
    assert loaded.work_dir == folder / "conf"
    assert Path.cwd() == folder


def test_a_missing_file_is_one_clear_fault(folder: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(folder / "none.yaml", {})
    (fault,) = refused.value.faults
    assert (fault.code, fault.file) == ("ERR-CFG-001", str(folder / "none.yaml"))
    assert str(fault).endswith("none.yaml: there is no such file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: \xff", "not UTF-8 in line 1"),
        (b"\n\na: \xc3(", "not UTF-8 in line 3"),
        (b"#" * (9 << 20), "longer than 8 MiB"),
    ],
)
def test_what_is_no_text_is_one_clear_fault(folder: Path, content: bytes, words: str) -> None:
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        load(folder / "config.yaml", {})


def test_a_folder_in_place_of_the_file_is_one_clear_fault(folder: Path) -> None:
    with pytest.raises(SettingsError, match="Is a directory"):
        load(folder, {})


# faults


WRONG = """\
identity_id: "a b"
jobss: []
concurrency: 3
jobs:
  - event: a
    cmd: echo {{x}}
    timout: 5
    timeout: 5 parsecs
    retries: {attempts: 0, backof: 1}
    on_lost: reruns
    env: {A: 1.10, B: [1], "C D": 1}
  - name: second
    event: a
    cmd: [echo, [1]]
    output_limit: 5 floppies
  - event: "x y"
  - nonsense
execs: {a: b}
api: {port: 99999, token: "${NOPE}"}
credential: {secret_key: abcdef, secret_key_file: none}
heartbeat: {interval: 9, timeout: 3}
log: {level: loud}
sync: maybe
sync: full
limits:
  queue: many
drain_grace: -1
"""
FOUND = [
    (1, "identity_id", "ERR-CFG-015", "'a b' cannot be an identity"),
    (2, "jobss", "ERR-CFG-004", "unknown key; did you mean `jobs`?"),
    (3, "concurrency", "ERR-CFG-004", "unknown key here; it belongs in `jobs[]` or `limits`"),
    (7, "jobs[0].timout", "ERR-CFG-004", "unknown key; did you mean `timeout`?"),
    (8, "jobs[0].timeout", "ERR-CFG-010", "wants a duration such as 30, 500ms, 30s, 5m, 2h or 1d, not '5 parsecs'"),
    (9, "jobs[0].retries.attempts", "ERR-CFG-007", "must be at least 1, not 0"),
    (9, "jobs[0].retries.backof", "ERR-CFG-004", "unknown key; did you mean `backoff`?"),
    (10, "jobs[0].on_lost", "ERR-CFG-007", "must be 'rerun' or 'error', not 'reruns'; did you mean 'rerun'?"),
    (11, "jobs[0].env.B", "ERR-CFG-005", "wants a text, not a list"),
    (11, "jobs[0].env.C D", "ERR-CFG-007", "'C D' cannot be the name of an environment variable"),
    (13, "jobs[1].event", "ERR-CFG-012", "'a' is used by jobs[0] already"),
    (14, "jobs[1].cmd", "ERR-CFG-005", "wants a text or a list of texts, not a list with a list in it"),
    (15, "jobs[1].output_limit", "ERR-CFG-011", "wants a size such as 65536, 64 MiB, 1 GiB or 10 MB, not '5 floppies'"),
    (16, "jobs[2].cmd", "ERR-CFG-006", "is missing"),
    (16, "jobs[2].event", "ERR-CFG-013", "'x y' cannot be an event name"),
    (17, "jobs[3]", "ERR-CFG-005", "wants a mapping (indented `key: value` lines), not 'nonsense'"),
    (18, "execs", "ERR-CFG-005", "wants a list (lines that begin with `- `), not a mapping"),
    (19, "api.port", "ERR-CFG-007", "must be at most 65535, not 99999"),
    (19, "api.token", "ERR-CFG-008", "the variable NOPE is not set"),
    (20, "credential.secret_key_file", "ERR-CFG-017", "secret_key and secret_key_file are both set"),
    (21, "heartbeat", "ERR-CFG-007", "timeout (3 s) must be longer than interval (9 s)"),
    (22, "log.level", "ERR-CFG-007", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', not 'LOUD'"),
    (23, "sync", "ERR-CFG-007", "must be 'normal' or 'full', not 'maybe'"),
    (24, "sync", "ERR-CFG-003", "the key stands here a second time; the first is in line 23"),
    (26, "limits.queue", "ERR-CFG-005", "wants a whole number, not 'many'"),
    (27, "drain_grace", "ERR-CFG-007", "must be at least 0, not -1"),
]


def test_all_faults_are_told_at_once_with_line_path_and_plain_words(folder: Path) -> None:
    faults = faults_of(folder, WRONG)
    assert sorted((fault.line or 0, fault.path or "", fault.code, fault.message) for fault in faults) == FOUND
    assert [fault.line for fault in faults] == sorted(line for line, *_ in FOUND)
    assert {fault.file for fault in faults} == {str(folder / "config.yaml")}


def test_a_fault_reads_as_file_line_path_and_sentence(folder: Path) -> None:
    (fault,) = faults_of(folder, "api:\n  prot: 1\n")
    assert str(fault) == f"{folder}/config.yaml:2: api.prot: unknown key; did you mean `port`?"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: [", 1, 5, "expected the node content"),
        ("a: 1\nb: c: d", 2, 5, "mapping values are not allowed here"),
        ("a: 1\n\tb: 2", 2, 1, "a tab stands where YAML wants blanks"),
        ("a: 'x", 1, 6, "unexpected end of stream"),
        ("a: *q", 1, 4, "undefined alias"),
        ("a: 1\n---\nb: 2", 2, 1, "expected a single document"),
        ("a: 1\nb: \x01", 2, 4, "U+0001 is not allowed"),
        ("- a", 1, 1, "must be a mapping"),
        ("jobs", 1, 1, "must be a mapping"),
        ("? [a]\n: b", 1, 3, "a key must be a plain word"),
    ],
)
def test_what_is_no_yaml_is_told_with_line_and_column(
    folder: Path, text: str, line: int, column: int, words: str
) -> None:
    (fault,) = faults_of(folder, text)
    assert (fault.code, fault.line, fault.column) == ("ERR-CFG-002", line, column)
    assert words in fault.message


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "[" * 2000,
        "\n".join([f"k{0}: &k0 [x, x]", *(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 12))]),
    ],
)
def test_a_file_that_grows_without_end_is_refused(folder: Path, text: str) -> None:
    assert "nested too deeply" in str(faults_of(folder, text)[0])


@given(st.text(alphabet="abj:-[]{}\"'|>&*!#%@\n\t 01~?,eventcmdjobs", max_size=60))
def test_any_text_is_loaded_or_refused_with_codes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        load_text(folder, text)
    except SettingsError as refused:
        assert all(fault.code.startswith("ERR-CFG-") for fault in refused.faults)


def test_a_second_exec_of_a_key_is_a_fault_also_where_the_name_is_the_key(folder: Path) -> None:
    text = "execs:\n  - {key: a, cmd: x}\n  - {name: a, cmd: y}\n  - {name: b, cmd: z}\n"
    (fault,) = faults_of(folder, text)
    assert (fault.code, fault.line, fault.path) == ("ERR-CFG-014", 3, "execs[1].name")


def test_yaml_merge_keys_and_anchors_work(folder: Path) -> None:
    text = """\
jobs:
  - &base {event: a, cmd: echo a, timeout: 5}
  - <<: *base
    event: b
"""
    jobs = load_text(folder, text).settings.jobs
    assert [(job.event, job.cmd, job.timeout) for job in jobs] == [("a", "echo a", 5), ("b", "echo a", 5)]


def test_scalars_reach_text_settings_as_they_are_written(folder: Path) -> None:
    text = "jobs:\n- {event: 1.10, cmd: echo, name: yes, env: {A: 010, B: 2024-01-01, C: ~, D: null, E: ''}}\n"
    job = load_text(folder, text).settings.jobs[0]
    assert (job.event, job.name) == ("1.10", "yes")
    assert job.env == {"A": "010", "B": "2024-01-01", "C": "", "D": "", "E": ""}


def test_what_was_loaded_survives_the_way_to_a_child(folder: Path) -> None:
    write(folder, "A=1\n", ".env")
    loaded = load_text(folder, "jobs: [{event: a, cmd: x}]")
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_a_thousand_jobs_load_without_superlinear_cost(folder: Path) -> None:
    loaded = load_text(folder, "jobs:\n" + "".join(f"- {{event: e{n}, cmd: echo {n}}}\n" for n in range(1000)))
    assert len(loaded.settings.jobs) == 1000
    assert loaded.layers["jobs[999].event"] == "config.yaml:1001"
