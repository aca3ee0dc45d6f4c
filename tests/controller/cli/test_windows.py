"""The table of windows is readable on any terminal: notes beside the numbers, or below them."""

import io

import pytest
from rich.console import Console

from controller.cli.windows import Windows
from evidence_of import Told, spec
from metrics import errors


AWAY = "Prometheus did not answer: connection refused"


def printed(rollout: Told, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    console.print(Windows(rollout.records[1:], "errors", None))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture(scope="module")
def rollout() -> Told:
    told = Told(spec(errors(), falseRollbackRate="1%"), bad=0.05)
    return told.go_on(3, settled=False).blind(AWAY).go_on(1)


@pytest.mark.parametrize("width", [100, 120])
def test_with_room_notes_stand_beside_their_window(rollout: Told, width: int) -> None:
    header, *rows = printed(rollout, width)
    assert header.endswith("VERDICT  NOTE")
    assert rows[0].endswith("settling")
    shown = " ".join(" ".join(rows).split())
    assert "Harmful Prometheus did not answer:" in shown


@pytest.mark.parametrize("width", [80, 90])
def test_without_room_notes_stand_below_and_each_is_told_once(rollout: Told, width: int) -> None:
    header, *rows = printed(rollout, width)
    assert header.endswith("VERDICT")
    assert [row.split()[0] for row in rows[:5]] == [f"12:00:{second}" for second in (10, 20, 30, 40, 50)]
    assert rows[5:] == ["", "12:00:10 to 12:00:30  settling", f"12:00:40              {AWAY}"]


def test_short_notes_need_little_room() -> None:
    few = Told(spec(errors(), falseRollbackRate="1%")).go_on(3, settled=False)
    assert printed(few, 80)[0].endswith("NOTE")
