"""One rollout from the new Deployment to its end, decided and judged as a real one is.

Routes are accepted, pods are ready, and humans approve at once what waits for
them; only the traffic, and Prometheus' look at it, are made up.
"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from analysis.judge import judge
from analysis.readings import Counts, Latencies, MetricReading, Number, Reading
from analysis.survey import WINDOWS, Survey, begun
from analysis.verdict import Judgement, Memory
from config.canary import CanarySpec
from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.status import HeldReason, Outcome, Phase, Revision, Status, Weighed
from controller.measuring import window_of
from controller.rehearsal.stream import Stream, Totals
from controller.rehearsal.traffic import BOUNDS, Effect, Measured, Traffic
from controller.rollout.decide import decide
from controller.rollout.moves import SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance, Observation, Routes, Workload
from controller.rollout.phase import AT_REST
from controller.rollout.situation import Ask, Decision


START = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
"""When every rehearsal begins; only differences mean anything."""
_PODS = 10


@dataclass(frozen=True, slots=True)
class Run:
    """How one rehearsal went; times are in seconds since the new version was found."""

    outcome: Outcome | None
    """None: it was still under way when nobody would have waited any longer."""
    took: float
    weight: int
    """The highest that was reached."""
    users: int
    """Users' requests that the candidate answered."""
    harmed: int
    """Of these, the failed or slowed ones."""
    steps: tuple[tuple[int, float], ...]
    """Weights in the order in which they were given, and when."""
    longest_hold: float
    needed_human: bool
    """It was held and waiting alone would not have ended it; approvals aside."""
    reason: str
    """Of its end, or what it was waiting for."""


def rehearse(spec: CanarySpec, traffic: Traffic, effect: Effect, seed: str) -> Run:
    """Release a version that is as `effect` says; the same arguments give the same run."""
    rehearsal = _Rehearsal(spec, Stream(traffic, effect, bounds_of(spec.analysis, traffic), Random(seed)))  # noqa: S311
    return rehearsal.run()


def bounds_of(analysis: Analysis, traffic: Traffic) -> tuple[float, ...]:
    """Give the bucket bounds to count by, those of limits among them; none without a histogram."""
    histograms = [metric for metric in analysis.metrics if isinstance(metric, HistogramMetric)]
    limits = {metric.max.seconds for metric in histograms if metric.max}
    known = traffic.latency.bounds if isinstance(traffic.latency, Measured) else BOUNDS
    return tuple(sorted({*known, *limits})) if histograms else ()


def soaks(spec: CanarySpec) -> dt.timedelta:
    """Give the time that a rollout takes at least."""
    usual = spec.shifting.interval if spec.shifting else dt.timedelta(0)
    steps = (usual if step.interval is None else step.interval for step in spec.ladder())
    before = (each.duration for each in (spec.shadowing, spec.testing) if each)
    return sum((*steps, *before), spec.baking.duration)


def patience(spec: CanarySpec) -> dt.timedelta:
    """Give the time after which nobody waits any longer: every step has used up its timeout."""
    timeout = spec.shifting.timeout if spec.shifting else dt.timedelta(minutes=30)
    before = sum(each is not None for each in (spec.shadowing, spec.testing))
    return soaks(spec) + timeout * (len(spec.ladder()) + before)


@dataclass(slots=True)
class _Rehearsal:
    spec: CanarySpec
    stream: Stream
    status: Status = field(init=False)
    weight: int | None = None
    """As the routes have it."""
    finalizer: bool = False
    begun: float = 0.0
    """When the rollout begins, in the stream's time: stable has a past by then."""
    steps: list[tuple[int, float]] = field(default_factory=list)
    longest_hold: dt.timedelta = dt.timedelta(0)
    needed_human: bool = False
    workloads: tuple[Workload, ...] = ()
    _counted: dict[str, Totals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = self.spec.workload
        stable, candidate = asked.stable or "stable", asked.version or "candidate"
        if stable == candidate:
            stable = f"before-{candidate}"
        self.workloads = tuple(
            Workload(version, version, version, START + dt.timedelta(seconds=age), _PODS, _PODS)
            for age, version in enumerate((stable, candidate))
        )
        revision = Revision(stable, stable, stable)
        self.status = Status(phase=Phase.IDLE, stable=revision, observed_generation=1)

    def run(self) -> Run:
        survey = self._survey()
        self.begun, now = self.stream.now, START
        end = START + patience(self.spec)
        while now <= end:
            self.stream.advance(self._seconds(now))
            decision = self._tick(now, survey)
            self._notice(now)
            if self.status.phase in AT_REST and self.status.history:
                break
            if decision.wake_at is None:
                break
            now = decision.wake_at
        ended = self.status.history[0] if self.status.history else None
        return Run(
            outcome=ended.outcome if ended else None,
            took=(now - START).total_seconds(),
            weight=self.status.highest_weight,
            users=self.stream.users,
            harmed=self.stream.harmed,
            steps=tuple(self.steps),
            longest_hold=self.longest_hold.total_seconds(),
            needed_human=self.needed_human,
            reason=ended.reason if ended else self.status.reason,
        )

    def _tick(self, now: dt.datetime, survey: Survey) -> Decision:
        seen = Observation(
            now=now,
            generation=1,
            workloads=self.workloads,
            routes=Routes(in_form=True, weight=self.weight, acceptance=Acceptance.ACCEPTED),
            finalizer=self.finalizer,
        )
        decision = decide(self.spec, self.status, seen)
        match decision.ask:
            case Ask.SURVEY:
                decision = decide(self.spec, self.status, replace(seen, survey=replace(survey, at=now)))
            case Ask.EVIDENCE:
                decision = decide(self.spec, self.status, replace(seen, judgement=self._judge(now)))
            case None:
                pass
        self.status = decision.status
        match decision.move:
            case WriteRoutes(form):
                testing = form.candidate is not None and bool(form.testing)
                self.weight = form.weight
                promoted = form.candidate is None and self.status.phase is Phase.FINISHING
                share = 1.0 if promoted else (form.weight or 0) / 100
                self.stream.route(share, testing=testing, copied=(form.shadowing or 0) / 100)
                self.steps.append((round(share * 100), (now - START).total_seconds()))
            case SetFinalizer(present):
                self.finalizer = present
            case _:
                pass
        return decision

    def _judge(self, now: dt.datetime) -> Judgement:
        readings = self._readings()
        counted = self.status.evaluated_at is not None
        window = window_of(self.spec, self.status, now, readings, counted=counted)
        return judge(self.spec.analysis, Memory(self.status.metrics, self.status.weighed), window)

    def _survey(self) -> Survey:
        """Look at stable's past as a real survey does, window by window."""
        analysis, scrape = self.spec.analysis, self.stream.traffic.scrape
        step = max(analysis.interval.total_seconds(), scrape)
        self.stream.advance(step)
        self._readings()
        past = []
        for _ in range(WINDOWS):
            self.stream.advance(self.stream.now + step)
            past.append(self._readings())
        self._counted.clear()
        metrics = tuple(begun(metric, [each[metric.name] for each in past]) for metric in analysis.metrics)
        return Survey(Memory(metrics, Weighed(scrape=scrape)), START)

    def _readings(self) -> Mapping[str, MetricReading]:
        """Count what Prometheus has seen since this was asked last; nothing, the first time."""
        seen = {role: self.stream.seen(role) for role in ("candidate", "stable")}
        before = self._counted or seen
        self._counted = seen
        found = {}
        for metric in self.spec.analysis.metrics:
            candidate, stable = (
                _reading(metric, self.stream.bounds, before[role], seen[role])
                for role in ("candidate", "stable")
            )
            found[metric.name] = MetricReading(candidate, stable, "")
        return found

    def _notice(self, now: dt.datetime) -> None:
        """Note what was held, and approve what waits for a human."""
        held = self.status.held
        if held is None:
            return
        if held.reason is HeldReason.AWAITING_APPROVAL:
            self.status = replace(self.status, approved=True)
            return
        self.longest_hold = max(self.longest_hold, now - held.since)
        self.needed_human = self.needed_human or held.needs_human

    def _seconds(self, now: dt.datetime) -> float:
        return self.begun + (now - START).total_seconds()


def _reading(metric: Metric, bounds: tuple[float, ...], before: Totals, seen: Totals) -> Reading:
    requests = seen.requests - before.requests
    match metric:
        case RatioMetric():
            return Counts(requests, seen.bad - before.bad)
        case HistogramMetric():
            counts = (now - then for now, then in zip(seen.slower, before.slower, strict=True))
            return Latencies(requests, tuple(zip(bounds, counts, strict=True)))
        case QueryMetric():
            return Number(_acceptable(metric))


def _acceptable(metric: QueryMetric) -> float:
    """Give a value that passes: what a free query answers cannot be made up."""
    limits = [limit for limit in (metric.min, metric.max) if limit is not None]
    return math.fsum(limits) / len(limits)
