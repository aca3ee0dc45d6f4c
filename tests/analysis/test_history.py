import datetime as dt

import pytest

from analysis.history import Instant, Past, instants, replayed, windows
from analysis.queries import Query, queries_for
from analysis.readings import Counts, count
from analysis.samples import Answer, Failure, History, Moment, Sample
from metrics import NOW, SUBJECT, analysis


ANALYSIS = analysis()
QUERIES = queries_for(ANALYSIS, SUBJECT)
STEP = dt.timedelta(seconds=10)


def pods(*totals: float) -> tuple[Sample, ...]:
    return tuple(Sample({"pod": f"pod-{number}"}, total) for number, total in enumerate(totals))


def told(candidate: list[Answer], stable: list[Answer]) -> dict[str, list[Answer]]:
    """Give totals of both versions at one instant after the other; nothing was ever bad."""
    given = {"candidate/total": candidate, "stable/total": stable}
    return {
        query.id: next(
            (answers for about, answers in given.items() if about in query.id), [()] * len(candidate)
        )
        for query in QUERIES
    }


def histories(answers: dict[str, list[Answer]]) -> dict[str, History]:
    found: dict[str, History] = {}
    for query_id, each in answers.items():
        failure = next((answer for answer in each if isinstance(answer, Failure)), None)
        found[query_id] = failure or tuple(
            Moment(NOW + number * STEP, answer)
            for number, answer in enumerate(each)
            if not isinstance(answer, Failure)
        )
    return found


def requests(past: Past) -> tuple[int, int]:
    reading = past.readings["errors"]
    assert isinstance(reading.candidate, Counts)
    assert isinstance(reading.stable, Counts)
    return reading.candidate.requests, reading.stable.requests


RESTARTED_AND_ADDED = told(
    candidate=[(), pods(3), pods(9), pods(2), pods(4, 1)],
    stable=[pods(100, 50), pods(110, 50), pods(5, 61), pods(7, 61, 900), pods(7, 70, 903)],
)


def test_the_past_is_counted_as_live_evaluations_would_have_counted_it() -> None:
    found = list(windows(ANALYSIS, QUERIES, histories(RESTARTED_AND_ADDED)))
    baseline, live = None, []
    for number in range(5):
        answers = {query_id: each[number] for query_id, each in RESTARTED_AND_ADDED.items()}
        baseline, readings = count(ANALYSIS, baseline, QUERIES, answers)
        live.append(readings)
    assert [past.readings for past in found] == live[1:]
    assert [requests(past) for past in found] == [(3, 10), (6, 16), (2, 2), (3, 12)]


def test_windows_follow_each_other_without_a_gap() -> None:
    found = list(windows(ANALYSIS, QUERIES, histories(RESTARTED_AND_ADDED)))
    assert [past.since for past in found] == [NOW + number * STEP for number in range(4)]
    assert [past.until for past in found] == [NOW + number * STEP for number in range(1, 5)]


def test_a_history_that_failed_is_a_failure_in_every_window() -> None:
    refused = Failure("too much")
    found = windows(
        ANALYSIS, QUERIES, histories(told(candidate=[refused] * 3, stable=[pods(1), pods(2), pods(5)]))
    )
    readings = [past.readings["errors"] for past in found]
    assert [reading.candidate for reading in readings] == [Failure("total: too much")] * 2
    assert [reading.stable for reading in readings] == [Counts(1, 0), Counts(3, 0)]


def test_a_history_that_was_not_asked_for_is_a_failure() -> None:
    stable = {
        query_id: history
        for query_id, history in histories(RESTARTED_AND_ADDED).items()
        if "/stable/" in query_id
    }
    found = list(windows(ANALYSIS, QUERIES, stable))
    assert {past.readings["errors"].candidate for past in found} == {Failure("not asked")}
    assert all(isinstance(past.readings["errors"].stable, Counts) for past in found)


def test_without_any_history_there_is_no_window() -> None:
    assert not list(windows(ANALYSIS, QUERIES, {}))
    assert not list(windows(ANALYSIS, QUERIES, {QUERIES[0].id: Failure("gone")}))


def test_instants_join_what_was_asked_about_the_same_time() -> None:
    first, second = Query("a", "a"), Query("b", "b")
    found = list(
        instants(
            {first.id: (Moment(NOW, pods(1)),), second.id: (Moment(NOW + STEP, pods(2)),), "c": Failure("no")}
        )
    )
    assert found == [
        Instant(NOW, {"a": pods(1), "b": (), "c": Failure("no")}),
        Instant(NOW + STEP, {"a": (), "b": pods(2), "c": Failure("no")}),
    ]


@pytest.mark.parametrize(("alike", "counted"), [(False, 7), (True, 0)])
def test_what_is_new_in_a_half_of_stable_is_no_fresher_than_elsewhere(*, alike: bool, counted: int) -> None:
    past = instants(histories(told(candidate=[(), pods(7)], stable=[pods(1), pods(2)])))
    (window,) = replayed(ANALYSIS, QUERIES, past, alike=alike)
    assert requests(window) == (counted, 1)


def test_what_was_not_answered_in_between_is_counted_afterwards() -> None:
    answers = histories(told(candidate=[pods(1), pods(5), pods(6)], stable=[pods(1), pods(2), pods(3)]))
    first, second, third = instants(answers)
    silent = Instant(second.at, dict.fromkeys(second.answers, Failure("silent")))
    *_, last = replayed(ANALYSIS, QUERIES, [first, silent, third])
    assert requests(last) == (5, 2)
