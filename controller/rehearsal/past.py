"""An application's traffic as Prometheus remembers it: what a rehearsal would otherwise have to be told."""

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.dispersion import ENOUGH, dispersion
from analysis.history import Past, windows
from analysis.lineage import counting
from analysis.queries import Query, Subject, origin, queries_for
from analysis.readings import Counts, Latencies, Reading
from analysis.samples import Failure
from analysis.survey import Asked, Survey, take
from config.canary import CanarySpec
from config.metrics import HistogramMetric, Metric, QueryMetric, RatioMetric
from config.placeholders import resolve
from config.status import Revision
from controller.rehearsal.traffic import Measured, Traffic


LOOKS = 500
"""Into how many windows the past is divided, at most."""
_ENOUGH = 20
"""Windows with requests that tell enough; with fewer, a shorter past is looked at more closely."""
_CLOSER = 20
_PLACEHOLDER = re.compile(
    r"""(?P<label>\w+)\s*(?:=|=~)\s*(?P<quote>["'`])\{\{\s*(?:version|stable|candidate)\s*\}\}(?P=quote)"""
)


class NothingFoundError(ValueError):
    """Prometheus does not know what a rehearsal needs; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Found:
    """The past of a version in numbers."""

    version: str
    traffic: Traffic
    requests: int
    """That the numbers rest on."""
    notes: tuple[str, ...] = ()


def versions(evidence: Asked, spec: CanarySpec, subject: Subject, at: dt.datetime) -> tuple[str, ...]:
    """Find the versions that have series now, by the label that the metrics tell them apart by.

    Raises:
        NothingFoundError: Prometheus did not answer.

    """
    for metric in spec.analysis.metrics:
        expression = counting(metric)
        label = _PLACEHOLDER.search(expression)
        if label is None:
            continue
        relaxed = _PLACEHOLDER.sub(lambda match: f'{match["label"]}!=""', expression)
        filled = resolve(f"count by ({label['label']}) ({relaxed})", subject.values("stable"))
        answer = evidence.ask([Query("versions", filled)], at)["versions"]
        if isinstance(answer, Failure):
            raise NothingFoundError(answer.reason)
        return tuple(sorted(sample.labels.get(label["label"], "") for sample in answer))
    return ()


def look_back(
    evidence: Asked, spec: CanarySpec, subject: Subject, at: dt.datetime, since: dt.timedelta
) -> Found:
    """Read how much traffic a version had, how much of it failed, how long it took, and how unevenly.

    Args:
        evidence: Prometheus.
        spec: Its metrics are read.
        subject: `stable` is the version that is meant.
        at: The end of the past.
        since: How long it lasts.

    Raises:
        NothingFoundError: the version cannot be measured, or had no requests.

    """
    survey = take(evidence, spec.analysis, subject, at)
    if survey.problem or survey.unanswered:
        raise NothingFoundError(survey.problem or survey.unanswered)
    finest = 2 * (survey.memory.weighed.scrape or Traffic(1.0).scrape)
    queries = queries_for(spec.analysis, subject)
    asked = [
        query for query in queries if origin(query.id).role == "stable" and origin(query.id).part != "value"
    ]
    while True:
        seconds = math.ceil(max((since / LOOKS).total_seconds(), finest))
        histories = evidence.history(asked, at - since, at, dt.timedelta(seconds=seconds))
        if failed := next((each.reason for each in histories.values() if isinstance(each, Failure)), ""):
            raise NothingFoundError(failed)
        past = list(windows(spec.analysis, queries, histories))
        if seconds <= math.ceil(finest) or sum(map(_busy, past)) >= _ENOUGH:
            return _found(spec, subject, survey, past)
        since /= _CLOSER


def _found(spec: CanarySpec, subject: Subject, survey: Survey, past: Sequence[Past]) -> Found:
    version = subject.stable.version if subject.stable else ""
    busy, errors, latency = _Sum(), None, None
    for metric in spec.analysis.metrics:
        if isinstance(metric, QueryMetric):
            continue
        total = _summed(past, metric)
        busy = max(busy, total, key=lambda each: each.requests)
        if isinstance(metric, RatioMetric) and errors is None:
            errors = total
        if isinstance(metric, HistogramMetric) and latency is None:
            latency = total
    if not busy.requests:
        raise NothingFoundError(f"{version} had no requests in all that time")
    notes, usual = [], Traffic(busy.requests / busy.seconds)
    if (scrape := survey.memory.weighed.scrape) is None:
        notes.append(f"how often pods are scraped could not be told; {usual.scrape:g}s are assumed")
    else:
        usual = replace(usual, scrape=scrape)
    if errors is not None and errors.requests:
        usual = replace(usual, base_error=errors.bad / errors.requests, burst=_burst(survey))
    if latency is not None and latency.requests and latency.slower:
        shares = tuple(slow / latency.requests for slow in latency.slower.values())
        usual = replace(usual, latency=Measured(tuple(latency.slower), shares))
    return Found(version, usual, busy.requests, tuple(notes))


def _busy(window: Past) -> bool:
    """Tell whether there were any requests."""
    counted = (
        each.stable for each in window.readings.values() if isinstance(each.stable, Counts | Latencies)
    )
    return any(reading.requests for reading in counted)


@dataclass(frozen=True, slots=True)
class _Sum:
    seconds: float = 0.0
    """Of windows in which there was anything to count."""
    requests: int = 0
    bad: int = 0
    slower: Mapping[float, int] | None = None


def _summed(past: Sequence[Past], metric: Metric) -> _Sum:
    total = _Sum()
    for window in past:
        total = _with(
            total, window.readings[metric.name].stable, (window.until - window.since).total_seconds()
        )
    return total


def _with(total: _Sum, reading: Reading, seconds: float) -> _Sum:
    match reading:
        case Counts(requests=requests, bad=bad, series=True):
            return _Sum(total.seconds + seconds, total.requests + requests, total.bad + bad)
        case Latencies(requests=requests, slower=slower, series=True):
            known = total.slower if total.slower is not None else {bound: 0 for bound, _ in slower}
            added = dict(slower)
            kept = {bound: count + added[bound] for bound, count in known.items() if bound in added}
            return _Sum(total.seconds + seconds, total.requests + requests, 0, kept)
        case _:
            return total


def _burst(survey: Survey) -> float:
    """Give the mean burst that makes bad requests as uneven as they were: bursts of m give 2 m - 1.

    Where too little was seen of them, they are taken to come one by one.
    """
    found = [
        dispersion(metric.tests.comparisons[0].dispersion)
        for metric in survey.memory.metrics
        if metric.tests
        and metric.tests.comparisons
        and metric.tests.comparisons[0].bound is None
        and metric.tests.comparisons[0].dispersion.windows >= ENOUGH
    ]
    return (max(found, default=1.0) + 1) / 2


def subject_of(spec: CanarySpec, name: str, namespace: str, version: str, deployment: str) -> Subject:
    """Give whom the queries are about: one version, as if it were stable."""
    stable = Revision(version, "", deployment)
    return Subject(
        name, namespace, spec.upstream.name, stable, None, spec.analysis.interval, cluster_of=spec.cluster_of
    )
