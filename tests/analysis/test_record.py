"""What is kept of a rollout gives the same verdicts again, to the last digit."""

import copy
import datetime as dt
import json
import math
from dataclasses import replace
from typing import Any

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.judge import judge
from analysis.readings import Counts, Latencies, MetricReading, NoData, Number
from analysis.record import (
    Record,
    UnreadableRecordError,
    begin,
    beginning,
    compact,
    memory_of,
    name_of,
    number_of,
    record,
    replay,
    window_of,
)
from analysis.samples import Failure
from analysis.verdict import Memory
from analysis.window import Window
from config.metrics import Analysis
from config.status import Phase
from evidence_of import NOW, TEN_SECONDS, Told, spec
from metrics import analysis as analysis_of
from metrics import errors, latency, saturation


ERRORS_ONLY = analysis_of()
UNSHRUNK = (hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate)
"""The smallest example is not worth the minutes that it takes."""

texts = st.text(max_size=20)
requests = st.integers(0, 10**12)
times = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2040, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
unmeasured = st.builds(NoData, texts) | st.builds(Failure, texts, refused=st.booleans())
numbers = st.builds(Number, st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0))


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    total = draw(requests)
    return Counts(total, draw(st.integers(0, total)), draw(texts), draw(st.booleans()))


@st.composite
def latencies(draw: st.DrawFn) -> Latencies:
    bounds = sorted(draw(st.sets(st.floats(1e-9, 1e9), max_size=4)))
    slow = sorted((draw(requests) for _ in bounds), reverse=True)
    total = draw(st.integers(max(slow, default=0), 10**13))
    return Latencies(total, tuple(zip(bounds, slow, strict=True)), draw(texts), draw(st.booleans()))


def readings(measured: st.SearchStrategy[Any]) -> st.SearchStrategy[MetricReading]:
    each = measured | unmeasured
    return st.builds(MetricReading, each, each, st.just(""))


ALL_KINDS = analysis_of(errors(), latency(), saturation())
windows = st.builds(
    Window,
    since=st.none() | times,
    until=times,
    phase=st.sampled_from(Phase),
    weight=st.integers(0, 100),
    settled=st.booleans(),
    testers=st.booleans(),
    readings=st.fixed_dictionaries(
        {"errors": readings(counts()), "latency": readings(latencies()), "saturation": readings(numbers)}
    ),
)


def stored(document: Any) -> Any:
    """Send JSON to where it is kept and back, by a server that writes whole floats as integers."""
    return json.loads(json.dumps(_as_go(document)))


def _as_go(value: Any) -> Any:
    match value:
        case bool():
            return value
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case dict():
            return {name: _as_go(item) for name, item in value.items()}
        case list() | tuple():
            return [_as_go(item) for item in value]
        case _:
            return value


def told(windows: int = 30, **fields: Any) -> Told:
    rollout = Told(**fields).go_on(2, settled=False).go_on(windows // 2)
    return rollout.blind().go_on(windows - windows // 2, weight=50)


def differences(records: list[Record], analyses: dict[str, Analysis]) -> list[str]:
    return [each.differs for each in replay(records[0], records[1:], analyses)]


def test_a_rollout_is_judged_again_to_the_last_digit() -> None:
    rollout = told()
    analyses = {name_of(rollout.analysis): rollout.analysis}
    again = list(replay(stored(rollout.records[0]), stored(rollout.records[1:]), analyses))
    assert [each.differs for each in again] == [""] * 33
    for said, each in zip(rollout.said, again, strict=True):
        known = tuple(replace(metric, query="") for metric in said.memory.metrics)
        assert each.judgement == replace(said, memory=replace(said.memory, metrics=known))


def test_windows_judged_by_other_settings_each_have_their_own() -> None:
    rollout = told()
    first = rollout.analysis
    rollout.spec = spec(minRequests=500, falseRollbackRate="5%")
    rollout.go_on(5)
    second = rollout.analysis
    assert name_of(first) != name_of(second)
    records = stored(rollout.records)
    assert not any(differences(records, {name_of(first): first, name_of(second): second}))
    assert any(differences(records, {name_of(first): second, name_of(second): second}))


PLACES: dict[str, tuple[Any, ...]] = {
    "a request of the candidate's": ("readings", "errors", "candidate", "requests"),
    "a bad request of stable's": ("readings", "errors", "stable", "bad"),
    "a slow request": ("readings", "latency", "candidate", "slower", 1, 1),
    "the weight": ("weight",),
    "the odds that were told": ("said", "metrics", "errors", "odds"),
    "what the tests knew": ("said", "sum"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_wrong_digit_is_found(place: tuple[Any, ...]) -> None:
    rollout = told()
    records = stored(rollout.records)
    at = records[12]
    for part in place[:-1]:
        at = at[part]
    wrong = at[place[-1]]
    at[place[-1]] = wrong[:-1] + ("0" if wrong[-1] != "0" else "1") if isinstance(wrong, str) else wrong + 1
    found = differences(records, {name_of(rollout.analysis): rollout.analysis})
    assert found[10] == ""
    assert "said" in found[11]


def test_a_wrong_last_digit_of_the_beginning_is_found() -> None:
    rollout = told(40)
    analyses = {name_of(rollout.analysis): rollout.analysis}
    middle = stored(compact(rollout.records[0], rollout.records[1:21], analyses))
    comparison = middle["memory"]["metrics"][0]["tests"]["comparisons"][0]
    comparison["harm"][0] = math.nextafter(comparison["harm"][0], math.inf)
    (first, *_) = replay(middle, rollout.records[21:], analyses)
    assert first.differs.startswith("sum: said ")


def test_what_was_said_is_told_beside_what_comes_out_now() -> None:
    rollout = told()
    records = stored(rollout.records)
    records[5]["said"]["verdict"] = "Safe"
    del records[6]["said"]
    records[7]["said"]["metrics"]["errors"]["odds"] = 99
    records[8]["said"]["metrics"] = {}
    records[9]["said"]["metrics"]["errors"] = "?"
    found = differences(records, {name_of(rollout.analysis): rollout.analysis})
    assert found[4] == 'verdict: said "Safe", now "Undecided"'
    assert found[5] == "what was said of it is missing"
    odds = rollout.said[6].memory.metrics[0].odds
    assert found[6] == f"errors odds: said 99, now {odds}"
    assert found[7].startswith('errors verdict: said null, now "Undecided"; errors odds: said null, now ')
    assert found[8].startswith('errors verdict: said null, now "Undecided"; errors odds: said null, now ')


def test_a_later_beginning_stands_for_the_windows_before_it() -> None:
    rollout = told(40)
    analyses = {name_of(rollout.analysis): rollout.analysis}
    middle = stored(compact(rollout.records[0], rollout.records[1:21], analyses))
    assert number_of(middle) == 20
    assert memory_of(middle).weighed.windows == 20
    again = list(replay(middle, stored(rollout.records[21:]), analyses))
    assert [number_of(each.record) for each in again] == list(range(21, 44))
    assert not any(each.differs for each in again)
    assert list(replay(middle, rollout.records[1:21], analyses)) == []
    assert compact(middle, [], analyses) == middle


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda records: records.pop(7), "window 7 is missing"),
        (lambda records: records[3].update(analysis="00000000"), "window 3: the settings 00000000"),
        (lambda records: records[3].pop("analysis"), "window 3: the settings None"),
        (lambda records: records[3].pop("until"), "window 3 cannot be read: 'until' is missing"),
        (lambda records: records[3].update(until="noon"), "window 3 cannot be read: Invalid isoformat"),
        (lambda records: records[3].update(phase="Lunch"), "window 3 cannot be read: 'Lunch'"),
        (lambda records: records[3].update(readings=[]), "window 3 cannot be read"),
        (lambda records: records[3]["readings"].pop("latency"), "window 3 has nothing about latency"),
        (
            lambda records: records[3]["readings"]["errors"].update(candidate={"odd": 1}),
            'window 3 cannot be read: no reading: {"odd": 1}',
        ),
        (lambda records: records[3].update(number="three"), "a record without a number"),
        (lambda records: records[0].pop("memory"), "the beginning cannot be read: 'memory' is missing"),
        (lambda records: records[0].update(memory=[1]), "the beginning cannot be read"),
    ],
)
def test_what_cannot_be_judged_again_says_why(spoil: Any, message: str) -> None:
    rollout = told()
    records = copy.deepcopy(rollout.records)
    spoil(records)
    with pytest.raises(UnreadableRecordError) as caught:
        differences(records, {name_of(rollout.analysis): rollout.analysis})
    assert str(caught.value).startswith(message)


def test_a_metric_of_another_kind_is_no_crash() -> None:
    rollout = told()
    records = copy.deepcopy(rollout.records)
    records[3]["readings"]["errors"]["candidate"] = {"value": 1}
    with pytest.raises(UnreadableRecordError, match="window 3 cannot be judged"):
        differences(records, {name_of(rollout.analysis): rollout.analysis})


def test_a_record_is_for_people_too() -> None:
    window = Window(
        None,
        NOW + TEN_SECONDS,
        Phase.SHIFTING,
        10,
        settled=True,
        testers=False,
        readings={"errors": MetricReading(Counts(40, 1), Counts(0, 0, "counting starts now"), "bad / all")},
    )
    judgement = judge(ERRORS_ONLY, Memory(), window)
    written = record(window, judgement, ERRORS_ONLY)
    odds = judgement.memory.metrics[0].odds
    assert written == {
        "number": 1,
        "analysis": name_of(ERRORS_ONLY),
        "until": "2026-03-01T12:00:10.000125+00:00",
        "phase": "Shifting",
        "weight": 10,
        "settled": True,
        "readings": {
            "errors": {
                "candidate": {"requests": 40, "bad": 1},
                "stable": {"requests": 0, "bad": 0, "note": "counting starts now"},
            }
        },
        "said": {
            "verdict": "Undecided",
            "because": judgement.because,
            "waitsFor": "TooFewRequests",
            "metrics": {"errors": {"verdict": "Undecided", "odds": odds}},
            "sum": written["said"]["sum"],
        },
    }


def test_a_record_is_small() -> None:
    rollout = told(60)
    sizes = sorted(len(json.dumps(each, separators=(",", ":"))) for each in rollout.records[1:])
    assert sizes[-1] < 1200


def test_the_name_of_settings_is_about_what_they_say() -> None:
    written = {"metrics": [errors()]}
    usual = Analysis.model_validate(written)
    assert name_of(usual) == name_of(Analysis.model_validate({**written, "minRequests": 100}))
    assert name_of(usual) != name_of(Analysis.model_validate({**written, "minRequests": 101}))
    assert beginning(Memory(), name_of(usual)) == begin(Memory(), usual)


@given(windows)
@settings(phases=UNSHRUNK)
def test_a_window_is_read_back_as_it_was(window: Window) -> None:
    judgement = judge(ALL_KINDS, Memory(), window)
    assert window_of(stored(record(window, judgement, ALL_KINDS))) == window


@given(st.lists(windows, min_size=1, max_size=6))
@settings(max_examples=50, phases=UNSHRUNK)
def test_any_windows_are_judged_again_alike(given_windows: list[Window]) -> None:
    memory, records = Memory(), [begin(Memory(), ALL_KINDS)]
    for window in given_windows:
        judgement = judge(ALL_KINDS, memory, window)
        memory = judgement.memory
        records.append(record(window, judgement, ALL_KINDS))
    assert differences(stored(records), {name_of(ALL_KINDS): ALL_KINDS}) == [""] * len(given_windows)
