import datetime as dt
from dataclasses import replace

import pytest

from canaries import NOW, ROLLED_BACK, document, held, status
from config.status import HeldReason
from controller.cli.reading import canary_of
from controller.cli.tables import canary_row, history_row, short, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (0.4, "0s"),
        (119, "119s"),
        (120, "2m"),
        (310, "5m10s"),
        (600, "10m"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (47 * 3600, "47h"),
        (72 * 3600, "3d"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert short(dt.timedelta(seconds=seconds)) == text


def test_columns_stand_below_each_other_and_lines_end_without_blanks() -> None:
    lines, widths = table([["NAME", "X"], ["a", ""], ["longer", "yes"]])
    assert lines == ["NAME     X", "a", "longer   yes"]
    assert widths == [6, 3]


def test_later_lines_keep_the_widths_of_earlier_ones() -> None:
    lines, widths = table([["a", "b"]], least=[6, 3])
    assert (lines, widths) == (["a        b"], [6, 3])


def test_a_row_tells_the_rollout_and_wide_tells_more() -> None:
    canary = canary_of(document(status(requests=118, held=held(HeldReason.BLIND, needs_human=False))))
    row = canary_row(canary, NOW, wide=True)
    assert row == {
        "NAMESPACE": "shop",
        "NAME": "echo",
        "PHASE": "Shifting",
        "WEIGHT": "25",
        "STEP": "3/5",
        "VERDICT": "Undecided",
        "STABLE": "v1",
        "CANDIDATE": "v2",
        "SEEN": "25",
        "HELD": "Blind",
        "REQUESTS": "118",
        "AGE": "120m",
        "REASON": "v2 at 25%: soaking for 1m",
    }
    assert set(row) - set(canary_row(canary, NOW, wide=False)) == {"SEEN", "HELD", "REQUESTS"}


def test_an_ended_rollout_tells_how_far_it_came_and_why_it_ended() -> None:
    assert history_row(ROLLED_BACK, NOW) == {
        "REVISION": "v3 (5555cccc)",
        "OUTCOME": "RolledBack",
        "WEIGHT": "25%",
        "REQUESTS": "118",
        "BAD": "6",
        "TOOK": "5m",
        "ENDED": "25m ago",
        "BY": "crossfade",
        "REASON": "errors: 5.1% bad, at most 1% allowed (6 of 118 requests)",
    }


def test_an_ended_dry_run_tells_what_it_would_have_done() -> None:
    would = "would have rolled back at 14:03 UTC: errors: 5.1% bad"
    row = history_row(replace(ROLLED_BACK, reason="passed every step", would_have=would), NOW)
    assert row["REASON"] == f"passed every step; {would}"
