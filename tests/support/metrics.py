"""Metrics as people write them, with what a test is not about left to defaults."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.judge import judge, limit_of
from analysis.queries import Subject
from analysis.readings import Counts, Latencies, MetricReading, NoData, Reading
from analysis.samples import Failure
from analysis.verdict import Judgement, Memory
from analysis.window import Window
from config.metrics import Analysis, CountedMetric, HistogramMetric, Metric, QueryMetric
from config.status import (
    Comparison,
    Dispersion,
    MetricStatus,
    Phase,
    Revision,
    Status,
    Tests,
    dump_status,
    load_status,
)


NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
SUBJECT = Subject(
    name="echo",
    namespace="shop",
    upstream="echo-upstream",
    stable=Revision("v1", "hash-v1", "echo-v1"),
    candidate=Revision("v2", "hash-v2", "echo-v2"),
    window=dt.timedelta(seconds=90),
)
CALM = Dispersion(windows=60, requests=60)
"""Of a stable seen in 60 windows with one request each: it is no longer young, and says little else."""
BOUNDS = (0.1, 0.5, 1.0)
DOWN = Failure("Prometheus did not answer: http://prometheus:9090 took longer than 5s")
NOTHING = NoData("the query answered nothing")


def analysis(*metrics: dict[str, Any], min_requests: int = 100, **fields: Any) -> Analysis:
    """Give an analysis by these metrics; usually by the errors alone."""
    given = {"minRequests": min_requests, "metrics": metrics or (errors(),), **fields}
    return Analysis.model_validate(given)


def metric(given: dict[str, Any]) -> Metric:
    return analysis(given).metrics[0]


def counted_metric(given: dict[str, Any]) -> CountedMetric:
    found = metric(given)
    assert not isinstance(found, QueryMetric)
    return found


def errors(**fields: Any) -> dict[str, Any]:
    """Give a ratio: bad requests among all, at most 1%."""
    counters = {"bad": 'bad{version="{{ version }}"}', "total": 'total{version="{{ version }}"}'}
    return {"name": "errors", "ratio": counters, "max": "1%", **fields}


def latency(**fields: Any) -> dict[str, Any]:
    """Give a histogram: 99 of 100 requests within half a second."""
    buckets = {"buckets": 'seconds_bucket{version="{{ version }}"}'}
    return {"name": "latency", "histogram": buckets, "max": {"quantile": 0.99, "seconds": 0.5}, **fields}


def saturation(**fields: Any) -> dict[str, Any]:
    """Give a free query: one number, at most 0.8."""
    given = {"name": "saturation", "query": 'max(busy{version="{{ version }}"})', **fields}
    return given if "min" in given or "max" in given else {**given, "max": 0.8}


def reading(candidate: Reading, stable: Reading = NOTHING) -> MetricReading:
    return MetricReading(candidate, stable, "asked")


def well_known(of: Metric, bounds: Sequence[float] = BOUNDS) -> MetricStatus:
    """Give what a rollout that begins knows of a metric, if stable has long been calm."""
    known = MetricStatus(of.name, limit=limit_of(of))
    if isinstance(of, QueryMetric):
        return known
    compared = bounds if isinstance(of, HistogramMetric) else (None,)
    comparisons = tuple(Comparison(bound, dispersion=CALM) for bound in compared)
    return replace(known, tests=Tests(comparisons=comparisons))


def slow(requests: int, *slower: int, bounds: tuple[float, ...] = BOUNDS) -> Latencies:
    """Give requests of which so many were slower than 0.1s, 0.5s and 1s."""
    return Latencies(requests, tuple(zip(bounds, slower, strict=True)))


def window(found: dict[str, MetricReading], **fields: Any) -> Window:
    """Give ten seconds at the 10% step, settled."""
    given: dict[str, Any] = {
        "since": NOW - dt.timedelta(seconds=10),
        "until": NOW,
        "phase": Phase.SHIFTING,
        "weight": 10,
        "settled": True,
        "testers": False,
        **fields,
    }
    return Window(**given, readings=found)


def counted(
    candidate: Counts | Latencies | NoData | Failure = Counts(100, 0),  # noqa: B008  # frozen
    stable: Counts | Latencies | NoData | Failure = Counts(900, 0),  # noqa: B008  # frozen
    **fields: Any,
) -> Window:
    """Give a window in which the errors were counted."""
    return window({"errors": reading(candidate, stable)}, **fields)


def judged(about: Analysis, *windows: Window, memory: Memory | None = None) -> Judgement:
    """Judge one window after the other, and give the last judgement; stable is known well by default."""
    memory, judgement = memory or Memory(tuple(well_known(each) for each in about.metrics)), None
    for each in windows:
        judgement = judge(about, memory, each)
        memory = judgement.memory
    assert judgement is not None, "no window"
    return judgement


def stored(memory: Memory) -> Memory:
    """Give what a controller that starts anew reads of it in the status."""
    written = json.dumps(dump_status(Status(metrics=memory.metrics, weighed=memory.weighed)), allow_nan=False)
    status = load_status(json.loads(written))
    return Memory(status.metrics, status.weighed)
