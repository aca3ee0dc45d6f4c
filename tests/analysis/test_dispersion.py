import math
from collections.abc import Sequence
from functools import reduce
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.dispersion import LARGEST, dispersion, observed
from analysis.evidence import Arm
from config.status import Dispersion


MANY = 10**12
QUICKLY = settings(deadline=None, max_examples=60)


def after(*windows: Arm) -> float:
    return dispersion(reduce(observed, windows, Dispersion()))


def by_definition(windows: Sequence[Arm]) -> float:
    """Give Pearson's chi squared over its degrees of freedom."""
    share = sum(window.bad for window in windows) / sum(window.requests for window in windows)
    variances = [share * (1 - share) * window.requests for window in windows]
    deviations = [window.bad - share * window.requests for window in windows]
    chi_squared = sum(off**2 / usual for off, usual in zip(deviations, variances, strict=True))
    return chi_squared / (len(windows) - 1)


BURSTS = (Arm(500, 9), Arm(400, 0), Arm(650, 1), Arm(500, 0), Arm(550, 11))


def test_what_was_observed_is_kept_as_sums() -> None:
    sums = reduce(observed, BURSTS, Dispersion())
    assert (sums.windows, sums.requests, sums.bad) == (5, 2600, 21)
    assert sums.squares == pytest.approx(81 / 500 + 1 / 650 + 121 / 550)


def test_bursts_are_measured_by_pearsons_dispersion_less_what_so_few_can_show() -> None:
    assert by_definition(BURSTS) == pytest.approx(6.675, abs=0.001)
    assert after(*BURSTS) == pytest.approx(1 + (by_definition(BURSTS) - 1) * 20 / 22)


@pytest.mark.parametrize(
    ("bad", "weight"),
    [((2, 0, 0, 0, 0, 0), 1 / 3), ((3, 0, 0, 0, 0, 0), 1 / 2), ((9, 0, 0, 10, 0, 0), 18 / 20)],
)
def test_a_few_bad_requests_say_little_about_bursts(bad: Sequence[int], weight: float) -> None:
    windows = [Arm(1000, each) for each in bad]
    assert after(*windows) == pytest.approx(1 + (by_definition(windows) - 1) * weight)


def test_one_bad_request_is_no_burst_however_small_its_window() -> None:
    assert after(*[Arm(1000, 0)] * 59, Arm(1, 1)) == 1


def test_evenly_is_as_good_as_by_chance() -> None:
    assert by_definition([Arm(100, 5)] * 10) == 0
    assert after(*[Arm(100, 5)] * 10) == 1


def test_no_outage_of_stable_makes_a_test_blind() -> None:
    outage = (*[Arm(1000, 0)] * 59, Arm(1000, 1000))
    assert by_definition(outage) > 500
    assert after(*outage) == pytest.approx(LARGEST, rel=0.01)
    assert after(*outage) <= LARGEST


@pytest.mark.parametrize(
    "windows",
    [
        (),
        (Arm(100, 50),),
        (Arm(100, 50), Arm(0, 0)),
        (Arm(100, 0), Arm(100, 0)),
        (Arm(100, 100), Arm(50, 50)),
        (Arm(0, 0), Arm(0, 0)),
    ],
    ids=["no window", "one", "one that counts", "nothing bad", "all bad", "no requests"],
)
def test_what_cannot_be_known_is_taken_for_chance(windows: Sequence[Arm]) -> None:
    assert after(*windows) == 1


def test_a_window_without_requests_says_nothing() -> None:
    before = reduce(observed, BURSTS, Dispersion())
    assert observed(before, Arm(0, 0)) is before


@st.composite
def arms(draw: st.DrawFn) -> Arm:
    requests = draw(st.integers(0, MANY) | st.integers(0, 1000))
    return Arm(requests, draw(st.integers(0, requests) | st.integers(0, min(requests, 20))))


@QUICKLY
@given(st.lists(arms(), max_size=8))
def test_dispersion_is_always_a_number_within_its_bounds(windows: list[Arm]) -> None:
    assert 1 <= after(*windows) <= LARGEST


@QUICKLY
@given(st.lists(st.tuples(st.integers(1, 10**4), st.floats(0, 0.9)), min_size=2, max_size=8), st.randoms())
def test_dispersion_is_as_defined_whatever_the_order(counted: list[tuple[int, float]], rng: Random) -> None:
    windows = [Arm(requests, int(requests * share)) for requests, share in counted]
    shuffled = sorted(windows, key=lambda _: rng.random())
    bad = sum(window.bad for window in windows)
    assert after(*windows) == pytest.approx(after(*shuffled))
    if bad:
        pearson = min(max(by_definition(windows), 1), LARGEST)
        assert after(*windows) == pytest.approx(1 + (pearson - 1) * (bad - 1) / (bad + 1), rel=1e-6)
        assert math.isfinite(pearson)
