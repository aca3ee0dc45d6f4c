"""What is kept of a rollout stays small, and what is left of it can still be judged again."""

import copy
import json
from typing import Any

import pytest

from analysis import ledger as ledgers
from analysis.ledger import Ledger, is_window, number_in, of_document, of_texts
from analysis.record import Record, UnreadableRecordError, begin, name_of, number_of
from evidence_of import Told, spec
from metrics import errors


MOST_WINDOWS = 40
MOST_BYTES = 60_000
ROLLOUT = {"candidate": None, "stable": None, "startedAt": "2026-03-01T12:00:00+00:00"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be much."""
    monkeypatch.setattr(ledgers, "MOST_WINDOWS", MOST_WINDOWS)
    monkeypatch.setattr(ledgers, "MOST_BYTES", MOST_BYTES)


def settings_of(rollout: Told) -> dict[str, Any]:
    return {name_of(rollout.analysis): rollout.analysis.model_dump(mode="json", by_alias=True)}


def now(rollout: Told) -> Record:
    return begin(rollout.memory, rollout.analysis)


def kept(rollout: Told, records: list[Record] | None = None) -> Ledger:
    known = rollout.records if records is None else records
    return Ledger(ROLLOUT).with_windows(known, settings_of(rollout), now(rollout))


def numbers(ledger: Ledger) -> list[int]:
    return [number_of(each) for each in ledger.windows]


def judged(ledger: Ledger) -> list[int]:
    """Give the windows that are judged again, every one as before."""
    again = list(ledger.replay())
    assert [each.differs for each in again] == [""] * len(again)
    return [number_of(each.record) for each in again]


def test_everything_is_there_again_from_texts_and_from_a_file() -> None:
    ledger = kept(Told().go_on(5))
    texts = ledger.texts()
    assert list(texts) == [
        "rollout",
        f"analysis-{ledger.windows[0]['analysis']}",
        *(f"w00000{n}" for n in range(1, 6)),
    ]
    assert of_texts(texts) == ledger
    assert of_texts(dict(reversed(texts.items()))) == ledger
    assert of_texts({**texts, "readme": "not ours", "wolf": "neither"}) == ledger
    assert of_document(json.loads(json.dumps(ledger.document()))) == ledger
    assert judged(of_texts(texts)) == [1, 2, 3, 4, 5]
    assert Ledger(ROLLOUT) == of_texts(Ledger(ROLLOUT).texts())


def test_windows_are_added_once() -> None:
    rollout = Told().go_on(5)
    ledger = kept(rollout)
    assert kept(rollout).with_windows(rollout.records[2:], settings_of(rollout), now(rollout)) == ledger
    rollout.go_on(3)
    ledger = ledger.with_windows(rollout.records[-5:], settings_of(rollout), now(rollout))
    assert numbers(ledger) == judged(ledger) == list(range(1, 9))
    assert ledger.last == 8


def test_windows_that_were_lost_are_not_papered_over() -> None:
    rollout = Told().go_on(5)
    ledger = kept(rollout)
    rollout.go_on(10)
    ledger = ledger.with_windows(rollout.records[-3:], settings_of(rollout), now(rollout))
    assert numbers(ledger) == [1, 2, 3, 4, 5, 13, 14, 15]
    assert judged(ledger) == []
    rollout.go_on(2)
    ledger = ledger.with_windows(rollout.records[-4:], settings_of(rollout), now(rollout))
    assert judged(ledger) == [16, 17]


def test_a_beginning_that_was_lost_begins_with_what_is_known_now() -> None:
    rollout = Told().go_on(25)
    ledger = kept(rollout, rollout.records[-20:])
    assert (numbers(ledger)[0], judged(ledger)) == (6, [])
    with pytest.raises(UnreadableRecordError, match="not known what the rollout began with"):
        list(Ledger(ROLLOUT, None, ledger.windows, ledger.settings).replay())


def test_a_long_rollout_is_bounded_and_can_still_be_judged_again() -> None:
    rollout = Told(spec(errors()))
    ledger = kept(rollout)
    rare = 0
    for _ in range(MOST_WINDOWS * 2):
        rollout.go_on(weight=1)
        added = ledger.with_windows(rollout.records[-3:], settings_of(rollout), now(rollout))
        ledger = added.bounded()
        rare += ledger != added
        assert len(ledger.windows) <= MOST_WINDOWS
        assert ledger.size <= MOST_BYTES
    assert rare == 4
    assert numbers(ledger) == judged(ledger) == list(range(41, 81))


def test_large_windows_are_bounded_by_their_size() -> None:
    rollout = Told(spec(errors())).go_on(8)
    ledger = kept(rollout)
    huge = copy.deepcopy(rollout.records[1:])
    for each in huge:
        each["padding"] = "ä" * (MOST_BYTES // 8)
    padded = Ledger(ROLLOUT, ledger.beginning, tuple(huge), ledger.settings).bounded()
    assert padded.size <= MOST_BYTES
    assert padded.size == sum(len(key) + len(text.encode()) for key, text in padded.texts().items())
    assert numbers(padded) == judged(padded) == [4, 5, 6, 7, 8][-len(padded.windows) :]
    assert 0 < len(padded.windows) < 8


def test_settings_go_with_the_last_window_that_was_judged_by_them() -> None:
    rollout = Told(spec(errors())).go_on(5)
    first = settings_of(rollout)
    ledger = kept(rollout)
    rollout.spec = spec(errors(), minRequests=7)
    rollout.go_on(MOST_WINDOWS, weight=1)
    both = ledger.with_windows(rollout.records[-MOST_WINDOWS:], settings_of(rollout), now(rollout))
    assert both.settings == {**first, **settings_of(rollout)}
    bounded = both.bounded()
    assert bounded.settings == settings_of(rollout)
    assert judged(bounded) == numbers(bounded)


def test_what_cannot_be_judged_again_goes_all_the_same() -> None:
    rollout = Told(spec(errors())).go_on(MOST_WINDOWS + 1, weight=1)
    spoiled = copy.deepcopy(rollout.records)
    spoiled[7]["readings"] = {}
    bounded = kept(rollout, spoiled).bounded()
    assert len(bounded.windows) <= MOST_WINDOWS
    assert bounded.beginning is None
    rollout.go_on()
    going_on = bounded.with_windows(rollout.records[-1:], settings_of(rollout), now(rollout))
    assert judged(going_on) == []
    lost = kept(rollout).bounded()
    unreadable = Ledger(ROLLOUT, lost.beginning, lost.windows * 2, {"odd": {}}).bounded()
    assert unreadable.beginning is None


def test_a_window_before_the_beginning_goes_without_being_judged() -> None:
    rollout = Told(spec(errors())).go_on(5)
    ledger = kept(rollout)
    rollout.go_on(50, weight=1)
    ledger = ledger.with_windows(rollout.records[-1:], settings_of(rollout), now(rollout))
    later = Ledger(ROLLOUT, ledger.beginning, ledger.windows[:5] * 10, ledger.settings).bounded()
    assert later.beginning == ledger.beginning


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"rollout": "{"}, "rollout is not JSON"),
        ({"rollout": "{}", "w000001": "[]"}, "w000001 is no object"),
        ({"rollout": "{}", "w000001": "{}"}, "a record without a number: {}"),
        ({"rollout": '{"begin": 3}'}, "a record that is no object"),
        ({"rollout": '{"begin": {}}'}, "a record without a number"),
        ({}, "it is not said when the rollout began"),
        ({"rollout": '{"startedAt": "noon"}'}, "it is not said when the rollout began"),
        ({"rollout": '{"startedAt": 12}'}, "it is not said when the rollout began"),
    ],
)
def test_texts_that_were_spoiled_are_named(texts: dict[str, str], message: str) -> None:
    with pytest.raises(UnreadableRecordError) as caught:
        of_texts(texts)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "document",
    [[], {}, {"rollout": {}, "begin": None, "analyses": {}, "windows": [3]}, {"kind": "Canary"}],
)
def test_a_file_of_something_else_is_refused(document: object) -> None:
    with pytest.raises(UnreadableRecordError):
        of_document(document)


def test_settings_that_are_none_are_named() -> None:
    rollout = Told().go_on(2)
    name = name_of(rollout.analysis)
    broken = Ledger(ROLLOUT, rollout.records[0], tuple(rollout.records[1:]), {name: {"metrics": []}})
    with pytest.raises(UnreadableRecordError, match=f"the settings {name} cannot be read: "):
        list(broken.replay())


def test_the_name_of_a_window_says_its_number() -> None:
    ledger = kept(Told().go_on(12))
    assert [number_in(key) for key in ledger.texts() if is_window(key)] == numbers(ledger)


def test_only_windows_are_called_like_windows() -> None:
    assert [is_window(key) for key in ("w000001", "w1234567", "rollout", "wolf", "analysis-1")] == [
        True,
        True,
        False,
        False,
        False,
    ]
