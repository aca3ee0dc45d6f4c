"""Asking Prometheus about one Canary, and what is remembered from one evaluation to the next.

What is remembered are caches: after a restart the counters of the last recorded
evaluation are asked for again, at its own timestamp.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analysis.counters import Baseline
from analysis.judge import judge
from analysis.queries import Query, Subject, queries_for
from analysis.readings import MetricReading, count
from analysis.record import begin, record
from analysis.survey import Survey, take
from analysis.verdict import Judgement, Memory
from analysis.window import Window
from config.canary import CanarySpec
from config.status import Phase, Status
from controller.ports import Clock, Evidence, Key


LONGEST_WINDOW = dt.timedelta(minutes=5)
"""Of `{{ window }}`, so that an old step does not dilute a new failure."""
MOST_KEPT = 20
"""Windows in the status that wait for being stored elsewhere."""
AWAKENING = dt.timedelta(seconds=5)
"""How long a Prometheus that has just been started may take before it knows what to scrape."""


@dataclass(frozen=True)
class Measuring:
    """Surveys stable before a rollout, and weighs the candidate during one."""

    evidence: Evidence
    clock: Clock
    _baselines: dict[Key, tuple[dt.datetime, Baseline]] = field(default_factory=dict)
    """Counters, and the evaluation that found them."""

    def survey(self, key: Key, spec: CanarySpec, status: Status) -> tuple[Survey, Status]:
        """Look at stable's past; give the status with the beginning of the rollout's record in it."""
        now = self.clock.now()
        found = take(self.evidence, spec.analysis, _subject(key, spec, status, now), now)
        if found.problem or found.unanswered:
            return found, status
        return found, _kept(status, begin(found.memory, spec.analysis))

    def weigh(self, key: Key, spec: CanarySpec, status: Status) -> tuple[Judgement, Status]:
        """Count what came since the last evaluation and judge it; give the status with its record in it."""
        queries = queries_for(spec.analysis, _subject(key, spec, status, self.clock.now()))
        before = self._baseline(key, queries, status)
        at, answers = self.evidence.ask_now(queries)
        baseline, readings = count(spec.analysis, before, queries, answers)
        self._baselines[key] = at, baseline
        window = window_of(spec, status, at, readings, counted=before is not None)
        judgement = judge(spec.analysis, Memory(status.metrics, status.weighed), window)
        return judgement, _kept(status, record(window, judgement, spec.analysis))

    def forget(self, key: Key) -> None:
        """Drop what is cached of a Canary that is gone."""
        self._baselines.pop(key, None)

    def _baseline(self, key: Key, queries: tuple[Query, ...], status: Status) -> Baseline | None:
        """Give the counters of the recorded evaluation; if not at hand, Prometheus still knows them."""
        if status.evaluated_at is None:
            return None
        known = self._baselines.get(key)
        if known is not None and known[0] == status.evaluated_at:
            return known[1]
        return Baseline.of(self.evidence.ask(queries, status.evaluated_at))


def window_of(
    spec: CanarySpec, status: Status, at: dt.datetime, readings: Mapping[str, MetricReading], *, counted: bool
) -> Window:
    """Give the window that ends with the evaluation at this time; not `counted`: counting only begins."""
    since = None if status.evaluated_at is None else min(status.evaluated_at, at)  # the clock was set back
    return Window(
        since=since if counted else None,
        until=at,
        phase=status.phase,
        weight=status.weight,
        settled=_settled(spec, status, since),
        testers=bool(status.testing) and status.phase is not Phase.TESTING,
        readings=readings,
    )


def _settled(spec: CanarySpec, status: Status, since: dt.datetime | None) -> bool:
    """Tell whether all that was counted since the last evaluation came after the step had settled.

    After blindness that starts again: a Prometheus that is back answers for a
    while with what it scraped before, and the first new scrape holds all since then.
    """
    begun = status.step_started_at
    if begun is None or since is None:
        return False
    if status.sighted_at is not None:
        begun = max(begun, status.sighted_at + AWAKENING)
    settle = spec.analysis.settle
    if settle is None:
        scrape = status.weighed.scrape
        settle = 2 * (dt.timedelta(seconds=scrape) if scrape else spec.analysis.interval)
    return since >= begun + settle


def _kept(status: Status, window: dict[str, object]) -> Status:
    return replace(status, windows=(*status.windows, window)[-MOST_KEPT:])


def _subject(key: Key, spec: CanarySpec, status: Status, now: dt.datetime) -> Subject:
    begun = status.step_started_at or now
    window = min(max(now - begun, spec.analysis.interval), LONGEST_WINDOW)
    return Subject(
        name=key.name,
        namespace=key.namespace,
        upstream=spec.upstream.name,
        stable=status.stable,
        candidate=status.candidate,
        window=window,
        cluster_of=spec.cluster_of,
    )
