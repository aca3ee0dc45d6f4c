"""What no decision may ever do, said without looking at how decisions are made."""

import datetime as dt
from dataclasses import dataclass

from config.status import HeldReason, Phase, Revision, Status, Verdict
from controller.rollout import choice
from controller.rollout.moves import ClearCommand, DeleteDeployment, ScaleToZero, WriteRoutes
from controller.rollout.observation import Acceptance, Do, Observation, Workload
from controller.rollout.situation import Decision
from situations import SECOND
from weather import Weather, at_rest, is_dry, revision


CARRYING = {Phase.SHADOWING, Phase.TESTING, Phase.SHIFTING, Phase.BAKING, Phase.FINISHING}
IN_FLIGHT = {Phase.PREPARING, *CARRYING}
WEIGHED = {Phase.SHADOWING, Phase.TESTING, Phase.SHIFTING, Phase.BAKING}
RANK = {
    Phase.PREPARING: 0,
    Phase.SHADOWING: 1,
    Phase.TESTING: 2,
    Phase.SHIFTING: 3,
    Phase.BAKING: 4,
    Phase.FINISHING: 5,
    Phase.PROMOTED: 6,
}


@dataclass
class Oracle:
    """Watches every decision and remembers the little that it needs to judge the next one."""

    licence: int = 0
    """How many gates a human's hurry may still open."""
    steady_since: dt.datetime | None = None
    """Since when the routes have been seen as intended and accepted at this step."""
    proven: Revision | None = None
    """Whose share was raised last."""
    surveyed: Revision | None = None
    """Before whose rollout stable was found to be measurable."""
    copying: bool = False
    """The spec asks for copies of requests before anybody is sent to the candidate."""
    blind_since: dt.datetime | None = None
    """Since when no evaluation has measured anything at this step, or since the retreat from a higher one."""

    def check(self, world: Weather, seen: Observation, decision: Decision) -> None:
        """Hold one decision against the rules; call it before anything of it is carried out."""
        before, after = world.status, decision.status
        assert decision.because
        assert after.reason == decision.because
        assert decision.wake_at is None or decision.wake_at > seen.now
        assert 0 <= after.weight <= 100
        self.copying = world.spec.shadowing is not None
        self._check_copies(before, decision)
        self._note_hurry(before, seen, after)
        self._note_steadiness(before, seen)
        if (after.refusal and not before.refusal) or (after.paused and not before.paused):
            assert (str(after.hurry), after.approved) == ("No", before.approved and not after.refusal)
        if after.reasserted > before.reasserted:
            self._check_putting_back(seen, before, after)
        if isinstance(decision.move, ScaleToZero | DeleteDeployment):
            self._check_retirement(world, decision.move, before)
        if before.retiring != after.retiring and len(after.retiring) > len(before.retiring):
            assert after.phase in {Phase.PROMOTED, Phase.ROLLED_BACK}
        if seen.judgement is not None and self._blind_now(before, seen) is None:
            assert after.blind_since is None
        self._check_dry_run(world, seen, before, after)
        if seen.stopped:
            _check_stopped(world, before, decision)
        self._check_direction(world, seen, decision)
        self._check_arrival(world, seen, before, after)

    def _check_direction(self, world: Weather, seen: Observation, decision: Decision) -> None:
        """Hold a step forward or back against what was seen; what is more urgent comes first."""
        before, after = world.status, decision.status
        if self._must_go_back(world, seen, before):
            self._check_going_back(seen, before, decision)
        elif _must_step_back(before, seen):
            assert (RANK[after.phase], after.weight) < (RANK[before.phase], before.weight)
            assert isinstance(decision.move, WriteRoutes)
            assert after.refusal
        elif _must_step_back_from_silence(before, seen):
            assert (RANK[after.phase], after.weight) < (RANK[before.phase], before.weight)
            assert isinstance(decision.move, WriteRoutes)
            assert not after.refusal
        elif self._may_retreat(world, seen, before):
            self._check_retreat(world, seen, before, decision)
        elif _is_forward(before, after):
            self._check_rise(world, seen, before, after)
        elif before.phase in CARRYING:
            assert (after.phase, after.weight) == (before.phase, before.weight) or at_rest(after.phase)
            self._check_standing(world, seen, before, after)

    def _check_arrival(self, world: Weather, seen: Observation, before: Status, after: Status) -> None:
        """Hold a beginning or an end of a rollout against what was seen."""
        if after.candidate != before.candidate and after.candidate is not None:
            assert after.phase is Phase.PREPARING
            assert after.candidate not in after.rejected
            assert revision(world.deployments[after.candidate.deployment]) == after.candidate
        if after.phase is Phase.PROMOTED and before.phase is not Phase.PROMOTED:
            self._check_promoted(world, seen, before, after)
        if after.phase is Phase.ROLLED_BACK and before.phase is not Phase.ROLLED_BACK:
            assert before.phase is Phase.ROLLING_BACK
            assert world.content.serving == (before.stable.version if before.stable else "")
            assert (world.content.testers, world.content.copies) == (frozenset(), None)
            assert seen.routes.acceptance is Acceptance.ACCEPTED
            assert seen.now >= (before.intended_at or seen.now) + SECOND

    def _check_copies(self, before: Status, decision: Decision) -> None:
        """Hold copies of requests against the phase: nobody gets the candidate's answers, so none counts."""
        after, move = decision.status, decision.move
        if before.phase is Phase.SHADOWING and after.candidate == before.candidate:
            assert (after.requests, after.bad) == (before.requests, before.bad)
        if isinstance(move, WriteRoutes) and move.form.shadowing is not None:
            assert after.phase is Phase.SHADOWING
            assert (move.form.weight, move.form.testing, after.weight) == (None, (), 0)
            assert f"gloo-system/echo-{move.form.candidate}" in after.shadowed

    def recorded(self, before: Status, after: Status, seen: Observation) -> None:
        """Remember a decision that made it into the status."""
        self.blind_since = self._blind_now(before, seen)
        if seen.survey is not None and not seen.survey.problem and not seen.survey.unanswered:
            self.surveyed = before.candidate
        if _is_forward(before, after):
            earned = self._is_justified(before, seen)
            self.licence = max(0, self.licence - 1) if not earned else self.licence
            self.licence = self.licence if self.licence > 1 else 0
            self.proven = after.candidate
            self.blind_since = None
        elif before.phase in CARRYING and after.phase is Phase.SHIFTING and after.held is not None:
            self.blind_since = seen.now if after.weight < before.weight else self.blind_since
        if (before.phase, before.weight, before.candidate) != (after.phase, after.weight, after.candidate):
            self.steady_since = None
        if after.phase is Phase.BAKING and before.phase is not Phase.BAKING and not after.refusal:
            self.steady_since = seen.now
        if after.phase not in IN_FLIGHT or after.candidate != before.candidate:
            self.licence, self.surveyed, self.blind_since = 0, None, None
        if after.refusal and not before.refusal:
            self.licence = 0

    def _note_hurry(self, before: Status, seen: Observation, after: Status) -> None:
        command = seen.command
        if seen.stopped:
            self.licence = 0
        if command is None or before.last_command == command.id or after.last_command != command.id:
            return
        if command.do is Do.PAUSE:
            self.licence = 0
        if before.phase in IN_FLIGHT and command.do is Do.PROMOTE and not seen.stopped:
            self.licence = max(self.licence, 1)
        if before.phase in IN_FLIGHT and command.do is Do.PROMOTE_FULL and not seen.stopped:
            self.licence = 1000

    def _note_steadiness(self, before: Status, seen: Observation) -> None:
        if not (seen.routes.in_form and seen.routes.acceptance is Acceptance.ACCEPTED):
            self.steady_since = None if not seen.routes.in_form else self.steady_since
        elif self.steady_since is None and seen.now >= (before.intended_at or seen.now) + SECOND:
            self.steady_since = seen.now

    def _check_retirement(self, world: Weather, move: ScaleToZero | DeleteDeployment, before: Status) -> None:
        assert at_rest(before.phase)
        assert before.stable is not None
        serving = choice.serving(tuple(world.deployments.values()), before.stable.version)
        assert serving is None or move.deployment != serving.name
        assert world.content.serving == before.stable.version

    def _check_putting_back(self, seen: Observation, before: Status, after: Status) -> None:
        assert after.reasserted <= 3 or before.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}
        last, intended = before.reasserted_at, before.intended_at
        if last is not None and intended is not None and last >= intended:
            assert seen.now >= last + 2 * SECOND

    def _must_go_back(self, world: Weather, seen: Observation, before: Status) -> bool:
        if before.phase not in IN_FLIGHT or before.candidate is None or seen.claimed_by:
            return False
        command = seen.command
        aborted = command is not None and command.do is Do.ABORT and command.id != before.last_command
        found = seen.judgement is not None and seen.judgement.verdict is Verdict.HARMFUL
        blind = world.spec.analysis.blind.then == "Rollback" and self._long(world, seen, before)
        harmful = blind or (found and not is_dry(world.spec))
        candidate = world.deployments.get(before.candidate.deployment)
        gone = candidate is None or candidate.wanted == 0 or revision(candidate) != before.candidate
        ended = before.ending is not None or seen.deleting or aborted or harmful
        return (
            ended or gone or _unready(before, candidate) or _unwanted(world, before) or _late(world, before)
        )

    def _check_going_back(self, seen: Observation, before: Status, decision: Decision) -> None:
        stable, candidate = _workloads(seen, before)
        answered = candidate is not None and candidate.ready > 0
        served = stable is not None and stable.ready > 0
        if before.phase in CARRYING and answered and not served:
            assert (decision.status.phase, decision.status.weight) == (before.phase, before.weight)
            assert isinstance(decision.move, ClearCommand | None)
            assert decision.status.held is not None
            assert decision.status.held.needs_human
            return
        started_over = (
            decision.status.phase is Phase.PREPARING and decision.status.candidate != before.candidate
        )
        assert decision.status.phase is Phase.ROLLING_BACK or started_over
        assert decision.status.weight == 0
        if before.phase in CARRYING:
            assert isinstance(decision.move, WriteRoutes)
            form = decision.move.form
            assert before.stable is not None
            assert (form.stable, form.weight, form.testing) == (before.stable.version, None, ())
            assert form.shadowing is None

    def _check_rise(self, world: Weather, seen: Observation, before: Status, after: Status) -> None:
        stable, candidate = _workloads(seen, before)
        assert candidate is not None
        assert revision(candidate) == before.candidate == after.candidate
        assert candidate.counted
        assert 0 < candidate.wanted <= candidate.ready
        assert stable is not None
        assert stable.ready > 0
        assert seen.routes.in_form
        assert seen.routes.acceptance is Acceptance.ACCEPTED
        assert seen.finalizer or before.phase is not Phase.PREPARING
        assert (seen.problem, seen.routes.problem, seen.claimed_by) == ("", "", "")
        assert (world.spec.paused, after.paused, after.refusal) == (False, False, "")
        assert not seen.stopped
        if _is_closed(world, seen.now) and after.phase not in {Phase.BAKING, Phase.FINISHING}:
            assert self.licence > 0
        if self.copying and before.phase in {Phase.PREPARING, Phase.SHADOWING}:
            assert not seen.routes.own_shadowing
            assert before.phase is Phase.SHADOWING or after.phase is Phase.SHADOWING
        if before.phase is Phase.SHADOWING and world.spec.shadowing is not None:
            assert world.content.copies == (candidate.version, world.spec.shadowing.percentage)
        if before.phase in {Phase.TESTING, Phase.SHIFTING, Phase.BAKING}:
            assert world.content.copies is None
        assert after.held is None
        assert self.steady_since is not None
        if self.licence == 0:
            assert self._is_justified(before, seen)
            assert not self._long(world, seen, before)
        if before.phase is not Phase.PREPARING and self.licence == 0:
            assert seen.now - self.steady_since >= _soak(world, seen, before)
            if before.phase is Phase.TESTING and world.spec.testing is not None:
                assert after.requests >= world.spec.testing.requests
        if after.weight > before.weight:
            rungs = [step.weight for step in world.spec.ladder() if step.weight > before.weight]
            assert after.weight == min(rungs) or (self.licence > 1 and after.weight == 100)
        if after.phase is Phase.FINISHING:
            assert before.weight == 100
        assert before.weight == 0 or self.proven == before.candidate

    def _is_justified(self, before: Status, seen: Observation) -> bool:
        if before.phase is Phase.PREPARING:
            survey = seen.survey
            found = survey is not None and not survey.problem and not survey.unanswered
            return found or (self.surveyed is not None and self.surveyed == before.candidate)
        judgement = seen.judgement
        if before.phase is Phase.SHADOWING and not self.copying:
            return True
        if judgement is None or judgement.at != seen.now:
            return False
        if before.weight == 0 and judgement.acts and before.phase is not Phase.SHADOWING:
            doubts = {HeldReason.OUT_OF_BOUNDS, HeldReason.SPLIT_MISMATCH}
            return judgement.answered and judgement.waits_for not in doubts
        return judgement.waits_for is None

    def _blind_now(self, before: Status, seen: Observation) -> dt.datetime | None:
        judgement = seen.judgement
        if judgement is None:
            return self.blind_since
        blind = judgement.verdict is Verdict.BLIND and (before.weight > 0 or not judgement.answered)
        return (self.blind_since or seen.now) if blind else None

    def _long(self, world: Weather, seen: Observation, before: Status) -> bool:
        """Tell whether this evaluation, too, measured nothing, and that for long."""
        since = self._blind_now(before, seen)
        if since is None or seen.judgement is None or before.phase not in WEIGHED:
            return False
        hurried = self.licence > 0 or is_dry(world.spec)
        return not hurried and seen.now >= since + world.spec.analysis.blind.after

    def _may_retreat(self, world: Weather, seen: Observation, before: Status) -> bool:
        lowest = world.spec.ladder()[0].weight
        wanted = world.spec.analysis.blind.then == "Retreat" and before.weight > lowest
        if seen.stopped and not seen.routes.in_form:
            return False
        return wanted and self._long(world, seen, before) and not (seen.claimed_by or seen.deleting)

    def _check_retreat(self, world: Weather, seen: Observation, before: Status, decision: Decision) -> None:
        stable, candidate = _workloads(seen, before)
        after, lowest = decision.status, world.spec.ladder()[0].weight
        assert after.held is not None
        if candidate is not None and candidate.ready > 0 and (stable is None or stable.ready == 0):
            assert (after.phase, after.weight) == (before.phase, before.weight)
            assert after.held.needs_human
            return
        assert after.held.reason is HeldReason.BLIND
        assert (after.phase, after.weight) == (Phase.SHIFTING, lowest)
        assert isinstance(decision.move, WriteRoutes)
        assert decision.move.form.weight == lowest

    def _check_standing(self, world: Weather, seen: Observation, before: Status, after: Status) -> None:
        looked = (
            self.steady_since is not None
            and seen.now >= (before.reasserted_at or before.intended_at or seen.now) + SECOND
        )
        if self._long(world, seen, before) and looked and not seen.deleting:
            assert after.held is not None

    def _check_dry_run(self, world: Weather, seen: Observation, before: Status, after: Status) -> None:
        if before.candidate is None or after.candidate != before.candidate or before.phase not in IN_FLIGHT:
            return
        judgement = seen.judgement
        harmful = judgement is not None and judgement.verdict is Verdict.HARMFUL
        if before.would_have or not (harmful and is_dry(world.spec)):
            assert after.would_have == before.would_have
        else:
            assert f"{seen.now:%H:%M} UTC" in after.would_have
        assert after.would_have in after.reason

    def _check_promoted(self, world: Weather, seen: Observation, before: Status, after: Status) -> None:
        assert before.phase is Phase.FINISHING
        assert after.stable == before.candidate == self.proven
        assert seen.routes.acceptance is Acceptance.ACCEPTED
        assert seen.now >= (before.intended_at or seen.now) + SECOND
        assert world.content.serving == (before.candidate.version if before.candidate else "")
        assert (world.content.testers, world.content.copies) == (frozenset(), None)


def _is_forward(before: Status, after: Status) -> bool:
    if before.phase not in IN_FLIGHT or after.phase not in RANK or after.phase is Phase.PROMOTED:
        return False
    return (RANK[after.phase], after.weight) > (RANK[before.phase], before.weight)


def _must_step_back(before: Status, seen: Observation) -> bool:
    command = seen.command
    resumed = command is not None and command.do is Do.RESUME and command.id != before.last_command
    refused = before.refusal and not resumed
    if before.phase not in CARRYING or refused or seen.claimed_by or seen.deleting:
        return False
    return seen.routes.in_form and seen.routes.acceptance is Acceptance.REJECTED


def _must_step_back_from_silence(before: Status, seen: Observation) -> bool:
    """Tell whether Gloo has been away for so long that the last rise is taken back."""
    if before.phase not in CARRYING or before.weight == 0 or before.refusal:
        return False
    if seen.claimed_by or seen.deleting:
        return False
    written = max(before.intended_at or seen.now, before.reasserted_at or before.intended_at or seen.now)
    silent = seen.routes.in_form and seen.routes.acceptance is Acceptance.PENDING
    return silent and seen.now >= written + 60 * SECOND


def _soak(world: Weather, seen: Observation, before: Status) -> dt.timedelta:
    spec, judgement = world.spec, seen.judgement
    safe = judgement is not None and judgement.verdict is Verdict.SAFE
    if spec.analysis.advance == "Evidence" and safe and not is_dry(spec) and 0 < before.weight < 100:
        return dt.timedelta(0)
    if before.phase is Phase.SHADOWING:
        return spec.shadowing.duration if spec.shadowing else dt.timedelta(0)
    if before.phase is Phase.TESTING:
        return spec.testing.duration if spec.testing else dt.timedelta(0)
    if before.phase is Phase.BAKING:
        return spec.baking.duration
    if before.weight == 0:
        return dt.timedelta(0)
    step = next(step for step in spec.ladder() if step.weight >= before.weight)
    default = spec.shifting.interval if spec.shifting else dt.timedelta(0)
    return default if step.interval is None else step.interval


def _workloads(seen: Observation, before: Status) -> tuple[Workload | None, Workload | None]:
    stable = choice.serving(seen.workloads, before.stable.version) if before.stable else None
    name = before.candidate.deployment if before.candidate else ""
    return stable, next((workload for workload in seen.workloads if workload.name == name), None)


def _unready(before: Status, candidate: Workload | None) -> bool:
    if before.phase not in CARRYING or candidate is None or not candidate.counted:
        return False
    return candidate.ready * 2 < min(candidate.wanted, max(1, before.ready_when_raised))


def _unwanted(world: Weather, before: Status) -> bool:
    workload = choice.wanted(world.spec, tuple(world.deployments.values()), before.replaced)
    version = world.spec.workload.version or (workload.version if workload else None)
    candidate = before.candidate.version if before.candidate else ""
    return version not in {None, candidate} and before.phase is not Phase.FINISHING


def _late(world: Weather, before: Status) -> bool:
    name = before.candidate.deployment if before.candidate else ""
    candidate = world.deployments.get(name)
    if before.phase is not Phase.PREPARING or before.started_at is None or candidate is None:
        return False
    ready = candidate.counted and 0 < candidate.wanted <= candidate.ready
    waited = world.stopped or world.spec.schedule is not None
    return not (ready or waited) and world.now >= before.started_at + world.spec.progress_deadline


def _is_closed(world: Weather, moment: dt.datetime) -> bool:
    return world.spec.schedule is not None and world.spec.schedule.closed(moment) is not None


def _check_stopped(world: Weather, before: Status, decision: Decision) -> None:
    """Hold a decision of a stopped line against what the routes are: nobody gets more of the candidate."""
    after, move, there = decision.status, decision.move, world.content
    assert str(after.hurry) == "No"
    assert not isinstance(move, ScaleToZero | DeleteDeployment)
    if not isinstance(move, WriteRoutes) or before.phase not in CARRYING or there.stable is None:
        return
    candidate = before.candidate.version if before.candidate else ""
    alone = 100 if there.stable == candidate else 0
    given = alone if there.weight is None else there.weight
    assert (move.form.weight or (100 if move.form.stable == candidate else 0)) <= given
