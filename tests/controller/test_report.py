"""What people are told."""

from dataclasses import replace

import pytest

from config.status import Condition, Held, HeldReason, MetricStatus, Phase, Status, Verdict
from controller.report import Event, conditions, event
from situations import MINUTE, T0, V2, V3, shifting, status


STALLED = Held(HeldReason.STALLED, "spec.routes: wrong", T0, needs_human=True)
PAUSED = Held(HeldReason.PAUSED, "paused by ada", T0, needs_human=True)
DIVIDED = Held(HeldReason.SPLIT_MISMATCH, "asked for 10%", T0, needs_human=True)
BLIND = Held(HeldReason.BLIND, "v2 at 10%: blind", T0)
QUIET = MetricStatus("latency", Verdict.HARMFUL, "9% slower than 0.5s", dry_run=True)
"""A metric that only reports."""


def truths(found: tuple[Condition, ...]) -> dict[str, str]:
    return {condition.type: condition.status for condition in found}


class TestConditions:
    @pytest.mark.parametrize(
        ("of", "expected"),
        [
            pytest.param(status(Phase.IDLE), "Ready", id="at rest"),
            pytest.param(status(Phase.PROMOTED), "Ready Promoted", id="promoted"),
            pytest.param(status(Phase.ROLLED_BACK), "", id="rolled back: neither ready nor moving"),
            pytest.param(shifting(20), "Reconciling", id="under way"),
            pytest.param(shifting(20, held=PAUSED), "Reconciling Held", id="held"),
            pytest.param(shifting(20, held=STALLED), "Stalled Held", id="stalled"),
            pytest.param(shifting(20, held=DIVIDED), "Reconciling Held", id="divided otherwise"),
            pytest.param(status(Phase.IDLE, held=PAUSED), "Held", id="held at rest"),
            pytest.param(Status(), "Reconciling", id="new"),
        ],
    )
    def test_say_where_a_canary_stands(self, of: Status, expected: str) -> None:
        found = truths(conditions(of, T0))
        assert " ".join(kind for kind, truth in found.items() if truth == "True") == (
            " ".join(kind for kind in found if kind in expected.split())
        )

    @pytest.mark.parametrize(
        ("phase", "promoted"),
        [(Phase.PROMOTED, "True"), (Phase.ROLLED_BACK, "False"), (Phase.SHIFTING, "Unknown")],
    )
    def test_can_be_waited_for(self, phase: Phase, promoted: str) -> None:
        assert truths(conditions(status(phase), T0))["Promoted"] == promoted

    def test_speak_the_words_of_the_decision(self) -> None:
        found = {each.type: each for each in conditions(shifting(20, held=PAUSED, reason="as said"), T0)}
        assert (found["Held"].reason, found["Held"].message) == ("Paused", "paused by ada")
        assert (found["Reconciling"].reason, found["Reconciling"].message) == ("Shifting", "as said")
        assert found["Stalled"].message == "as said"
        divided = {each.type: each for each in conditions(shifting(20, held=DIVIDED), T0)}
        assert (divided["Held"].reason, divided["Held"].message) == ("SplitMismatch", "asked for 10%")

    def test_move_their_time_only_when_they_turn(self) -> None:
        first = shifting(20)
        known = replace(first, conditions=conditions(first, T0))
        later = {each.type: each for each in conditions(replace(known, held=PAUSED), T0 + MINUTE)}
        assert later["Held"].last_transition_time == T0 + MINUTE
        assert later["Reconciling"].last_transition_time == T0

    def test_name_the_generation_that_was_looked_at(self) -> None:
        found = conditions(shifting(20, observed_generation=7), T0)
        assert {condition.observed_generation for condition in found} == {7}


class TestEvents:
    @pytest.mark.parametrize(
        ("before", "after", "kind", "reason"),
        [
            pytest.param(Status(), status(Phase.IDLE), "Normal", "Adopted", id="adopted"),
            pytest.param(
                status(Phase.IDLE), status(Phase.PREPARING), "Normal", "NewRevision", id="a new revision"
            ),
            pytest.param(
                status(Phase.IDLE),
                status(Phase.PREPARING, candidate=None),
                "Normal",
                "Adopting",
                id="adopting",
            ),
            pytest.param(status(Phase.TESTING), shifting(0), "Normal", "Shifting", id="a phase"),
            pytest.param(
                shifting(100), status(Phase.ROLLING_BACK), "Warning", "RollingBack", id="rolling back"
            ),
            pytest.param(
                status(Phase.BAKING),
                shifting(50, refusal="no"),
                "Warning",
                "SteppedBack",
                id="back from 100%",
            ),
            pytest.param(status(Phase.BAKING), shifting(10), "Warning", "SteppedBack", id="a retreat"),
            pytest.param(shifting(10), shifting(50), "Normal", "Advanced", id="more"),
            pytest.param(shifting(50), shifting(10), "Warning", "SteppedBack", id="less"),
            pytest.param(
                status(Phase.PREPARING),
                status(Phase.PREPARING, candidate=V3),
                "Normal",
                "StartedOver",
                id="another candidate",
            ),
            pytest.param(shifting(10), shifting(10, reasserted=1), "Warning", "PutBack", id="drift"),
            pytest.param(
                shifting(10), shifting(10, held=PAUSED), "Warning", "Paused", id="a human is needed"
            ),
            pytest.param(
                shifting(10),
                shifting(10, held=replace(PAUSED, needs_human=False)),
                "Normal",
                "Paused",
                id="held for a while",
            ),
            pytest.param(shifting(10), shifting(10, last_command="7"), "Normal", "Commanded", id="an order"),
            pytest.param(
                shifting(10), shifting(10, verdict=Verdict.BLIND), "Warning", "VerdictBlind", id="blind"
            ),
            pytest.param(
                shifting(10), shifting(10, verdict=Verdict.SAFE), "Normal", "VerdictSafe", id="safe"
            ),
        ],
    )
    def test_name_the_change(self, before: Status, after: Status, kind: str, reason: str) -> None:
        told = event(before, replace(after, reason="because of this"))
        assert told is not None
        assert (told.type, told.reason) == (kind, reason)
        assert told.message == ("paused by ada" if reason == "Paused" else "because of this")

    @pytest.mark.parametrize(
        ("before", "held", "kind", "reason"),
        [
            pytest.param(None, DIVIDED, "Warning", "SplitMismatch", id="divided otherwise"),
            pytest.param(None, BLIND, "Normal", "Blind", id="blind"),
            pytest.param(BLIND, replace(BLIND, needs_human=True), "Warning", "Blind", id="blind for long"),
        ],
    )
    def test_name_what_is_waited_for(self, before: Held | None, held: Held, kind: str, reason: str) -> None:
        told = event(shifting(10, held=before), shifting(10, held=held))
        assert told == Event(kind, reason, held.message)

    def test_name_a_wait_for_a_human_once(self) -> None:
        known = shifting(10, held=replace(BLIND, needs_human=True))
        assert event(known, replace(known, held=replace(BLIND, needs_human=True, message="x"))) is None

    @pytest.mark.parametrize(
        "after",
        [
            pytest.param(shifting(10), id="and stays"),
            pytest.param(shifting(50), id="and goes on"),
            pytest.param(status(Phase.FINISHING), id="and is done"),
        ],
    )
    def test_say_once_what_a_dry_run_would_have_done(self, after: Status) -> None:
        words = "would have rolled back at 12:00 UTC: errors: 5% bad"
        after = replace(after, would_have=words, reason=f"v2 gets 50%; {words}", verdict=Verdict.HARMFUL)
        assert event(shifting(10), after) == Event("Warning", "WouldHaveRolledBack", after.reason)
        assert event(after, replace(after, reason="other words")) is None

    def test_say_once_what_a_metric_would_have_done_that_only_reports(self) -> None:
        errors = MetricStatus("errors")
        before = shifting(10, metrics=(errors, QUIET))
        found = replace(QUIET, would_roll_back_at=T0)
        after = shifting(50, metrics=(errors, found), reason="v2 gets 50%")
        words = "v2 gets 50%; latency would have rolled back: 9% slower than 0.5s"
        assert event(before, after) == Event("Warning", "WouldHaveRolledBack", words)
        assert event(after, replace(after, reason="other words")) is None

    def test_a_real_rollback_is_the_news(self) -> None:
        found = replace(QUIET, would_roll_back_at=T0)
        told = event(shifting(10), status(Phase.ROLLING_BACK, metrics=(found,)))
        assert told is not None
        assert told.reason == "RollingBack"

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param(shifting(10), shifting(10, reason="other words"), id="words"),
            pytest.param(shifting(10), shifting(10, requests=7), id="counts"),
            pytest.param(shifting(10, held=PAUSED), shifting(10), id="a hold that ends"),
            pytest.param(
                shifting(10, held=PAUSED), shifting(10, held=replace(PAUSED, message="x")), id="the same hold"
            ),
            pytest.param(shifting(10, verdict=Verdict.SAFE), shifting(10), id="a verdict that is forgotten"),
            pytest.param(shifting(10, candidate=V2), shifting(10, candidate=V2), id="nothing"),
        ],
    )
    def test_spare_people_the_rest(self, before: Status, after: Status) -> None:
        assert event(before, after) is None
