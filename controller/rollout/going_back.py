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
    Weighed,
)
from controller.rollout import choice
from controller.rollout.form import intended_form
from controller.rollout.moves import WriteRoutes
from controller.rollout.phase import CARRYING
from controller.rollout.situation import (
    READY_TO_KEEP,
    Decision,
    Situation,
    closed,
    readiness,
    ready,
    unsettled,
)


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
    if not _way_back(at):
        return _cannot_go_back(replace(at, status=status), ending.reason)
    status = replace(
        status,
        phase=Phase.ROLLING_BACK,
        weight=0,
        held=None,
        intended_at=at.seen.now,
        step_started_at=None,
        reasserted=0,
        approved=False,
        hurry=Hurry.NO,
        refusal="",
    )
    return Decision(status, _towards(at, status), f"rolling back {at.candidate_version}: {ending.reason}")


def reason_to_end(at: Situation) -> Ending | None:
    """Find the first reason to end the rollout that is under way."""
    if at.seen.deleting:
        return Ending(Outcome.CANCELLED, "the Canary is being deleted")
    return (
        _harmful(at)
        or _gone(at)
        or _blind(at)
        or _mixed(at)
        or _superseded(at)
        or _unready(at)
        or _too_late(at)
    )


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
        excess=round(status.excess, 1),
        would_have=status.would_have,
    )


def remember(status: Status, entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    """Put an entry first and drop the oldest."""
    return (entry, *status.history)[:HISTORY]


def start_over(at: Situation, changed: Revision) -> Decision:
    """Begin again with a candidate that changed: what is promoted is what was analysed."""
    reason = f"{changed.version} changed while it was being released"
    if not _way_back(at):
        return _cannot_go_back(at, reason)
    entry = ended(at, Outcome.SUPERSEDED, reason, "crossfade")
    status = replace(beginning(at, changed), history=remember(at.status, entry))
    return Decision(status, _towards(at, status), f"{reason}: starting over from 0%")


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
        weighed=Weighed(),
        surveyed_at=None,
        blind_since=None,
        sighted_at=None,
        would_have="",
        windows=(),
        requests=0,
        bad=0,
        excess=0.0,
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
    status = at.status
    if status.phase is not Phase.ROLLING_BACK:
        return None
    if not at.settled:
        return unsettled(at)
    ending = status.ending or Ending(Outcome.CANCELLED, "why is not remembered")
    entry = ended(at, ending.outcome, ending.reason, ending.by)
    rejected, retiring, candidate = status.rejected, status.retiring, entry.revision
    if ending.outcome is Outcome.ROLLED_BACK:
        others = tuple(each for each in rejected if each != candidate)
        rejected = (candidate, *others)[:HISTORY]
    if at.spec.rollback.scale_down == "ScaleToZero":
        due = at.seen.now + at.spec.rollback.after
        retiring = (*retiring, Retirement(candidate.deployment, "ScaleToZero", due, candidate.hash))
    done = replace(
        status,
        phase=Phase.ROLLED_BACK,
        ending=None,
        held=None,
        rejected=rejected,
        retiring=retiring,
        testing=(),
        shadowed=(),
        history=remember(status, entry),
    )
    return Decision(done, None, f"rolled back {at.candidate_version}: {ending.reason}")


def retreat(at: Situation) -> Decision | None:
    """Go back to the lowest step when nothing could be measured for long; it goes on from there by itself."""
    lowest = at.spec.ladder()[0].weight
    if at.spec.analysis.blind.then != "Retreat" or not _still_blind(at) or at.status.weight <= lowest:
        return None
    if at.seen.stopped and not at.seen.routes.in_form:
        return None  # somebody may have taken more back by hand
    because = _blind_for_long(at)
    if not _way_back(at):
        return _cannot_go_back(at, because)
    status = replace(
        at.status,
        phase=Phase.SHIFTING,
        weight=lowest,
        intended_at=at.seen.now,
        step_started_at=None,
        blind_since=at.seen.now,
        reasserted=0,
        approved=False,
    )
    held = replace(at, status=status).hold(HeldReason.BLIND, f"{because}; back to {lowest}%")
    return Decision(held.status, _towards(at, status), held.because)


def _still_blind(at: Situation) -> bool:
    """Tell whether this very tick could not measure either: nobody acts on what was the matter long ago."""
    return at.seen.judgement is not None and at.long_blind


def _blind_for_long(at: Situation) -> str:
    return f"blind for {format_duration(at.spec.analysis.blind.after)}: {at.why_blind}"


def _way_back(at: Situation) -> bool:
    """Stable can take the traffic; or there is none to take, or nobody who answers it now."""
    answered = at.candidate is not None and at.candidate.ready > 0
    return (
        at.status.phase is Phase.PREPARING or not answered or (at.stable is not None and at.stable.ready > 0)
    )


def _cannot_go_back(at: Situation, reason: str) -> Decision:
    message = f"must go back to stable ({reason}) but cannot: {readiness(at.stable, at.stable_version)}"
    return at.hold(HeldReason.NOT_READY, message, needs_human=True)


def _towards(at: Situation, status: Status) -> WriteRoutes | None:
    """Give the move to the form that is intended now; none if the routes were never divided."""
    form = intended_form(at.spec, status)
    untouched = at.status.phase is Phase.PREPARING and at.seen.routes.in_form
    return None if form is None or untouched else WriteRoutes(form)


def _changed(at: Situation) -> Revision | None:
    """Give what the candidate's Deployment runs now, if it is another revision that may be released."""
    if at.candidate is None or at.seen.deleting:
        return None
    now = choice.revision_of(at.candidate)
    if now == at.status.candidate or now in at.status.rejected:
        return None
    releasable = choice.releasable(at.spec, at.seen.workloads, at.status.replaced, at.stable_version)
    return now if now == releasable else None


def _gone(at: Situation) -> Ending | None:
    workload, revision = at.candidate, at.status.candidate
    if workload is None:
        kind = "Upstream" if at.spec.versions else "Deployment"
        return Ending(Outcome.CANCELLED, f"{kind} {revision.deployment if revision else ''} was deleted")
    if workload.wanted == 0:
        return Ending(Outcome.CANCELLED, f"{workload.name} was scaled to 0")
    if choice.revision_of(workload) != revision:
        return Ending(Outcome.SUPERSEDED, f"{workload.name} runs something else now")
    return None


def _mixed(at: Situation) -> Ending | None:
    """End when a second Deployment joins the candidate's version: requests reach what is not analysed."""
    twins = choice.shared_version(at.seen.workloads, at.candidate_version)
    if not twins:
        return None
    return Ending(Outcome.CANCELLED, f"Deployments {' and '.join(twins)} carry the same version")


def _superseded(at: Situation) -> Ending | None:
    newest = choice.wanted(at.spec, at.seen.workloads, at.status.replaced)
    version = at.spec.workload.version or (newest.version if newest else None)
    if version in {None, at.candidate_version} or at.status.phase is Phase.FINISHING:
        return None
    if version == at.stable_version:
        return Ending(Outcome.CANCELLED, f"{version} is wanted again")
    return Ending(Outcome.SUPERSEDED, f"{version} is wanted instead")


def _unready(at: Situation) -> Ending | None:
    workload = at.candidate
    if at.status.phase not in CARRYING or workload is None or not workload.counted:
        return None
    carried_by = min(workload.wanted, max(at.status.ready_when_raised, 1))
    if workload.ready >= carried_by * READY_TO_KEEP:
        return None
    what = readiness(workload, at.candidate_version)
    return Ending(Outcome.ROLLED_BACK, f"not ready while it carries traffic, {what}")


def _harmful(at: Situation) -> Ending | None:
    judgement = at.seen.judgement
    if judgement is None or not judgement.acts or judgement.verdict is not Verdict.HARMFUL:
        return None
    return Ending(Outcome.ROLLED_BACK, f"harmful: {judgement.because}")


def _blind(at: Situation) -> Ending | None:
    """End a rollout that nobody could measure for long, if that is what was asked for."""
    if at.spec.analysis.blind.then != "Rollback" or not _still_blind(at):
        return None
    return Ending(Outcome.ROLLED_BACK, _blind_for_long(at))


def _too_late(at: Situation) -> Ending | None:
    begun = at.status.started_at
    if at.status.phase is not Phase.PREPARING or begun is None or ready(at.candidate):
        return None
    if at.seen.now < begun + at.spec.progress_deadline or _was_kept_waiting(at):
        return None
    deadline = format_duration(at.spec.progress_deadline)
    what = readiness(at.candidate, at.candidate_version)
    return Ending(Outcome.ROLLED_BACK, f"not ready within {deadline}, {what}")


def _was_kept_waiting(at: Situation) -> bool:
    """Tell whether it may have been ready in time, and only had to wait: pods come and go meanwhile."""
    before = at.seen.now - at.spec.progress_deadline
    return bool(at.seen.stopped or at.closed or closed(at.spec, before))
