"""Before anyone is exposed: whether stable can be measured, and how its bad requests come."""

import datetime as dt
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple, Protocol

from analysis.diagnosis import Condition, Selector, diagnose, selectors_in, suspicions
from analysis.dispersion import observed
from analysis.history import windows
from analysis.judge import limit_of
from analysis.latency import aligned, tally, watched
from analysis.queries import Query, Subject, origin, queries_for
from analysis.readings import Counts, Latencies, MetricReading, NoData, Reading, count
from analysis.samples import Answer, Failure, History
from analysis.verdict import Memory
from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.status import Dispersion, MetricStatus, Tests, Weighed


WINDOWS = 60
"""How many evaluations' worth of stable's past are looked at."""

_FIELDS = {"bad": "ratio.bad", "total": "ratio.total", "buckets": "histogram.buckets", "value": "query"}
_NEEDED = {"total", "buckets"}
"""Parts that a version which serves always has; it may never have answered anything bad."""
_MOST_SCRAPES = 8
_ALL_OF_IT = Condition("le", 'le="+Inf"')
"""Of a histogram one bucket tells when it was scraped."""


class _Problem(NamedTuple):
    words: str
    lacking: bool = False


class Asked(Protocol):
    """Whoever answers for the past."""

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        """Evaluate all queries at this timestamp."""
        ...

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        """Evaluate all queries at start, start + step, ... up to end."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at stable's past found."""

    memory: Memory
    """Each metric with the dispersion of stable's bad requests; what the rollout begins with."""
    at: dt.datetime
    problem: str = ""
    """Why the metrics cannot be judged, with the field and what would be right; nothing may open."""
    unanswered: str = ""
    """Why Prometheus did not answer; it is to be asked again."""
    lacking: bool = False
    """The problem is only that nothing is known of stable: it may not have been scraped yet."""


def take(evidence: Asked, analysis: Analysis, subject: Subject, at: dt.datetime) -> Survey:
    """Look at stable: three requests, one more if there is something to find fault with."""
    queries = queries_for(analysis, subject)
    answers = evidence.ask(survey_queries(analysis, queries), at)
    if unanswered := _unanswered(answers):
        return Survey(Memory(), at, unanswered=unanswered)
    if problem := _problem(evidence, analysis, queries, answers, at):
        return Survey(Memory(), at, problem.words, lacking=problem.lacking)
    counted = counted_queries(analysis, queries)
    if not counted:
        return Survey(Memory(tuple(begun(metric, ()) for metric in analysis.metrics)), at)
    scrape = scrape_interval(evidence, counted, at)
    step = max(analysis.interval, dt.timedelta(seconds=scrape or 0))
    histories = evidence.history(counted, at - WINDOWS * step, at, step)
    if unanswered := _unanswered(histories):
        return Survey(Memory(), at, unanswered=unanswered)
    return survey(analysis, queries, histories, scrape, at)


def survey_queries(analysis: Analysis, queries: Sequence[Query]) -> tuple[Query, ...]:
    """Choose what must be answered now: all about stable, and free queries about the candidate."""
    free = {metric.name for metric in analysis.metrics if isinstance(metric, QueryMetric)}
    return tuple(
        query for query in queries if origin(query.id).role == "stable" or origin(query.id).metric in free
    )


def counted_queries(analysis: Analysis, queries: Sequence[Query]) -> tuple[Query, ...]:
    """Choose the counters of stable."""
    free = {metric.name for metric in analysis.metrics if isinstance(metric, QueryMetric)}
    return tuple(
        query
        for query in queries
        if origin(query.id).role == "stable" and origin(query.id).metric not in free
    )


def scrape_interval(evidence: Asked, counted: Sequence[Query], at: dt.datetime) -> float | None:
    """Measure the seconds between two scrapes of stable, in one request; None if they cannot be told."""
    asked = scrape_queries(counted)
    answers = evidence.ask(asked, at) if asked else {}
    samples = (sample for answer in answers.values() if not isinstance(answer, Failure) for sample in answer)
    spans = [sample.value for sample in samples if 0 < sample.value < math.inf]
    return round(statistics.median(spans), 1) if spans else None


def scrape_queries(counted: Sequence[Query]) -> tuple[Query, ...]:
    """Ask how far the samples of the last five minutes lie apart, for every selector that can be asked."""
    selectors: dict[Selector, None] = {}
    for query in counted:
        part = origin(query.id).part
        if part in _NEEDED:
            for each in selectors_in(query.expression):
                conditions = (_ALL_OF_IT,) if part == "buckets" else ()
                selectors[each.only(*each.conditions, *conditions)] = None
    return tuple(
        Query(f"scrape/{number}", _apart(selector))
        for number, selector in enumerate(itertools.islice(selectors, _MOST_SCRAPES))
    )


def survey(
    analysis: Analysis,
    queries: Sequence[Query],
    histories: Mapping[str, History],
    scrape: float | None,
    at: dt.datetime,
) -> Survey:
    """Sum up what stable's counters were like.

    Args:
        analysis: Its metrics are the ones to be read.
        queries: Of both versions, as `queries_for` gives them.
        histories: Of stable's counters over the windows before the rollout, by query id.
        scrape: Seconds between two scrapes, if known.
        at: When the rollout begins.

    """
    for number, metric in enumerate(analysis.metrics):
        for query in queries:
            refused = histories.get(query.id)
            if origin(query.id).metric == metric.name and isinstance(refused, Failure):
                return Survey(Memory(), at, problem=f"{_field(number, query)}: {refused.reason}")
    past = [window.readings for window in windows(analysis, queries, histories)]
    metrics = []
    for number, metric in enumerate(analysis.metrics):
        readings = [each[metric.name] for each in past]
        if senseless := _senseless(metric, (each.stable for each in readings)):
            return Survey(Memory(), at, problem=f"spec.analysis.metrics[{number}].{senseless}")
        metrics.append(begun(metric, readings))
    return Survey(Memory(tuple(metrics), Weighed(scrape=scrape)), at)


def begun(metric: Metric, past: Sequence[MetricReading]) -> MetricStatus:
    """Give a metric before its first evaluation, with what is known of stable."""
    status = MetricStatus(metric.name, limit=limit_of(metric))
    if isinstance(metric, QueryMetric):
        return status
    counted = (each.stable for each in past)
    tallies = [tally(each) for each in counted if isinstance(each, Counts | Latencies)]
    comparisons = tuple(
        replace(
            each, dispersion=reduce(observed, [window.arm(each.bound) for window in tallies], Dispersion())
        )
        for each in aligned((), tallies)
    )
    return replace(status, tests=Tests(comparisons=comparisons, watched=watched(metric, comparisons)))


def _apart(selector: Selector) -> str:
    times = f"timestamp({selector})[5m:1s]"
    return f"quantile(0.5, (max_over_time({times}) - min_over_time({times})) / changes({times}) > 0)"


def _unanswered(answers: Mapping[str, Answer] | Mapping[str, History]) -> str:
    failures = (answer for answer in answers.values() if isinstance(answer, Failure))
    return next((failure.reason for failure in failures if not failure.refused), "")


def _field(number: int, query: Query) -> str:
    return f"spec.analysis.metrics[{number}].{_FIELDS[origin(query.id).part]}"


def _problem(
    evidence: Asked,
    analysis: Analysis,
    queries: Sequence[Query],
    answers: Mapping[str, Answer],
    at: dt.datetime,
) -> _Problem | None:
    """Find the first metric that cannot be judged."""
    everything = {query.id: answers.get(query.id, ()) for query in queries}
    _, readings = count(analysis, None, queries, everything)
    for number, metric in enumerate(analysis.metrics):
        for query in queries:
            if origin(query.id).metric != metric.name:
                continue
            if problem := _wrong(evidence, query, everything[query.id], at):
                return problem._replace(words=f"{_field(number, query)}: {problem.words}")
        match readings[metric.name].stable:
            case NoData(reason=reason) if not isinstance(metric, QueryMetric):
                return _Problem(f"spec.analysis.metrics[{number}].{_place(metric, reason)}: {reason}")
            case _:
                pass
    return None


def _wrong(evidence: Asked, query: Query, answer: Answer, at: dt.datetime) -> _Problem | None:
    """Say why this answer is of no use; None if it is."""
    about = origin(query.id)
    if isinstance(answer, Failure):
        return _Problem(answer.reason)
    if about.part == "value" and len(answer) > 1:
        several = f"{len(answer)} series where one number was expected"
        return _Problem(f"{several}; sum() or max() makes one of them")
    if about.role == "candidate" or about.part not in _NEEDED or answer:
        return None
    suspects = suspicions(query)
    asked = [each for suspect in suspects for each in suspect.queries]
    found = evidence.ask(asked, at) if asked else {}
    return _Problem(f"stable cannot be measured: {diagnose(suspects, found)}", lacking=True)


def _place(metric: RatioMetric | HistogramMetric, reason: str) -> str:
    """Give the field of a metric that is at fault."""
    if isinstance(metric, RatioMetric):
        return "ratio"
    bound = metric.max.seconds if metric.max else math.nan
    return "max.seconds" if reason.startswith(f"{bound:g} is not a bucket bound") else "histogram.buckets"


def _senseless(metric: Metric, past: Iterable[Reading]) -> str:
    """Say why most of the windows in which something happened make no sense; empty if they do."""
    if isinstance(metric, QueryMetric):
        return ""
    sensible, reasons = 0, []
    for reading in past:
        match reading:
            case NoData(reason=reason):
                reasons.append(reason)
            case Counts(requests=requests) | Latencies(requests=requests) if requests:
                sensible += 1
            case _:
                pass
    if len(reasons) <= sensible:
        return ""
    windows_of_all = f"{len(reasons)} of {len(reasons) + sensible} windows before the rollout"
    return f"{_place(metric, reasons[-1])}: in {windows_of_all}: {reasons[-1]}"
