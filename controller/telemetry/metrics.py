"""The service's own metrics, in the Prometheus text format.

What a Canary's status says is read when it is asked for, not kept: the series of
a Canary that is gone are gone with it.
"""

from collections.abc import Iterator

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.ports import Canaries


CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

# Otherwise each counter brings a series with the time of its birth.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_TICK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one process, in a registry of their own. Thread-safe."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self._ticks = prometheus_client.Counter(
            "crossfade_ticks", "Ticks, by how they ended.", ["outcome"], registry=self.registry
        )
        self._tick_seconds = prometheus_client.Histogram(
            "crossfade_tick_seconds", "How long ticks took.", buckets=_TICK_SECONDS, registry=self.registry
        )
        self._kubernetes = prometheus_client.Counter(
            "crossfade_kubernetes_requests",
            "Requests to the Kubernetes API; code 0: no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._prometheus = prometheus_client.Counter(
            "crossfade_prometheus_requests",
            "Requests to Prometheus, by how they ended.",
            ["outcome"],
            registry=self.registry,
        )

    def tick(self, outcome: str, seconds: float) -> None:
        """Count a tick."""
        self._ticks.labels(outcome).inc()
        self._tick_seconds.observe(seconds)

    def kubernetes_request(self, verb: str, resource: str, code: int) -> None:
        """Count a request to the Kubernetes API."""
        self._kubernetes.labels(verb, resource, str(code)).inc()

    def prometheus_request(self, outcome: str) -> None:
        """Count a request to Prometheus."""
        self._prometheus.labels(outcome).inc()

    def follow(self, canaries: Canaries) -> None:
        """Tell what the Canaries' statuses say, whenever somebody asks."""
        self.registry.register(_CanaryCollector(canaries))

    def text(self) -> bytes:
        """Give everything, as `CONTENT_TYPE`."""
        return prometheus_client.generate_latest(self.registry)


class _CanaryCollector(Collector):
    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    def collect(self) -> Iterator[Metric]:
        labels = ("namespace", "name")
        wanted = GaugeMetricFamily(
            "crossfade_canary_weight", "Share of the candidate as intended, in percent.", labels=labels
        )
        seen = GaugeMetricFamily(
            "crossfade_canary_weight_seen",
            "Share that the routes give the candidate, in percent.",
            labels=labels,
        )
        phase = GaugeMetricFamily(
            "crossfade_canary_phase", "1 for the phase that the Canary is in.", labels=(*labels, "phase")
        )
        for canary in self._canaries.all():
            status = canary.status
            if "phase" not in status:
                continue  # nobody has looked at it yet
            wanted.add_metric(canary.key, float(status.get("weight") or 0))
            if status.get("weightSeen") is not None:
                seen.add_metric(canary.key, float(status["weightSeen"]))
            phase.add_metric((*canary.key, str(status["phase"])), 1)
        yield from (wanted, seen, phase)
