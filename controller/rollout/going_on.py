"""The way forward: ready, tested, shifted step by step, baked, cleaned up.

Only evidence raises the candidate's share, or a human who says so. Every rule
here either names what is still waited for or takes exactly one step.
"""

import datetime as dt
from dataclasses import replace

from analysis.judge import leans
from config.quantities import format_duration
from config.status import HeldReason, Hurry, Outcome, Phase, Retirement, Revision
from controller.rollout.form import intended_form
from controller.rollout.gates import outside_schedule, stopped, unapproved
from controller.rollout.going_back import HISTORY, ended, remember
from controller.rollout.moves import SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance
from controller.rollout.situation import (
    Ask,
    Decision,
    Situation,
    current_step,
    lasting,
    readiness,
    ready,
    silence,
    soak,
    soaked_at,
    unsettled,
)


_WEIGHED = frozenset(
    {
        HeldReason.AWAITING_APPROVAL,
        HeldReason.BLIND,
        HeldReason.OUTSIDE_SCHEDULE,
        HeldReason.OUT_OF_BOUNDS,
        HeldReason.SPLIT_MISMATCH,
        HeldReason.TOO_FEW_REQUESTS,
    }
)
"""What only an evaluation can find or lift."""
_DOUBTS = frozenset({HeldReason.OUT_OF_BOUNDS, HeldReason.SPLIT_MISMATCH})
"""What is no matter of time, nor of requests that have yet to come."""
_AFTER_THE_LAST_RISE = frozenset({Phase.BAKING, Phase.FINISHING})
"""The candidate serves everybody already."""


def go_on(at: Situation) -> Decision | None:
    """Take the next step of the phase, or say what it waits for."""
    match at.status.phase:
        case Phase.PREPARING:
            return _prepare(at)
        case Phase.SHADOWING:
            return _shadow(at)
        case Phase.TESTING:
            return _test(at)
        case Phase.SHIFTING:
            return _shift(at)
        case Phase.BAKING:
            return _bake(at)
        case Phase.FINISHING:
            return _finish(at)
        case _:
            return None


def _prepare(at: Situation) -> Decision | None:
    if at.status.candidate is None:
        return None
    if not ready(at.candidate):
        what = readiness(at.candidate, at.candidate_version)
        return at.hold(HeldReason.NOT_READY, f"waiting for {at.candidate_version}: {what}")
    if waiting := _blocked(at) or outside_schedule(at):
        return waiting
    if not at.seen.finalizer:
        return Decision(at.status, SetFinalizer(present=True), "holding the Canary against deletion")
    if at.status.hurry is Hurry.NO and (unsurveyed := _unsurveyed(at)):
        return unsurveyed
    version = at.candidate_version
    if at.spec.shadowing:
        because = f"shadowing {version}: it gets copies of {at.spec.shadowing.percentage:g}% of the requests"
        return _enter(at, Phase.SHADOWING, 0, because)
    if at.spec.testing:
        return _begin_testing(at)
    return _enter(at, Phase.SHIFTING, 0, f"{version} is ready: dividing the routes, 0% so far")


def _shadow(at: Situation) -> Decision:
    """Nobody gets the candidate's answers; so it waits for enough of them, as at every other weight."""
    if blocked := _blocked(at):
        return blocked
    waiting = None
    if at.spec.shadowing and at.status.hurry is Hurry.NO:
        waiting = _soaking(at) or _unproven(at)
    if waiting:
        return waiting
    if at.spec.testing:
        return _begin_testing(at)
    passed = f"{at.candidate_version} passed shadowing"
    return _enter(at, Phase.SHIFTING, 0, f"{passed}: dividing the routes, 0% so far")


def _begin_testing(at: Situation) -> Decision:
    because = f"canary testing {at.candidate_version}: only matching requests reach it"
    return _enter(at, Phase.TESTING, 0, because)


def _test(at: Situation) -> Decision:
    if blocked := _blocked(at):
        return blocked
    if at.status.hurry is Hurry.NO:
        wanted = at.spec.testing.requests if at.spec.testing else 0
        if soaking := _soaking(at):
            return soaking
        if at.status.requests < wanted:
            seen = f"{at.status.requests} of {wanted} requests seen"
            return _waiting_for_evidence(at, HeldReason.TOO_FEW_REQUESTS, f"{at.where()}: {seen}")
        if doubtful := _doubtful(at):
            return doubtful
        approval = at.spec.testing.approval if at.spec.testing else "Automatic"
        if awaited := unapproved(at, approval):
            return awaited
    return _enter(
        at, Phase.SHIFTING, 0, f"{at.candidate_version} passed testing: dividing the routes, 0% so far"
    )


def _shift(at: Situation) -> Decision:
    if blocked := _blocked(at):
        return blocked
    if at.status.hurry is Hurry.NO:
        if at.status.weight == 0:
            waiting = _doubtful(at)
        else:
            approval = current_step(at.spec, at.status).approval
            waiting = _staying(at) or unapproved(at, approval)
        if waiting:
            return waiting
    if at.status.weight == 100:
        return _leave_the_top(at)
    to = _next_weight(at)
    passed = f"passed {at.status.weight}%: " if at.status.weight else ""
    return _enter(at, Phase.SHIFTING, to, f"{passed}{at.candidate_version} gets {to}%")


def _leave_the_top(at: Situation) -> Decision:
    version = at.candidate_version
    if at.spec.baking.duration > dt.timedelta(0) and at.status.hurry is not Hurry.FULL:
        duration = format_duration(at.spec.baking.duration)
        return _enter(
            at, Phase.BAKING, 100, f"{version} serves everybody: baking for {duration}", moves=False
        )
    return _enter(at, Phase.FINISHING, 100, f"{version} passed every step: cleaning up the routes")


def _bake(at: Situation) -> Decision:
    if blocked := _blocked(at):
        return blocked
    if at.status.hurry is Hurry.NO:
        waiting = _soaking(at) or _unproven(at)
        if waiting:
            return waiting
    return _enter(at, Phase.FINISHING, 100, f"{at.candidate_version} is baked: cleaning up the routes")


def _finish(at: Situation) -> Decision:
    status = at.status
    if not at.settled or status.stable is None:
        return unsettled(at)
    how = "hurried to the end by a human" if status.hurry is Hurry.FULL else "passed every step"
    entry = ended(at, Outcome.PROMOTED, how, "crossfade")
    retiring = status.retiring
    stops = at.spec.promotion.decommission != "Keep" and at.spec.versions is None
    if stops and at.stable is not None:
        due = at.seen.now + at.spec.promotion.after
        action = at.spec.promotion.decommission
        retiring = (*retiring, Retirement(at.stable.name, action, due, at.stable.hash))
    done = replace(
        status,
        phase=Phase.PROMOTED,
        stable=status.candidate,
        candidate=None,
        held=None,
        approved=False,
        hurry=Hurry.NO,
        retiring=retiring,
        testing=(),
        shadowed=(),
        history=remember(status, entry),
        rejected=tuple(each for each in status.rejected if each != status.candidate),
        replaced=_replaced(status.replaced, status.stable, status.candidate),
    )
    return Decision(done, None, f"promoted {at.candidate_version}; {status.stable.version} served before")


def _replaced(earlier: tuple[Revision, ...], old: Revision, new: Revision | None) -> tuple[Revision, ...]:
    return (old, *(each for each in earlier if each not in {old, new}))[:HISTORY]


def step_back(at: Situation, refusal: str = "") -> Decision | None:
    """Take back a rise that Gloo does not accept, or that the API server refuses with `refusal`.

    A Gloo that says nothing at all gets one step back, too; but that is no
    refusal, and the rollout goes on by itself once Gloo answers.
    """
    words = refusal or _objection(at)
    silent = at.unanswered and at.status.weight > 0
    if not (words or silent) or not at.in_flight or at.status.refusal or at.status.phase is Phase.PREPARING:
        return None
    phase, weight = _one_back(at)
    status = replace(
        at.status,
        phase=phase,
        weight=weight,
        refusal=words,
        held=None,
        intended_at=at.seen.now,
        step_started_at=None,
        approved=False,
        hurry=Hurry.NO,
        reasserted=0,
    )
    form = intended_form(at.spec, status)
    because = f"{at.where()} was not accepted: {words or silence()}"
    return Decision(status, WriteRoutes(form) if form else None, because)


def _objection(at: Situation) -> str:
    """Give Gloo's word and its reason, if it does not like the routes: `Warning, no such table`."""
    routes = at.seen.routes
    if not routes.in_form or routes.acceptance not in {Acceptance.REJECTED, Acceptance.WARNING}:
        return ""
    return f"{routes.acceptance}, {routes.acceptance_reason or 'without a reason'}"


def _one_back(at: Situation) -> tuple[Phase, int]:
    weight = at.status.weight
    match at.status.phase:
        case Phase.FINISHING:
            return Phase.BAKING, 100
        case Phase.SHIFTING | Phase.BAKING if weight > 0:
            return Phase.SHIFTING, max((s.weight for s in at.spec.ladder() if s.weight < weight), default=0)
        case Phase.SHIFTING if at.spec.testing:
            return Phase.TESTING, 0
        case _:
            return Phase.PREPARING, 0


def _enter(at: Situation, phase: Phase, weight: int, because: str, *, moves: bool = True) -> Decision:
    if phase not in _AFTER_THE_LAST_RISE and (waiting := outside_schedule(at)):
        return waiting
    status = replace(
        at.status,
        phase=phase,
        weight=weight,
        held=None,
        step_started_at=None if moves else at.seen.now,
        intended_at=at.seen.now if moves else at.status.intended_at,
        highest_weight=max(at.status.highest_weight, weight),
        ready_when_raised=at.candidate.ready if at.candidate else 0,
        approved=False,
        hurry=at.status.hurry if at.status.hurry is Hurry.FULL else Hurry.NO,
        blind_since=None,
        reasserted=0,
    )
    form = intended_form(at.spec, status)
    return Decision(status, WriteRoutes(form) if form and moves else None, because)


def _next_weight(at: Situation) -> int:
    if at.status.hurry is Hurry.FULL:
        return 100
    return min(step.weight for step in at.spec.ladder() if step.weight > at.status.weight)


def _blocked(at: Situation) -> Decision | None:
    """Say what forbids any rise, evidence or not."""
    status = at.status
    if waiting := stopped(at):
        return waiting
    if at.problem:
        return at.hold(HeldReason.STALLED, at.problem, needs_human=True)
    if status.refusal:
        message = f"{at.where()}; more was not accepted: {status.refusal}"
        return at.hold(HeldReason.NOT_ACCEPTED, message, needs_human=True)
    if at.spec.paused or status.paused:
        by = "spec.paused" if at.spec.paused else "command"
        return at.hold(HeldReason.PAUSED, f"{at.where()}: paused by {by}", needs_human=True)
    if not at.settled:
        return _blind_for_long(at) or unsettled(at)
    if not ready(at.candidate):
        what = readiness(at.candidate, at.candidate_version)
        return at.hold(HeldReason.NOT_READY, f"{at.where()}: {what}")
    if at.stable is None or at.stable.ready == 0:
        message = f"{at.where()}: no way back, {readiness(at.stable, at.stable_version)}"
        return at.hold(HeldReason.NOT_READY, message, needs_human=True)
    return _blind_for_long(at)


def _blind_for_long(at: Situation) -> Decision | None:
    """Stay while nothing is measured: after a long time of it, and after the retreat that it led to."""
    retreated = at.blind_until is not None and at.status.blind_since == at.status.intended_at
    if not at.long_blind and not retreated:
        return None
    blind = at.spec.analysis.blind
    message = f"{at.where()}: blind for {format_duration(blind.after)}, {at.why_blind}"
    return _waiting_for_evidence(at, HeldReason.BLIND, message, needs_human=blind.then == "Hold")


def _soaking(at: Situation) -> Decision | None:
    until = soaked_at(at.spec, at.status)
    if until is not None and at.seen.now >= until:
        return None
    because = f"{at.where()}: soaking for {lasting(soak(at.spec, at.status))}{_worry(at)}"
    return Decision(replace(at.status, held=None), None, because)


def _staying(at: Situation) -> Decision | None:
    """Wait for soak and evidence; with `advance: Evidence` for that alone, where versions can be compared."""
    if at.spec.analysis.advance == "Evidence" and at.status.weight < 100 and not at.dry_run:
        return _unproven(at)
    return _soaking(at) or _unproven(at)


def _unproven(at: Situation) -> Decision | None:
    """Wait unless this very tick measured enough at this step, and nothing that speaks against leaving it."""
    judgement = at.seen.judgement
    if judgement is None:
        return _until_evaluated(at)
    match judgement.waits_for:
        case None:
            return None
        case HeldReason.BLIND as reason:
            return _waiting_for_evidence(at, reason, f"{at.where()}: blind, {judgement.because}")
        case HeldReason.SPLIT_MISMATCH as reason:
            message = f"{at.where()}: {judgement.because}"
            return _waiting_for_evidence(at, reason, message, needs_human=True)
        case reason:
            return _waiting_for_evidence(at, reason, f"{at.where()}: {judgement.because}")


def _doubtful(at: Situation) -> Decision | None:
    """Wait unless this very tick could ask, and found nothing wrong: no user is exposed yet."""
    judgement = at.seen.judgement
    if judgement is not None and not judgement.acts:
        return None
    if judgement is None or not judgement.answered or judgement.waits_for in _DOUBTS:
        return _unproven(at)
    return None


def _unsurveyed(at: Situation) -> Decision | None:
    """Wait until it is known that stable can be measured: the candidate could not be either."""
    if at.status.surveyed_at is not None:
        return None
    survey = at.seen.survey
    if survey is None:
        return _about_to_survey(at)
    if survey.problem and not survey.lacking:
        return at.hold(HeldReason.STALLED, survey.problem, needs_human=True)
    held = at.status.held
    since = held.since if held is not None and held.reason is HeldReason.BLIND else at.seen.now
    overdue = at.seen.now >= since + at.spec.analysis.blind.after
    message = f"{at.where()}: blind, {survey.problem or survey.unanswered}"
    return at.hold(HeldReason.BLIND, message, needs_human=overdue)


def _about_to_survey(at: Situation) -> Decision:
    """Ask; after an answer that let nothing open, not before the next evaluation would be due."""
    because = f"looking at how {at.stable_version} was until now"
    due, held = at.status.next_evaluation_at, at.status.held
    if due is None or not due - at.spec.analysis.interval <= at.seen.now < due:
        return Decision(at.status, None, because, Ask.SURVEY)
    if held is not None and held.reason in {HeldReason.STALLED, HeldReason.BLIND}:
        return Decision(at.status, None, at.status.reason)
    return Decision(replace(at.status, held=None), None, because)


def _until_evaluated(at: Situation) -> Decision:
    """Between two evaluations the words of the last one stand; of anything else waited for, it is over."""
    held = at.status.held
    if held is not None and held.reason in _WEIGHED:
        return Decision(at.status, None, at.status.reason)
    return Decision(replace(at.status, held=None), None, f"{at.where()}: about to weigh the evidence")


def _waiting_for_evidence(
    at: Situation, reason: HeldReason, message: str, *, needs_human: bool = False
) -> Decision:
    timeout = at.spec.shifting.timeout if at.spec.shifting else dt.timedelta(minutes=30)
    begun = at.status.step_started_at
    overdue = begun is not None and at.seen.now >= begun + timeout
    if overdue:
        message = f"{message}; the step's timeout of {format_duration(timeout)} is over"
    return at.hold(reason, message, needs_human=needs_human or overdue)


def _worry(at: Situation) -> str:
    """Name what speaks against the candidate while time still runs."""
    worrying = (metric for metric in at.status.metrics if leans(metric) and not metric.dry_run)
    return next((f"; {metric.name}: {metric.message}" for metric in worrying), "")
