"""The rule on traffic that has been: what it would have said of past releases, and of none at all.

Nothing is simulated. The counters that Prometheus remembers go through the very
code that judges a release. Only what a controller would have changed is not in
them: the traffic of a bad release that it would have stopped goes on.
"""

import datetime as dt
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.halves import Halves, divided
from analysis.history import Instant, instants, replayed
from analysis.itself import Itself, Pretended, leans, window_of
from analysis.judge import judge
from analysis.lineage import (
    Appearance,
    NoHistoryError,
    Sighting,
    appearances,
    lineage,
    look_back,
    stretches,
)
from analysis.queries import Query, Subject, queries_for
from analysis.samples import Failure
from analysis.survey import WINDOWS, Asked, counted_queries, scrape_interval, survey
from analysis.verdict import Judgement
from config.metrics import Analysis, QueryMetric
from config.status import MetricStatus, Revision, Verdict


LONGEST_JUDGED = dt.timedelta(days=1)
"""Of a release, however long both versions served."""
MOST_WINDOWS = 20_000
"""Into how many the whole time is divided, unless a step is given."""
LONGEST_WINDOW = dt.timedelta(minutes=5)
"""Of `{{ window }}`."""

_LEAST_WINDOWS = 5
"""Of a pretended rollout, however short the soak."""
_PIECE = 360
"""Instants in one request."""
_MOST_SILENT = 3
"""Requests in a row that are not answered; then the past cannot be read."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be tried on which past."""

    analysis: Analysis
    soak: dt.timedelta
    """How long a rollout lasts at least."""
    subject: Subject
    """Without versions."""
    since: dt.datetime
    until: dt.datetime
    step: dt.timedelta | None = None
    """How long a window is; None: as long as an evaluation's, longer for a long past."""
    label: str | None = None
    """Names the version on the series; None: as the metrics tell."""
    deployment: str = "{name}-{version}"
    """How Deployments are named, for metrics that ask by that."""

    def about(self, stable: str, candidate: str) -> Subject:
        """Give whom the queries ask about."""
        return replace(self.subject, stable=self._revision(stable), candidate=self._revision(candidate))

    def _revision(self, version: str) -> Revision:
        deployment = self.deployment.replace("{version}", version).replace("{name}", self.subject.name)
        return Revision(version, "", deployment)


@dataclass(frozen=True, slots=True)
class Release:
    """What would have been said of a past release."""

    version: str
    stable: str
    begin: dt.datetime
    end: dt.datetime
    """Of the time that was judged."""
    first_request: dt.datetime | None = None
    """The end of the window that it was counted in."""
    rolled_back: dt.datetime | None = None
    because: str = ""
    """What decided; if nothing did, what spoke most against it."""
    metric: str = ""
    odds: float | None = None
    requests: int = 0
    """That the metric counted which `because` is about."""
    value: float | None = None
    stable_requests: int = 0
    stable_value: float | None = None
    windows: int = 0
    blind: int = 0
    leaning: int = 0
    """Windows after which nothing would have risen."""
    problem: str = ""
    """Why it could not be judged."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """Everything that was found."""

    task: Task
    versions: tuple[str, ...]
    releases: tuple[Release, ...]
    itself: Itself


def backtest(evidence: Asked, task: Task, on_progress: Callable[[float], None]) -> Backtest:
    """Read the past piece by piece and judge it.

    Args:
        evidence: Prometheus.
        task: What to try.
        on_progress: Called now and then with the share that is done, from 0 to 1.

    Raises:
        NoHistoryError: Prometheus does not answer, or knows nothing.

    """
    task = replace(task, analysis=_acting(task.analysis))
    line = lineage(task.analysis, task.subject, task.label)
    sightings = look_back(evidence, line, task.since, task.until, lambda: None)
    if not sightings:
        asked = " or ".join(map(str, line.selectors))
        raise NoHistoryError(f"Prometheus knows no series in that time: {asked}")
    reading = _Reading(evidence, task, sightings, on_progress)
    releases = tuple(reading.release(each) for each in reading.appearances)
    itself = reading.itself()
    on_progress(1.0)
    versions = tuple(dict.fromkeys(version for each in sightings for version in sorted(each.requests)))
    return Backtest(task, versions, releases, itself)


class _Reading:
    """One pass over the past."""

    def __init__(
        self,
        evidence: Asked,
        task: Task,
        sightings: Sequence[Sighting],
        on_progress: Callable[[float], None],
    ) -> None:
        self._evidence, self._task, self._on_progress = evidence, task, on_progress
        self.appearances = appearances(sightings)
        self._stretches = stretches(sightings)
        last = sightings[-1]
        counted = counted_queries(task.analysis, self._queries(self._stretches[-1].version))
        self._scrape = scrape_interval(evidence, counted, last.at)
        live = max(task.analysis.interval, dt.timedelta(seconds=self._scrape or 0))
        self._step = task.step or live
        many = (task.until - task.since) / MOST_WINDOWS
        self._long_step = task.step or max(live, dt.timedelta(seconds=math.ceil(many.total_seconds())))
        self._silent = 0
        self._done = 0
        spans = [(self._long_step, each.begin, each.end) for each in self._stretches]
        spans += [(self._step, each.begin, last_judged(task, each)) for each in self.appearances]
        self._all = sum(int((end - begin) / step) + 1 for step, begin, end in spans)

    def release(self, seen: Appearance) -> Release:
        """Judge a release by the traffic that it had."""
        task, end = self._task, last_judged(self._task, seen)
        found = Release(seen.version, seen.stable, seen.begin, end)
        if not seen.asked:
            return replace(found, problem="it never answered a request")
        queries = queries_for(task.analysis, task.about(seen.stable, seen.version))
        before = self._evidence.history(
            counted_queries(task.analysis, queries), seen.begin - WINDOWS * self._step, seen.begin, self._step
        )
        past = survey(task.analysis, queries, before, self._scrape, seen.begin)
        if past.problem:
            return replace(found, problem=past.problem)
        memory = past.memory
        for window in replayed(task.analysis, queries, self._past(queries, seen.begin, end, self._step)):
            judgement = judge(task.analysis, memory, window_of(window, together=window.since < seen.shared))
            memory = judgement.memory
            found = _with(found, window.until, judgement)
            if found.rolled_back is not None:
                break
        return found

    def itself(self) -> Itself:
        """Try the pods of the serving version against each other, in rollouts one after the other."""
        counted = tuple(
            metric for metric in self._task.analysis.metrics if not isinstance(metric, QueryMetric)
        )
        analysis = self._task.analysis.model_copy(update={"metrics": counted})
        length = max(_LEAST_WINDOWS, math.ceil(self._task.soak / self._long_step))
        found = Itself(step=self._long_step, length=length * self._long_step)
        for stretch in self._stretches:
            pretended = Pretended(analysis, stretch.version, length, found)
            queries = queries_for(analysis, self._task.about(stretch.version, stretch.version))
            asked = counted_queries(analysis, queries)
            past = self._past(asked, stretch.begin, stretch.end, self._long_step)
            for together, group in itertools.groupby(
                divided(past, Halves(queries)), lambda at: at is not None
            ):
                if not together:
                    pretended.interrupted(sum(1 for _ in group))
                    continue
                pairs = (instant for instant in group if instant is not None)
                for window in replayed(analysis, queries, pairs, alike=True):
                    pretended.add(window)
            found = pretended.found
        return found

    def _queries(self, version: str) -> tuple[Query, ...]:
        return queries_for(self._task.analysis, self._task.about(version, version))

    def _past(
        self, queries: Sequence[Query], begin: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Iterator[Instant]:
        """Ask piece by piece, so that no more than one is ever in memory."""
        count = int((end - begin) / step) + 1
        for first in range(0, count, _PIECE):
            times = [begin + number * step for number in range(first, min(first + _PIECE, count))]
            histories = self._evidence.history(queries, times[0], times[-1], step)
            failures = {each: found for each, found in histories.items() if isinstance(found, Failure)}
            self._give_up(failures, len(histories))
            if len(failures) == len(histories):
                yield from (Instant(at, failures) for at in times)
            else:
                yield from instants(histories)
            self._done += len(times)
            self._on_progress(min(1.0, self._done / self._all))

    def _give_up(self, failures: Mapping[str, Failure], asked: int) -> None:
        """Raise if going on is of no use: what is refused once is refused again."""
        self._silent = self._silent + 1 if len(failures) == asked else 0
        for failure in failures.values():
            if failure.refused or self._silent >= _MOST_SILENT:
                raise NoHistoryError(failure.reason)


def _acting(analysis: Analysis) -> Analysis:
    """Let every metric decide: what only reports is what one wants to try."""
    metrics = tuple(metric.model_copy(update={"dry_run": False}) for metric in analysis.metrics)
    return analysis.model_copy(update={"metrics": metrics, "dry_run": False})


def last_judged(task: Task, seen: Appearance) -> dt.datetime:
    """Judge a release as long as a rollout takes, longer while both served, and never after it was gone."""
    soaked = seen.begin + max(task.soak, WINDOWS * task.analysis.interval)
    return min(max(soaked, seen.shared), seen.gone, seen.begin + LONGEST_JUDGED)


def _with(found: Release, at: dt.datetime, judgement: Judgement) -> Release:
    harmful = judgement.verdict is Verdict.HARMFUL
    first = found.first_request or (at if judgement.requests else None)
    metric = max(judgement.memory.metrics, key=_against)
    tests = metric.tests
    return replace(
        found,
        first_request=first,
        rolled_back=at if harmful else None,
        because=judgement.because if harmful else f"{metric.name}: {metric.message}",
        metric=metric.name,
        odds=metric.odds,
        requests=tests.requests if tests else 0,
        value=metric.value,
        stable_requests=tests.stable_requests if tests else 0,
        stable_value=metric.stable_value,
        windows=found.windows + 1,
        blind=found.blind + (judgement.verdict is Verdict.BLIND),
        leaning=found.leaning + leans(judgement),
    )


def _against(metric: MetricStatus) -> tuple[bool, float]:
    return metric.verdict is Verdict.HARMFUL, metric.odds or float(metric.failures)
