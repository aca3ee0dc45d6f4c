"""What one evaluation found out about each metric: counts, a number, or why there is neither."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.counters import Baseline, Counters, Labels, NoCounterError, Series, bucket_of
from analysis.queries import ROLES, Query, Role, origin
from analysis.samples import Answer, Failure
from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests answered since the last evaluation, and the bad ones among them."""

    requests: int
    bad: int
    note: str = ""
    """Why there is nothing to count, for people."""
    series: bool = True
    """There is something that could count."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Requests answered since the last evaluation, by how long they took."""

    requests: int
    slower: tuple[tuple[float, int], ...] = ()
    """Every bucket bound that all pods have, in seconds, ascending, with how many requests took longer."""
    note: str = ""
    """Why there is nothing to count, for people."""
    series: bool = True
    """There is something that could count."""


@dataclass(frozen=True, slots=True)
class Number:
    """The value of a free query; finite."""

    value: float


@dataclass(frozen=True, slots=True)
class NoData:
    """Prometheus answered, but with nothing that could be judged."""

    reason: str


Reading = Counts | Latencies | Number | NoData | Failure


@dataclass(frozen=True, slots=True)
class MetricReading:
    """One metric, for both versions."""

    candidate: Reading
    stable: Reading
    query: str
    """What was asked about the candidate."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One metric, asked about one version."""

    question: str
    fresh: bool
    """Series that are new since the last evaluation came into being since."""
    parts: Mapping[str, tuple[Query, Answer]]


@dataclass(frozen=True, slots=True)
class _Added:
    """What was added to each series."""

    series: Mapping[Series, int]
    note: str
    counters: Counters
    """To be remembered."""

    def total(self, part: str) -> int:
        return sum(added for series, added in self.series.items() if series.part == part)


def count(
    analysis: Analysis, before: Baseline | None, queries: Sequence[Query], answers: Mapping[str, Answer]
) -> tuple[Baseline, dict[str, MetricReading]]:
    """Turn answers into readings by metric name, and give the baseline for the next evaluation.

    What was not answered this time is counted next time: its counters in the
    baseline stay as they were, all parts of a metric together. What was answered
    but makes no sense is not counted: a restart may hide in it, and is over then.

    Args:
        analysis: Its metrics are the ones to be read.
        before: The baseline of the previous evaluation; None: counting starts now.
        queries: As `queries_for` gives them.
        answers: Of every query, by its id.

    """
    baseline = before or Baseline()
    known = baseline.counters
    asked = _asked(queries, answers, rebuilt=baseline.rebuilt)
    counters: dict[str, Counters] = {}
    readings = {}
    for metric in analysis.metrics:
        found = {}
        for role in ROLES:
            about = asked[metric.name, role]
            found[role], after = _read(metric, about, known.get(about.question))
            if after is not None:
                counters[about.question] = after
        query = _shown(asked[metric.name, "candidate"])
        readings[metric.name] = MetricReading(found["candidate"], found["stable"], query)
    return Baseline(counters), readings


def _asked(
    queries: Sequence[Query], answers: Mapping[str, Answer], *, rebuilt: bool
) -> dict[tuple[str, Role], _Asked]:
    found: dict[tuple[str, Role], _Asked] = {}
    for query in queries:
        about = origin(query.id)
        fresh = about.role == "candidate" and not rebuilt
        asked = found.get((about.metric, about.role), _Asked(about.question, fresh, {}))
        parts = {**asked.parts, about.part: (query, answers[query.id])}
        found[about.metric, about.role] = replace(asked, parts=parts)
    return found


def _shown(asked: _Asked) -> str:
    expressions = [query.expression for query, _ in asked.parts.values()]
    return expressions[0] if len(expressions) == 1 else " / ".join(f"({each})" for each in expressions)


def _read(metric: Metric, asked: _Asked, known: Counters | None) -> tuple[Reading, Counters | None]:
    """Give the reading, and the counters to remember after it."""
    if isinstance(metric, QueryMetric):
        return _number(asked.parts["value"][1]), None
    added = _added(asked, known)
    if not isinstance(added, _Added):
        return added, known
    reading = _ratio(added) if isinstance(metric, RatioMetric) else _histogram(metric, added)
    return reading, added.counters


def _added(asked: _Asked, known: Counters | None) -> _Added | NoData | Failure:
    answered = {part: answer for part, (_, answer) in asked.parts.items() if not isinstance(answer, Failure)}
    if len(answered) < len(asked.parts):
        return _failure(asked)
    try:
        now = Counters.of(answered)
    except NoCounterError as error:
        return NoData(str(error))
    note = "counting starts now" if known is None else ""
    if not now.values:
        note = "the query finds no series yet"
    before = now if known is None else known
    return _Added(before.increases(now, fresh=asked.fresh), note, before.then(now))


def _failure(asked: _Asked) -> Failure:
    """Give the reason, with the part that it is about if another part was answered or failed otherwise."""
    answers = {part: answer for part, (_, answer) in asked.parts.items()}
    failures = {part: answer.reason for part, answer in answers.items() if isinstance(answer, Failure)}
    part, reason = next(iter(failures.items()))
    everywhere = all(failures.get(each) == reason for each in answers)
    return Failure(reason if everywhere else f"{part}: {reason}")


def _ratio(added: _Added) -> Counts | NoData:
    bad, requests = added.total("bad"), added.total("total")
    if bad > requests:
        return NoData(f"{bad} bad requests of {requests} cannot be: does ratio.total count the bad ones too?")
    return Counts(requests, bad, added.note, any(series.part == "total" for series in added.series))


def _histogram(metric: HistogramMetric, added: _Added) -> Latencies | NoData:
    wanted = metric.max.seconds if metric.max else None
    histograms: dict[Labels, list[float]] = {}
    bands: dict[float, int] = {}
    for series, band in added.series.items():
        histogram, bound = bucket_of(series.labels)
        histograms.setdefault(histogram, []).append(bound)
        bands[bound] = bands.get(bound, 0) + band
    if problem := next(filter(None, (_odd(bounds, wanted) for bounds in histograms.values())), ""):
        return NoData(problem)
    shared = set(bands).intersection(*histograms.values()) - {math.inf}
    slower = tuple(
        (bound, sum(band for above, band in bands.items() if above > bound)) for bound in sorted(shared)
    )
    return Latencies(sum(bands.values()), slower, added.note, bool(added.series))


def _odd(bounds: Sequence[float], wanted: float | None) -> str:
    """Say why the slow requests of a histogram with these bounds cannot be counted; empty if they can."""
    if len(set(bounds)) < len(bounds):
        return "the same bucket bound twice in one histogram"
    if math.inf not in bounds:
        return 'the bucket le="+Inf" is missing: histogram.buckets wants all buckets'
    if wanted is not None and wanted not in bounds:
        finite = ", ".join(f"{bound:g}" for bound in sorted(bounds) if bound < math.inf)
        return f"{wanted:g} is not a bucket bound; bounds: {finite}"
    return ""


def _number(answer: Answer) -> Reading:
    match answer:
        case Failure():
            return answer
        case ():
            return NoData("the query answered nothing")
        case (sample,):
            value = sample.value
            return Number(value) if math.isfinite(value) else NoData(f"the query answered {_name(value)}")
        case _:
            return NoData(f"{len(answer)} series where one number was expected")


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
