"""Many rehearsals of one Canary, and what they say together."""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from analysis.judge import limit_of
from config.canary import CanarySpec
from config.metrics import HistogramMetric, QueryMetric, RatioMetric
from config.quantities import format_share
from config.status import Outcome
from controller.rehearsal.rehearse import Run, rehearse, soaks
from controller.rehearsal.traffic import Effect, Traffic


CONFIDENCE = 0.95
ERRORS = (0.002, 0.005, 0.01, 0.05)
"""Failing shares of candidates that are tried."""
SLOWDOWNS = ((1.0, 2.0), (0.05, 10.0))
"""Slow candidates that are tried: share of requests, and how many times as long they take."""
_USUAL, _LEAST = 200, 40
_WINDOWS = 12_000
"""Evaluations of a good version, all runs together: some seconds' work."""
_CHUNK = 10


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The middle of some runs, and what nine in ten of them do not exceed."""

    median: float
    p90: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Quantiles | None":
        """Take them by rank; None if there are no values."""
        ranked = sorted(values)
        if not ranked:
            return None
        return cls(*(ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.9)))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of one kind of candidate."""

    effect: Effect
    runs: tuple[Run, ...]

    @property
    def rolled_back(self) -> tuple[Run, ...]:
        """Give the runs that went back."""
        return tuple(run for run in self.runs if run.outcome is Outcome.ROLLED_BACK)

    @property
    def promoted(self) -> tuple[Run, ...]:
        """Give the runs that went through."""
        return tuple(run for run in self.runs if run.outcome is Outcome.PROMOTED)

    @property
    def caught(self) -> float:
        """Give the share of runs that went back before the candidate was promoted."""
        return len(self.rolled_back) / len(self.runs)

    @property
    def held(self) -> float:
        """Give the share of runs that a human would have had to look at."""
        return sum(run.needed_human or run.outcome is None for run in self.runs) / len(self.runs)

    @property
    def unseen(self) -> bool:
        """Tell whether it is promoted more often than not."""
        return self.caught < 0.5

    def chance(self) -> tuple[float, float]:
        """Give the share of rollbacks, and a bound above which it hardly lies: one-sided, 95%."""
        return self.caught, highest(len(self.rolled_back), len(self.runs))


@dataclass(frozen=True)
class Plan:
    """What is to be tried on a Canary."""

    spec: CanarySpec
    traffic: Traffic
    runs: int
    """Of a version as good as stable; of each bad one half as many."""
    seed: int = 1
    slowdowns: Sequence[tuple[float, float]] = SLOWDOWNS
    notes: tuple[str, ...] = field(init=False)
    """What is taken for granted, or cannot be foretold."""

    def __post_init__(self) -> None:
        spec, notes = _as_it_would_act(self.spec)
        object.__setattr__(self, "spec", spec)
        object.__setattr__(self, "notes", notes)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """Give what is tried: a version as good as stable first, then what the metrics could see."""
        kinds = {type(metric) for metric in self.spec.analysis.metrics if not metric.dry_run}
        errors = (Effect(errors=share) for share in ERRORS if share > self.traffic.base_error)
        slow = (Effect(slowed=share, slowdown=times) for share, times in self.slowdowns)
        return (
            Effect(),
            *(errors if RatioMetric in kinds else ()),
            *(slow if HistogramMetric in kinds else ()),
        )

    @property
    def of_bad(self) -> int:
        """Give the runs of each bad version."""
        return (self.runs + 1) // 2

    def carry_out(
        self, workers: int = 1, on_progress: Callable[[float], None] = lambda _: None
    ) -> tuple[Forecast, ...]:
        """Rehearse all of it; the result does not depend on how many processes share the work.

        Args:
            workers: Processes that share the work; one: this one.
            on_progress: Is told the share that is done.

        """
        tasks = [
            _Task(self.spec, self.traffic, effect, self.seed, range(first, min(first + _CHUNK, times)))
            for effect in self.effects
            for times in [self.of_bad if effect != Effect() else self.runs]
            for first in range(0, times, _CHUNK)
        ]
        found: dict[Effect, list[Run]] = {effect: [] for effect in self.effects}
        for done, (task, runs) in enumerate(zip(tasks, _carried_out(tasks, workers), strict=True), start=1):
            found[task.effect] += runs
            on_progress(done / len(tasks))
        return tuple(Forecast(effect, tuple(runs)) for effect, runs in found.items())


@dataclass(frozen=True, slots=True)
class _Task:
    spec: CanarySpec
    traffic: Traffic
    effect: Effect
    seed: int
    numbers: range

    def __call__(self) -> list[Run]:
        seeds = (f"{self.seed}/{self.effect.name}/{number}" for number in self.numbers)
        return [rehearse(self.spec, self.traffic, self.effect, seed) for seed in seeds]


def affordable(spec: CanarySpec) -> int:
    """Give how many runs do not take minutes: fewer of a long rollout."""
    windows = soaks(spec) / spec.analysis.interval
    return round(min(max(_LEAST, _WINDOWS / max(windows, 1.0)), _USUAL))


def highest(hits: int, tries: int) -> float:
    """Give the largest chance at which so few hits are not yet a surprise (Clopper & Pearson, one-sided)."""
    if hits >= tries:
        return 1.0
    low, high = hits / tries, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(hits, tries, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def impossible(spec: CanarySpec, traffic: Traffic) -> str:
    """Say why every release would be rolled back whatever it does; empty if stable keeps the limits."""
    for number, metric in enumerate(spec.analysis.metrics):
        if isinstance(metric, QueryMetric) or metric.max is None:
            continue
        if isinstance(metric, RatioMetric):
            usual, allowed, what = traffic.base_error, metric.max, "fail"
        else:
            usual, allowed = traffic.latency.slower(metric.max.seconds), 1 - metric.max.quantile
            what = f"take longer than {metric.max.seconds:g}s"
        if usual >= allowed:
            return (
                f"spec.analysis.metrics[{number}].max: {metric.name} may be {limit_of(metric)}, but "
                f"{format_share(usual)} of stable's requests {what} already: every release would be "
                "rolled back; allow more, or leave max out"
            )
    return ""


def weights_over_time(runs: Sequence[Run]) -> list[tuple[int, float]]:
    """Give each weight with the median second at which it was first given, in rising order."""
    firsts: dict[int, list[float]] = {}
    for run in runs:
        for weight, at in {weight: at for weight, at in reversed(run.steps) if weight}.items():
            firsts.setdefault(weight, []).append(at)
    return [(weight, sorted(times)[len(times) // 2]) for weight, times in sorted(firsts.items())]


def _carried_out(tasks: Sequence[_Task], workers: int) -> Iterator[list[Run]]:
    if workers <= 1:
        yield from (task() for task in tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        yield from pool.map(_call, tasks)


def _call(task: _Task) -> list[Run]:
    return task()


def _at_most(hits: int, tries: int, chance: float) -> float:
    """Give the chance of no more than so many hits."""
    ways = (math.lgamma(tries + 1) - math.lgamma(k + 1) - math.lgamma(tries - k + 1) for k in range(hits + 1))
    yes, no = math.log(chance), math.log1p(-chance) if chance < 1 else -math.inf
    return math.fsum(math.exp(way + k * yes + (tries - k) * no) for k, way in enumerate(ways))


def _as_it_would_act(spec: CanarySpec) -> tuple[CanarySpec, tuple[str, ...]]:
    """Take away what would keep a rollout from deciding anything, and say so."""
    notes, analysis = [], spec.analysis
    if analysis.dry_run:
        notes.append("analysis.dryRun: nothing is ever rolled back; the figures are those without dryRun")
    if spec.paused:
        notes.append("paused: nothing goes on; the figures are those without it")
    if spec.schedule is not None:
        notes.append("schedule: it goes on in its windows only; the figures are those without it")
    kinds = {type(metric) for metric in analysis.metrics if not metric.dry_run}
    if RatioMetric not in kinds:
        notes.append("no ratio metric acts: failing requests are not seen at all")
    if HistogramMetric not in kinds:
        notes.append("no histogram metric acts: slow requests are not seen at all")
    for metric in analysis.metrics:
        if isinstance(metric, QueryMetric):
            notes.append(f"{metric.name}: what a free query answers cannot be simulated; it is taken to pass")
        elif metric.dry_run:
            notes.append(f"{metric.name}: only reports (dryRun), and rolls nothing back")
    approvals = {step.approval for step in spec.ladder()} | (
        {spec.testing.approval} if spec.testing else set()
    )
    if "Manual" in approvals:
        notes.append("approvals are taken to be given at once")
    acting = analysis.model_copy(update={"dry_run": False})
    return spec.model_copy(update={"analysis": acting, "paused": False, "schedule": None}), tuple(notes)


def as_duration(seconds: float) -> dt.timedelta:
    """Give seconds as a duration, in whole seconds."""
    return dt.timedelta(seconds=round(seconds))
