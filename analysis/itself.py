"""Stable against itself: how often the rule rolls back what is no worse, measured and not promised.

One half of the pods is taken for a candidate, the other for stable. Whatever is
found between them is chance, or the unevenness of a real service.
"""

import datetime as dt
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from analysis.history import Past
from analysis.judge import judge
from analysis.survey import WINDOWS, begun
from analysis.verdict import Judgement, Memory
from analysis.window import Window
from config.metrics import Analysis
from config.status import HeldReason, Phase, Verdict


@dataclass(frozen=True, slots=True)
class FalseRollback:
    """A pretended rollout of what served already, rolled back."""

    version: str
    at: dt.datetime
    because: str


@dataclass(frozen=True, slots=True)
class Itself:
    """Stable against itself: many pretended rollouts, one after the other."""

    rollouts: int = 0
    rolled_back: tuple[FalseRollback, ...] = ()
    windows: int = 0
    blind: int = 0
    leaning: int = 0
    undivided: int = 0
    """Windows in which there were not two pods to compare."""
    step: dt.timedelta = dt.timedelta(0)
    """Of a window."""
    length: dt.timedelta = dt.timedelta(0)
    """Of a rollout."""

    @property
    def interval(self) -> tuple[float, float]:
        """Give the 95% interval of the chance of a false rollback."""
        return interval(len(self.rolled_back), self.rollouts)


class Pretended:
    """Rollouts of what serves already, one after the other."""

    def __init__(self, analysis: Analysis, version: str, length: int, found: Itself) -> None:
        self._analysis, self._version, self._length = analysis, version, length
        self.found = found
        self._past: deque[Past] = deque(maxlen=WINDOWS)
        self._memory: Memory | None = None
        self._left = 0

    def add(self, window: Past) -> None:
        """Judge one more window."""
        if self._memory is None and len(self._past) == WINDOWS:
            past = tuple(self._past)
            self._memory = Memory(
                tuple(
                    begun(metric, [each.readings[metric.name] for each in past])
                    for metric in self._analysis.metrics
                )
            )
            self._left = self._length
        self._past.append(window)
        if self._memory is None:
            return
        judgement = judge(self._analysis, self._memory, window_of(window, together=True))
        self._memory = judgement.memory
        self._left -= 1
        self.found = replace(
            self.found,
            windows=self.found.windows + 1,
            blind=self.found.blind + (judgement.verdict is Verdict.BLIND),
            leaning=self.found.leaning + leans(judgement),
        )
        if judgement.verdict is Verdict.HARMFUL:
            rollback = FalseRollback(self._version, window.until, judgement.because)
            self._end((rollback,))
        elif not self._left:
            self._end(())

    def interrupted(self, windows: int) -> None:
        """Give a rollout up: for this many windows there was nothing to compare."""
        self._memory = None
        self.found = replace(self.found, undivided=self.found.undivided + windows)

    def _end(self, rollbacks: tuple[FalseRollback, ...]) -> None:
        self._memory = None
        found = self.found
        self.found = replace(found, rollouts=found.rollouts + 1, rolled_back=(*found.rolled_back, *rollbacks))


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Give the exact 95% interval of a chance (Clopper & Pearson 1934); 0 to 1 without trials."""
    if not trials:
        return 0.0, 1.0
    low = _where(lambda share: 1 - _at_most(hits - 1, trials, share) >= 0.025) if hits else 0.0
    high = _where(lambda share: _at_most(hits, trials, share) <= 0.025) if hits < trials else 1.0
    return low, high


def window_of(past: Past, *, together: bool) -> Window:
    """Give a window as a rollout has it; nobody asked for a split, so none is checked."""
    phase, weight = (Phase.TESTING, 0) if together else (Phase.BAKING, 100)
    return Window(past.since, past.until, phase, weight, settled=True, testers=True, readings=past.readings)


def leans(judgement: Judgement) -> bool:
    """Tell whether nothing rises after this window, although harm is not shown."""
    return judgement.waits_for is HeldReason.OUT_OF_BOUNDS and judgement.verdict is not Verdict.HARMFUL


def _at_most(hits: int, trials: int, share: float) -> float:
    """Give the chance of at most so many hits."""
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(each + 1)
        - math.lgamma(trials - each + 1)
        + each * math.log(share)
        + (trials - each) * math.log1p(-share)
        for each in range(hits + 1)
    )
    return math.fsum(map(math.exp, logs))


def _where(reached: Callable[[float], bool]) -> float:
    """Give the smallest share for which it is so."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
