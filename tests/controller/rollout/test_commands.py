"""Orders of humans."""

from dataclasses import replace
from typing import Any

import pytest

from config.status import Ending, Held, HeldReason, Hurry, Outcome, Phase, Status
from controller.rollout.moves import ClearCommand, Form, SetFinalizer, WriteRoutes
from controller.rollout.observation import Command, Do
from controller.rollout.situation import Ask
from situations import (
    HARMFUL,
    MINUTE,
    SAFE,
    SOON,
    STAGE,
    T0,
    TOO_FEW,
    V1,
    V2,
    running,
    shifting,
    spec,
    status,
    tick,
)


SOAKING = shifting(10, step_started_at=T0)


def order(do: Do) -> Command:
    return Command(do, "7", "ada", "because")


class TestCarryingOut:
    def test_happens_once(self) -> None:
        before = replace(SOAKING, last_command="7")
        got = tick(before, command=order(Do.PROMOTE_FULL))
        assert (got.status.hurry, got.status.weight) == (Hurry.NO, 10)
        assert got.move == ClearCommand("7")

    @pytest.mark.parametrize("do", Do)
    @pytest.mark.parametrize("before", [status(Phase.IDLE), Status(), SOAKING], ids=["rest", "new", "10%"])
    def test_is_remembered_signed_and_cleared(self, do: Do, before: Status) -> None:
        got = tick(before, command=order(do), finalizer=False)
        assert got.status.last_command == "7"
        assert "by ada (because)" in got.because
        moves = [got.move]
        for _ in range(4):
            held = SetFinalizer(present=True) in moves
            got = tick(got.status, command=order(do), finalizer=held, judgement=TOO_FEW)
            moves.append(got.move)
        assert ClearCommand("7") in moves

    @pytest.mark.parametrize("do", [Do.ABORT, Do.APPROVE, Do.PROMOTE, Do.PROMOTE_FULL])
    @pytest.mark.parametrize(
        "before",
        [status(Phase.IDLE), status(Phase.PROMOTED), status(Phase.ROLLED_BACK, rejected=(V2,))],
    )
    def test_changes_nothing_where_nothing_is_under_way(self, do: Do, before: Status) -> None:
        got = tick(before, workloads=(running(V1),), command=order(do), finalizer=False).status
        assert (got.phase, got.ending, got.approved, got.hurry) == (before.phase, None, False, Hurry.NO)
        assert got.reason.startswith(f"nothing to {do} by ada (because): no rollout is under way")

    def test_makes_the_evidence_due(self) -> None:
        held = Held(HeldReason.AWAITING_APPROVAL, "passed", T0 - MINUTE, needs_human=True)
        before = shifting(10, evaluated_at=T0, held=held)
        assert tick(before).ask is None
        assert tick(before, command=order(Do.APPROVE)).ask is Ask.EVIDENCE

    def test_needs_no_reason(self) -> None:
        got = tick(SOAKING, command=Command(Do.PAUSE, "8", "ada"))
        assert got.because == "paused by ada; v2 at 10%: paused by command"


class TestPause:
    def test_holds_a_rollout_until_it_is_lifted(self) -> None:
        paused = tick(shifting(10), command=order(Do.PAUSE), judgement=SAFE).status
        assert (paused.paused, paused.weight) == (True, 10)
        assert paused.held is not None
        assert paused.held.reason is HeldReason.PAUSED
        lifted = tick(paused, command=replace(order(Do.RESUME), id="8"), judgement=SAFE).status
        assert (lifted.paused, lifted.weight) == (False, 50)

    def test_ends_a_hurry(self) -> None:
        got = tick(replace(SOAKING, hurry=Hurry.FULL), command=order(Do.PAUSE)).status
        assert got.hurry is Hurry.NO


class TestResume:
    def test_tries_again_what_was_refused_or_adrift(self) -> None:
        before = shifting(10, refusal="no such subset", reasserted=3)
        got = tick(before, command=order(Do.RESUME), judgement=SAFE)
        assert (got.status.weight, got.status.refusal, got.status.reasserted) == (50, "", 0)


class TestApprove:
    def test_lets_one_step_pass(self) -> None:
        manual = spec(shifting={"steps": [{"weight": 10, "approval": "Manual"}], "interval": "1m"})
        got = tick(shifting(10), manual, command=order(Do.APPROVE), judgement=SAFE)
        assert (got.status.weight, got.status.approved) == (100, False)


class TestPromote:
    @pytest.mark.parametrize(
        ("before", "phase", "weight"),
        [
            pytest.param(status(Phase.TESTING, step_started_at=T0), Phase.SHIFTING, 0, id="testing"),
            pytest.param(shifting(0), Phase.SHIFTING, 10, id="0%"),
            pytest.param(SOAKING, Phase.SHIFTING, 50, id="10%"),
            pytest.param(shifting(50, step_started_at=T0), Phase.SHIFTING, 100, id="50%"),
            pytest.param(shifting(100, step_started_at=T0), Phase.BAKING, 100, id="100%"),
            pytest.param(status(Phase.BAKING, step_started_at=T0), Phase.FINISHING, 100, id="baking"),
        ],
    )
    def test_leaves_one_step_without_waiting(self, before: Status, phase: Phase, weight: int) -> None:
        about = spec(baking={"duration": "5m"}, testing={"match": [STAGE], "approval": "Manual"})
        got = tick(replace(before, paused=True), about, command=order(Do.PROMOTE)).status
        assert (got.phase, got.weight) == (phase, weight)
        assert (got.hurry, got.paused) == (Hurry.NO, False)

    @pytest.mark.parametrize(
        ("before", "phase", "weight"),
        [
            pytest.param(status(Phase.TESTING), Phase.SHIFTING, 0, id="testing"),
            pytest.param(shifting(0), Phase.SHIFTING, 100, id="0%"),
            pytest.param(SOAKING, Phase.SHIFTING, 100, id="10%"),
            pytest.param(shifting(100), Phase.FINISHING, 100, id="100%, without baking"),
        ],
    )
    def test_full_leaves_all_of_them(self, before: Status, phase: Phase, weight: int) -> None:
        got = tick(before, spec(baking={"duration": "5m"}), command=order(Do.PROMOTE_FULL)).status
        assert (got.phase, got.weight, got.hurry) == (phase, weight, Hurry.FULL)

    def test_does_not_overrule_harm(self) -> None:
        got = tick(SOAKING, command=order(Do.PROMOTE_FULL), judgement=HARMFUL)
        assert got.status.phase is Phase.ROLLING_BACK

    def test_waits_for_what_forbids_any_rise(self) -> None:
        workloads = (running(V1), running(V2, ready=1))
        got = tick(SOAKING, command=order(Do.PROMOTE), workloads=workloads)
        assert (got.status.weight, got.status.hurry) == (10, Hurry.STEP)
        assert tick(got.status).status.weight == 50


class TestAbort:
    def test_rejects_the_revision_in_the_name_of_who_said_so(self) -> None:
        got = tick(SOAKING, command=order(Do.ABORT))
        assert got.status.ending == Ending(Outcome.ROLLED_BACK, "aborted by ada (because)", "ada")
        assert isinstance(got.move, WriteRoutes)
        assert got.move.form == Form("v1", retired=got.status.testing)
        assert got.because == "rolling back v2: aborted by ada (because)"
        assert got.wake_at == T0 + SOON

    def test_the_command_is_cleared_after_the_move(self) -> None:
        back = tick(SOAKING, command=order(Do.ABORT)).status
        assert tick(back, command=order(Do.ABORT)).move == ClearCommand("7")


class TestRetry:
    def test_a_rejected_revision_is_tried_again(self) -> None:
        before = status(Phase.ROLLED_BACK, rejected=(V2, V1))
        got = tick(before, command=order(Do.RETRY), finalizer=False).status
        assert (got.phase, got.candidate, got.rejected) == (Phase.PREPARING, V2, (V1,))

    @pytest.mark.parametrize(
        "observed", [{"workloads": ()}, {}], ids=["nothing runs", "what runs was never rejected"]
    )
    def test_there_may_be_nothing_to_try(self, observed: dict[str, Any]) -> None:
        before = status(Phase.ROLLED_BACK, rejected=(V1,))
        got = tick(before, command=order(Do.RETRY), **observed)
        assert got.because.startswith("nothing to retry by ada (because): no rejected version waits")
        assert got.status.rejected == (V1,)


def test_an_order_does_not_raise_anything_on_its_own() -> None:
    got = tick(shifting(10), command=order(Do.APPROVE), judgement=TOO_FEW)
    assert got.status.weight == 10
