"""Traces: whether the standard OTEL_* variables ask for them, and the tracer that they get.

Nothing that makes or sends traces is imported unless they do. It comes with `pip install job_item[otel]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from job_item.job import JobRecord
from job_item.log import get

if TYPE_CHECKING:
    from worker.reporters.tracer import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def wants_traces(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces: an endpoint or an exporter is named, and neither is switched off."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter != "none" and (bool(exporter) or any(environ.get(name) for name in _ENDPOINTS))


def hindrance(environ: Mapping[str, str], is_installed: Callable[[str], bool]) -> str | None:
    """What keeps traces that are wished from being sent; None where nothing does."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER is {exporter!r}; this node knows otlp."
    protocol = next((value for name in _PROTOCOLS if (value := environ.get(name))), "http/protobuf")
    if protocol != "http/protobuf":
        return f"The OTLP protocol is {protocol!r}; this node knows http/protobuf."
    missing = [name for name in _NEEDED if not is_installed(name)]
    return f"{missing[0]} is not installed." if missing else None


def open_tracer(environ: Mapping[str, str], identity: str, lookup: Callable[[str], JobRecord | None]) -> Tracer | None:
    """The tracer that the environment asks for; None, with a warning in the log, where it cannot be had.

    `lookup` finds the record of a job.
    """
    if not wants_traces(environ):
        return None
    reason = hindrance(environ, _is_installed)
    if reason is None:
        try:
            from worker.reporters.tracer import make_tracer

            return make_tracer(identity, lookup)
        except Exception as error:  # a variable that the SDK does not understand must not keep jobs from running
            reason = f"OpenTelemetry refuses its variables: {error}."
    get("worker").warning("traces.off", code="ERR-HST-005", reason=reason)
    return None


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
