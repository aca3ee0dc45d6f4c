"""A free query against its bounds: it has no counts, so only failures in a row can say anything."""

from dataclasses import replace
from typing import assert_never

from analysis.readings import Counts, Latencies, MetricReading, NoData, Number
from analysis.samples import Failure
from config.metrics import QueryMetric
from config.status import MetricStatus, Verdict


def check(
    metric: QueryMetric, before: MetricStatus, reading: MetricReading, *, settled: bool
) -> MetricStatus:
    """Compare one value.

    Args:
        metric: As in the spec.
        before: After the previous window; what belongs to an earlier step is taken out of it.
        reading: What was answered; no series or no number is neither a pass nor a failure.
        settled: A pass speaks for the candidate; a failure speaks against it at any time.

    Raises:
        TypeError: the reading is of another kind of metric.

    """
    status = replace(before, query=reading.query)
    match reading.stable:
        case Number(value=value):
            status = replace(status, stable_value=value)
        case _:
            pass
    match reading.candidate:
        case Number(value=value):
            return _compared(metric, replace(status, value=value), value, settled=settled)
        case NoData(reason=reason):
            return replace(status, verdict=Verdict.BLIND, message=f"no data: {reason}")
        case Failure(reason=reason):
            return replace(status, verdict=Verdict.BLIND, message=reason)
        case Counts() | Latencies():
            raise TypeError(f"{metric.name} cannot be judged by {reading.candidate}")
        case _:
            assert_never(reading.candidate)


def bounds(metric: QueryMetric) -> str:
    """Write what a query is held to: `<= 5`, `>= 3`, `0.2 .. 0.8`."""
    if metric.min is None:
        return f"<= {metric.max:g}"
    if metric.max is None:
        return f">= {metric.min:g}"
    return f"{metric.min:g} .. {metric.max:g}"


def _compared(metric: QueryMetric, status: MetricStatus, value: float, *, settled: bool) -> MetricStatus:
    if metric.max is not None and value > metric.max:
        return _failed(metric, status, f"value {value:g}, at most {metric.max:g} allowed")
    if metric.min is not None and value < metric.min:
        return _failed(metric, status, f"value {value:g}, at least {metric.min:g} wanted")
    passes = status.passes + settled
    verdict = Verdict.SAFE if passes else Verdict.UNDECIDED
    message = (
        f"value {value:g}" if passes else f"value {value:g}, within its bounds before the routes settled"
    )
    return replace(status, passes=passes, failures=0, message=message, verdict=verdict)


def _failed(metric: QueryMetric, status: MetricStatus, message: str) -> MetricStatus:
    failures = status.failures + 1
    message = f"{message}, failed {failures} in a row, rolls back at {metric.failure_limit}"
    verdict = Verdict.HARMFUL if failures >= metric.failure_limit else Verdict.UNDECIDED
    return replace(status, failures=failures, message=message, verdict=verdict)
