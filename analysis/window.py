"""What was counted between two evaluations, and where: with what came before, all that a verdict needs."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.readings import MetricReading
from config.status import Phase


@dataclass(frozen=True, slots=True)
class Window:
    """One evaluation's harvest."""

    since: dt.datetime | None
    """The evaluation before; None: counting starts with this one."""
    until: dt.datetime
    phase: Phase
    weight: int
    """The candidate's share, in percent, that was asked for all the while."""
    settled: bool
    """All of it was counted after the routes of this step had settled."""
    testers: bool
    """Testing routes send the candidate requests beyond its weight."""
    readings: Mapping[str, MetricReading]
    """By metric name."""
