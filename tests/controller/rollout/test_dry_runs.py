"""Judged and reported, but never acted upon."""

from dataclasses import replace

import pytest

from analysis.verdict import Judgement
from config.status import Phase, Status
from situations import (
    ANALYSIS,
    BLIND,
    HARMFUL,
    HOUR,
    MINUTE,
    SAFE,
    T0,
    V1,
    running,
    shifting,
    spec,
    status,
    tick,
)


DRY = spec(analysis={**ANALYSIS, "dryRun": True})


class TestDryRun:
    HARMLESS = replace(HARMFUL, waits_for=None, acts=False)
    WORDS = "would have rolled back at 12:00 UTC: errors: 5% bad"

    @pytest.mark.parametrize(
        ("before", "phase", "weight"),
        [
            pytest.param(status(Phase.TESTING), Phase.SHIFTING, 0, id="Testing"),
            pytest.param(shifting(0), Phase.SHIFTING, 10, id="0%"),
            pytest.param(shifting(10), Phase.SHIFTING, 50, id="10%"),
            pytest.param(shifting(100), Phase.FINISHING, 100, id="100%"),
            pytest.param(status(Phase.BAKING), Phase.FINISHING, 100, id="Baking"),
        ],
    )
    @pytest.mark.parametrize("found", [HARMLESS, replace(BLIND, waits_for=None, acts=False)])
    def test_steps_pass_by_time_alone(
        self, before: Status, phase: Phase, weight: int, found: Judgement
    ) -> None:
        got = tick(before, DRY, judgement=found)
        assert (got.status.phase, got.status.weight, got.status.ending) == (phase, weight, None)

    def test_says_once_what_it_would_have_done(self) -> None:
        first = tick(shifting(10, step_started_at=T0), DRY, judgement=self.HARMLESS)
        assert first.status.would_have == self.WORDS
        assert first.because == f"v2 at 10%: soaking for 1m; errors: 5% bad; {self.WORDS}"
        later = replace(self.HARMLESS, at=T0 + MINUTE, because="something else")
        again = tick(first.status, DRY, judgement=later, now=T0 + MINUTE)
        assert again.status.would_have == self.WORDS
        assert again.because == f"passed 10%: v2 gets 50%; {self.WORDS}"
        between = tick(again.status, DRY, now=T0 + MINUTE)
        assert between.because.count("would have") == 1

    def test_names_the_day_if_it_is_another_one(self) -> None:
        before = shifting(10, started_at=T0 - 24 * HOUR)
        got = tick(before, DRY, judgement=self.HARMLESS).status.would_have
        assert got.startswith("would have rolled back at 2026-03-01 12:00 UTC: ")
        unknown = tick(replace(before, started_at=None), DRY, judgement=self.HARMLESS).status.would_have
        assert unknown == self.WORDS

    @pytest.mark.parametrize("judgement", [HARMFUL, replace(SAFE, acts=False), SAFE])
    def test_nothing_else_would_have_done_anything(self, judgement: Judgement) -> None:
        assert tick(shifting(10), judgement=judgement).status.would_have == ""

    def test_what_it_would_have_done_is_no_news_at_rest(self) -> None:
        rested = status(Phase.PROMOTED, would_have=self.WORDS)
        assert tick(rested, workloads=(running(V1),), finalizer=False).because == "v1 serves everybody"
