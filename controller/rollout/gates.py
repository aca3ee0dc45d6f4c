"""What keeps the candidate from getting more, whatever the evidence: people.

A schedule, an approval that is missing, a line that is stopped; none of them
ever keeps it from getting less.
"""

from config.status import HeldReason, Hurry
from controller.rollout.phase import CARRYING
from controller.rollout.situation import Decision, Situation


def outside_schedule(at: Situation) -> Decision | None:
    """Wait for the next window; a human who says so need not."""
    closed = at.closed if at.status.hurry is Hurry.NO else None
    if closed is None:
        return None
    message = f"{at.where()}: outside the schedule {closed.words(at.seen.now)}"
    return at.hold(HeldReason.OUTSIDE_SCHEDULE, message, needs_human=closed.until is None)


def unapproved(at: Situation, approval: str) -> Decision | None:
    """Wait for `crossfade approve`, where that is wanted."""
    if approval != "Manual" or at.status.approved:
        return None
    return at.hold(HeldReason.AWAITING_APPROVAL, f"{at.where()} passed and awaits approval", needs_human=True)


def stopped(at: Situation) -> Decision | None:
    """Wait until the line is free again; nobody can hurry past that."""
    return _stop(at, at.where()) if at.seen.stopped else None


def not_put_back(at: Situation) -> Decision | None:
    """Leave changed routes alone while the line is stopped, unless the candidate gets more than it should."""
    routes, given = at.seen.routes, _given(at)
    lowering = given is None or given > at.status.weight
    if not at.seen.stopped or at.status.phase not in CARRYING or routes.lacking or lowering:
        return None
    return _stop(at, f"the routes give {routes.shape}, and are not put back")


def _stop(at: Situation, where: str) -> Decision:
    return at.hold(
        HeldReason.STOPPED, f"{where}: all releases are stopped {at.seen.stopped}", needs_human=True
    )


def _given(at: Situation) -> int | None:
    """Give the candidate's share as the routes have it, in percent; None if that cannot be told."""
    routes = at.seen.routes
    if routes.weight is not None or routes.version is None:
        return routes.weight
    return 100 if routes.version == at.candidate_version else 0
