"""Reasons to end a rollout, and the one move back to stable.

Going back needs no permission: not of metrics, hooks, a pause, or a valid spec.
Only one thing stops it: a stable version without a single ready pod.
"""

from dataclasses import replace

from config.quantities import format_duration
from config.status import (
    Ending,
    HeldReason,
    HistoryEntry,
    Hurry,
    Outcome,
    Phase,
    Retirement,
    Revision,
    Status,
    Verdict,
)
from controller.rollout import choice
from controller.rollout.form import intended_form
from controller.rollout.moves import WriteRoutes
from controller.rollout.observation import Workload
from controller.rollout.phase import CARRYING
from controller.rollout.situation import READY_TO_KEEP, Decision, Situation, readiness


HISTORY = 10
"""How many ended rollouts, and how many rejected revisions, a Canary remembers."""


def go_back(at: Situation) -> Decision | None:
    """Roll back, or start over, if there is any reason to."""
    if not at.in_flight:
        return None
    if at.status.ending is None and (changed := _changed(at)) is not None:
        return start_over(at, changed)
    ending = at.status.ending or reason_to_end(at)
    if ending is None:
        return None
    status = replace(at.status, ending=ending)
    if not _stable_can_serve(at):
        return _cannot_go_back(replace_status(at, status), ending.reason)
    status = replace(
        status,
        phase=Phase.ROLLING_BACK,
        weight=0,
        held=None,
        intended_at=at.seen.now,
        step_started_at=None,
        reasserted=0,
        hurry=Hurry.NO,
        refusal="",
    )
    form = intended_form(at.spec, status)
    move = (
        WriteRoutes(form)
        if form and not (at.status.phase is Phase.PREPARING and at.seen.routes.in_form)
        else None
    )
    return Decision(status, move, f"rolling back {name(status.candidate)}: {ending.reason}")


def reason_to_end(at: Situation) -> Ending | None:
    """Find the first reason to end the rollout that is under way."""
    if at.seen.deleting:
        return Ending(Outcome.CANCELLED, "the Canary is being deleted")
    return _gone(at) or _superseded(at) or _unready(at) or _harmful(at) or _too_late(at)


def ended(at: Situation, outcome: Outcome, reason: str, by: str) -> HistoryEntry:
    """Write the rollout that ends now into one entry."""
    status, now = at.status, at.seen.now
    return HistoryEntry(
        revision=status.candidate or Revision("", "", ""),
        outcome=outcome,
        reason=reason,
        by=by,
        started_at=status.started_at or now,
        ended_at=now,
        highest_weight=status.highest_weight,
        requests=status.requests,
        bad=status.bad,
    )


def remember(status: Status, entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    """Put an entry first and drop the oldest."""
    return (entry, *status.history)[:HISTORY]


def start_over(at: Situation, changed: Revision) -> Decision:
    """Begin again with a candidate that changed: what is promoted is what was analysed."""
    reason = f"{changed.version} changed while it was being released"
    if not _stable_can_serve(at):
        return _cannot_go_back(at, reason)
    entry = ended(at, Outcome.SUPERSEDED, reason, "crossfade")
    status = replace(beginning(at, changed), history=remember(at.status, entry))
    form = intended_form(at.spec, status)
    move = None if form is None or at.status.phase is Phase.PREPARING else WriteRoutes(form)
    return Decision(status, move, f"{reason}: starting over from 0%")


def beginning(at: Situation, candidate: Revision) -> Status:
    """Give the status of a rollout that starts now."""
    return replace(
        at.status,
        phase=Phase.PREPARING,
        candidate=candidate,
        weight=0,
        started_at=at.seen.now,
        intended_at=at.seen.now if at.status.phase in CARRYING else at.status.intended_at,
        step_started_at=None,
        evaluated_at=None,
        next_evaluation_at=None,
        verdict=None,
        held=None,
        metrics=(),
        requests=0,
        bad=0,
        highest_weight=0,
        ready_when_raised=0,
        approved=False,
        hurry=Hurry.NO,
        ending=None,
        reasserted=0,
        refusal="",
        retiring=tuple(each for each in at.status.retiring if each.deployment != candidate.deployment),
    )


def roll_back(at: Situation) -> Decision | None:
    """Finish a rollback once the routes are seen to be back."""
    status, ending = at.status, at.status.ending
    if status.phase is not Phase.ROLLING_BACK or ending is None or status.candidate is None:
        return None
    if not at.settled:
        words = at.seen.routes.acceptance_reason or "it has not answered yet"
        return at.hold(HeldReason.NOT_ACCEPTED, f"back on stable, waiting for Gloo to accept: {words}")
    entry = ended(at, ending.outcome, ending.reason, ending.by)
    rejected = status.rejected
    if ending.outcome is Outcome.ROLLED_BACK:
        others = tuple(each for each in rejected if each != status.candidate)
        rejected = (status.candidate, *others)[:HISTORY]
    retiring = status.retiring
    if at.spec.rollback.scale_down == "ScaleToZero":
        due = at.seen.now + at.spec.rollback.after
        retiring = (
            *retiring,
            Retirement(status.candidate.deployment, "ScaleToZero", due, status.candidate.hash),
        )
    done = replace(
        status,
        phase=Phase.ROLLED_BACK,
        ending=None,
        held=None,
        rejected=rejected,
        retiring=retiring,
        testing=(),
        history=remember(status, entry),
    )
    return Decision(done, None, f"rolled back {name(status.candidate)}: {ending.reason}")


def name(revision: Revision | None) -> str:
    """Name a revision's version for people."""
    return revision.version if revision else "nothing"


def replace_status(at: Situation, status: Status) -> Situation:
    """Look at the same world with another memory."""
    return replace(at, status=status)


def _stable_can_serve(at: Situation) -> bool:
    return at.status.phase is Phase.PREPARING or (at.stable is not None and at.stable.ready > 0)


def _cannot_go_back(at: Situation, reason: str) -> Decision:
    stable = at.status.stable.deployment if at.status.stable else ""
    message = f"must go back to stable ({reason}) but cannot: {readiness(at.stable, stable)}"
    return at.hold(HeldReason.NOT_READY, message, needs_human=True)


def _changed(at: Situation) -> Revision | None:
    workload = at.candidate
    if workload is None or workload.wanted == 0 or at.status.candidate is None:
        return None
    now = choice.revision_of(workload)
    return now if now != at.status.candidate else None


def _gone(at: Situation) -> Ending | None:
    deployment = at.status.candidate.deployment if at.status.candidate else ""
    if at.candidate is None:
        return Ending(Outcome.CANCELLED, f"Deployment {deployment} was deleted")
    if at.candidate.wanted == 0:
        return Ending(Outcome.CANCELLED, f"{deployment} was scaled to 0")
    return None


def _superseded(at: Situation) -> Ending | None:
    status, newest = at.status, choice.wanted(at.spec, at.seen.workloads)
    version = at.spec.workload.version or (newest.version if newest else None)
    if version is None or status.candidate is None or status.phase is Phase.FINISHING:
        return None
    if version == status.candidate.version:
        return None
    if status.stable is not None and version == status.stable.version:
        return Ending(Outcome.CANCELLED, f"{version} is wanted again")
    return Ending(Outcome.SUPERSEDED, f"{version} is wanted instead")


def _unready(at: Situation) -> Ending | None:
    workload = at.candidate
    if at.status.phase not in CARRYING or workload is None:
        return None
    carried_by = min(workload.wanted, max(at.status.ready_when_raised, 1))
    if workload.ready >= carried_by * READY_TO_KEEP:
        return None
    return Ending(
        Outcome.ROLLED_BACK, f"not ready while it carries traffic, {readiness(workload, workload.name)}"
    )


def _harmful(at: Situation) -> Ending | None:
    judgement = at.seen.judgement
    if judgement is None or judgement.verdict is not Verdict.HARMFUL:
        return None
    return Ending(Outcome.ROLLED_BACK, f"harmful: {judgement.because}")


def _too_late(at: Situation) -> Ending | None:
    status, workload = at.status, at.candidate
    if status.phase is not Phase.PREPARING or status.started_at is None or workload is None:
        return None
    late = at.seen.now >= status.started_at + at.spec.progress_deadline
    if not late or ready(workload):
        return None
    deadline = format_duration(at.spec.progress_deadline)
    return Ending(Outcome.ROLLED_BACK, f"not ready within {deadline}, {readiness(workload, workload.name)}")


def ready(workload: Workload | None) -> bool:
    """All pods of the Deployment are ready, and there is at least one."""
    return workload is not None and 0 < workload.wanted <= workload.ready
