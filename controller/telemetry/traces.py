"""Traces of ticks, for whoever collects them: OpenTelemetry, where its own variables name an endpoint.

The libraries are an extra and are loaded only then. Spans wait in a bounded
queue for a thread of their own: a tick waits for nobody, and a collector that
is away costs spans and nothing else. No span holds a message or an address,
which might be somebody's secret.
"""

import contextlib
import importlib.metadata
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

import structlog

from config.status import load_status
from controller.errors import EdgeError
from controller.ports import CanaryObject, Key, Tracing, Untraced


if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
ONLY = "http/protobuf"
FAREWELL = 2.0
"""Seconds that the last spans get when the service stops."""

_log = structlog.get_logger(__name__)

Look = Callable[[Key], CanaryObject | None]


class Traces(Tracing, Protocol):
    """What a service needs to have its ticks traced."""

    def tick(self, key: Key, look: Look) -> AbstractContextManager[object]:
        """Time a tick; `look` gives the Canary as it is afterwards."""
        ...

    def close(self) -> None:
        """Send what is left, if that is quickly done."""
        ...


class NoTraces(Untraced):
    """Implements `Traces` where nobody collects any."""

    def tick(self, key: Key, look: Look) -> AbstractContextManager[object]:  # noqa: ARG002  # as above
        """Time nothing."""
        return nullcontext()

    def close(self) -> None:
        """Have nothing to send."""


def traces(variables: Mapping[str, str]) -> Traces:
    """Trace ticks if OpenTelemetry's variables ask for it; if that is impossible, say so and trace none."""
    if not _wanted(variables):
        return NoTraces()
    protocol = next((variables[name] for name in PROTOCOLS if variables.get(name)), ONLY)
    if protocol != ONLY:
        _log.warning("traces.impossible", detail=f"found the protocol {protocol}; {ONLY} is what there is")
        return NoTraces()
    try:
        return _Spans(_provider())
    except ImportError:
        _log.warning("traces.impossible", detail="an extra is needed: pip install 'crossfade[otel]'")
    except Exception as error:  # noqa: BLE001  # a variable of theirs must not keep anybody from rolling back
        _log.warning("traces.impossible", detail=type(error).__name__)
    return NoTraces()


def _wanted(variables: Mapping[str, str]) -> bool:
    off = variables.get("OTEL_SDK_DISABLED", "").lower() == "true"
    others = variables.get("OTEL_TRACES_EXPORTER", "otlp") not in {"otlp", ""}
    return not off and not others and any(variables.get(name) for name in ENDPOINTS)


def _provider() -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # an extra
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # as above

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # told by _Told, once
    ours = {
        "service.name": "crossfade",
        "service.version": importlib.metadata.version("crossfade"),
        "service.instance.id": socket.gethostname(),
    }
    resource = Resource(ours).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_told(OTLPSpanExporter())))
    return provider


def _told(exporter: "SpanExporter") -> "SpanExporter":
    """Say once that spans are lost, and once that they arrive again."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult  # noqa: PLC0415  # an extra

    class Told(SpanExporter):
        lost = False

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            result = exporter.export(spans)
            lost = result is not SpanExportResult.SUCCESS
            if lost != self.lost:
                _log.warning("traces.lost" if lost else "traces.collected")
            self.lost = lost
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Told()


class _Spans:
    """Implements `Traces`."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("crossfade")

    def span(self, name: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)

    @contextlib.contextmanager
    def tick(self, key: Key, look: Look) -> Iterator[None]:
        attributes = {"k8s.namespace.name": key.namespace, "crossfade.canary": key.name}
        with self._tracer.start_as_current_span(
            "tick", attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            outcome = "crashed"
            try:
                yield
                outcome = "done"
            except EdgeError:
                outcome = "failed"
                raise
            finally:
                span.set_attribute("crossfade.outcome", outcome)
                if (canary := look(key)) is not None:
                    status = load_status(canary.status)
                    span.set_attribute("crossfade.phase", str(status.phase))
                    span.set_attribute("crossfade.weight", status.weight)

    def close(self) -> None:
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(FAREWELL)
