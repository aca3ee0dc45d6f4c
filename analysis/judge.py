"""Good enough, bad, or not known: readings in, one verdict out.

Requests are counted in blocks of at least `minRequests`. A block fails as soon as
it holds more bad requests than a whole block may, since waiting for the rest
could only hurt more users; it passes when it is full. `failureLimit` failures in
a row are harm. What was not measured is neither a pass nor a failure.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from analysis.readings import Counts, MetricReading, NoData, Number, Reading
from analysis.samples import Failure
from analysis.verdict import Judgement
from config.canary import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.quantities import format_share
from config.status import MetricStatus, Verdict


def judge(
    analysis: Analysis,
    memory: tuple[MetricStatus, ...],
    readings: Mapping[str, MetricReading],
    at: dt.datetime,
) -> Judgement:
    """Weigh one evaluation together with what `memory` holds of the earlier ones.

    Args:
        memory: The metrics of the previous judgement, in any order. A metric that is not there, or
            was judged by another limit, starts afresh.
        readings: By metric name.

    """
    known = {(metric.name, metric.limit): metric for metric in memory}
    metrics = tuple(
        _judged(
            metric,
            known.get((metric.name, limit_of(metric)), MetricStatus(metric.name, limit=limit_of(metric))),
            readings[metric.name],
            analysis.min_requests,
        )
        for metric in analysis.metrics
    )
    verdict, because = _together(metrics)
    counted = [reading.candidate for reading in readings.values() if isinstance(reading.candidate, Counts)]
    return Judgement(
        verdict=verdict,
        because=because,
        metrics=metrics,
        requests=max((counts.requests for counts in counted), default=0),
        bad=max((counts.bad for counts in counted), default=0),
        at=at,
        answered=not any(isinstance(reading.candidate, Failure) for reading in readings.values()),
    )


def limit_of(metric: Metric) -> str:
    """Write a metric's limit as people say it: `<= 1%`, `p99 <= 0.5s`, `0.2 .. 0.8`."""
    if isinstance(metric, RatioMetric):
        return f"<= {format_share(metric.max)}"
    if isinstance(metric, HistogramMetric):
        return f"p{metric.max.quantile * 100:g} <= {metric.max.seconds:g}s"
    if metric.min is None:
        return f"<= {metric.max:g}"
    if metric.max is None:
        return f">= {metric.min:g}"
    return f"{metric.min:g} .. {metric.max:g}"


def _together(metrics: tuple[MetricStatus, ...]) -> tuple[Verdict, str]:
    for verdict in (Verdict.HARMFUL, Verdict.BLIND, Verdict.UNDECIDED):
        if named := [metric for metric in metrics if metric.verdict is verdict]:
            worst = max(named, key=lambda metric: metric.failures)
            return verdict, f"{worst.name}: {worst.message}"
    return Verdict.SAFE, "every metric is within its limit"


def _judged(metric: Metric, memory: MetricStatus, reading: MetricReading, min_requests: int) -> MetricStatus:
    stable = _value(reading.stable)
    status = replace(memory, query=reading.query)
    if stable is not None:
        status = replace(status, stable_value=stable)
    match metric, reading.candidate:
        case _, Failure(reason=reason):
            return replace(status, message=reason, verdict=_settled(metric, status, Verdict.BLIND))
        case _, NoData(reason=reason):
            message = f"no data: {reason}"
            return replace(status, message=message, verdict=_settled(metric, status, Verdict.BLIND))
        case QueryMetric(), Number(value=value):
            status = _by_value(metric, status, value)
        case RatioMetric() | HistogramMetric(), Counts() as counts:
            status = _by_block(metric, status, counts, min_requests)
        case _:
            raise TypeError(f"{metric.name} cannot be judged by {reading.candidate}")
    measured = Verdict.SAFE if status.passes and not status.failures else Verdict.UNDECIDED
    return replace(status, verdict=_settled(metric, status, measured))


def _settled(metric: Metric, status: MetricStatus, otherwise: Verdict) -> Verdict:
    """Harm that was shown stays shown, whatever can be measured now."""
    return Verdict.HARMFUL if status.failures >= metric.failure_limit else otherwise


def _by_value(metric: QueryMetric, status: MetricStatus, value: float) -> MetricStatus:
    if metric.max is not None and value > metric.max:
        return _failed(status, f"value {value:g}, at most {metric.max:g} allowed", value)
    if metric.min is not None and value < metric.min:
        return _failed(status, f"value {value:g}, at least {metric.min:g} wanted", value)
    return _passed(status, f"value {value:g}", value)


def _by_block(
    metric: RatioMetric | HistogramMetric, status: MetricStatus, counts: Counts, min_requests: int
) -> MetricStatus:
    requests, bad = status.requests + counts.requests, status.bad + counts.bad
    allowed = _allowed(metric)
    share = bad / requests if requests else None
    limits = f"at most {format_share(float(allowed))} allowed"
    found = f"{_described(metric, share or 0.0)}, {limits} ({bad} of {requests} requests)"
    if bad > allowed * max(requests, min_requests):
        return replace(_failed(status, found, share), requests=0, bad=0)
    if requests >= min_requests:
        return replace(_passed(status, found, share), requests=0, bad=0)
    value = share if share is not None else status.value
    status = replace(status, requests=requests, bad=bad, value=value)
    return replace(status, message=_counting(metric, status, min_requests, counts.note))


def _counting(metric: Metric, status: MetricStatus, min_requests: int, note: str) -> str:
    if status.requests:
        message = f"{status.requests} of {min_requests} requests so far"
    else:
        message = "no requests since" if status.passes or status.failures else "no requests yet"
        message = f"{message}, {note}" if note else message
    if status.bad:
        message = f"{message}, {status.bad} bad"
    if status.failures:
        message = f"{message}, after {status.failures} of {metric.failure_limit} failures in a row"
    return message


def _passed(status: MetricStatus, message: str, value: float | None) -> MetricStatus:
    return replace(status, passes=status.passes + 1, failures=0, message=message, value=value)


def _failed(status: MetricStatus, message: str, value: float | None) -> MetricStatus:
    return replace(status, failures=status.failures + 1, message=message, value=value)


def _allowed(metric: RatioMetric | HistogramMetric) -> Fraction:
    """Give the share as it was written: as a float, 29% of 100 are 28.999999999999996."""
    if isinstance(metric, RatioMetric):
        return _as_written(metric.max)
    return 1 - _as_written(metric.max.quantile)


def _as_written(share: float) -> Fraction:
    return Fraction(f"{share:.12g}")


def _described(metric: RatioMetric | HistogramMetric, share: float) -> str:
    if isinstance(metric, HistogramMetric):
        return f"{format_share(share)} slower than {metric.max.seconds:g}s"
    return f"{format_share(share)} bad"


def _value(reading: Reading) -> float | None:
    if isinstance(reading, Counts) and reading.requests:
        return reading.bad / reading.requests
    return reading.value if isinstance(reading, Number) else None
