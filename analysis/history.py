"""The past in windows: what was counted between two instants, by the very rules of a live evaluation."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from analysis.counters import Baseline
from analysis.queries import Query
from analysis.readings import MetricReading, count
from analysis.samples import Answer, Failure, History
from config.metrics import Analysis


class Instant(NamedTuple):
    """All that was answered at one time."""

    at: dt.datetime
    answers: Mapping[str, Answer]
    """By query id."""


class Past(NamedTuple):
    """One window of the past."""

    since: dt.datetime
    until: dt.datetime
    readings: Mapping[str, MetricReading]
    """By metric name."""


def windows(analysis: Analysis, queries: Sequence[Query], histories: Mapping[str, History]) -> Iterator[Past]:
    """Count what came between each instant and the next, oldest first.

    Args:
        analysis: Its metrics are the ones to be read.
        queries: Of both versions, as `queries_for` gives them.
        histories: By query id, all over the same instants; one that failed, or is missing, is a
            failure in every window.

    """
    return replayed(analysis, queries, instants(histories))


def instants(histories: Mapping[str, History]) -> Iterator[Instant]:
    """Turn the answers round: from all times of a query to all queries of a time, oldest first."""
    moments = {
        query_id: {moment.at: moment.samples for moment in history}
        for query_id, history in histories.items()
        if not isinstance(history, Failure)
    }
    failures = {query_id: history for query_id, history in histories.items() if isinstance(history, Failure)}
    for at in sorted({at for samples in moments.values() for at in samples}):
        yield Instant(at, {**failures, **{each: samples.get(at, ()) for each, samples in moments.items()}})


def replayed(
    analysis: Analysis, queries: Sequence[Query], past: Iterable[Instant], *, alike: bool = False
) -> Iterator[Past]:
    """Count as `windows` does, from any number of instants, one after the other.

    Args:
        analysis: Its metrics are the ones to be read.
        queries: Of both versions, as `queries_for` gives them.
        past: Oldest first; a query that was not answered is a failure of that window.
        alike: The candidate is no release: what is new in it is no fresher than what is new in stable.

    """
    baseline, before = None, None
    for at, given in past:
        answers = {query.id: given.get(query.id, _NOT_ASKED) for query in queries}
        baseline, readings = count(analysis, baseline, queries, answers)
        if alike:
            baseline = Baseline(baseline.counters, rebuilt=True)
        if before is not None:
            yield Past(before, at, readings)
        before = at


_NOT_ASKED = Failure("not asked")
