"""A collector of traces: takes OTLP over HTTP as the real ones do, and keeps what it was sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What was sent. `url` is where spans are taken; `headers` are those of the last request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.headers: dict[str, str] = {}

    def named(self, task_id: str) -> Span | None:
        """The span of a job."""
        return next((span for span in self.spans if attributes(span).get("job_item.task_id") == task_id), None)


def attributes(thing: Any) -> dict[str, Any]:
    """The attributes of a span, event or resource."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in thing.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
                self.send_error(404)
                return
            request = ExportTraceServiceRequest.FromString(body)
            collector.headers = {name.lower(): value for name, value in self.headers.items()}
            for part in request.resource_spans:
                collector.resources.append(attributes(part.resource))
                for scope in part.scope_spans:
                    collector.spans += scope.spans
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join(10)
