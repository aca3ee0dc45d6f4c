"""Every reason to go back, from everywhere, in the decision that found it."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from config.canary import CanarySpec
from config.status import Ending, HeldReason, Hurry, Outcome, Phase, Retirement, Revision, Status
from controller.rollout.moves import Form, SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance, Command, Do, Routes, Workload
from controller.rollout.situation import Decision
from situations import (
    ADRIFT,
    HARMFUL,
    HOUR,
    IN_FORM,
    MATCH,
    MINUTE,
    SAFE,
    SECOND,
    T0,
    V1,
    V2,
    V3,
    running,
    shifting,
    spec,
    status,
    tick,
)


FIXED = replace(V2, hash="fixed")
TWIN = replace(V2, deployment="echo-v2b")
CARRYING = [
    pytest.param(status(Phase.TESTING), id="Testing"),
    pytest.param(shifting(0), id="0%"),
    pytest.param(shifting(50), id="50%"),
    pytest.param(shifting(100), id="100%"),
    pytest.param(status(Phase.BAKING), id="Baking"),
    pytest.param(status(Phase.FINISHING), id="Finishing"),
]
IN_FLIGHT = [pytest.param(status(Phase.PREPARING), id="Preparing"), *CARRYING]
PINNED = WriteRoutes(Form("v1", retired=(MATCH,)))


def version(name: str | None) -> CanarySpec:
    return spec(workload={"selector": {"app": "echo"}, "version": name})


EVERYWHERE = [
    pytest.param(
        {"command": Command(Do.ABORT, "1", "ada", "too hot")}, spec(), Outcome.ROLLED_BACK,
        "aborted by ada (too hot)", id="aborted",
    ),
    pytest.param(
        {"judgement": HARMFUL}, spec(), Outcome.ROLLED_BACK, "harmful: errors: 5% bad", id="harmful"
    ),
    pytest.param(
        {"workloads": (running(V1),)}, spec(), Outcome.CANCELLED, "Deployment echo-v2 was deleted", id="gone"
    ),
    pytest.param(
        {"workloads": (running(V1), running(V2, wanted=0))}, spec(), Outcome.CANCELLED,
        "echo-v2 was scaled to 0", id="scaled to 0",
    ),
    pytest.param(
        {"workloads": (running(V1), running(V2), running(TWIN))}, spec(), Outcome.CANCELLED,
        "Deployments echo-v2 and echo-v2b carry the same version", id="mixed with another Deployment",
    ),
    pytest.param(
        {"workloads": (running(V1), running(replace(V2, version="v1")))}, spec(), Outcome.SUPERSEDED,
        "echo-v2 runs something else now", id="turned into stable's version",
    ),
    pytest.param(
        {"deleting": True}, spec(), Outcome.CANCELLED, "the Canary is being deleted", id="the Canary goes"
    ),
]  # fmt: skip
UNLESS_FINISHING = [
    pytest.param(
        {"workloads": (running(V1), running(V2), running(V3))}, spec(), Outcome.SUPERSEDED,
        "v3 is wanted instead", id="superseded by a newer one",
    ),
    pytest.param({}, version("v1"), Outcome.CANCELLED, "v1 is wanted again", id="back to stable"),
    pytest.param({}, version("v9"), Outcome.SUPERSEDED, "v9 is wanted instead", id="another one is named"),
]  # fmt: skip
PAUSES = [
    pytest.param({}, {}, id="calm"),
    pytest.param({"paused": True, "refusal": "no"}, {"problem": "spec: wrong"}, id="paused and invalid"),
    pytest.param({}, {"routes": replace(IN_FORM, acceptance=Acceptance.REJECTED)}, id="rejected by Gloo"),
    pytest.param({"reasserted": 3}, {"routes": ADRIFT}, id="adrift"),
]  # fmt: skip


def assert_gone_back(before: Status, got: Decision, outcome: Outcome, words: str) -> None:
    assert (got.status.phase, got.status.weight) == (Phase.ROLLING_BACK, 0)
    assert got.status.ending is not None
    assert (got.status.ending.outcome, got.status.ending.reason) == (outcome, words)
    assert (got.status.intended_at, got.status.step_started_at) == (T0, None)
    assert (got.status.hurry, got.status.refusal, got.status.held) == (Hurry.NO, "", None)
    assert words in got.because
    if before.phase is not Phase.PREPARING:
        assert got.move == PINNED


class TestOneMoveBack:
    @pytest.mark.parametrize("before", IN_FLIGHT)
    @pytest.mark.parametrize(("remembered", "weather"), PAUSES)
    @pytest.mark.parametrize(("observed", "about", "outcome", "words"), EVERYWHERE)
    def test_from_everywhere_and_whatever_waits(
        self,
        before: Status,
        remembered: dict[str, Any],
        weather: dict[str, Any],
        observed: dict[str, Any],
        about: CanarySpec,
        outcome: Outcome,
        words: str,
    ) -> None:
        before = replace(before, hurry=Hurry.FULL, **remembered)
        assert_gone_back(before, tick(before, about, **{**weather, **observed}), outcome, words)

    @pytest.mark.parametrize("before", IN_FLIGHT[:-1])
    @pytest.mark.parametrize(("observed", "about", "outcome", "words"), UNLESS_FINISHING)
    def test_when_another_version_is_wanted(
        self, before: Status, observed: dict[str, Any], about: CanarySpec, outcome: Outcome, words: str
    ) -> None:
        assert_gone_back(before, tick(before, about, **observed), outcome, words)

    @pytest.mark.parametrize(("observed", "about"), [param.values[:2] for param in UNLESS_FINISHING])
    def test_what_serves_everybody_already_is_finished_first(
        self, observed: dict[str, Any], about: CanarySpec
    ) -> None:
        assert tick(status(Phase.FINISHING), about, **observed).status.phase is Phase.PROMOTED

    def test_preparing_has_no_routes_to_put_back(self) -> None:
        assert tick(status(Phase.PREPARING), deleting=True).move is None

    def test_preparing_puts_back_what_somebody_else_divided(self) -> None:
        got = tick(status(Phase.PREPARING, testing=(MATCH,)), deleting=True, routes=ADRIFT)
        assert got.move == PINNED

    def test_harm_is_the_reason_that_counts(self) -> None:
        """The newer version may be taken back; then the harmful one must not be tried again."""
        got = tick(shifting(50), judgement=HARMFUL, workloads=(running(V1), running(V2), running(V3)))
        assert got.status.ending is not None
        assert got.status.ending.outcome is Outcome.ROLLED_BACK


class TestReadiness:
    @pytest.mark.parametrize("before", CARRYING)
    @pytest.mark.parametrize(
        ("raised_with", "wanted", "ready", "back"),
        [
            pytest.param(4, 4, 2, False, id="half is kept"),
            pytest.param(4, 4, 1, True, id="less than half goes back"),
            pytest.param(1, 1, 0, True, id="the only pod"),
            pytest.param(2, 10, 1, False, id="scaled up, the new pods are still starting"),
            pytest.param(10, 2, 1, False, id="scaled down"),
            pytest.param(0, 2, 1, False, id="how many carried it is not remembered"),
            pytest.param(0, 2, 0, True, id="how many carried it is not remembered, and none is ready"),
        ],
    )
    def test_a_candidate_that_is_not_ready_loses_its_traffic(
        self, before: Status, raised_with: int, wanted: int, ready: int, *, back: bool
    ) -> None:
        workloads = (running(V1), running(V2, wanted=wanted, ready=ready))
        got = tick(replace(before, ready_when_raised=raised_with), workloads=workloads)
        assert (got.status.phase is Phase.ROLLING_BACK) is back
        if back:
            what = f"not ready while it carries traffic, echo-v2: {ready} of {wanted} pods ready"
            assert_gone_back(before, got, Outcome.ROLLED_BACK, what)

    def test_pods_that_are_being_recounted_are_given_the_moment(self) -> None:
        workloads = (running(V1), running(V2, ready=0, counted=False))
        got = tick(shifting(50), workloads=workloads)
        assert (got.status.phase, got.status.weight) == (Phase.SHIFTING, 50)

    @pytest.mark.parametrize(
        ("age", "ready", "phase"),
        [
            pytest.param(10 * MINUTE, 1, Phase.ROLLING_BACK, id="late"),
            pytest.param(10 * MINUTE - SECOND, 1, Phase.PREPARING, id="not late yet"),
            pytest.param(HOUR, 2, Phase.TESTING, id="ready after all"),
        ],
    )
    def test_a_candidate_has_to_become_ready_in_time(
        self, age: dt.timedelta, ready: int, phase: Phase
    ) -> None:
        workloads = (running(V1), running(V2, ready=ready))
        got = tick(status(Phase.PREPARING, started_at=T0 - age, surveyed_at=T0), workloads=workloads)
        assert got.status.phase is phase
        if phase is Phase.ROLLING_BACK:
            assert got.because.endswith("not ready within 10m, echo-v2: 1 of 2 pods ready")

    def test_a_lost_beginning_is_no_deadline(self) -> None:
        workloads = (running(V1), running(V2, ready=0))
        got = tick(status(Phase.PREPARING, started_at=None), workloads=workloads)
        assert got.status.phase is Phase.PREPARING


class TestStableThatCannotServe:
    AWAY: tuple[Any, ...] = (
        pytest.param((running(V1, ready=0), running(V2)), "echo-v1: 0 of 2 pods ready", id="not ready"),
        pytest.param((running(V1, wanted=0), running(V2)), "echo-v1 is scaled to 0", id="scaled to 0"),
        pytest.param((running(V2),), "no Deployment runs v1", id="gone"),
    )

    @pytest.mark.parametrize("before", CARRYING)
    @pytest.mark.parametrize(("workloads", "words"), AWAY)
    def test_holds_and_shouts(self, before: Status, workloads: tuple[Workload, ...], words: str) -> None:
        got = tick(before, judgement=HARMFUL, workloads=workloads)
        assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.NOT_READY, True)
        assert got.because == f"must go back to stable (harmful: errors: 5% bad) but cannot: {words}"

    def test_goes_back_as_soon_as_it_can_whatever_the_evidence_says_by_then(self) -> None:
        stuck = tick(shifting(50), judgement=HARMFUL, workloads=(running(V1, ready=0), running(V2))).status
        for judgement in (None, SAFE):
            got = tick(stuck, judgement=judgement)
            assert_gone_back(stuck, got, Outcome.ROLLED_BACK, "harmful: errors: 5% bad")

    def test_nothing_is_lost_when_nobody_answers_for_the_candidate_either(self) -> None:
        got = tick(shifting(50), workloads=(running(V1, ready=0), running(V2, ready=0)))
        assert (got.status.phase, got.move) == (Phase.ROLLING_BACK, PINNED)

    def test_a_namespace_that_is_torn_down_lets_the_canary_go(self) -> None:
        got = tick(shifting(50), workloads=(), deleting=True)
        assert (got.status.phase, got.move) == (Phase.ROLLING_BACK, PINNED)

    def test_does_not_matter_before_anything_is_divided(self) -> None:
        got = tick(status(Phase.PREPARING), workloads=(running(V1, ready=0), running(V2)), deleting=True)
        assert got.status.phase is Phase.ROLLING_BACK

    def test_a_changed_candidate_cannot_start_over_either(self) -> None:
        got = tick(shifting(50), workloads=(running(V1, ready=0), running(FIXED)))
        assert (got.status.weight, got.status.candidate, got.move) == (50, V2, None)
        assert "v2 changed while it was being released" in got.because


class TestStartingOver:
    @pytest.mark.parametrize("before", IN_FLIGHT)
    def test_a_changed_candidate_starts_over_from_nothing(self, before: Status) -> None:
        got = tick(
            replace(before, paused=True, requests=99), judgement=SAFE, workloads=(running(V1), running(FIXED))
        )
        after = got.status
        assert (after.phase, after.weight, after.candidate) == (Phase.PREPARING, 0, FIXED)
        assert (after.started_at, after.evaluated_at, after.metrics) == (T0, None, ())
        assert (after.requests, after.highest_weight, after.verdict) == (0, 0, None)
        assert (after.surveyed_at, after.blind_since, after.excess) == (None, None, 0)
        assert got.move == (None if before.phase is Phase.PREPARING else PINNED)
        entry = after.history[0]
        assert (entry.revision, entry.outcome) == (V2, Outcome.SUPERSEDED)
        assert entry.reason == "v2 changed while it was being released"
        assert got.because == "v2 changed while it was being released: starting over from 0%"

    @pytest.mark.parametrize("before", CARRYING)
    def test_gloo_has_to_accept_the_pinned_routes_first(self, before: Status) -> None:
        workloads = (running(V1), running(FIXED))
        over = tick(before, workloads=workloads).status
        got = tick(over, workloads=workloads, routes=replace(IN_FORM, acceptance=Acceptance.PENDING))
        assert (over.intended_at, got.status.phase) == (T0, Phase.PREPARING)

    def test_a_deployment_that_takes_another_version_is_that_version_from_now_on(self) -> None:
        relabelled = replace(V2, version="v3")
        got = tick(shifting(50), workloads=(running(V1), running(relabelled)))
        assert (got.status.phase, got.status.candidate) == (Phase.PREPARING, relabelled)

    def test_a_change_to_what_was_rejected_is_no_new_beginning(self) -> None:
        before = shifting(50, candidate=FIXED, rejected=(V2,))
        got = tick(before)
        assert got.status.ending is not None
        assert (got.status.phase, got.status.ending.outcome) == (Phase.ROLLING_BACK, Outcome.SUPERSEDED)

    def test_a_change_to_what_is_not_wanted_is_no_new_beginning(self) -> None:
        got = tick(shifting(50), version("v9"), workloads=(running(V1), running(FIXED)))
        assert got.status.ending is not None
        assert (got.status.phase, got.status.ending.outcome) == (Phase.ROLLING_BACK, Outcome.SUPERSEDED)

    def test_nothing_starts_over_while_the_canary_is_deleted(self) -> None:
        got = tick(shifting(50), workloads=(running(V1), running(FIXED)), deleting=True)
        assert got.status.phase is Phase.ROLLING_BACK

    def test_nothing_starts_over_once_the_end_was_decided(self) -> None:
        ending = Ending(Outcome.ROLLED_BACK, "harmful")
        got = tick(shifting(50, ending=ending), workloads=(running(V1), running(FIXED)))
        assert (got.status.phase, got.status.ending) == (Phase.ROLLING_BACK, ending)


class TestRolledBack:
    def rolling(self, outcome: Outcome = Outcome.ROLLED_BACK, **fields: Any) -> Status:
        ending = Ending(outcome, "harmful: errors: 5% bad", "ada")
        return status(
            Phase.ROLLING_BACK, **{"ending": ending, "highest_weight": 50, "testing": (MATCH,), **fields}
        )

    def test_is_what_is_seen_on_the_routes(self) -> None:
        got = tick(self.rolling(requests=90, bad=7))
        done = got.status
        assert (done.phase, done.rejected, done.testing, done.ending) == (Phase.ROLLED_BACK, (V2,), (), None)
        entry = done.history[0]
        assert (entry.revision, entry.outcome, entry.by) == (V2, Outcome.ROLLED_BACK, "ada")
        assert (entry.highest_weight, entry.requests, entry.bad) == (50, 90, 7)
        assert got.because == "rolled back v2: harmful: errors: 5% bad"

    @pytest.mark.parametrize(
        ("routes", "words"),
        [
            pytest.param(
                replace(IN_FORM, acceptance=Acceptance.PENDING), "no answer for 1m", id="no answer"
            ),
            pytest.param(
                replace(IN_FORM, acceptance=Acceptance.REJECTED, acceptance_reason="bad ref"), "bad ref",
                id="rejected",
            ),
        ],
    )  # fmt: skip
    def test_waits_for_gloo(self, routes: Routes, words: str) -> None:
        got = tick(self.rolling(), routes=routes)
        assert (got.status.phase, got.move) == (Phase.ROLLING_BACK, None)
        assert words in got.because

    @pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.SUPERSEDED])
    def test_only_what_was_found_wanting_is_rejected(self, outcome: Outcome) -> None:
        assert tick(self.rolling(outcome)).status.rejected == ()

    def test_a_revision_is_rejected_once_and_ten_are_remembered(self) -> None:
        others = tuple(Revision("v2", str(n), "echo-v2") for n in range(10))
        done = tick(self.rolling(rejected=(*others[:4], V2, *others[4:]))).status
        assert done.rejected == (V2, *others[:9])

    def test_ten_rollouts_are_remembered(self) -> None:
        entry = tick(self.rolling()).status.history[0]
        assert len(tick(self.rolling(history=(entry,) * 10)).status.history) == 10

    def test_scales_the_candidate_down_if_asked(self) -> None:
        about = spec(rollback={"scaleDown": "ScaleToZero", "after": "1h"})
        expected = Retirement("echo-v2", "ScaleToZero", T0 + HOUR, "hash-v2")
        assert tick(self.rolling(), about).status.retiring == (expected,)
        assert tick(self.rolling()).status.retiring == ()

    def test_ends_even_if_its_reason_is_lost(self) -> None:
        got = tick(self.rolling(ending=None, candidate=None))
        assert got.status.phase is Phase.ROLLED_BACK
        assert got.status.rejected == ()


class TestDeletion:
    def test_lets_go_once_the_routes_are_back(self) -> None:
        rolling = tick(shifting(50), deleting=True).status
        assert tick(rolling, deleting=True).move is None
        back = tick(replace(rolling, intended_at=T0 - MINUTE), deleting=True)
        assert (back.status.phase, back.move) == (Phase.ROLLED_BACK, None)
        assert tick(back.status, deleting=True).move == SetFinalizer(present=False)

    @pytest.mark.parametrize(
        ("before", "observed"),
        [
            pytest.param(Status(), {}, id="never adopted"),
            pytest.param(status(Phase.IDLE), {}, id="at rest"),
            pytest.param(status(Phase.IDLE), {"routes": ADRIFT}, id="at rest, routes edited"),
            pytest.param(
                status(Phase.ROLLING_BACK), {"routes": Routes(problem="no VirtualService")},
                id="nothing left to put back",
            ),
            pytest.param(shifting(50), {"claimed_by": "the older one"}, id="claimed by another Canary"),
        ],
    )  # fmt: skip
    def test_lets_go_at_once(self, before: Status, observed: dict[str, Any]) -> None:
        got = tick(before, deleting=True, **observed)
        assert got.move == SetFinalizer(present=False)
        assert tick(before, deleting=True, finalizer=False, **observed).move is None

    def test_begins_nothing_new(self) -> None:
        assert tick(status(Phase.IDLE), deleting=True, finalizer=False).status.phase is Phase.IDLE


@pytest.mark.parametrize("before", [Status(), status(Phase.IDLE), *[param.values[0] for param in IN_FLIGHT]])
def test_what_an_older_canary_manages_is_left_alone(before: Any) -> None:
    words = "route gloo-system/echo belongs to the older Canary a/b"
    got = tick(before, claimed_by=words, judgement=HARMFUL, routes=ADRIFT)
    assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
    assert got.status.held is not None
    assert (got.status.held.reason, got.because) == (HeldReason.STALLED, words)


def test_the_matches_of_edited_testing_are_taken_away_with_the_rest() -> None:
    other = {"headers": [{"name": "beta", "present": True}]}
    edited = spec(testing={"match": [other]})
    before = status(Phase.TESTING)
    put = tick(before, edited, routes=replace(ADRIFT, weight=None))
    assert isinstance(put.move, WriteRoutes)
    assert put.move.form.retired == (MATCH,)
    got = tick(put.status, judgement=HARMFUL)
    assert isinstance(got.move, WriteRoutes)
    assert set(got.move.form.retired) == {MATCH, MATCH.model_validate(other)}
