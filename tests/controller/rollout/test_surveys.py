"""Stable is looked at before anybody is exposed."""

import datetime as dt
from dataclasses import replace

import pytest

from analysis.survey import Survey
from config.canary import CanarySpec
from config.status import Held, HeldReason, Hurry, Phase
from controller.rollout.situation import Ask
from situations import (
    ANALYSIS,
    HOUR,
    MINUTE,
    SECOND,
    SURVEYED,
    T0,
    V1,
    V2,
    running,
    spec,
    status,
    tick,
)


DRY = spec(analysis={**ANALYSIS, "dryRun": True})
STABLE_AWAY = (running(V1, ready=0), running(V2))


class TestSurvey:
    WRONG = replace(SURVEYED, problem="spec.analysis.metrics[0].ratio.total: no series of v1")
    LACKING = replace(WRONG, lacking=True)
    LACKING_WORDS = f"v2 at 0%: blind, {WRONG.problem}"
    AWAY = replace(SURVEYED, unanswered="connection refused")
    AWAY_WORDS = "v2 at 0%: blind, connection refused"

    def test_is_asked_for_when_nothing_else_is_in_the_way(self) -> None:
        got = tick(status(Phase.PREPARING))
        assert (got.ask, got.move) == (Ask.SURVEY, None)
        assert got.because == "looking at how v1 was until now"
        for observed in ({"finalizer": False}, {"problem": "wrong"}, {"workloads": (running(V1),)}):
            assert tick(status(Phase.PREPARING), **observed).ask is None

    def test_is_what_the_rollout_begins_with(self) -> None:
        got = tick(status(Phase.PREPARING), survey=SURVEYED)
        assert got.status.phase is Phase.TESTING
        assert (got.status.metrics, got.status.weighed) == (SURVEYED.memory.metrics, SURVEYED.memory.weighed)
        assert got.status.surveyed_at == SURVEYED.at
        assert got.ask is None

    def test_is_taken_once(self) -> None:
        surveyed = tick(
            status(Phase.PREPARING), survey=SURVEYED, workloads=(running(V1, ready=0), running(V2))
        )
        assert (surveyed.status.phase, surveyed.status.surveyed_at) == (Phase.PREPARING, T0)
        assert tick(surveyed.status).status.phase is Phase.TESTING

    @pytest.mark.parametrize("about", [spec(), DRY], ids=["", "dry run"])
    @pytest.mark.parametrize(
        ("survey", "reason", "words", "needs_human"),
        [
            pytest.param(WRONG, HeldReason.STALLED, WRONG.problem, True, id="unmeasurable"),
            pytest.param(LACKING, HeldReason.BLIND, LACKING_WORDS, False, id="not scraped yet"),
            pytest.param(AWAY, HeldReason.BLIND, AWAY_WORDS, False, id="away"),
        ],
    )
    def test_opens_nothing_if_it_finds_fault(
        self, about: CanarySpec, survey: Survey, reason: HeldReason, words: str, *, needs_human: bool
    ) -> None:
        before = replace(status(Phase.PREPARING), started_at=T0)
        got = tick(before, about, survey=survey)
        assert (got.status.phase, got.move, got.status.surveyed_at, got.ask) == (
            Phase.PREPARING,
            None,
            None,
            None,
        )
        assert got.status.metrics == ()
        assert got.status.held == Held(reason, words, T0, needs_human)
        again = tick(got.status, about, now=T0 + 9 * SECOND)
        assert (again.status, again.ask, again.wake_at) == (got.status, None, T0 + 10 * SECOND)
        assert tick(again.status, about, now=T0 + 10 * SECOND).ask is Ask.SURVEY

    def test_asks_at_once_when_the_clock_was_set_back(self) -> None:
        assert tick(status(Phase.PREPARING, next_evaluation_at=T0 + HOUR)).ask is Ask.SURVEY

    def test_does_not_repeat_what_is_over_until_it_asks_again(self) -> None:
        held = Held(HeldReason.NOT_READY, "waiting for v2", T0 - MINUTE)
        got = tick(status(Phase.PREPARING, held=held, next_evaluation_at=T0 + SECOND))
        assert (got.ask, got.status.held, got.because) == (None, None, "looking at how v1 was until now")

    @pytest.mark.parametrize(
        ("reason", "ago", "needs_human"),
        [
            pytest.param(HeldReason.BLIND, 5 * MINUTE, True, id="for long"),
            pytest.param(HeldReason.BLIND, 5 * MINUTE - SECOND, False, id="not for long"),
            pytest.param(HeldReason.NOT_READY, HOUR, False, id="something else was waited for"),
        ],
    )
    @pytest.mark.parametrize("survey", [AWAY, LACKING], ids=["away", "not scraped yet"])
    def test_what_stays_away_needs_a_human(
        self, survey: Survey, reason: HeldReason, ago: dt.timedelta, *, needs_human: bool
    ) -> None:
        before = status(Phase.PREPARING, held=Held(reason, "before", T0 - ago))
        got = tick(before, survey=survey).status.held
        assert got is not None
        assert got.needs_human is needs_human

    @pytest.mark.parametrize("hurry", [Hurry.STEP, Hurry.FULL])
    @pytest.mark.parametrize("survey", [None, WRONG, LACKING, AWAY])
    def test_a_human_may_go_on_without(self, hurry: Hurry, survey: Survey | None) -> None:
        got = tick(status(Phase.PREPARING, hurry=hurry), survey=survey)
        assert got.status.phase is Phase.TESTING
