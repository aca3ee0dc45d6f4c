"""Routes that are not as intended: put back, taken back, or left to a human."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from config.canary import CanarySpec
from config.status import Held, HeldReason, Hurry, Phase, Status
from controller.rollout.decide import refuse
from controller.rollout.moves import Form, WriteRoutes
from controller.rollout.observation import Acceptance
from controller.rollout.situation import ANSWER
from situations import (
    ADRIFT,
    HOUR,
    IN_FORM,
    MATCH,
    MINUTE,
    SAFE,
    SECOND,
    T0,
    V1,
    running,
    seen,
    shifting,
    spec,
    status,
    tick,
)


TESTED = Form("v1", "v2", testing=(MATCH,))
REJECTED = replace(IN_FORM, acceptance=Acceptance.REJECTED, acceptance_reason="no such subset")
PLACES = [
    pytest.param(status(Phase.IDLE), Form("v1"), "v1", id="Idle"),
    pytest.param(status(Phase.PREPARING), Form("v1"), "v1", id="Preparing"),
    pytest.param(status(Phase.TESTING), TESTED, "v1, and v2 for testers", id="Testing"),
    pytest.param(shifting(50), Form("v1", "v2", 50, (MATCH,)), "v1 50, v2 50", id="50%"),
    pytest.param(status(Phase.BAKING), Form("v1", "v2", 100, (MATCH,)), "v1 0, v2 100", id="Baking"),
    pytest.param(status(Phase.FINISHING), Form("v2", retired=(MATCH,)), "v2", id="Finishing"),
    pytest.param(status(Phase.ROLLING_BACK), Form("v1"), "v1", id="RollingBack"),
    pytest.param(status(Phase.ROLLED_BACK), Form("v1"), "v1", id="RolledBack"),
]


class TestDrift:
    @pytest.mark.parametrize(("before", "form", "words"), PLACES)
    def test_is_put_back_at_once(self, before: Status, form: Form, words: str) -> None:
        got = tick(before, routes=ADRIFT, judgement=SAFE)
        assert got.move == WriteRoutes(form)
        assert (got.status.phase, got.status.weight) == (before.phase, before.weight)
        assert (got.status.reasserted, got.status.reasserted_at) == (1, T0)
        assert got.status.step_started_at is None
        assert got.because == f"the routes gave v1 30, v2 70: putting back {words}"

    def test_is_fought_three_times_and_then_left_to_a_human(self) -> None:
        before = shifting(50, reasserted=3, reasserted_at=T0 - HOUR)
        got = tick(before, routes=ADRIFT)
        assert got.move is None
        message = "drift: the routes give v1 30, v2 70, wanted v1 50, v2 50; put back 3 times"
        assert got.status.held == Held(HeldReason.DRIFT, message, T0, needs_human=True)
        assert got.status.step_started_at is None

    def test_is_fought_without_end_on_the_way_back(self) -> None:
        before = status(Phase.ROLLING_BACK, reasserted=50, reasserted_at=T0 - MINUTE)
        assert tick(before, routes=ADRIFT).move == WriteRoutes(Form("v1"))

    def test_is_fought_without_end_while_what_was_rolled_back_still_runs(self) -> None:
        before = status(Phase.ROLLED_BACK, reasserted=50, reasserted_at=T0 - MINUTE)
        assert tick(before, routes=ADRIFT).move == WriteRoutes(Form("v1"))
        gone = tick(before, routes=ADRIFT, workloads=(running(V1),))
        assert gone.status.held is not None
        assert gone.status.held.reason is HeldReason.DRIFT

    def test_is_fought_on_the_way_back_whatever_the_problem(self) -> None:
        adrift = replace(ADRIFT, problem="Upstream gloo-system/echo has no subsets")
        got = tick(status(Phase.ROLLING_BACK), routes=adrift)
        assert got.move == WriteRoutes(Form("v1"))

    @pytest.mark.parametrize(
        ("intended", "last", "pause"),
        [
            pytest.param(T0 - SECOND, T0, 2, id="a fresh intent: soon again"),
            pytest.param(T0 - 5 * SECOND, T0, 5, id="as long again as it has lasted"),
            pytest.param(T0 - HOUR, T0, 10, id="at most ten seconds"),
            pytest.param(None, T0, 10, id="an intent of unknown age"),
        ],
    )
    def test_is_fought_at_a_calming_pace(self, intended: Any, last: Any, pause: int) -> None:
        before = shifting(50, intended_at=intended, reasserted=1, reasserted_at=last, step_started_at=None)
        due = last + pause * SECOND
        early = tick(before, routes=ADRIFT, now=due - SECOND)
        assert (early.move, early.because) == (None, "as before")
        again = tick(early.status, routes=ADRIFT, now=due - SECOND)
        assert (again.status, again.wake_at) == (early.status, due)
        assert tick(before, routes=ADRIFT, now=due).move is not None

    def test_after_a_new_intent_is_put_back_at_once(self) -> None:
        before = shifting(50, intended_at=T0, reasserted_at=T0 - SECOND, step_started_at=None)
        assert tick(before, routes=ADRIFT).move is not None

    def test_a_wait_has_words_even_if_nothing_was_said_before(self) -> None:
        before = shifting(50, reasserted_at=T0, reason="")
        assert tick(before, routes=ADRIFT).because == "about to put back v1 50, v2 50"

    def test_routes_that_cannot_be_managed_are_not_fought(self) -> None:
        got = tick(shifting(50), routes=replace(ADRIFT, problem="no VirtualService"))
        assert got.move is None
        assert got.status.held == Held(HeldReason.STALLED, "no VirtualService", T0, needs_human=True)

    @pytest.mark.parametrize(
        ("ago", "left"),
        [
            pytest.param(10 * MINUTE, 0, id="calm for ten minutes"),
            pytest.param(9 * MINUTE, 2, id="not calm enough"),
        ],
    )
    def test_is_forgotten_after_a_while(self, ago: dt.timedelta, left: int) -> None:
        before = shifting(50, reasserted=2, reasserted_at=T0 - ago)
        assert tick(before).status.reasserted == left

    def test_is_no_drift_if_the_spec_was_changed(self) -> None:
        before = shifting(50, observed_generation=1, reasserted=2, reasserted_at=T0)
        got = tick(before, routes=ADRIFT, generation=2)
        assert got.move == WriteRoutes(Form("v1", "v2", 50, (MATCH,)))
        assert got.because == "the spec was changed: giving the routes v1 50, v2 50"
        assert (got.status.reasserted, got.status.intended_at, got.status.step_started_at) == (0, T0, None)
        assert tick(before, routes=ADRIFT, generation=1).move is None
        fought = replace(before, reasserted=3)
        assert tick(fought, routes=ADRIFT, generation=2).move is None

    def test_does_not_hide_that_the_weight_seen_is_another(self) -> None:
        assert tick(shifting(50), routes=ADRIFT).status.weight_seen == 70
        assert tick(status(Phase.IDLE), routes=ADRIFT).status.weight_seen is None


class TestARiseThatIsNotAccepted:
    LOWER = (
        pytest.param(status(Phase.TESTING), Phase.PREPARING, 0, Form("v1", retired=(MATCH,)), id="Testing"),
        pytest.param(shifting(0), Phase.TESTING, 0, TESTED, id="0%"),
        pytest.param(shifting(10), Phase.SHIFTING, 0, Form("v1", "v2", 0, (MATCH,)), id="10%"),
        pytest.param(shifting(30), Phase.SHIFTING, 10, Form("v1", "v2", 10, (MATCH,)), id="no step"),
        pytest.param(shifting(100), Phase.SHIFTING, 50, Form("v1", "v2", 50, (MATCH,)), id="100%"),
        pytest.param(status(Phase.BAKING), Phase.SHIFTING, 50, Form("v1", "v2", 50, (MATCH,)), id="Baking"),
        pytest.param(
            status(Phase.FINISHING), Phase.BAKING, 100, Form("v1", "v2", 100, (MATCH,)), id="Finishing"
        ),
    )

    @pytest.mark.parametrize("answer", [Acceptance.REJECTED, Acceptance.WARNING])
    @pytest.mark.parametrize(("before", "phase", "weight", "form"), LOWER)
    def test_is_taken_back_by_one_step(
        self, before: Status, phase: Phase, weight: int, form: Form, answer: Acceptance
    ) -> None:
        before = replace(before, approved=True, hurry=Hurry.FULL, metrics=SAFE.memory.metrics)
        got = tick(before, routes=replace(REJECTED, acceptance=answer), judgement=SAFE)
        assert (got.status.phase, got.status.weight, got.move) == (phase, weight, WriteRoutes(form))
        assert got.status.refusal == f"{answer}, no such subset"
        assert (got.status.approved, got.status.hurry, got.status.intended_at) == (False, Hurry.NO, T0)
        assert got.status.metrics == SAFE.memory.metrics
        assert got.because.endswith(f"was not accepted: {answer}, no such subset")

    @pytest.mark.parametrize("answer", [Acceptance.REJECTED, Acceptance.WARNING])
    def test_is_taken_back_even_if_gloo_does_not_say_why(self, answer: Acceptance) -> None:
        got = tick(shifting(50), routes=replace(REJECTED, acceptance=answer, acceptance_reason=""))
        assert (got.status.weight, got.status.refusal) == (10, f"{answer}, without a reason")

    def test_without_testing_0_percent_goes_back_to_preparing(self) -> None:
        got = tick(shifting(0), spec(testing=None), routes=REJECTED)
        assert (got.status.phase, got.move) == (Phase.PREPARING, WriteRoutes(Form("v1", retired=(MATCH,))))

    def test_is_taken_back_once_and_then_waits_for_a_human(self) -> None:
        back = tick(shifting(50), routes=REJECTED).status
        for routes in (REJECTED, IN_FORM):
            got = tick(replace(back, intended_at=T0 - MINUTE), routes=routes, judgement=SAFE)
            assert (got.status.weight, got.move) == (10, None)
            assert got.status.held is not None
            assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.NOT_ACCEPTED, True)

    @pytest.mark.parametrize("phase", [Phase.IDLE, Phase.PREPARING, Phase.ROLLING_BACK, Phase.ROLLED_BACK])
    def test_there_may_be_nothing_to_take_back(self, phase: Phase) -> None:
        got = tick(status(phase), routes=REJECTED, workloads=(running(V1),))
        assert got.status.refusal == ""

    def test_an_answer_about_other_routes_is_none_about_these(self) -> None:
        got = tick(shifting(50), routes=replace(REJECTED, in_form=False))
        assert (got.status.weight, got.status.refusal) == (50, "")


class TestRefusedByTheServer:
    def test_is_taken_back_by_one_step(self) -> None:
        got = refuse(spec(), shifting(50), seen(), "denied by webhook")
        assert got is not None
        assert (got.status.weight, got.status.refusal) == (10, "denied by webhook")
        assert got.move == WriteRoutes(Form("v1", "v2", 10, (MATCH,)))
        assert got.because == "v2 at 50% was not accepted: denied by webhook"

    @pytest.mark.parametrize(
        "before",
        [
            pytest.param(status(Phase.IDLE), id="at rest"),
            pytest.param(status(Phase.ROLLING_BACK), id="on the way back"),
            pytest.param(status(Phase.PREPARING), id="nothing divided yet"),
            pytest.param(shifting(50, refusal="before"), id="taken back already"),
        ],
    )
    def test_there_may_be_nothing_to_take_back(self, before: Status) -> None:
        assert refuse(spec(), before, seen(), "denied by webhook") is None


class TestEditsOfTheSpec:
    @pytest.mark.parametrize(
        ("about", "to"),
        [
            pytest.param(spec(shifting={"steps": [20, 30, 40]}), 40, id="next of the new ladder"),
            pytest.param(spec(shifting={"steps": [5]}), 100, id="only 100 is left"),
            pytest.param(spec(shifting={"steps": {"start": 5, "increment": 30, "max": 80}}), 35, id="a ramp"),
            pytest.param(spec(shifting=None), 100, id="no steps any more"),
        ],
    )
    def test_the_ladder_is_a_set_of_weights(self, about: CanarySpec, to: int) -> None:
        assert tick(shifting(30), about, judgement=SAFE).status.weight == to

    def test_a_new_ladder_moves_nothing_by_itself(self) -> None:
        got = tick(shifting(30), spec(shifting={"steps": [20, 40], "interval": "2h"}), judgement=SAFE)
        assert (got.status.weight, got.status.step, got.move) == (30, "1/3", None)

    def test_the_stable_version_is_not_looked_for_again(self) -> None:
        about = spec(workload={"selector": {"app": "echo"}, "stable": "v2"})
        assert tick(shifting(30), about, judgement=SAFE).status.stable == V1


class TestAGlooThatSaysNothing:
    SILENT = replace(IN_FORM, acceptance=Acceptance.PENDING)

    @pytest.mark.parametrize("again", [None, T0 - ANSWER])
    @pytest.mark.parametrize(
        ("before", "phase", "weight"),
        [
            pytest.param(shifting(50), Phase.SHIFTING, 10, id="50%"),
            pytest.param(shifting(10), Phase.SHIFTING, 0, id="10%"),
            pytest.param(status(Phase.BAKING), Phase.SHIFTING, 50, id="Baking"),
            pytest.param(status(Phase.FINISHING), Phase.BAKING, 100, id="Finishing"),
        ],
    )
    def test_gets_one_step_back_and_is_no_refusal(
        self, before: Status, phase: Phase, weight: int, again: dt.datetime | None
    ) -> None:
        before = replace(before, intended_at=T0 - ANSWER, reasserted_at=again)
        got = tick(before, routes=self.SILENT, judgement=SAFE)
        assert (got.status.phase, got.status.weight, got.status.refusal) == (phase, weight, "")
        assert isinstance(got.move, WriteRoutes)
        assert got.because.endswith("was not accepted: no answer for 1m; does Gloo run?")
        assert got.status.intended_at == T0

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param({"intended_at": T0 - ANSWER + SECOND}, id="written just now"),
            pytest.param(
                {"intended_at": T0 - HOUR, "reasserted_at": T0 - ANSWER + SECOND}, id="put back just now"
            ),
        ],
    )
    def test_has_time_to_answer(self, written: dict[str, Any]) -> None:
        got = tick(shifting(50, **written), routes=self.SILENT, judgement=SAFE)
        assert (got.status.weight, got.move) == (50, None)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.NOT_ACCEPTED, False)
        assert got.because.endswith("waiting for Gloo to accept the routes (no answer yet)")
        assert tick(got.status, routes=self.SILENT).wake_at == T0 + SECOND

    def test_is_no_hold_before_anybody_could_have_answered(self) -> None:
        got = tick(shifting(50, intended_at=T0 - SECOND / 2), routes=self.SILENT, judgement=SAFE)
        assert (got.status.weight, got.status.held) == (50, None)
        assert got.because == "v2 at 50%: giving Gloo a moment to object"

    @pytest.mark.parametrize(
        "before",
        [
            pytest.param(shifting(0), id="0%"),
            pytest.param(status(Phase.TESTING), id="Testing"),
            pytest.param(status(Phase.ROLLING_BACK), id="RollingBack"),
        ],
    )
    def test_has_nothing_to_take_back_and_a_human_is_asked(self, before: Status) -> None:
        before = replace(before, intended_at=T0 - ANSWER)
        got = tick(before, routes=self.SILENT, judgement=SAFE)
        assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.NOT_ACCEPTED, True)
        assert "(no answer for 1m; does Gloo run?)" in got.because

    def test_goes_on_by_itself_once_it_is_back(self) -> None:
        back = tick(shifting(50, intended_at=T0 - ANSWER), routes=self.SILENT, judgement=SAFE).status
        settled = replace(back, intended_at=T0 - HOUR, step_started_at=T0 - HOUR)
        assert tick(settled, judgement=SAFE).status.weight == 50

    def test_is_not_asked_about_routes_that_are_adrift(self) -> None:
        got = tick(shifting(50), routes=replace(ADRIFT, acceptance=Acceptance.PENDING))
        assert (got.status.weight, got.status.reasserted) == (50, 1)
