"""A schedule and a stopped line keep the candidate from getting more, and never from getting less."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from config.status import Ending, HeldReason, Hurry, Outcome, Phase, Retirement
from controller.rollout.moves import Form, ScaleToZero, SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance, Command, Do, Routes
from controller.rollout.situation import Ask
from situations import (
    ADRIFT,
    BLIND,
    HARMFUL,
    HOUR,
    IN_FORM,
    MATCH,
    MINUTE,
    SAFE,
    SECOND,
    SURVEYED,
    T0,
    V1,
    V2,
    running,
    shifting,
    spec,
    status,
    tick,
)


OPENS = T0 + HOUR
CLOSED: dict[str, Any] = {"schedule": {"allow": [{"from": "13:00", "to": "17:00"}]}}
"""T0 is a Sunday at 12:00 UTC."""
FOR_EVER: dict[str, Any] = {"schedule": {"allow": [{"from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}]}}
STOPPED = "by ConfigMap ops/stop: disk full"
PREPARED = status(Phase.PREPARING, surveyed_at=T0, started_at=T0 - MINUTE)
SHADOWED = {"destinations": "Upstreams", "shadowing": {"percentage": 10}}
RISES = [
    pytest.param(PREPARED, {}, id="to-testing"),
    pytest.param(PREPARED, {"testing": None}, id="to-0%"),
    pytest.param(PREPARED, SHADOWED, id="to-shadowing"),
    pytest.param(status(Phase.SHADOWING), SHADOWED, id="from-shadowing"),
    pytest.param(status(Phase.TESTING), {}, id="from-testing"),
    pytest.param(shifting(0), {}, id="to-10%"),
    pytest.param(shifting(10), {}, id="to-50%"),
    pytest.param(shifting(50), {}, id="to-100%"),
]


class TestTheSchedule:
    @pytest.mark.parametrize(("before", "fields"), RISES)
    def test_holds_every_rise_until_it_opens(self, before: Any, fields: dict[str, Any]) -> None:
        assert tick(before, spec(**fields), judgement=SAFE, survey=SURVEYED).move is not None
        got = tick(before, spec(**fields, **CLOSED), judgement=SAFE, survey=SURVEYED)
        assert (got.status.phase, got.status.weight) == (before.phase, before.weight)
        assert not isinstance(got.move, WriteRoutes)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.OUTSIDE_SCHEDULE, False)
        assert got.because.endswith("outside the schedule until Sun 13:00 UTC")
        open_now = tick(before, spec(**fields, **CLOSED), now=OPENS, judgement=SAFE, survey=SURVEYED)
        assert open_now.move is not None

    @pytest.mark.parametrize(
        ("before", "phase"),
        [(shifting(100), Phase.BAKING), (status(Phase.BAKING), Phase.FINISHING)],
        ids=["baking", "finishing"],
    )
    def test_lets_what_follows_100_percent_pass(self, before: Any, phase: Phase) -> None:
        got = tick(before, spec(baking={"duration": "1m"}, **CLOSED), judgement=SAFE)
        assert got.status.phase is phase

    def test_lets_harm_roll_back(self) -> None:
        got = tick(shifting(10), spec(**CLOSED), judgement=HARMFUL)
        assert got.status.phase is Phase.ROLLING_BACK
        assert got.move == WriteRoutes(Form("v1", retired=(MATCH,)))

    @pytest.mark.parametrize("do", [Do.PROMOTE, Do.PROMOTE_FULL])
    def test_gives_way_to_a_human(self, do: Do) -> None:
        got = tick(shifting(10), spec(**CLOSED), command=Command(do, "7", "ada"))
        assert got.status.weight == (50 if do is Do.PROMOTE else 100)

    def test_does_not_give_way_to_an_approval(self) -> None:
        steps = [{"weight": 10, "approval": "Manual"}]
        about = spec(shifting={"steps": steps, "interval": "1m"}, **CLOSED)
        unapproved = tick(shifting(10), about, judgement=SAFE)
        assert unapproved.status.held is not None
        assert unapproved.status.held.reason is HeldReason.AWAITING_APPROVAL
        got = tick(shifting(10), about, judgement=SAFE, command=Command(Do.APPROVE, "7", "ada"))
        assert got.status.held is not None
        assert got.status.held.reason is HeldReason.OUTSIDE_SCHEDULE
        assert got.status.approved

    def test_is_the_last_thing_that_is_waited_for(self) -> None:
        got = tick(shifting(10, step_started_at=T0), spec(**CLOSED), judgement=SAFE)
        assert got.status.held is None
        assert "soaking" in got.because

    def test_wakes_and_asks_at_the_moment_it_opens(self) -> None:
        evaluated = OPENS - 2 * SECOND
        before = shifting(10, evaluated_at=evaluated)
        got = tick(before, spec(**CLOSED), now=evaluated + SECOND, judgement=replace(SAFE, at=evaluated))
        assert got.status.next_evaluation_at == OPENS
        rested = tick(got.status, spec(**CLOSED), now=evaluated + SECOND)
        assert (rested.status, rested.wake_at) == (got.status, OPENS)
        assert tick(got.status, spec(**CLOSED), now=OPENS).ask is Ask.EVIDENCE

    def test_says_the_same_between_two_evaluations(self) -> None:
        held = tick(shifting(10), spec(**CLOSED), judgement=SAFE).status
        assert tick(held, spec(**CLOSED), now=T0 + SECOND).status == held

    def test_keeps_a_prepared_candidate_unsurveyed_and_unheld_by_a_finalizer(self) -> None:
        before = replace(PREPARED, surveyed_at=None)
        got = tick(before, spec(**CLOSED), finalizer=False)
        assert (got.move, got.ask) == (None, None)
        assert got.because == "v2 at 0%: outside the schedule until Sun 13:00 UTC"
        rested = tick(got.status, spec(**CLOSED), finalizer=False)
        assert rested.wake_at == T0 + 9 * MINUTE  # the deadline for its pods
        later = tick(got.status, spec(**CLOSED), finalizer=False, now=T0 + 10 * MINUTE)
        assert later.wake_at == OPENS
        begun = tick(got.status, spec(**CLOSED), finalizer=False, now=OPENS)
        assert begun.move == SetFinalizer(present=True)

    def test_that_never_opens_needs_a_human(self) -> None:
        got = tick(shifting(10), spec(**FOR_EVER), judgement=SAFE)
        assert got.because == "v2 at 10%: outside the schedule and no window is in sight"
        assert got.status.held is not None
        assert got.status.held.needs_human
        assert got.status.next_evaluation_at == T0 + 10 * SECOND

    @pytest.mark.parametrize(
        ("now", "late"),
        [(T0, False), (OPENS, False), (OPENS + 9 * MINUTE, False), (OPENS + 10 * MINUTE, True)],
        ids=["closed", "just-open", "open", "open-for-the-deadline"],
    )
    def test_is_no_time_that_a_candidate_has_to_be_ready_in(self, now: dt.datetime, late: bool) -> None:  # noqa: FBT001  # a column
        before = replace(PREPARED, started_at=T0 - HOUR)
        workloads = (running(V1), running(V2, ready=1))
        got = tick(before, spec(**CLOSED), now=now, workloads=workloads)
        assert (got.status.phase is Phase.ROLLING_BACK) is late
        if not late:
            assert got.status.held is not None
            assert got.status.held.reason is HeldReason.NOT_READY


class TestAStoppedLine:
    @pytest.mark.parametrize(
        ("before", "fields"),
        [
            *RISES,
            pytest.param(shifting(100), {}, id="from-100%"),
            pytest.param(status(Phase.BAKING), {}, id="from-baking"),
        ],
    )
    @pytest.mark.parametrize("hurry", Hurry)
    def test_holds_everything_and_says_why(self, before: Any, fields: dict[str, Any], hurry: Hurry) -> None:
        got = tick(
            replace(before, hurry=hurry), spec(**fields), judgement=SAFE, survey=SURVEYED, stopped=STOPPED
        )
        assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.STOPPED, True)
        assert got.because.endswith(": all releases are stopped by ConfigMap ops/stop: disk full")
        assert got.status.hurry is Hurry.NO

    def test_lets_harm_roll_back(self) -> None:
        got = tick(shifting(10), judgement=HARMFUL, stopped=STOPPED)
        assert got.move == WriteRoutes(Form("v1", retired=(MATCH,)))

    def test_lets_a_human_abort(self) -> None:
        got = tick(shifting(10), command=Command(Do.ABORT, "7", "ada"), stopped=STOPPED)
        assert got.status.ending == Ending(Outcome.ROLLED_BACK, "aborted by ada", "ada")

    def test_lets_a_rejected_rise_be_taken_back(self) -> None:
        rejected = replace(IN_FORM, acceptance=Acceptance.REJECTED, acceptance_reason="no such subset")
        got = tick(shifting(50), routes=rejected, stopped=STOPPED)
        assert got.status.weight == 10

    def test_lets_a_rollout_that_cannot_be_measured_retreat(self) -> None:
        before = shifting(50, blind_since=T0 - HOUR)
        got = tick(before, judgement=BLIND, stopped=STOPPED)
        assert got.status.weight == 10
        adrift = tick(before, judgement=BLIND, stopped=STOPPED, routes=replace(ADRIFT, weight=0))
        assert (adrift.status.weight, adrift.move) == (50, None)

    def test_cannot_be_hurried_past(self) -> None:
        order = Command(Do.PROMOTE_FULL, "7", "ada", "now")
        got = tick(shifting(10), command=order, stopped=STOPPED)
        assert got.status.hurry is Hurry.NO
        assert got.because.startswith("nothing hurried by ada (now); v2 at 10%: all releases are stopped by")
        assert got.status.last_command == "7"

    @pytest.mark.parametrize(
        "routes",
        [
            replace(ADRIFT, weight=10, shape="v1 90, v2 10"),
            replace(ADRIFT, weight=0, shape="v1 100, v2 0"),
            Routes(version="v1", acceptance=Acceptance.ACCEPTED, shape="v1"),
            Routes(version="v9", acceptance=Acceptance.ACCEPTED, shape="v9"),
        ],
        ids=["equal", "nothing", "stable", "something-else"],
    )
    def test_leaves_routes_alone_that_people_changed(self, routes: Routes) -> None:
        assert tick(shifting(10), routes=routes).move is not None
        got = tick(shifting(10), routes=routes, stopped=STOPPED)
        assert (got.move, got.status.weight, got.status.reasserted) == (None, 10, 0)
        assert got.because == (
            f"the routes give {routes.shape}, and are not put back: all releases are stopped {STOPPED}"
        )

    @pytest.mark.parametrize(
        "routes",
        [
            ADRIFT,
            Routes(version="v2", acceptance=Acceptance.ACCEPTED, shape="v2"),
            Routes(unpinned=True, acceptance=Acceptance.ACCEPTED, shape="all versions"),
            replace(ADRIFT, weight=0, lacking="Upstream echo-v2"),
        ],
        ids=["more", "candidate-alone", "unpinned", "missing-upstream"],
    )
    def test_takes_back_what_is_too_much_and_mends_what_is_broken(self, routes: Routes) -> None:
        got = tick(shifting(10), routes=routes, stopped=STOPPED)
        assert isinstance(got.move, WriteRoutes)
        assert got.move.form.weight == 10

    def test_still_keeps_off_what_was_rolled_back(self) -> None:
        got = tick(status(Phase.ROLLING_BACK), routes=replace(ADRIFT, weight=0), stopped=STOPPED)
        assert isinstance(got.move, WriteRoutes)

    def test_takes_nothing_away_that_served(self) -> None:
        old = Retirement("echo-v2", "ScaleToZero", T0, "hash-v2")
        before = status(Phase.PROMOTED, retiring=(old,), replaced=(V2,))
        assert tick(before, finalizer=False).move == ScaleToZero("echo-v2", "hash-v2")
        got = tick(before, finalizer=False, stopped=STOPPED)
        assert (got.move, got.status.retiring) == (None, (old,))

    def test_is_no_time_that_a_candidate_has_to_be_ready_in(self) -> None:
        before = replace(PREPARED, started_at=T0 - HOUR)
        workloads = (running(V1), running(V2, ready=1))
        assert tick(before, workloads=workloads).status.phase is Phase.ROLLING_BACK
        assert tick(before, workloads=workloads, stopped=STOPPED).status.phase is Phase.PREPARING
