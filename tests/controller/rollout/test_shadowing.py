"""Copies of requests for the candidate: nobody is sent there, nobody is hurt, and yet it is judged."""

from dataclasses import replace
from typing import Any

import pytest

from config.status import HeldReason, Phase, Verdict
from controller.rollout.decide import refuse
from controller.rollout.moves import Form, WriteRoutes
from controller.rollout.observation import Acceptance, Command, Do
from situations import (
    ADRIFT,
    BLIND,
    CALM,
    DIVIDED,
    HARMFUL,
    HOUR,
    IN_FORM,
    LEANING,
    MATCH,
    MINUTE,
    NO_DATA,
    SAFE,
    SECOND,
    SURVEYED,
    T0,
    TOO_FEW,
    V1,
    V2,
    judged,
    running,
    seen,
    spec,
    status,
    tick,
)


COPIED: dict[str, Any] = {"destinations": "Upstreams", "shadowing": {"percentage": 10, "duration": "5m"}}
SPEC = spec(**COPIED)
TO_V2 = "gloo-system/echo-v2"
BEFORE = status(Phase.SHADOWING)
OWN = replace(IN_FORM, own_shadowing="VirtualService a/b: route 0 has options.shadowing of its own")


class TestTheWayThere:
    def test_comes_before_testing(self) -> None:
        before = status(Phase.PREPARING, surveyed_at=T0)
        got = tick(before, SPEC, survey=SURVEYED)
        assert got.status.phase is Phase.SHADOWING
        assert got.move == WriteRoutes(Form("v1", "v2", shadowing=10.0))
        assert (got.status.weight, got.status.shadowed, got.status.step_started_at) == (0, (TO_V2,), None)
        assert got.because == "shadowing v2: it gets copies of 10% of the requests"

    @pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.SHADOWING, Phase.IDLE])
    def test_waits_while_a_route_has_a_shadowing_of_its_own(self, phase: Phase) -> None:
        got = tick(status(phase, surveyed_at=T0), SPEC, routes=OWN, survey=SURVEYED, finalizer=False)
        assert got.move is None
        assert got.status.phase is phase
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.STALLED, True)
        assert got.status.held.message == OWN.own_shadowing

    @pytest.mark.parametrize("phase", [Phase.TESTING, Phase.SHIFTING])
    def test_later_a_shadowing_of_its_own_is_no_matter(self, phase: Phase) -> None:
        got = tick(status(phase), SPEC, routes=OWN, judgement=SAFE)
        assert got.move is not None

    def test_without_shadowing_a_shadowing_of_its_own_is_no_matter(self) -> None:
        got = tick(status(Phase.PREPARING, surveyed_at=T0), spec(), routes=OWN, survey=SURVEYED)
        assert got.status.phase is Phase.TESTING


class TestTheWayOn:
    def test_soaks(self) -> None:
        got = tick(replace(BEFORE, step_started_at=T0 - 4 * MINUTE), SPEC, judgement=SAFE)
        assert (got.status.phase, got.move, got.status.held) == (Phase.SHADOWING, None, None)
        assert got.because == "shadowing v2: soaking for 5m"
        assert got.wake_at == T0 + SECOND / 10

    @pytest.mark.parametrize("judgement", [SAFE, CALM])
    def test_goes_on_to_testing(self, judgement: Any) -> None:
        got = tick(BEFORE, SPEC, judgement=judgement)
        assert got.status.phase is Phase.TESTING
        assert got.move == WriteRoutes(Form("v1", "v2", testing=(MATCH,), unshadowed=(TO_V2,)))
        assert got.because == "canary testing v2: only matching requests reach it"

    def test_goes_on_to_shifting_where_nothing_is_tested(self) -> None:
        got = tick(BEFORE, spec(**COPIED, testing=None), judgement=SAFE)
        assert (got.status.phase, got.status.weight) == (Phase.SHIFTING, 0)
        assert got.move == WriteRoutes(Form("v1", "v2", 0, unshadowed=(TO_V2,)))
        assert got.because == "v2 passed shadowing: dividing the routes, 0% so far"

    @pytest.mark.parametrize(
        ("judgement", "reason"),
        [
            pytest.param(TOO_FEW, HeldReason.TOO_FEW_REQUESTS, id="copies that did not come prove nothing"),
            pytest.param(NO_DATA, HeldReason.BLIND, id="no data"),
            pytest.param(BLIND, HeldReason.BLIND, id="no answer"),
            pytest.param(LEANING, HeldReason.OUT_OF_BOUNDS, id="leaning"),
            pytest.param(DIVIDED, HeldReason.SPLIT_MISMATCH, id="divided"),
        ],
    )
    def test_waits_for_evidence(self, judgement: Any, reason: HeldReason) -> None:
        got = tick(BEFORE, SPEC, judgement=judgement)
        assert (got.status.phase, got.move) == (Phase.SHADOWING, None)
        assert got.status.held is not None
        assert got.status.held.reason is reason

    def test_asks_for_evidence(self) -> None:
        assert tick(replace(BEFORE, evaluated_at=T0 - MINUTE), SPEC).ask is not None

    def test_does_not_wait_where_the_spec_asks_for_no_copies_any_more(self) -> None:
        assert tick(BEFORE, spec()).status.phase is Phase.TESTING

    @pytest.mark.parametrize(("do", "phase"), [(Do.PROMOTE, Phase.TESTING), (Do.PROMOTE_FULL, Phase.TESTING)])
    def test_a_human_may_hurry_it(self, do: Do, phase: Phase) -> None:
        before = replace(BEFORE, step_started_at=T0 - SECOND)
        assert tick(before, SPEC, command=Command(do, "1", "ada")).status.phase is phase

    def test_stays_while_the_candidate_is_not_ready(self) -> None:
        got = tick(BEFORE, SPEC, judgement=SAFE, workloads=(running(V1), running(V2, ready=1)))
        assert (got.status.phase, got.move) == (Phase.SHADOWING, None)
        assert got.because == "shadowing v2: echo-v2: 1 of 2 pods ready"

    def test_drift_is_put_back(self) -> None:
        got = tick(BEFORE, SPEC, routes=ADRIFT)
        assert got.move == WriteRoutes(Form("v1", "v2", shadowing=10.0))
        assert got.because == "the routes gave v1 30, v2 70: putting back v1, and 10% copied to v2"


class TestCopiesHurtNobody:
    def test_no_copy_counts_as_a_request(self) -> None:
        got = tick(replace(BEFORE, requests=3, bad=1), SPEC, judgement=LEANING)
        assert (got.status.requests, got.status.bad) == (3, 1)
        assert got.status.metrics

    def test_harm_goes_back_with_nobody_hurt(self) -> None:
        got = tick(BEFORE, SPEC, judgement=HARMFUL)
        assert got.status.phase is Phase.ROLLING_BACK
        assert got.move == WriteRoutes(Form("v1", unshadowed=(TO_V2,)))
        after = replace(got.status, intended_at=T0 - MINUTE)
        ended = tick(after, SPEC).status
        assert (ended.phase, ended.shadowed) == (Phase.ROLLED_BACK, ())
        entry = ended.history[0]
        assert (entry.requests, entry.bad, entry.highest_weight) == (0, 0, 0)

    def test_a_candidate_that_breaks_down_under_copies_goes_back(self) -> None:
        got = tick(BEFORE, SPEC, workloads=(running(V1), running(V2, ready=0)))
        assert got.status.phase is Phase.ROLLING_BACK
        assert "not ready while it carries traffic" in got.because

    def test_nothing_measured_is_no_blindness_while_nobody_is_sent_there(self) -> None:
        before = replace(BEFORE, blind_since=None)
        assert tick(before, SPEC, judgement=NO_DATA).status.blind_since is None
        assert tick(before, SPEC, judgement=BLIND).status.blind_since == T0

    def test_what_gloo_does_not_accept_is_taken_back(self) -> None:
        rejected = replace(IN_FORM, acceptance=Acceptance.REJECTED, acceptance_reason="no such upstream")
        got = tick(BEFORE, SPEC, routes=rejected)
        assert got.status.phase is Phase.PREPARING
        assert got.move == WriteRoutes(Form("v1", prepared="v2", unshadowed=(TO_V2,)))
        assert "no such upstream" in got.status.refusal

    def test_what_the_server_refuses_is_taken_back(self) -> None:
        got = refuse(SPEC, BEFORE, seen(), "denied the request")
        assert got is not None
        assert (got.status.phase, got.status.refusal) == (Phase.PREPARING, "denied the request")

    def test_adoption_forgets_whom_it_copied_to(self) -> None:
        before = status(Phase.PREPARING, candidate=None, shadowed=(TO_V2,))
        assert tick(before, SPEC).status.shadowed == ()

    def test_promotion_forgets_whom_it_copied_to(self) -> None:
        got = tick(status(Phase.FINISHING, shadowed=(TO_V2,), intended_at=T0 - HOUR), SPEC)
        assert (got.status.phase, got.status.shadowed) == (Phase.PROMOTED, ())

    def test_a_dry_run_goes_on(self) -> None:
        dry = spec(
            **{
                **COPIED,
                "analysis": {**SPEC.model_dump(mode="json", by_alias=True)["analysis"], "dryRun": True},
            }
        )
        only = judged(Verdict.HARMFUL, None, acts=False)
        assert tick(BEFORE, dry, judgement=only).status.phase is Phase.TESTING
