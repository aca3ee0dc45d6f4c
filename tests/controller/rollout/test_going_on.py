"""The way forward: every gate, and nothing beyond the next step."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from analysis.verdict import Judgement
from config.canary import CanarySpec
from config.status import Held, HeldReason, Hurry, Phase, Status
from controller.rollout.moves import Form, SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance
from situations import (
    BLIND,
    CALM,
    DIVIDED,
    HOUR,
    IN_FORM,
    LEANING,
    MATCH,
    MINUTE,
    NO_DATA,
    SAFE,
    SECOND,
    STAGE,
    SURVEYED,
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


TESTED = Form("v1", "v2", testing=(MATCH,))


def split(weight: int) -> Form:
    return Form("v1", "v2", weight, (MATCH,))


def manual(*weights: int) -> CanarySpec:
    steps = [{"weight": weight, "approval": "Manual"} for weight in weights]
    return spec(shifting={"steps": steps, "interval": "1m"})


class TestPreparing:
    @pytest.mark.parametrize(
        ("about", "phase", "form"),
        [
            pytest.param(spec(), Phase.TESTING, TESTED, id="testing first"),
            pytest.param(
                spec(testing=None), Phase.SHIFTING, Form("v1", "v2", 0), id="without testing: divided at 0%"
            ),
        ],
    )
    def test_a_ready_candidate_enters_the_first_phase(
        self, about: CanarySpec, phase: Phase, form: Form
    ) -> None:
        got = tick(status(Phase.PREPARING), about, survey=SURVEYED)
        assert (got.status.phase, got.status.weight, got.move) == (phase, 0, WriteRoutes(form))
        assert (got.status.intended_at, got.status.step_started_at) == (T0, None)
        assert got.status.ready_when_raised == 2
        assert got.status.testing == form.testing

    @pytest.mark.parametrize(
        ("candidate", "words"),
        [
            pytest.param(running(V2, ready=1), "echo-v2: 1 of 2 pods ready", id="one pod is missing"),
            pytest.param(running(V2, counted=False), "echo-v2 was changed just now", id="not counted yet"),
        ],
    )
    def test_waits_for_every_pod(self, candidate: Any, words: str) -> None:
        got = tick(status(Phase.PREPARING), workloads=(running(V1), candidate))
        assert (got.status.phase, got.move) == (Phase.PREPARING, None)
        assert got.status.held is not None
        assert got.status.held.reason is HeldReason.NOT_READY
        assert words in got.because

    def test_wakes_at_the_deadline(self) -> None:
        before = status(Phase.PREPARING, started_at=T0)
        once = tick(before, workloads=(running(V1), running(V2, ready=0)))
        again = tick(once.status, workloads=(running(V1), running(V2, ready=0)))
        assert again.status == once.status
        assert again.wake_at == T0 + 10 * MINUTE

    def test_holds_the_canary_against_deletion_before_it_divides_anything(self) -> None:
        got = tick(status(Phase.PREPARING), finalizer=False)
        assert (got.status.phase, got.move) == (Phase.PREPARING, SetFinalizer(present=True))


class TestWhatForbidsAnyRise:
    """Whatever the evidence says, and whatever a human hurries."""

    PHASES = (
        pytest.param(status(Phase.PREPARING), id="Preparing"),
        pytest.param(status(Phase.TESTING), id="Testing"),
        pytest.param(shifting(0), id="0%"),
        pytest.param(shifting(50), id="50%"),
        pytest.param(shifting(100), id="100%"),
        pytest.param(status(Phase.BAKING), id="Baking"),
    )

    @pytest.mark.parametrize("before", PHASES)
    @pytest.mark.parametrize("hurry", Hurry)
    @pytest.mark.parametrize(
        ("about", "remembered", "observed", "reason", "words"),
        [
            pytest.param(
                spec(),
                {},
                {"problem": "spec.routes: wrong"},
                HeldReason.STALLED,
                "spec.routes: wrong",
                id="a problem",
            ),
            pytest.param(
                spec(), {}, {"routes": replace(IN_FORM, problem="no Upstream")}, HeldReason.STALLED,
                "no Upstream", id="a problem of the routes",
            ),
            pytest.param(
                spec(), {"refusal": "no such subset"}, {}, HeldReason.NOT_ACCEPTED,
                "more was not accepted: no such subset", id="a refusal",
            ),
            pytest.param(spec(paused=True), {}, {}, HeldReason.PAUSED, "by spec.paused", id="spec.paused"),
            pytest.param(spec(), {"paused": True}, {}, HeldReason.PAUSED, "by command", id="paused"),
            pytest.param(
                spec(),
                {"intended_at": T0 - 9 * SECOND},
                {"routes": replace(IN_FORM, acceptance=Acceptance.PENDING)},
                HeldReason.NOT_ACCEPTED, "waiting for Gloo to accept the routes (no answer", id="silence",
            ),
            pytest.param(
                spec(), {}, {"workloads": (running(V1), running(V2, ready=1))}, HeldReason.NOT_READY,
                "echo-v2: 1 of 2 pods ready", id="a pod of the candidate is missing",
            ),
            pytest.param(
                spec(), {}, {"workloads": (running(V1, ready=0), running(V2))}, HeldReason.NOT_READY,
                "no way back, echo-v1: 0 of 2 pods ready", id="stable is not ready",
            ),
            pytest.param(
                spec(), {}, {"workloads": (running(V2),)}, HeldReason.NOT_READY, "no Deployment runs v1",
                id="stable is gone",
            ),
        ],
    )  # fmt: skip
    def test_holds(
        self,
        before: Status,
        hurry: Hurry,
        about: CanarySpec,
        remembered: dict[str, Any],
        observed: dict[str, Any],
        reason: HeldReason,
        words: str,
    ) -> None:
        got = tick(replace(before, hurry=hurry, **remembered), about, judgement=SAFE, **observed)
        assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
        assert got.status.held is not None
        assert got.status.held.reason is reason
        assert words in got.because

    @pytest.mark.parametrize("before", PHASES)
    def test_gives_gloo_a_moment_to_object(self, before: Status) -> None:
        fresh = replace(before, intended_at=T0 - SECOND / 2, step_started_at=None)
        got = tick(fresh, judgement=SAFE)
        assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
        assert got.status.step_started_at is None
        assert got.because.endswith("giving Gloo a moment to object")
        assert tick(got.status).wake_at == T0 + SECOND / 2

    def test_soak_counts_from_acceptance(self) -> None:
        got = tick(shifting(10, step_started_at=None, intended_at=T0 - HOUR), judgement=SAFE)
        assert got.status.step_started_at == T0
        assert (got.status.weight, got.move) == (10, None)
        assert got.because == "v2 at 10%: soaking for 1m"

    def test_put_back_routes_have_a_moment_as_well(self) -> None:
        before = shifting(50, reasserted=1, reasserted_at=T0 - SECOND / 2, step_started_at=None)
        assert tick(before, judgement=SAFE).status.step_started_at is None


class TestTesting:
    def about(self, **testing: Any) -> CanarySpec:
        return spec(testing={"match": [STAGE], **testing})

    def test_passes_to_the_divided_routes(self) -> None:
        got = tick(status(Phase.TESTING), judgement=TOO_FEW)
        assert (got.status.phase, got.status.weight) == (Phase.SHIFTING, 0)
        assert got.move == WriteRoutes(split(0))
        assert got.because == "v2 passed testing: dividing the routes, 0% so far"

    @pytest.mark.parametrize(
        ("testing", "remembered", "judgement", "reason", "words"),
        [
            pytest.param({"duration": "2h"}, {}, SAFE, None, "soaking for 2h", id="duration"),
            pytest.param(
                {"requests": 100}, {"requests": 59}, SAFE, HeldReason.TOO_FEW_REQUESTS,
                "99 of 100 requests seen", id="requests",
            ),
            pytest.param(
                {}, {}, BLIND, HeldReason.BLIND, "blind", id="cannot ask"
            ),
            pytest.param(
                {}, {}, LEANING, HeldReason.OUT_OF_BOUNDS, "5% bad",
                id="leaning towards harm",
            ),
            pytest.param({}, {}, DIVIDED, HeldReason.SPLIT_MISMATCH, "5% bad", id="divided otherwise"),
            pytest.param(
                {"approval": "Manual"}, {}, SAFE, HeldReason.AWAITING_APPROVAL, "awaits approval",
                id="approval",
            ),
        ],
    )  # fmt: skip
    def test_waits(
        self,
        testing: dict[str, Any],
        remembered: dict[str, Any],
        judgement: Judgement,
        reason: HeldReason | None,
        words: str,
    ) -> None:
        got = tick(status(Phase.TESTING, **remembered), self.about(**testing), judgement=judgement)
        assert (got.status.phase, got.move) == (Phase.TESTING, None)
        assert (got.status.held.reason if got.status.held else None) is reason
        assert words in got.because

    @pytest.mark.parametrize(
        ("testing", "remembered"),
        [
            pytest.param({"duration": "1h"}, {}, id="long enough"),
            pytest.param(
                {"requests": 100}, {"requests": 60}, id="enough requests, this evaluation's included"
            ),
            pytest.param({"approval": "Manual"}, {"approved": True}, id="approved"),
            pytest.param(
                {"duration": "2h", "requests": 100, "approval": "Manual"}, {"hurry": Hurry.STEP}, id="hurried"
            ),
        ],
    )
    def test_goes_on(self, testing: dict[str, Any], remembered: dict[str, Any]) -> None:
        got = tick(status(Phase.TESTING, **remembered), self.about(**testing), judgement=SAFE)
        assert (got.status.phase, got.status.weight) == (Phase.SHIFTING, 0)
        assert (got.status.hurry, got.status.approved) == (Hurry.NO, False)

    def test_goes_on_when_the_phase_was_taken_out_of_the_spec(self) -> None:
        before = status(Phase.TESTING)
        got = tick(before, spec(testing=None), judgement=SAFE)
        assert got.move == WriteRoutes(Form("v1", "v2", 0, retired=(MATCH,)))

    def test_blind_for_want_of_data_may_open_the_first_phase(self) -> None:
        """Prometheus answered; that the candidate has no series yet is nobody's fault."""
        assert tick(status(Phase.TESTING), judgement=NO_DATA).status.phase is Phase.SHIFTING

    def test_a_long_wait_asks_for_a_human_even_without_shifting(self) -> None:
        about = spec(shifting=None, testing={"match": [STAGE], "requests": 100})
        got = tick(status(Phase.TESTING, step_started_at=T0 - 30 * MINUTE), about, judgement=TOO_FEW)
        assert got.status.held is not None
        assert got.status.held.needs_human
        assert "the step's timeout of 30m is over" in got.because


class TestShifting:
    @pytest.mark.parametrize(
        ("weight", "judgement", "to"),
        [
            pytest.param(0, CALM, 10, id="the first step on calm evidence"),
            pytest.param(0, TOO_FEW, 10, id="the first step on little evidence"),
            pytest.param(0, NO_DATA, 10, id="the first step although there is no data yet"),
            pytest.param(0, SAFE, 10, id="the first step on good evidence"),
            pytest.param(10, SAFE, 50, id="the second step"),
            pytest.param(10, CALM, 50, id="the second step on calm evidence"),
            pytest.param(50, SAFE, 100, id="the last step"),
            pytest.param(30, SAFE, 50, id="from a weight that is no step any more"),
            pytest.param(99, SAFE, 100, id="from beyond all but the last"),
        ],
    )
    def test_takes_the_next_step_and_no_more(self, weight: int, judgement: Judgement, to: int) -> None:
        got = tick(shifting(weight), judgement=judgement)
        assert (got.status.phase, got.status.weight, got.move) == (Phase.SHIFTING, to, WriteRoutes(split(to)))
        assert got.status.highest_weight == to
        assert (got.status.intended_at, got.status.step_started_at) == (T0, None)
        assert got.status.step == {10: "1/3", 50: "2/3", 100: "3/3"}[to]

    @pytest.mark.parametrize(
        ("judgement", "reason"),
        [
            pytest.param(BLIND, HeldReason.BLIND, id="cannot ask"),
            pytest.param(LEANING, HeldReason.OUT_OF_BOUNDS, id="leaning towards harm"),
            pytest.param(DIVIDED, HeldReason.SPLIT_MISMATCH, id="divided otherwise"),
        ],
    )
    def test_the_first_step_stays_shut(self, judgement: Judgement, reason: HeldReason) -> None:
        got = tick(shifting(0), judgement=judgement)
        assert (got.status.weight, got.move) == (0, None)
        assert got.status.held is not None
        assert got.status.held.reason is reason

    @pytest.mark.parametrize("weight", [10, 50, 100])
    @pytest.mark.parametrize(
        ("judgement", "reason"),
        [
            pytest.param(TOO_FEW, HeldReason.TOO_FEW_REQUESTS, id="too few requests"),
            pytest.param(LEANING, HeldReason.OUT_OF_BOUNDS, id="leaning towards harm"),
            pytest.param(DIVIDED, HeldReason.SPLIT_MISMATCH, id="divided otherwise"),
            pytest.param(NO_DATA, HeldReason.BLIND, id="no data"),
            pytest.param(BLIND, HeldReason.BLIND, id="blind"),
        ],
    )
    def test_time_is_never_a_pass(self, weight: int, judgement: Judgement, reason: HeldReason) -> None:
        got = tick(shifting(weight), judgement=judgement)
        assert (got.status.phase, got.status.weight, got.move) == (Phase.SHIFTING, weight, None)
        assert got.status.held == Held(reason, got.because, T0, needs_human=True)
        assert "timeout of 30m is over" in got.because

    def test_a_step_may_wait_until_its_timeout_without_alarm(self) -> None:
        got = tick(shifting(10, step_started_at=T0 - 29 * MINUTE), judgement=TOO_FEW)
        assert got.status.held is not None
        assert not got.status.held.needs_human

    @pytest.mark.parametrize(
        ("steps", "weight", "needed"),
        [
            pytest.param([10, 50, 100], 10, MINUTE, id="the interval of all"),
            pytest.param([{"weight": 10, "interval": "3m"}, 50], 10, 3 * MINUTE, id="its own interval"),
            pytest.param([10, {"weight": 50, "interval": "0s"}], 50, dt.timedelta(0), id="no soak at all"),
            pytest.param([{"weight": 50, "interval": "3m"}], 30, 3 * MINUTE, id="the next higher step's"),
        ],
    )
    def test_soaks(self, steps: list[Any], weight: int, needed: dt.timedelta) -> None:
        about = spec(shifting={"steps": steps, "interval": "1m"})
        if needed:
            early = tick(shifting(weight, step_started_at=T0 - needed + SECOND), about, judgement=SAFE)
            assert (early.status.weight, early.move) == (weight, None)
            assert early.status.next_evaluation_at == T0 + SECOND
        late = tick(shifting(weight, step_started_at=T0 - needed), about, judgement=SAFE)
        assert late.status.weight > weight

    def test_names_what_leans_towards_harm_while_it_soaks(self) -> None:
        before = shifting(10, step_started_at=T0)
        got = tick(before, judgement=LEANING)
        assert got.because == "v2 at 10%: soaking for 1m; errors: 5% bad"
        assert tick(before, judgement=CALM).because == "v2 at 10%: soaking for 1m"

    def test_a_wrong_division_needs_a_human_at_once(self) -> None:
        got = tick(shifting(10, step_started_at=T0 - MINUTE), judgement=DIVIDED).status.held
        assert got == Held(HeldReason.SPLIT_MISMATCH, "v2 at 10%: errors: 5% bad", T0, needs_human=True)

    def test_without_shifting_everybody_follows_at_once(self) -> None:
        got = tick(shifting(0), spec(shifting=None), judgement=SAFE)
        assert got.status.weight == 100
        assert got.status.step == "1/1"

    @pytest.mark.parametrize("weight", [10, 50, 100])
    def test_a_manual_step_is_left_only_with_approval(self, weight: int) -> None:
        waiting = tick(shifting(weight), manual(10, 50, 100), judgement=SAFE)
        assert (waiting.status.weight, waiting.move) == (weight, None)
        assert waiting.status.held == Held(
            HeldReason.AWAITING_APPROVAL, f"v2 at {weight}% passed and awaits approval", T0, needs_human=True
        )
        approved = tick(shifting(weight, approved=True), manual(10, 50, 100), judgement=SAFE)
        assert approved.move is not None
        assert not approved.status.approved

    def test_an_approval_is_no_evidence(self) -> None:
        got = tick(shifting(10, approved=True), manual(10), judgement=TOO_FEW)
        assert (got.status.weight, got.status.approved) == (10, True)

    def test_what_was_judged_is_kept_for_the_next_step(self) -> None:
        got = tick(shifting(10, requests=5, bad=1, excess=9.0), judgement=SAFE).status
        assert (got.metrics, got.weighed) == (SAFE.memory.metrics, SAFE.memory.weighed)
        assert (got.requests, got.bad, got.excess, got.evaluated_at) == (45, 3, 1.25, T0)
