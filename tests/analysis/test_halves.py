import datetime as dt
from dataclasses import replace

import pytest

from analysis.halves import Halves, divided
from analysis.history import Instant
from analysis.queries import queries_for
from analysis.samples import Answer, Failure, Sample
from metrics import NOW, SUBJECT, analysis, errors


QUERIES = queries_for(analysis(errors()), replace(SUBJECT, candidate=SUBJECT.stable))
BAD, TOTAL = (query.id for query in QUERIES if "/stable/" in query.id)
IDS = {"candidate": [query.id for query in QUERIES if "/candidate/" in query.id], "stable": [BAD, TOTAL]}
STEP = dt.timedelta(seconds=10)


def series(*pods: str, label: str = "pod") -> tuple[Sample, ...]:
    return tuple(Sample({label: pod, "code": code}, 1.0) for pod in pods for code in ("200", "500"))


def pods(answer: Answer) -> set[str]:
    assert not isinstance(answer, Failure)
    return {sample.labels["pod"] for sample in answer}


def sides(halves: Halves, *names: str) -> tuple[set[str], set[str]] | None:
    found = halves.divide({BAD: (), TOTAL: series(*names)})
    if found is None:
        return None
    return pods(found[IDS["candidate"][1]]), pods(found[IDS["stable"][1]])


def same_part(query_id: str) -> str:
    return query_id.replace("/candidate/", "/stable/")


@pytest.mark.parametrize("count", [2, 3, 4, 7, 20])
def test_every_pod_is_in_one_half_and_the_halves_are_even(count: int) -> None:
    names = [f"echo-{number}" for number in range(count)]
    found = sides(Halves(QUERIES), *names)
    assert found
    candidate, stable = found
    assert candidate | stable == set(names)
    assert not candidate & stable
    assert abs(len(candidate) - len(stable)) <= 1


def test_all_series_of_a_pod_and_all_parts_go_with_it() -> None:
    halves = Halves(QUERIES)
    answers: dict[str, Answer] = {BAD: series("b"), TOTAL: series("a", "b")}
    found = halves.divide(answers)
    assert found
    assert set(found) == {query.id for query in QUERIES}
    for query_id, answer in found.items():
        assert not isinstance(answer, Failure)
        own = pods(found[query_id.replace("/bad/", "/total/")])
        given = answers[same_part(query_id)]
        assert not isinstance(given, Failure)
        assert answer == tuple(sample for sample in given if sample.labels["pod"] in own)


def test_the_same_pods_are_divided_alike_in_any_order() -> None:
    names = [f"echo-{number}" for number in range(6)]
    assert sides(Halves(QUERIES), *names) == sides(Halves(QUERIES), *reversed(names))


def test_a_pod_stays_where_it_was_and_a_new_one_goes_where_there_are_fewer() -> None:
    halves = Halves(QUERIES)
    before = sides(halves, "a", "b", "c", "d")
    assert before
    left = min(before[1])
    after = sides(halves, *before[0], left, "new")
    assert after == (before[0], {left, "new"})
    assert sides(halves, "a", "b", "c", "d") == before


def test_halves_do_not_depend_on_the_order_of_names() -> None:
    """Which half gets the odd one out is as good as chance."""
    firsts = [sides(Halves(QUERIES), f"x-{number}", f"y-{number}") for number in range(40)]
    lower = sum(1 for found in firsts if found and next(iter(found[0])).startswith("x"))
    assert 10 < lower < 30


@pytest.mark.parametrize("names", [(), ("only",)])
def test_fewer_than_two_pods_cannot_be_divided(names: tuple[str, ...]) -> None:
    assert sides(Halves(QUERIES), *names) is None


def test_two_pods_of_one_half_cannot_be_compared() -> None:
    halves = Halves(QUERIES)
    found = sides(halves, "a", "b", "c", "d")
    assert found
    assert sides(halves, *found[0]) is None


def test_instances_do_where_there_are_no_pods() -> None:
    halves = Halves(QUERIES)
    assert halves.divide({BAD: (), TOTAL: series("10.0.0.1", "10.0.0.2", label="instance")})
    assert halves.divide({BAD: (), TOTAL: series("x", "y", label="job")}) is None


def test_what_was_not_answered_is_not_answered_for_both() -> None:
    failure = Failure("silent")
    found = Halves(QUERIES).divide({BAD: failure, TOTAL: failure})
    assert found == dict.fromkeys((query.id for query in QUERIES), failure)


def test_instants_are_divided_one_by_one() -> None:
    past = [Instant(NOW, {TOTAL: series("a", "b")}), Instant(NOW + STEP, {TOTAL: series("a")})]
    both, alone = divided(past, Halves(QUERIES))
    assert both
    assert both.at == NOW
    assert alone is None
