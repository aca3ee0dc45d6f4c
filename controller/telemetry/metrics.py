"""The service's own metrics, in the Prometheus text format.

Every label has a fixed set of values, and every series that is counted by such
a label is there from the start: `increase()` does not see the first one of a
series that begins with it. What is told of single Canaries is in `canaries`.
"""

import importlib.metadata
import platform
from collections.abc import Iterable

import prometheus_client

from config.status import HeldReason, Outcome, Verdict
from controller.ports import Canaries
from controller.telemetry.canaries import CanaryCollector
from controller.telemetry.causes import Cause


CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

# Otherwise each counter brings a series with the time of its birth.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_TICK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATE_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_ASKING_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DETECTION_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_ROLLOUT_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 604800)


class Metrics:
    """Counters of one process, in a registry of their own. Thread-safe."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        build = prometheus_client.Gauge(
            "crossfade_build_info",
            "Always 1; what runs: its version and Python's.",
            ["version", "python"],
            registry=self.registry,
        )
        build.labels(importlib.metadata.version("crossfade"), platform.python_version()).set(1)
        self._leader = prometheus_client.Gauge(
            "crossfade_leader",
            "1 if this process moves traffic, 0 if it stands by for another one.",
            registry=self.registry,
        )
        self.lead(leading=True)
        self._settings_valid = prometheus_client.Gauge(
            "crossfade_settings_valid",
            "1 if the settings file could be used when it was last read; 0: the one before is in force.",
            registry=self.registry,
        )
        self.settings(valid=True)
        self._ticks = self._counter(
            "crossfade_ticks", "Ticks, by how they ended.", "outcome", ("done", "failed", "crashed")
        )
        self._tick_seconds = self._histogram("crossfade_tick_seconds", "How long ticks took.", _TICK_SECONDS)
        self._late_seconds = self._histogram(
            "crossfade_tick_lateness_seconds", "How long after they were due ticks began.", _LATE_SECONDS
        )
        self._kubernetes = prometheus_client.Counter(
            "crossfade_kubernetes_requests",
            "Requests to the Kubernetes API; code 0: no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._prometheus = self._counter(
            "crossfade_prometheus_requests",
            "Requests to Prometheus, by how they ended.",
            "outcome",
            ("answered", "refused", "failed"),
        )
        self._queries = self._counter(
            "crossfade_prometheus_queries",
            "Queries that Canaries asked, by whether they got an answer; several travel in one request.",
            "outcome",
            ("answered", "failed"),
        )
        self._query_seconds = self._histogram(
            "crossfade_prometheus_query_seconds",
            "How long a Canary waited for the answers to all its queries, waiting for others and retries"
            " included.",
            _ASKING_SECONDS,
        )
        self._evaluations = self._counter(
            "crossfade_evaluations", "Evaluations of candidates, by verdict.", "verdict", Verdict
        )
        self._holds = self._counter(
            "crossfade_holds", "How often a rollout began to wait, by what for.", "reason", HeldReason
        )
        self._rollbacks = self._counter(
            "crossfade_rollbacks", "Rollouts that went back to stable, by why.", "reason", Cause
        )
        self._rollout_seconds = prometheus_client.Histogram(
            "crossfade_rollout_seconds",
            "How long rollouts took, by how they ended.",
            ["outcome"],
            buckets=_ROLLOUT_SECONDS,
            registry=self.registry,
        )
        for outcome in Outcome:
            self._rollout_seconds.labels(outcome)
        self._detection_seconds = self._histogram(
            "crossfade_detection_seconds",
            "Of rollbacks for harm: from the first bad request of the candidate, which is the beginning of"
            " the window that counted it, until stable was seen to have all traffic again.",
            _DETECTION_SECONDS,
        )

    def lead(self, *, leading: bool) -> None:
        """Say whether this process is the one that moves traffic; until somebody says so, it is."""
        self._leader.set(leading)

    def settings(self, *, valid: bool) -> None:
        """Say whether the settings file can be used; until somebody says so, it can."""
        self._settings_valid.set(valid)

    def tick(self, outcome: str, seconds: float, late: float) -> None:
        """Count a tick: how it ended, how long it took, and how long after it was due it began."""
        self._ticks.labels(outcome).inc()
        self._tick_seconds.observe(seconds)
        self._late_seconds.observe(late)

    def kubernetes_request(self, verb: str, resource: str, code: int) -> None:
        """Count a request to the Kubernetes API."""
        self._kubernetes.labels(verb, resource, str(code)).inc()

    def prometheus_request(self, outcome: str) -> None:
        """Count a request to Prometheus."""
        self._prometheus.labels(outcome).inc()

    def asked(self, answered: int, failed: int, seconds: float) -> None:
        """Count the queries of one Canary that were asked together."""
        self._queries.labels("answered").inc(answered)
        self._queries.labels("failed").inc(failed)
        self._query_seconds.observe(seconds)

    def evaluated(self, verdict: Verdict) -> None:
        """Count an evaluation."""
        self._evaluations.labels(verdict).inc()

    def held(self, reason: HeldReason) -> None:
        """Count a rollout that begins to wait, or to wait for something else."""
        self._holds.labels(reason).inc()

    def ended(self, outcome: Outcome, seconds: float, cause: Cause | None) -> None:
        """Count a rollout that has ended; `cause`: why it went back, if it did."""
        self._rollout_seconds.labels(outcome).observe(seconds)
        if cause is not None:
            self._rollbacks.labels(cause).inc()

    def detected(self, seconds: float) -> None:
        """Count how long users met a version that was rolled back for harm."""
        self._detection_seconds.observe(seconds)

    def follow(self, canaries: Canaries) -> None:
        """Tell what the Canaries' statuses say, whenever somebody asks."""
        self.registry.register(CanaryCollector(canaries))

    def text(self) -> bytes:
        """Give everything, as `CONTENT_TYPE`."""
        return prometheus_client.generate_latest(self.registry)

    def _counter(self, name: str, help_: str, label: str, values: Iterable[str]) -> prometheus_client.Counter:
        counter = prometheus_client.Counter(name, help_, [label], registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...]) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(name, help_, buckets=buckets, registry=self.registry)
