"""What one evaluation found out about each metric: counts, a number, or why there is neither."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.counters import Baseline, Increase, OddCounterError
from analysis.queries import Query, Role, origin
from analysis.samples import Answer, Failure
from config.canary import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests answered since the last evaluation, and the bad ones among them."""

    requests: int
    bad: int
    starting: bool = False
    """This is the first evaluation: counting starts now."""


@dataclass(frozen=True, slots=True)
class Number:
    """The value of a free query."""

    value: float


@dataclass(frozen=True, slots=True)
class NoData:
    """Prometheus answered, but with nothing that could be judged."""

    reason: str


Reading = Counts | Number | NoData | Failure


@dataclass(frozen=True, slots=True)
class MetricReading:
    """One metric, for both versions."""

    candidate: Reading
    stable: Reading
    query: str
    """What was asked about the candidate."""


def count(
    analysis: Analysis, before: Baseline | None, queries: Sequence[Query], answers: Mapping[str, Answer]
) -> tuple[Baseline, dict[str, MetricReading]]:
    """Turn answers into readings by metric name, and give the baseline for the next evaluation.

    `before` None: everything starts now.
    """
    baseline = before or Baseline()
    found = {origin(query.id): (query.id, answers[query.id]) for query in queries}
    asked = {origin(query.id): query.expression for query in queries}
    readings = {
        metric.name: MetricReading(
            candidate=_read(metric, "candidate", found, baseline),
            stable=_read(metric, "stable", found, baseline),
            query=_asked(metric, asked),
        )
        for metric in analysis.metrics
    }
    return baseline.updated(answers), readings


def _asked(metric: Metric, expressions: Mapping[tuple[str, str, str], str]) -> str:
    match metric:
        case RatioMetric(name=name):
            return f"({expressions[name, 'candidate', 'bad']}) / ({expressions[name, 'candidate', 'total']})"
        case HistogramMetric(name=name):
            return expressions[name, "candidate", "buckets"]
        case QueryMetric(name=name):
            return expressions[name, "candidate", "value"]


_Answers = Mapping[tuple[str, str, str], tuple[str, Answer]]


def _read(metric: Metric, role: Role, answers: _Answers, baseline: Baseline) -> Reading:
    match metric:
        case RatioMetric():
            return _ratio(metric.name, role, answers, baseline)
        case HistogramMetric():
            return _histogram(metric, role, answers, baseline)
        case QueryMetric():
            return _number(answers[metric.name, role, "value"][1])


def _ratio(name: str, role: Role, answers: _Answers, baseline: Baseline) -> Reading:
    found = [_increases(answers[name, role, part], baseline) for part in ("bad", "total")]
    for each in found:
        if isinstance(each, NoData | Failure):
            return each
    bad, total = (_sum(each) if isinstance(each, tuple) else None for each in found)
    if bad is None or total is None:
        return Counts(0, 0, starting=True)
    if bad > total:
        return NoData(f"{bad} bad requests of {total} cannot be: does ratio.total count the bad ones too?")
    return Counts(total, bad)


def _histogram(metric: HistogramMetric, role: Role, answers: _Answers, baseline: Baseline) -> Reading:
    entry = answers[metric.name, role, "buckets"]
    found = _increases(entry, baseline)
    if isinstance(found, NoData | Failure):
        return found
    samples = entry[1]
    bounds = set() if isinstance(samples, Failure) else {_bound(sample.labels) for sample in samples}
    if None in bounds:
        return NoData("series without a label le: histogram.buckets wants the _bucket series")
    wanted = metric.max.seconds
    if bounds and not {wanted, math.inf} <= bounds:
        listed = ", ".join(f"{bound:g}" for bound in sorted(bound for bound in bounds if bound is not None))
        return NoData(f"{wanted:g} is not a bucket bound; the bounds are {listed}")
    if found is None:
        return Counts(0, 0, starting=True)
    total = _sum(tuple(each for each in found if _bound(each.labels) == math.inf))
    fast = _sum(tuple(each for each in found if _bound(each.labels) == wanted))
    if fast > total:
        return NoData(f"{fast} of {total} requests took at most {wanted:g}s, which cannot be")
    return Counts(total, total - fast)


def _increases(
    entry: tuple[str, Answer], baseline: Baseline
) -> tuple[Increase, ...] | NoData | Failure | None:
    query_id, answer = entry
    if isinstance(answer, Failure):
        return answer
    try:
        return baseline.increases(query_id, answer)
    except OddCounterError as error:
        return NoData(str(error))


def _number(answer: Answer) -> Reading:
    if isinstance(answer, Failure):
        return answer
    if not answer:
        return NoData("the query answered nothing")
    if len(answer) > 1:
        return NoData(f"{len(answer)} series where one number was expected: sum them up, or select one")
    value = answer[0].value
    if not math.isfinite(value):
        return NoData(f"the query answered {value}")
    return Number(value)


def _sum(increases: tuple[Increase, ...]) -> int:
    return round(sum(increase.count for increase in increases))


def _bound(labels: Mapping[str, str]) -> float | None:
    try:
        return float(labels["le"])
    except (KeyError, ValueError):
        return None
