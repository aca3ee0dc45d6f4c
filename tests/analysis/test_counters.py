import itertools
import math
import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counters import Baseline, Counters, NoCounterError
from analysis.samples import Answer, Failure, Sample


Values = Mapping[str, float]
"""Counters of some series, written as `pod/code`; a code alone is a series that names no pod."""


def samples(values: Values) -> tuple[Sample, ...]:
    return tuple(Sample(_labels(name), value) for name, value in values.items())


def counters(values: Values, **other_parts: Values) -> Counters:
    parts = {"total": values, **other_parts}
    return Counters.of({part: samples(found) for part, found in parts.items()})


def added(before: Counters, now: Counters, *, fresh: bool = True) -> int:
    return sum(before.increases(now, fresh=fresh).values())


def _labels(name: str) -> dict[str, str]:
    pod, _, code = name.rpartition("/")
    return {"code": code, **({"pod": pod, "namespace": "shop"} if pod else {})}


@pytest.mark.parametrize("fresh", [True, False], ids=["candidate", "stable"])
@pytest.mark.parametrize(
    ("before", "now", "count"),
    [
        pytest.param({"a/200": 10}, {"a/200": 14}, 4, id="a series that grows"),
        pytest.param({"a/200": 10}, {"a/200": 10}, 0, id="a series that rests"),
        pytest.param({"a/200": 10}, {"a/200": 3}, 3, id="a restart counts what came after it"),
        pytest.param({"a/200": 10}, {"a/200": 0}, 0, id="a restart without a request since"),
        pytest.param({"a/200": 10, "b/200": 7}, {"a/200": 12}, 2, id="a pod that disappears"),
        pytest.param({"a/200": 10}, {}, 0, id="all pods disappear"),
        pytest.param({"a/200": 10}, {"a/200": 11, "a/500": 2}, 3, id="a code for the first time"),
        pytest.param(
            {"a/200": 10, "a/500": 5}, {"a/200": 4, "a/500": 6}, 10, id="a restart that one code hides"
        ),
        pytest.param({"200": 10, "500": 5}, {"200": 4, "500": 6}, 5, id="series without a pod restart alone"),
        pytest.param({"a/200": 10, "b/200": 5}, {"a/200": 4, "b/200": 6}, 5, id="pods restart alone"),
    ],
)
def test_only_what_was_added_since_counts(before: Values, now: Values, count: int, *, fresh: bool) -> None:
    assert added(counters(before), counters(now), fresh=fresh) == count


@pytest.mark.parametrize(
    ("before", "now", "of_the_candidate", "of_stable"),
    [
        pytest.param({}, {"a/200": 5}, 5, 0, id="the first pod"),
        pytest.param({"a/200": 10}, {"a/200": 10, "b/200": 5}, 5, 0, id="one more pod"),
        pytest.param({"200": 10}, {"200": 10, "500": 5}, 5, 0, id="a new series that names no pod"),
    ],
)
def test_a_pod_seen_for_the_first_time_counts_only_if_it_began_with_the_rollout(
    before: Values, now: Values, of_the_candidate: int, of_stable: int
) -> None:
    assert added(counters(before), counters(now), fresh=True) == of_the_candidate
    assert added(counters(before), counters(now), fresh=False) == of_stable


def test_the_namespace_alone_names_no_pod() -> None:
    before = Counters.of({"total": [Sample({"namespace": "shop", "code": "200"}, 1.0)]})
    now = Counters.of({"total": [Sample({"namespace": "shop", "code": "500"}, 9.0)]})

    assert added(before, now, fresh=False) == 0


@pytest.mark.parametrize("label", ["pod", "instance"])
def test_a_pod_is_known_by_its_name_or_by_its_address(label: str) -> None:
    before = Counters.of({"total": [Sample({label: "a", "code": "200"}, 1.0)]})
    now = Counters.of({"total": [Sample({label: "a", "code": "500"}, 9.0)]})

    assert added(before, now, fresh=False) == 9


def test_pods_of_two_namespaces_are_two_pods() -> None:
    before = Counters.of({"total": [Sample({"namespace": "shop", "pod": "a"}, 1.0)]})
    now = Counters.of({"total": [Sample({"namespace": "test", "pod": "a"}, 9.0)]})

    assert added(before, now, fresh=False) == 0


def test_the_first_error_of_a_pod_counts_although_no_error_was_ever_seen() -> None:
    """The series of bad requests come into being with the first bad request; the pod was there already."""
    before = counters({"a/200": 10}, bad={})
    now = counters({"a/200": 10, "a/500": 1}, bad={"a/500": 1})

    assert sum(n for series, n in before.increases(now, fresh=False).items() if series.part == "bad") == 1


def test_a_restart_that_the_total_hides_is_seen_on_the_bad_ones() -> None:
    before = counters({"a/all": 100}, bad={"a/all": 5})
    now = counters({"a/all": 150}, bad={"a/all": 2})

    assert sorted(before.increases(now, fresh=False).values()) == [2, 150]


class TestRemembering:
    def test_a_missed_scrape_does_not_count_a_history_twice(self) -> None:
        known = counters({"a/200": 10}).then(counters({})).then(counters({"b/200": 1}))

        assert added(known, counters({"a/200": 12, "b/200": 1})) == 2

    def test_a_pod_that_restarts_unseen_counts_from_zero(self) -> None:
        known = counters({"a/200": 10}).then(counters({}))

        assert added(known, counters({"a/200": 4})) == 4

    def test_nothing_is_left_of_the_process_that_has_restarted(self) -> None:
        """Its errors before the restart say nothing about the errors after it."""
        known = counters({"a/200": 10, "a/500": 7}).then(counters({"a/200": 3}))

        assert added(known, counters({"a/200": 5, "a/500": 2})) == 2 + 2
        assert added(known, counters({"a/200": 5, "a/500": 9})) == 2 + 9

    def test_a_series_that_returns_late_tells_of_a_restart_that_is_over(self) -> None:
        """The good requests come back after the bad ones: those have been counted in between."""
        known = counters({"a/200": 10, "a/500": 1}).then(counters({"a/500": 3}))

        assert added(known, counters({"a/200": 4, "a/500": 3})) == 4
        assert added(known.then(counters({})), counters({"a/200": 4, "a/500": 3})) == 4

    def test_a_process_that_was_not_seen_at_all_restarts_as_a_whole(self) -> None:
        known = counters({"a/200": 10, "a/500": 5, "b/200": 1}).then(counters({"b/200": 1}))

        assert added(known, counters({"a/200": 4, "a/500": 6, "b/200": 1})) == 4 + 6

    def test_a_series_that_is_missing_once_more_is_still_known(self) -> None:
        known = (
            counters({"a/200": 10, "a/500": 5}).then(counters({"a/200": 10})).then(counters({"a/200": 11}))
        )

        assert added(known, counters({"a/200": 11, "a/500": 6})) == 1
        assert known.then(counters({"a/200": 11, "a/500": 6})) == counters({"a/200": 11, "a/500": 6})

    def test_a_series_that_was_missing_when_all_were_gone_is_still_known(self) -> None:
        known = counters({"a/200": 10, "a/500": 5}).then(counters({"a/200": 10})).then(counters({}))

        assert added(known, counters({"a/200": 11, "a/500": 6})) == 2

    def test_what_is_seen_now_stands(self) -> None:
        known = counters({"a/200": 10}).then(counters({"a/200": 12}))

        assert added(known, counters({"a/200": 12})) == 0


class TestCounterOf:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, -0.001, 1e300, 2.0**54])
    def test_what_cannot_count_requests_is_named(self, value: float) -> None:
        with pytest.raises(
            NoCounterError, match=re.escape(f'cannot be {value:g}: {{code="200", namespace="shop", pod="a"}}')
        ):
            counters({"a/200": value})

    def test_a_fraction_of_a_request_counts_once_it_is_whole(self) -> None:
        seen = [counters({"a/200": value}) for value in (0.0, 0.4, 0.8, 1.2, 1.6, 2.0)]

        assert [added(before, now) for before, now in itertools.pairwise(seen)] == [0, 0, 1, 0, 1]

    def test_the_largest_numbers_are_counted_one_by_one(self) -> None:
        assert added(counters({"a/200": 2.0**53 - 1}), counters({"a/200": 2.0**53})) == 1


class TestBuckets:
    """What a bucket shares with the smaller ones counts once, in the smallest."""

    @staticmethod
    def of(buckets: Values) -> Counters:
        return Counters.of(
            {"buckets": [Sample({"pod": "a", "le": le}, value) for le, value in buckets.items()]}
        )

    def test_each_holds_what_the_smaller_ones_do_not(self) -> None:
        """In whatever order and notation they come: as numbers, 10 follows 9."""
        found = self.of({"+Inf": 20, "10": 12, "9e0": 7, "0.5": 7}).values

        assert {dict(series.labels)["le"]: value for series, value in found.items()} == {
            "0.5": 7,
            "9e0": 0,
            "10": 5,
            "+Inf": 8,
        }

    def test_those_of_another_label_set_are_another_histogram(self) -> None:
        one, two = (Sample({"pod": pod, "le": "1"}, value) for pod, value in (("a", 5.0), ("b", 3.0)))

        assert sorted(Counters.of({"buckets": [one, two]}).values.values()) == [3, 5]

    def test_all_of_a_histogram_restart_together_even_without_the_name_of_a_pod(self) -> None:
        before, now = (
            Counters.of({"buckets": [Sample({"le": "0.5"}, fast), Sample({"le": "+Inf"}, total)]})
            for fast, total in ((1.0, 4.0), (5.0, 6.0))
        )

        assert added(before, now) == 6

    def test_other_parts_may_have_the_label_and_mean_something_else(self) -> None:
        assert list(Counters.of({"total": [Sample({"le": "mans"}, 5.0)]}).values.values()) == [5]

    @pytest.mark.parametrize("le", ["", "fast", "nan"])
    def test_a_bucket_without_a_bound_is_named(self, le: str) -> None:
        with pytest.raises(NoCounterError, match="without a number as label le"):
            self.of({le: 5})

    def test_a_bucket_that_holds_less_than_a_smaller_one_is_named(self) -> None:
        with pytest.raises(NoCounterError, match=re.escape('le=1 holds less than a smaller one: {pod="a"}')):
            self.of({"0.5": 5, "1": 4, "+Inf": 5})


NAMES = [f"{pod}/{code}" for pod in ("a", "b", "c") for code in ("200", "500")] + ["200", "500"]
SNAPSHOTS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2**53).map(float))


@settings(deadline=None)
@given(SNAPSHOTS, SNAPSHOTS, st.booleans())
def test_no_count_is_negative_or_larger_than_the_counter(before: Values, now: Values, fresh: bool) -> None:  # noqa: FBT001  # drawn
    seen = counters(now)

    for series, count in counters(before).increases(seen, fresh=fresh).items():
        assert 0 <= count <= seen.values[series]


@settings(deadline=None)
@given(SNAPSHOTS, st.lists(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2**40)), max_size=6))
def test_looking_more_often_counts_the_same(start: Values, growth: Sequence[Mapping[str, int]]) -> None:
    """As long as nothing vanishes: what is counted does not depend on when one looks."""
    seen = [counters({name: value // 2 for name, value in start.items()})]
    running = {name: value // 2 for name, value in start.items()}
    for step in growth:
        running = {name: running.get(name, 0) + step.get(name, 0) for name in running.keys() | step.keys()}
        seen.append(counters(running))
    in_steps, known = 0, seen[0]
    for now in seen[1:]:
        in_steps += added(known, now)
        known = known.then(now)

    assert in_steps == added(seen[0], seen[-1])
    assert in_steps == sum(sum(step.values()) for step in growth)


@settings(deadline=None)
@given(SNAPSHOTS, SNAPSHOTS)
def test_a_glance_between_that_sees_nothing_changes_nothing(before: Values, now: Values) -> None:
    known = counters(before)

    assert known.then(counters({})).increases(counters(now), fresh=True) == known.increases(
        counters(now), fresh=True
    )


class TestBaseline:
    def test_it_starts_from_answers_alone(self) -> None:
        answers: dict[str, Answer] = {
            "errors/candidate/bad/1a": samples({"a/500": 1}),
            "errors/candidate/total/1a": samples({"a/200": 10}),
            "errors/stable/bad/2b": (),
            "errors/stable/total/2b": (),
        }

        assert Baseline.of(answers) == Baseline(
            {
                "errors/candidate/1a": counters({"a/200": 10}, bad={"a/500": 1}),
                "errors/stable/2b": counters({}, bad={}),
            },
            rebuilt=True,
        )

    @pytest.mark.parametrize(
        "answer", [Failure("timeout"), samples({"a/200": math.nan})], ids=["unanswered", "no counter"]
    )
    def test_a_question_without_a_full_answer_starts_later(self, answer: Answer) -> None:
        """An empty start would count all of history once the answer comes."""
        answers: dict[str, Answer] = {
            "errors/candidate/bad/1a": (),
            "errors/candidate/total/1a": answer,
            "errors/stable/bad/1a": (),
            "errors/stable/total/1a": samples({"a/200": 3}),
        }

        assert list(Baseline.of(answers).counters) == ["errors/stable/1a"]
