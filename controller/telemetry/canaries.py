"""What the statuses of the Canaries say, as metrics.

It is read when somebody asks for it, not kept: the series of a Canary that is
gone are gone with it. A Canary has some 25 series, and 7 for each of its metrics.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.status import Phase, Verdict
from controller.ports import Canaries
from controller.rollout.phase import AT_REST, WEIGHED


_Sample = tuple[str, tuple[str, ...], float]
"""Family, the values of its own labels, and the number."""

_LABELS = ("namespace", "name")
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "info": ("Always 1; the versions that it is about.", ("stable", "candidate")),
    "phase": ("1 for the phase that the Canary is in, 0 for the others.", ("phase",)),
    "weight": ("Share of the candidate as intended, in percent.", ()),
    "weight_seen": ("Share that the routes give the candidate, in percent.", ()),
    "stable_weight": ("Share of stable as intended, in percent, during a rollout.", ()),
    "stable_weight_seen": ("Share that the routes give stable, in percent, during a rollout.", ()),
    "verdict": ("1 for the verdict of the last evaluation, 0 for the others.", ("verdict",)),
    "held": ("1 for what the Canary waits for; nothing if it is not held.", ("reason",)),
    "held_since_timestamp_seconds": ("Since when the Canary is held.", ()),
    "needs_human": ("1 if the Canary is held and waiting will not end it, else 0.", ()),
    "started_timestamp_seconds": ("When the rollout under way began.", ()),
    "next_evaluation_timestamp_seconds": ("When the candidate is evaluated next, while it is judged.", ()),
    "ended_timestamp_seconds": ("When the last rollout ended, by how.", ("outcome",)),
    "requests": ("Requests of users and testers that the candidate answered in the last rollout.", ()),
    "bad_requests": ("Bad ones among the requests that the candidate answered in the last rollout.", ()),
    "metric_verdict": ("1 for the verdict on a metric, 0 for the others.", ("metric", "verdict")),
    "metric_odds": ("Evidence of harm, as odds to one: how strongly a metric speaks for it.", ("metric",)),
    "metric_value": ("What was measured of a version; role: candidate or stable.", ("metric", "role")),
}


class CanaryCollector(Collector):
    """Reads the statuses of all Canaries that are known."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    def describe(self) -> Iterable[Metric]:
        """Give the families without series."""
        return _families().values()

    def collect(self) -> Iterator[Metric]:
        """Give the families with the series of this moment."""
        families = _families()
        for canary in self._canaries.all():
            for name, labels, value in _samples(canary.status):
                families[name].add_metric((*canary.key, *labels), value)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        name: GaugeMetricFamily(f"crossfade_canary_{name}", words, labels=(*_LABELS, *labels))
        for name, (words, labels) in _FAMILIES.items()
    }


def _samples(status: Mapping[str, Any]) -> tuple[_Sample, ...]:
    """Read a status; junk reads as a Canary that nobody has looked at, and costs nobody else's series."""
    if "phase" not in status:
        return ()
    try:
        return (*_state(status), *_times(status), *_metrics(status))
    except (LookupError, TypeError, ValueError, AttributeError):
        return ()


def _state(status: Mapping[str, Any]) -> Iterator[_Sample]:
    phase, weight, seen = status["phase"], float(status.get("weight") or 0), status.get("weightSeen")
    yield "info", (_version(status.get("stable")), _version(status.get("candidate"))), 1
    yield from (("phase", (str(each),), each == phase) for each in Phase)
    yield "weight", (), weight
    if seen is not None:
        yield "weight_seen", (), float(seen)
    if status.get("candidate") and phase not in AT_REST:
        yield "stable_weight", (), 100 - weight
        if seen is not None:
            yield "stable_weight_seen", (), 100 - seen
    if (verdict := status.get("verdict")) is not None:
        yield from (("verdict", (str(each),), each == verdict) for each in Verdict)
    held = status.get("held") or {}
    if held:
        yield "held", (str(held["reason"]),), 1
    yield "needs_human", (), bool(held.get("needsHuman"))
    yield "requests", (), float(status.get("requests") or 0)
    yield "bad_requests", (), float(status.get("bad") or 0)


def _times(status: Mapping[str, Any]) -> Iterator[_Sample]:
    if held := status.get("held"):
        yield "held_since_timestamp_seconds", (), _seconds(held["since"])
    if status["phase"] not in AT_REST and status.get("startedAt"):
        yield "started_timestamp_seconds", (), _seconds(status["startedAt"])
    if status["phase"] in WEIGHED and status.get("nextEvaluationAt"):
        yield "next_evaluation_timestamp_seconds", (), _seconds(status["nextEvaluationAt"])
    for last in (status.get("history") or ())[:1]:
        yield "ended_timestamp_seconds", (str(last["outcome"]),), _seconds(last["endedAt"])


def _metrics(status: Mapping[str, Any]) -> Iterator[_Sample]:
    for metric in status.get("metrics") or ():
        name = str(metric["name"])
        verdict = metric.get("verdict") or Verdict.UNDECIDED  # a default is not stored
        yield from (("metric_verdict", (name, str(each)), each == verdict) for each in Verdict)
        if metric.get("odds") is not None:
            yield "metric_odds", (name,), float(metric["odds"])
        for role, field in (("candidate", "value"), ("stable", "stableValue")):
            if metric.get(field) is not None:
                yield "metric_value", (name, role), float(metric[field])


def _version(revision: Mapping[str, Any] | None) -> str:
    return str(revision["version"]) if revision else ""


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
