"""What the analysis hands to the rollout machine."""

import datetime as dt
from dataclasses import dataclass, field

from config.status import HeldReason, MetricStatus, Verdict, Weighed


@dataclass(frozen=True, slots=True)
class Memory:
    """What one judgement leaves for the next; `Memory()` is that of a rollout which begins."""

    metrics: tuple[MetricStatus, ...] = ()
    weighed: Weighed = field(default_factory=Weighed)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One evaluation of all metrics of a Canary."""

    verdict: Verdict
    because: str
    """One clause that names the metric and the numbers which decided."""
    waits_for: HeldReason | None
    """Why the step may not be left, whatever its soak; None: it may."""
    memory: Memory
    """To be stored, and handed in again next time; the metrics in the order of the spec."""
    requests: int
    """Requests that the candidate answered since the previous evaluation."""
    bad: int
    """Of these, the bad ones of the metric that found most."""
    excess: float
    """Bad requests beyond stable's rate since the rollout began, of the metric that found most."""
    at: dt.datetime
    answered: bool = True
    """Prometheus answered every query, be it with nothing; if not, the verdict is Blind."""
    acts: bool = True
    """False: a dry run, the verdict is for people only."""
