"""Ticks as a collector of OpenTelemetry gets to see them, over HTTP on loopback."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from controller.errors import Unavailable
from controller.ports import Key
from controller.telemetry import traces as module
from controller.telemetry.traces import NoTraces, traces
from situations import SECOND
from world import KEY, World


class Collector(ThreadingHTTPServer):
    """Takes spans, or refuses them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.code = 200
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []

    @property
    def spans(self) -> list[Any]:
        found = [each for _, request in self.requests for each in request.resource_spans]
        return [span for each in found for scope in each.scope_spans for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, request))
        self.send_response(self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's own
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_address[1]}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")


@pytest.fixture
def traced(collector: Collector) -> Iterator[Any]:
    made: Any = traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "as the process has it"})
    yield made
    made.close()


def sent(traced: Any) -> None:
    assert traced._provider.force_flush(20_000)


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_tick_is_a_span_and_its_parts_are_spans_inside(collector: Collector, traced: Any) -> None:
    world = World()
    world.rest()
    world.weather.deploy("v2")
    world.run(lambda: world.status.weight == 20)
    world.reconciler = replace(world.reconciler, tracing=traced)
    while world.operations["ask"] < 8:
        with traced.tick(KEY, lambda _: world.document):
            world.tick()
        world.advance(5 * SECOND)
    sent(traced)
    ticks = [span for span in collector.spans if span.name == "tick"]
    inside = {
        tick.span_id: [each.name for each in collector.spans if each.parent_span_id == tick.span_id]
        for tick in ticks
    }
    assert any({"observe", "decide", "ask", "record"} <= set(names) for names in inside.values())
    assert all(names[:2] == ["observe", "decide"] for names in inside.values())
    told = attributes(ticks[-1])
    assert told.pop("crossfade.weight") in {20, 100}
    assert told == {
        "k8s.namespace.name": "echo",
        "crossfade.canary": "echo",
        "crossfade.phase": "Shifting",
        "crossfade.outcome": "done",
    }
    ((path, request), *_) = collector.requests
    assert path == "/v1/traces"
    resource = attributes(request.resource_spans[0].resource)
    assert resource["service.name"] == "crossfade"
    assert resource["deployment.environment"] == "test"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Unavailable("token s3cret"), "failed"), (ValueError("token s3cret"), "crashed")],
)
def test_how_a_tick_ended_is_told_without_the_words_of_the_error(
    collector: Collector, traced: Any, error: Exception, outcome: str
) -> None:
    at = Key("shop", "cart")
    with pytest.raises(type(error)), traced.tick(at, lambda _: None), traced.span("ask"):
        raise error
    sent(traced)
    assert {span.name for span in collector.spans} == {"tick", "ask"}
    (tick,) = [span for span in collector.spans if span.name == "tick"]
    assert attributes(tick) == {
        "k8s.namespace.name": "shop", "crossfade.canary": "cart", "crossfade.outcome": outcome
    }  # fmt: skip
    assert all("s3cret" not in str(request) for _, request in collector.requests)


def test_a_collector_that_refuses_costs_spans_and_is_told_once(collector: Collector, traced: Any) -> None:
    with capture_logs() as logs:
        for code in (400, 400, 200, 200):
            collector.code = code
            with traced.tick(KEY, lambda _: None):
                pass
            sent(traced)
    assert [line["event"] for line in logs] == ["traces.lost", "traces.collected"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({}, [], id="no endpoint"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, [], id="an empty endpoint"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "True"}, [], id="disabled"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_TRACES_EXPORTER": "none"}, [], id="none"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ["found the protocol grpc; http/protobuf is what there is"],
            id="another protocol",
        ),
    ],
)
def test_nothing_is_traced_unless_it_is_asked_for_and_can_be(
    variables: dict[str, str], said: list[str]
) -> None:
    with capture_logs() as logs:
        made = traces(variables)
    assert isinstance(made, NoTraces)
    with made.tick(KEY, lambda _: None), made.span("ask"):
        made.close()
    assert [line["detail"] for line in logs] == said


@pytest.mark.parametrize(
    ("error", "said"),
    [(ImportError("no sdk"), "pip install 'crossfade[otel]'"), (ValueError("timeout: s3cret"), "ValueError")],
)
def test_what_stands_in_the_way_of_traces_stands_in_the_way_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(module, "_provider", fails)
    with capture_logs() as logs:
        made = traces({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"})
    assert isinstance(made, NoTraces)
    ((line),) = logs
    assert line["detail"].endswith(said)
