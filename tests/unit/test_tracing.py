"""Whether traces are wished for and can be had: the standard OTEL_* variables and what is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from worker.tracing import hindrance, open_tracer, wants_traces

URL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        (URL, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**URL, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**URL, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**URL, "OTEL_SDK_DISABLED": "false"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_traces_are_made_where_the_variables_ask_for_them(environ: dict[str, str], wanted: bool) -> None:
    assert wants_traces(environ) is wanted


@pytest.mark.parametrize(
    ("environ", "installed", "said"),
    [
        (URL, True, None),
        (URL, False, "not installed"),
        ({"OTEL_TRACES_EXPORTER": "console"}, True, "console"),
        ({**URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True, "grpc"),
        ({**URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True, None),
    ],
)
def test_what_hinders_them_is_said(environ: dict[str, str], installed: bool, said: str | None) -> None:
    found = hindrance(environ, lambda _: installed)
    assert found is None if said is None else said in (found or "")


def test_variables_that_the_sdk_does_not_understand_are_warned_about(capfd: pytest.CaptureFixture[str]) -> None:
    assert open_tracer({**URL, "OTEL_TRACES_EXPORTER": "zipkin"}, "me", lambda _: None) is None
    assert "ERR-HST-005" in capfd.readouterr().err


def test_nothing_that_makes_or_sends_traces_is_imported_unless_it_is_asked_for() -> None:
    """FastAPI itself imports the interface (`opentelemetry.trace` and the like), which does nothing without the SDK."""
    names = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "psutil")
    script = f"import sys, worker.app; print([name for name in sys.modules if name.startswith({names})])"
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "[]"
