"""Say what to do next and why; do nothing.

The rules are asked in the order of their urgency, and the first that has
something to say is followed: going back comes before everything that waits.
"""

import datetime as dt
from dataclasses import replace

from analysis.survey import Survey
from analysis.verdict import Judgement
from config.canary import CanarySpec
from config.schedule import Closed
from config.status import HeldReason, Hurry, Phase, Status, Verdict
from controller.rollout.at_rest import adopt, remove_leftovers, rest
from controller.rollout.commands import obey
from controller.rollout.form import intended_form, upstream_of
from controller.rollout.gates import not_put_back
from controller.rollout.going_back import go_back, retreat, roll_back
from controller.rollout.going_on import go_on, step_back
from controller.rollout.moves import ClearCommand, Form, Move, SetFinalizer, WriteRoutes
from controller.rollout.observation import Observation
from controller.rollout.phase import AT_REST, WEIGHED
from controller.rollout.situation import ANSWER, NEVER, Ask, Decision, Situation, closed, soaked_at


REASSERTIONS = 3
"""How often the routes are put back before a human is asked."""
BREATH = dt.timedelta(seconds=2)
LONG_BREATH = dt.timedelta(seconds=10)
"""Least and longest time between two attempts to put them back."""
SOON = dt.timedelta(milliseconds=100)
"""When to look again after anything changed: what comes next may have nothing to wait for."""
CALM = dt.timedelta(minutes=10)
"""After this long without a drift the count starts again."""


def decide(spec: CanarySpec, status: Status, seen: Observation) -> Decision:
    """Decide one tick.

    `seen.routes` must have been compared with `intended_form(spec, status)`.
    A decision that asks is to be taken again with `seen.survey` or
    `seen.judgement`; only such a decision can open a route to the candidate
    or raise its share, unless a human told it to.
    """
    obeyed, said = obey(Situation(spec, status, seen))
    at = Situation(spec, _noted(Situation(spec, obeyed, seen)), seen)
    decision = next(found for rule in _RULES if (found := rule(at)) is not None)
    return _sealed(at, decision, said, status)


def refuse(spec: CanarySpec, status: Status, seen: Observation, words: str) -> Decision | None:
    """Decide after the routes of this status were refused at once; None if there is nothing to take back."""
    at = Situation(spec, status, seen)
    decision = step_back(at, words)
    return None if decision is None else _sealed(at, decision, "", status)


def _claimed(at: Situation) -> Decision | None:
    """Keep hands off what an older Canary manages."""
    if not at.seen.claimed_by:
        return None
    if at.seen.deleting and at.seen.finalizer:
        return Decision(at.status, SetFinalizer(present=False), "the Canary is being deleted")
    return at.hold(HeldReason.STALLED, at.seen.claimed_by, needs_human=True)


def _deleted(at: Situation) -> Decision | None:
    """Let a Canary go that is being deleted: the routes are pinned, or there is nothing left to pin."""
    if (
        not at.seen.deleting
        or at.in_flight
        or (at.status.phase is Phase.ROLLING_BACK and not at.seen.routes.problem)
    ):
        return None
    if at.seen.finalizer and _may_tidy(at) and (removing := remove_leftovers(at)):
        return removing
    move = SetFinalizer(present=False) if at.seen.finalizer else None
    return Decision(at.status, move, "the Canary is being deleted; stable keeps serving")


def _may_tidy(at: Situation) -> bool:
    """Tell whether leftovers may hold a deleted Canary up: until nothing has gone on for a minute."""
    held = at.status.held
    return held is None or at.seen.now < held.since + ANSWER


def _reassert(at: Situation) -> Decision | None:
    """Put the routes back a few times, then ask a human.

    Without end what was rolled back is kept off, and the Upstreams that we made are kept there.
    """
    status, routes = replace(at.status, step_started_at=None), at.seen.routes
    form = intended_form(at.spec, status)
    if form is None or routes.in_form:
        return None
    at = replace(at, status=status)
    if routes.problem and not routes.lacking and status.phase is not Phase.ROLLING_BACK:
        return at.hold(HeldReason.STALLED, routes.problem, needs_human=True)
    if routes.waits_for:
        words = f"waiting for Gloo to accept {routes.waits_for}, which the routes are to lead to"
        return at.hold(HeldReason.NOT_ACCEPTED, words)
    if kept := not_put_back(at):
        return kept
    if _has_waited(status) and at.seen.now < at.quiet_at:
        return Decision(status, None, "Gloo has accepted it, and gets a moment to find the endpoints")
    if status.reasserted >= REASSERTIONS and not (routes.lacking or _must_stay_back(at)):
        message = (
            f"drift: the routes give {routes.shape}, wanted {_wanted(at)}; put back {REASSERTIONS} times"
        )
        return at.hold(HeldReason.DRIFT, message, needs_human=True)
    if 0 < status.observed_generation != at.seen.generation:
        followed = replace(status, intended_at=at.seen.now, reasserted=0, held=None)
        return Decision(followed, WriteRoutes(form), f"the spec was changed: giving the routes {_wanted(at)}")
    if at.seen.now < _again_at(status):
        return Decision(status, None, status.reason or f"about to put back {_wanted(at)}")
    again = replace(status, reasserted=status.reasserted + 1, reasserted_at=at.seen.now, held=None)
    return Decision(again, WriteRoutes(form), f"the routes gave {routes.shape}: putting back {_wanted(at)}")


def _has_waited(status: Status) -> bool:
    """Tell whether Gloo may only just know what the routes are to lead to; no way back waits for that."""
    waited = status.held is not None and status.held.reason is HeldReason.NOT_ACCEPTED
    return waited and status.phase is not Phase.ROLLING_BACK


def _must_stay_back(at: Situation) -> bool:
    """Tell whether users could meet what was rolled back: it still runs."""
    running = at.candidate is not None and at.candidate.wanted > 0
    return at.status.phase is Phase.ROLLING_BACK or (at.status.phase is Phase.ROLLED_BACK and running)


def _again_at(status: Status) -> dt.datetime:
    """Say when the routes may be put back again: at once, then after twice the time, up to the longest."""
    last, intended = status.reasserted_at, status.intended_at
    if last is None or (intended is not None and last < intended):
        return NEVER
    return last + (LONG_BREATH if intended is None else min(max(BREATH, last - intended), LONG_BREATH))


_RULES = (_claimed, _deleted, adopt, go_back, step_back, retreat, _reassert, roll_back, go_on, rest)


def _noted(at: Situation) -> Status:
    """Remember what was seen: routes that settled, evidence that was weighed."""
    status, judgement = at.status, at.seen.judgement
    if at.settled and status.step_started_at is None and status.phase not in AT_REST:
        status = replace(status, step_started_at=at.seen.now)
    if at.settled and status.reasserted and at.seen.now >= (status.reasserted_at or NEVER) + CALM:
        status = replace(status, reasserted=0)
    if at.seen.stopped:
        status = replace(status, hurry=Hurry.NO)
    if at.seen.survey is not None:
        status = _surveyed(status, at.seen.survey)
    return status if judgement is None else _weighed(status, judgement)


def _surveyed(status: Status, survey: Survey) -> Status:
    """Remember what the rollout begins with, if stable can be measured."""
    if survey.problem or survey.unanswered:
        return status
    memory = survey.memory
    return replace(status, metrics=memory.metrics, weighed=memory.weighed, surveyed_at=survey.at)


def _weighed(status: Status, judgement: Judgement) -> Status:
    """Remember what was judged; where no user is sent, a candidate without series is no blindness yet."""
    blind = judgement.verdict is Verdict.BLIND and (status.weight > 0 or not judgement.answered)
    sighted = status.blind_since is not None and not blind
    seen_by_people = status.phase is not Phase.SHADOWING
    return replace(
        status,
        verdict=judgement.verdict,
        metrics=judgement.memory.metrics,
        weighed=judgement.memory.weighed,
        evaluated_at=judgement.at,
        blind_since=min(status.blind_since or judgement.at, judgement.at) if blind else None,
        sighted_at=judgement.at if sighted else status.sighted_at,
        requests=status.requests + (judgement.requests if seen_by_people else 0),
        bad=status.bad + (judgement.bad if seen_by_people else 0),
        excess=judgement.excess,
        would_have=status.would_have or _would_have(status, judgement),
    )


def _would_have(status: Status, judgement: Judgement) -> str:
    """Say what a dry run would have done, the first time that it would."""
    if judgement.acts or judgement.verdict is not Verdict.HARMFUL:
        return ""
    same_day = status.started_at is None or status.started_at.date() == judgement.at.date()
    when = f"{judgement.at:%H:%M}" if same_day else f"{judgement.at:%Y-%m-%d %H:%M}"
    return f"would have rolled back at {when} UTC: {judgement.because}"


def _wanted(at: Situation) -> str:
    match at.status.phase:
        case Phase.SHIFTING | Phase.BAKING:
            weight = at.status.weight
            return f"{at.stable_version} {100 - weight}, {at.candidate_version} {weight}"
        case Phase.FINISHING:
            return at.candidate_version
        case Phase.SHADOWING if at.spec.shadowing:
            copied = f"{at.spec.shadowing.percentage:g}% copied"
            return f"{at.stable_version}, and {copied} to {at.candidate_version}"
        case Phase.TESTING:
            return f"{at.stable_version}, and {at.candidate_version} for testers"
        case _:
            return at.stable_version


def _sealed(at: Situation, decision: Decision, said: str, before: Status) -> Decision:
    """Complete what every decision has: the sentence, the held since, what is due when."""
    status, seen, move = decision.status, at.seen, decision.move
    because = f"{said}; {decision.because}" if said and said not in decision.because else decision.because
    if at.in_flight and status.would_have not in because:
        because = f"{because}; {status.would_have}"
    held = status.held
    if held is not None and before.held is not None and held.reason is before.held.reason:
        held = replace(held, since=before.held.since)
    due = _evaluation_due(at, status)
    urgent = due is not None and status.phase in WEIGHED and bool(said or seen.now >= due)
    ask = Ask.EVIDENCE if move is None and seen.judgement is None and urgent else decision.ask
    if move is None and seen.command is not None and ask is None:
        move = ClearCommand(seen.command.id)
    written = move.form.testing if isinstance(move, WriteRoutes) else ()
    copied = _copied_to(at.spec, move)
    status = replace(
        status,
        reason=because,
        held=held,
        step=_position(at.spec, status),
        weight_seen=seen.routes.weight if status.phase not in AT_REST else None,
        next_evaluation_at=due,
        testing=(*status.testing, *(match for match in written if match not in status.testing)),
        shadowed=(*status.shadowed, *(each for each in copied if each not in status.shadowed)),
        observed_generation=seen.generation,
    )
    soon = move is not None or status != before
    return Decision(status, move, because, ask, _wake(at, status, due, soon=soon))


def _copied_to(spec: CanarySpec, move: Move | None) -> tuple[str, ...]:
    """Name the Upstream, if any, that a move has requests copied to."""
    match move:
        case WriteRoutes(Form(candidate=str() as version, shadowing=float())):
            return (upstream_of(spec, version),)
        case _:
            return ()


def _evaluation_due(at: Situation, status: Status) -> dt.datetime | None:
    spec, now = at.spec, at.seen.now
    if status.phase is Phase.PREPARING and status.surveyed_at is None:
        return now + spec.analysis.interval if at.seen.survey is not None else status.next_evaluation_at
    if status.phase not in WEIGHED or status.intended_at is None:
        return None
    if status.evaluated_at is None:
        return min(status.intended_at, now)
    if status.evaluated_at > now:
        return now  # the clock was set back: nobody can wait until it has caught up
    moments = (
        soaked_at(spec, status),
        replace(at, status=status).blind_until,
        _opens_at(closed(spec, status.evaluated_at)),
    )
    earlier = (moment for moment in moments if moment is not None and moment > status.evaluated_at)
    return min((status.evaluated_at + spec.analysis.interval, *earlier))


def _opens_at(closed: Closed | None) -> dt.datetime | None:
    return closed.until if closed else None


def _position(spec: CanarySpec, status: Status) -> str:
    if status.phase not in {Phase.SHIFTING, Phase.BAKING}:
        return ""
    ladder = spec.ladder()
    return f"{sum(step.weight <= status.weight for step in ladder)}/{len(ladder)}"


def _wake(at: Situation, status: Status, due: dt.datetime | None, *, soon: bool) -> dt.datetime | None:
    """Find the next moment at which time alone changes something; what changed just now, soon again."""
    now = at.seen.now
    moments = [at.quiet_at, _again_at(status), *(each.due_at for each in status.retiring)]
    if soon:
        moments.append(now + SOON)
    if at.silent_at is not None:
        moments.append(at.silent_at)
    if due is not None:
        moments.append(due if due > now else now + at.spec.analysis.interval)
    if (opens_at := _opens_at(at.closed)) is not None and status.candidate:
        moments.append(opens_at)
    if status.phase is Phase.PREPARING and status.candidate and status.started_at:
        moments.append(status.started_at + at.spec.progress_deadline)
    return min((moment for moment in moments if moment > now), default=None)
