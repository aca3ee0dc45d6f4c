"""Metrics as people write them, with what a test is not about left to defaults."""

import datetime as dt
from typing import Any

from analysis.queries import Subject
from config.canary import Analysis, Metric
from config.status import Revision


NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
SUBJECT = Subject(
    name="echo",
    namespace="shop",
    upstream="echo-upstream",
    stable=Revision("v1", "hash-v1", "echo-v1"),
    candidate=Revision("v2", "hash-v2", "echo-v2"),
    window=dt.timedelta(seconds=90),
)


def analysis(*metrics: dict[str, Any], min_requests: int = 100) -> Analysis:
    """Give an analysis by these metrics; usually by the errors alone."""
    return Analysis.model_validate({"minRequests": min_requests, "metrics": metrics or (errors(),)})


def metric(given: dict[str, Any]) -> Metric:
    return analysis(given).metrics[0]


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
