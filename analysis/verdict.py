"""What the analysis hands to the rollout machine."""

import datetime as dt
from dataclasses import dataclass

from config.status import MetricStatus, Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """One evaluation of all metrics of a Canary."""

    verdict: Verdict
    because: str
    """One clause that names the metric and the numbers which decided."""
    metrics: tuple[MetricStatus, ...]
    """In the order of the spec; to be stored, and handed in again next time."""
    requests: int
    """Requests that the candidate answered since the previous evaluation."""
    bad: int
    """Of these, the bad ones of the metric that found most."""
    at: dt.datetime
    answered: bool = True
    """Prometheus answered every query, be it with nothing; if not, the verdict is Blind."""
