"""When the evidence is weighed, and what is said in between."""

from dataclasses import replace

import pytest

from config.status import Held, HeldReason, Phase
from controller.rollout.situation import Ask
from situations import (
    HOUR,
    MINUTE,
    NO_DATA,
    SECOND,
    T0,
    TOO_FEW,
    shifting,
    status,
    tick,
)


class TestBetweenEvaluations:
    def test_asks_when_the_evidence_is_due(self) -> None:
        got = tick(shifting(10, evaluated_at=T0 - 10 * SECOND))
        assert got.ask is Ask.EVIDENCE
        assert got.move is None

    def test_asks_first_when_the_phase_begins(self) -> None:
        assert tick(status(Phase.TESTING, evaluated_at=None)).ask

    def test_asks_at_the_end_of_the_soak(self) -> None:
        soaked = shifting(10, evaluated_at=T0 - 3 * SECOND, step_started_at=T0 - MINUTE)
        assert tick(soaked).ask
        assert not tick(replace(soaked, evaluated_at=T0)).ask

    def test_asks_at_once_when_the_clock_was_set_back(self) -> None:
        assert tick(shifting(10, evaluated_at=T0 + HOUR)).ask
        assert tick(status(Phase.TESTING, evaluated_at=None, intended_at=T0 + HOUR)).ask
        got = tick(shifting(10, evaluated_at=T0 + HOUR), judgement=TOO_FEW)
        assert got.status.evaluated_at == T0
        assert not got.ask

    def test_does_not_ask_where_nothing_is_weighed(self) -> None:
        assert not tick(status(Phase.PREPARING, surveyed_at=T0, evaluated_at=T0 - HOUR)).ask
        assert not tick(status(Phase.FINISHING, evaluated_at=T0 - HOUR)).ask

    @pytest.mark.parametrize(
        "reason",
        [
            HeldReason.AWAITING_APPROVAL,
            HeldReason.BLIND,
            HeldReason.OUT_OF_BOUNDS,
            HeldReason.SPLIT_MISMATCH,
            HeldReason.TOO_FEW_REQUESTS,
        ],
    )
    def test_the_last_words_about_the_evidence_stand(self, reason: HeldReason) -> None:
        before = shifting(10, held=Held(reason, "because of that", T0 - MINUTE), reason="because of that")
        got = tick(before)
        assert (got.status.held, got.because) == (before.held, "because of that")

    @pytest.mark.parametrize("reason", [HeldReason.NOT_READY, HeldReason.PAUSED, HeldReason.STALLED])
    def test_what_is_over_holds_no_longer(self, reason: HeldReason) -> None:
        got = tick(shifting(10, held=Held(reason, "that", T0 - MINUTE), reason="that"))
        assert got.status.held is None
        assert got.because == "v2 at 10%: about to weigh the evidence"

    def test_a_hold_keeps_its_beginning(self) -> None:
        since = T0 - MINUTE
        before = shifting(10, held=Held(HeldReason.BLIND, "older words", since))
        got = tick(before, judgement=NO_DATA).status.held
        assert got is not None
        assert (got.since, got.reason) == (since, HeldReason.BLIND)

    def test_wakes_for_the_next_evaluation(self) -> None:
        once = tick(shifting(10, evaluated_at=T0 - 4 * SECOND)).status
        assert tick(once).status == once
        assert tick(once).wake_at == T0 + 6 * SECOND

    def test_a_slow_prometheus_is_not_hammered(self) -> None:
        judgement = replace(TOO_FEW, at=T0 - 11 * SECOND)
        once = tick(shifting(10), judgement=judgement)
        again = tick(once.status, judgement=replace(judgement, requests=0, bad=0))
        assert again.wake_at == T0 + 10 * SECOND
