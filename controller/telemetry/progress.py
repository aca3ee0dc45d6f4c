"""What happens in rollouts, counted as it is recorded.

A status that could be written is what happened, and only the process that wrote
it counts it: one that stands by, or that came too late, counts nothing.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from config.status import Status, load_status
from controller.ports import CanaryObject, Key
from controller.telemetry.causes import Cause, cause_of
from controller.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Progress:
    """Counts what changes from one recorded status to the next; what it remembers, a restart may lose."""

    metrics: Metrics
    known: Callable[[Key], object]
    """Gives None for a Canary that is gone."""
    _first_bad: dict[Key, dt.datetime] = field(default_factory=dict)
    """Since when the candidate of a rollout may have answered badly."""

    def recorded(self, canary: CanaryObject, after: Status) -> None:
        """Count what `after` has that the Canary's status so far had not."""
        before = load_status(canary.status)
        if after.evaluated_at != before.evaluated_at and after.evaluated_at and after.verdict:
            self.metrics.evaluated(after.verdict)
        if after.held and (before.held is None or before.held.reason is not after.held.reason):
            self.metrics.held(after.held.reason)
        if before.bad == 0 < after.bad:
            self._remember(canary.key, before.evaluated_at or after.evaluated_at)
        if after.history != before.history and after.history:
            self._end(canary.key, after)

    def _remember(self, key: Key, since: dt.datetime | None) -> None:
        for gone in [other for other in tuple(self._first_bad) if self.known(other) is None]:
            self._first_bad.pop(gone, None)
        if since is not None:
            self._first_bad[key] = since

    def _end(self, key: Key, status: Status) -> None:
        entry, first_bad = status.history[0], self._first_bad.pop(key, None)
        cause = cause_of(entry)
        self.metrics.ended(entry.outcome, (entry.ended_at - entry.started_at).total_seconds(), cause)
        if cause is Cause.HARMFUL and first_bad is not None:
            self.metrics.detected((entry.ended_at - first_bad).total_seconds())
