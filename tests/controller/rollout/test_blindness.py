"""Nothing can be measured: for a moment, and for long."""

from dataclasses import replace
from typing import Any

import pytest

from analysis.verdict import Judgement
from config.canary import CanarySpec
from config.status import Ending, Held, HeldReason, Hurry, Outcome, Phase, Status, Verdict
from controller.rollout.moves import Form, WriteRoutes
from controller.rollout.situation import Ask
from situations import (
    ADRIFT,
    ANALYSIS,
    BLIND,
    CALM,
    DIVIDED,
    HOUR,
    LEANING,
    MATCH,
    MINUTE,
    NO_DATA,
    SAFE,
    SECOND,
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


AWAY_SINCE = T0 - 5 * MINUTE


def then(what: str, **fields: Any) -> CanarySpec:
    """Give a spec that does this after five minutes of blindness."""
    return spec(analysis={**ANALYSIS, "blind": {"then": what}}, **fields)


def blind(before: Status, **fields: Any) -> Status:
    """Give a status whose last evaluation, like those of five minutes before, measured nothing."""
    metrics = NO_DATA.memory.metrics
    return replace(
        before, **{"metrics": metrics, "blind_since": AWAY_SINCE, "verdict": Verdict.BLIND, **fields}
    )


class TestSince:
    def test_the_first_evaluation_that_measured_nothing(self) -> None:
        first = tick(shifting(10), judgement=BLIND).status
        assert first.blind_since == T0
        again = tick(first, judgement=replace(BLIND, at=T0 + MINUTE), now=T0 + MINUTE).status
        assert again.blind_since == T0
        assert tick(again, now=T0 + MINUTE).status.blind_since == T0

    @pytest.mark.parametrize("judgement", [TOO_FEW, CALM, LEANING, DIVIDED])
    def test_is_over_with_the_first_that_did(self, judgement: Judgement) -> None:
        assert tick(blind(shifting(10)), judgement=judgement).status.blind_since is None

    def test_does_not_lie_ahead_when_the_clock_was_set_back(self) -> None:
        assert tick(blind(shifting(10), blind_since=T0 + HOUR), judgement=BLIND).status.blind_since == T0

    @pytest.mark.parametrize("before", [status(Phase.TESTING), shifting(0)], ids=["Testing", "0%"])
    def test_a_candidate_that_no_user_is_sent_to_needs_no_series(self, before: Status) -> None:
        about = spec(testing={"match": [STAGE], "duration": "2h"}, paused=True)
        assert tick(before, about, judgement=NO_DATA).status.blind_since is None
        assert tick(before, about, judgement=BLIND).status.blind_since == T0

    def test_begins_anew_at_the_next_step(self) -> None:
        got = tick(blind(shifting(10), hurry=Hurry.STEP), judgement=BLIND).status
        assert (got.weight, got.blind_since) == (50, None)


class TestRetreat:
    @pytest.mark.parametrize("before", [shifting(50), shifting(100), status(Phase.BAKING)])
    @pytest.mark.parametrize("remembered", [{}, {"paused": True}, {"refusal": "no"}, {"approved": True}])
    @pytest.mark.parametrize("judgement", [BLIND, NO_DATA])
    def test_goes_back_to_the_lowest_step(
        self, before: Status, remembered: dict[str, Any], judgement: Judgement
    ) -> None:
        got = tick(blind(before, **remembered), judgement=judgement)
        assert (got.status.phase, got.status.weight) == (Phase.SHIFTING, 10)
        assert got.move == WriteRoutes(Form("v1", "v2", 10, (MATCH,)))
        assert (got.status.intended_at, got.status.step_started_at, got.status.approved) == (T0, None, False)
        assert (got.status.blind_since, got.status.highest_weight) == (T0, before.highest_weight)
        assert got.because == "blind for 5m: errors: 5% bad; back to 10%"
        assert got.status.held == Held(HeldReason.BLIND, got.because, T0)

    def test_needs_an_evaluation_that_measured_nothing_either(self) -> None:
        got = tick(blind(shifting(50), evaluated_at=T0 - HOUR))
        assert (got.status.weight, got.ask) == (50, Ask.EVIDENCE)
        got = tick(blind(shifting(50), evaluated_at=T0 - HOUR), judgement=SAFE)
        assert got.status.weight == 100

    def test_waits_until_it_is_time(self) -> None:
        before = blind(shifting(50), blind_since=AWAY_SINCE + 3 * SECOND, evaluated_at=T0 - SECOND)
        got = tick(before, judgement=replace(BLIND, at=T0 - SECOND))
        assert got.status.weight == 50
        assert got.status.next_evaluation_at == T0 + 3 * SECOND
        assert tick(got.status).wake_at == T0 + 3 * SECOND
        due = tick(got.status, now=T0 + 3 * SECOND)
        assert due.ask is Ask.EVIDENCE
        back = tick(got.status, now=T0 + 3 * SECOND, judgement=replace(BLIND, at=T0 + 3 * SECOND))
        assert back.status.weight == 10

    def test_comes_before_routes_are_put_back(self) -> None:
        got = tick(blind(shifting(50), reasserted=3), routes=ADRIFT, judgement=BLIND)
        assert got.move == WriteRoutes(Form("v1", "v2", 10, (MATCH,)))
        assert got.status.reasserted == 0

    @pytest.mark.parametrize(
        ("before", "about"),
        [
            pytest.param(status(Phase.TESTING), then("Retreat"), id="Testing"),
            pytest.param(shifting(0), then("Retreat"), id="0%"),
            pytest.param(shifting(10), then("Retreat"), id="the lowest step"),
            pytest.param(shifting(5), then("Retreat"), id="below the lowest step"),
            pytest.param(status(Phase.BAKING), then("Retreat", shifting=None), id="no lower step"),
        ],
    )
    def test_stays_where_nothing_is_lower(self, before: Status, about: CanarySpec) -> None:
        got = tick(blind(before, step_started_at=T0 - MINUTE), about, judgement=BLIND)
        assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.BLIND, False)
        assert got.status.blind_since == AWAY_SINCE

    def test_is_held_as_long_as_it_is_blind_and_then_goes_on(self) -> None:
        back = tick(blind(shifting(50)), judgement=BLIND).status
        now = T0 + 10 * SECOND
        held = tick(back, judgement=replace(BLIND, at=now), now=now)
        assert (held.status.weight, held.move, held.status.blind_since) == (10, None, T0)
        assert held.status.held == Held(HeldReason.BLIND, "v2 at 10%: blind for 5m, errors: 5% bad", T0)
        between = tick(held.status, now=now + SECOND)
        assert between.status.held == held.status.held
        soaked = now + MINUTE
        seeing = tick(held.status, judgement=replace(CALM, at=soaked), now=soaked)
        assert (seeing.status.weight, seeing.status.blind_since, seeing.status.held) == (50, None, None)

    def test_is_held_while_gloo_looks_at_the_routes(self) -> None:
        back = tick(blind(shifting(50)), judgement=BLIND).status
        got = tick(back, now=T0 + SECOND / 2)
        assert got.status.held == Held(HeldReason.BLIND, "v2 at 10%: blind for 5m, errors: 5% bad", T0)

    def test_is_over_at_a_step_that_was_taken_back_for_another_reason(self) -> None:
        before = blind(shifting(10), highest_weight=50, blind_since=T0 - SECOND, step_started_at=T0 - SECOND)
        assert tick(before, judgement=BLIND).because == "v2 at 10%: soaking for 1m"

    def test_does_not_retreat_onto_nothing(self) -> None:
        got = tick(blind(shifting(50)), workloads=(running(V1, ready=0), running(V2)), judgement=BLIND)
        assert (got.status.weight, got.move) == (50, None)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.NOT_READY, True)
        assert got.because.startswith("must go back to stable (blind for 5m: errors: 5% bad) but cannot")

    def test_names_what_it_can(self) -> None:
        quiet = tuple(replace(metric, dry_run=True) for metric in NO_DATA.memory.metrics)
        judgement = replace(BLIND, memory=replace(BLIND.memory, metrics=quiet))
        assert tick(blind(shifting(50)), judgement=judgement).because.startswith("blind for 5m: nothing was")


class TestHold:
    @pytest.mark.parametrize("before", [status(Phase.TESTING), shifting(50), status(Phase.BAKING)])
    @pytest.mark.parametrize("soaking", [True, False])
    def test_stays_for_a_human(self, before: Status, *, soaking: bool) -> None:
        about = then("Hold", testing={"match": [STAGE], "duration": "1m"}, baking={"duration": "1m"})
        begun = T0 - (30 * SECOND if soaking else MINUTE)
        for judgement in (BLIND, None):
            got = tick(blind(before, step_started_at=begun), about, judgement=judgement)
            assert (got.status.phase, got.status.weight, got.move) == (before.phase, before.weight, None)
            assert got.status.held is not None
            assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.BLIND, True)
            assert got.because.endswith("blind for 5m, errors: 5% bad")

    def test_is_patient_for_a_while(self) -> None:
        before = blind(shifting(50), blind_since=AWAY_SINCE + SECOND, step_started_at=T0 - 5 * MINUTE)
        got = tick(before, then("Hold"), judgement=BLIND).status.held
        assert got == Held(HeldReason.BLIND, "v2 at 50%: blind, errors: 5% bad", T0)


class TestRollback:
    @pytest.mark.parametrize(
        "before", [status(Phase.TESTING), shifting(10), shifting(50), status(Phase.BAKING)]
    )
    def test_ends_the_rollout(self, before: Status) -> None:
        got = tick(blind(before), then("Rollback"), judgement=BLIND)
        assert got.status.phase is Phase.ROLLING_BACK
        words = "blind for 5m: errors: 5% bad"
        assert got.status.ending == Ending(Outcome.ROLLED_BACK, words)
        assert got.because == f"rolling back v2: {words}"

    def test_not_before_it_is_time_nor_on_an_old_blindness(self) -> None:
        early = blind(shifting(50), blind_since=AWAY_SINCE + SECOND)
        assert tick(early, then("Rollback"), judgement=BLIND).status.phase is Phase.SHIFTING
        assert tick(blind(shifting(50)), then("Rollback")).status.phase is Phase.SHIFTING


class TestNobodyActs:
    @pytest.mark.parametrize("what", ["Hold", "Retreat", "Rollback"])
    @pytest.mark.parametrize(
        "analysis",
        [
            pytest.param({"dryRun": True}, id="in a dry run"),
            pytest.param({"metrics": [{**ANALYSIS["metrics"][0], "dryRun": True}]}, id="on dry metrics"),
        ],
    )
    def test_on_blindness_that_is_only_reported(self, what: str, analysis: dict[str, Any]) -> None:
        about = spec(analysis={**ANALYSIS, "blind": {"then": what}, **analysis})
        judgement = replace(BLIND, waits_for=None, acts=False)
        got = tick(blind(shifting(50), step_started_at=T0), about, judgement=judgement)
        assert (got.status.phase, got.status.weight, got.status.held) == (Phase.SHIFTING, 50, None)
        assert got.because == "v2 at 50%: soaking for 1m"

    @pytest.mark.parametrize("what", ["Retreat", "Rollback"])
    def test_while_a_human_hurries(self, what: str) -> None:
        before = blind(shifting(50), hurry=Hurry.FULL)
        waiting = tick(before, then(what), judgement=BLIND, workloads=(running(V1), running(V2, ready=1)))
        assert (waiting.status.phase, waiting.status.weight) == (Phase.SHIFTING, 50)

    def test_where_nothing_is_weighed(self) -> None:
        for before in (status(Phase.PREPARING, surveyed_at=T0), status(Phase.FINISHING)):
            got = tick(blind(before), then("Rollback"))
            assert got.status.ending is None
