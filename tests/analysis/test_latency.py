"""Every bucket bound is a meaning of "bad" of its own."""

import math

import pytest

from analysis.evidence import Arm
from analysis.latency import Tally, aligned, harm, tally, watched, worst
from analysis.readings import Counts, Latencies
from config.status import Comparison, Dispersion
from metrics import counted_metric, errors, latency


RATIO, LIMITED, UNLIMITED = (
    counted_metric(errors()),
    counted_metric(latency()),
    counted_metric(latency(max=None)),
)


def known(bound: float | None, bad: int, requests: int = 1000) -> Comparison:
    """Give what stable's past says about a bound."""
    return Comparison(bound, dispersion=Dispersion(60, requests, bad, 0.0))


class TestTally:
    def test_the_bad_requests_of_a_ratio_have_no_bound(self) -> None:
        assert tally(Counts(40, 3)) == Tally(40, {None: 3})

    def test_slow_requests_are_bad_by_bound(self) -> None:
        assert tally(Latencies(40, ((0.1, 9), (0.5, 2)))) == Tally(40, {0.1: 9, 0.5: 2})

    def test_what_cannot_be_counted_is_not_known(self) -> None:
        found = Tally(40, {0.1: 9})
        assert (found.knows(0.1), found.knows(0.5)) == (True, False)
        assert found.arm(0.1) == Arm(40, 9)

    def test_of_no_requests_none_is_bad_in_any_sense(self) -> None:
        found = Tally(0, {})
        assert found.knows(0.5)
        assert found.arm(0.5) == Arm(0, 0)


class TestAligned:
    def test_bounds_that_both_have_are_compared_in_ascending_order(self) -> None:
        found = aligned((), [Tally(1, {1.0: 0, 0.5: 0, 0.1: 1}), Tally(1, {0.1: 0, 1.0: 0, 5.0: 0})])
        assert found == (Comparison(0.1), Comparison(1.0))

    def test_a_ratio_makes_one_comparison(self) -> None:
        assert aligned((), [Tally(1, {None: 0}), Tally(1, {None: 0})]) == (Comparison(None),)

    def test_what_was_compared_before_is_compared_on(self) -> None:
        before = (Comparison(0.5, bad=3),)
        assert aligned(before, [Tally(1, {0.1: 0, 0.5: 1})]) == before

    def test_who_has_no_series_yet_has_no_say(self) -> None:
        assert aligned((), [Tally(0, {}), Tally(9, {0.5: 1})]) == (Comparison(0.5),)

    @pytest.mark.parametrize("tallies", [[], [Tally(0, {})]], ids=["nobody", "nothing seen"])
    def test_without_any_bound_it_is_decided_later(self, tallies: list[Tally]) -> None:
        assert aligned((), tallies) == ()


class TestWatched:
    def test_a_ratio_has_no_bound(self) -> None:
        assert watched(RATIO, (known(None, 5),)) is None

    def test_a_limit_is_about_its_own_bound_whatever_is_known(self) -> None:
        assert watched(LIMITED, ()) == 0.5
        assert watched(LIMITED, (known(0.1, 500), known(0.5, 0), known(1.0, 400))) == 0.5

    def test_else_it_is_the_largest_bound_that_one_in_a_hundred_exceeds(self) -> None:
        assert watched(UNLIMITED, (known(0.1, 500), known(0.5, 10), known(1.0, 9))) == 0.5

    def test_if_stable_is_faster_than_all_bounds_it_is_the_smallest(self) -> None:
        assert watched(UNLIMITED, (known(0.1, 9), known(0.5, 1))) == 0.1

    @pytest.mark.parametrize(("requests", "bound"), [(0, None), (99, None), (100, 0.5)])
    def test_of_few_requests_it_cannot_be_told_yet(self, requests: int, bound: float | None) -> None:
        assert watched(UNLIMITED, (known(0.1, 0, requests), known(0.5, requests, requests))) == bound
        assert watched(UNLIMITED, ()) is None


class TestHarm:
    def test_evidence_is_the_mean_over_the_bounds(self) -> None:
        strong, none = Comparison(0.1, harm=(math.log(100),) * 8), Comparison(0.5, harm=(0.0,) * 8)
        assert math.exp(harm([strong, none])) == pytest.approx((100 + 1) / 2)

    def test_a_bound_that_was_never_compared_stands_for_no_evidence(self) -> None:
        strong = Comparison(0.1, harm=(math.log(100),) * 8)
        assert math.exp(harm([strong, Comparison(0.5)])) == pytest.approx((100 + 1) / 2)
        assert harm([Comparison(0.5)]) == harm([]) == 0

    def test_the_bound_with_the_largest_evidence_is_named(self) -> None:
        weak, strong = Comparison(0.1, harm=(-3.0,) * 8), Comparison(0.5, harm=(-9.0,) * 7 + (2.0,))
        assert worst([weak, strong]) is strong
        assert worst([strong, weak]) is strong

    def test_a_bound_that_was_never_compared_is_not_the_worst(self) -> None:
        weak = Comparison(0.5, harm=(-3.0,) * 8)
        assert worst([Comparison(0.1), weak]) is weak
