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
LONG = 20
"""Windows of stable's after which nothing is assumed of it."""


def test_what_was_observed_is_kept_as_sums() -> None:
    sums = reduce(observed, BURSTS, Dispersion())
    assert (sums.windows, sums.requests, sums.bad) == (5, 2600, 21)
    assert sums.squares == pytest.approx(81 / 500 + 1 / 650 + 121 / 550)


def test_bursts_are_measured_by_pearsons_dispersion_less_what_so_few_can_show() -> None:
    windows = BURSTS * 4
    assert by_definition(windows) == pytest.approx(5.621, abs=0.001)
    assert after(*windows) == pytest.approx(1 + (by_definition(windows) - 1) * 83 / 85)


@pytest.mark.parametrize(
    ("bad", "weight"),
    [((2,), 1 / 3), ((3,), 1 / 2), ((9, 10), 18 / 20)],
)
def test_a_few_bad_requests_say_little_about_bursts(bad: Sequence[int], weight: float) -> None:
    windows = [*(Arm(1000, each) for each in bad), *[Arm(1000, 0)] * LONG]
    assert after(*windows) == pytest.approx(1 + (by_definition(windows) - 1) * weight)


def test_one_bad_request_is_no_burst_however_small_its_window() -> None:
    assert after(*[Arm(1000, 0)] * 59, Arm(1, 1)) == 1


def test_evenly_is_as_good_as_by_chance() -> None:
    assert by_definition([Arm(100, 5)] * LONG) == 0
    assert after(*[Arm(100, 5)] * LONG) == 1


def test_no_outage_of_stable_makes_a_test_blind() -> None:
    outage = (*[Arm(1000, 0)] * 59, Arm(1000, 1000))
    assert by_definition(outage) > 500
    assert after(*outage) == pytest.approx(LARGEST, rel=0.01)
    assert after(*outage) <= LARGEST


@pytest.mark.parametrize(
    ("windows", "least"),
    [
        pytest.param((), 8, id="no window"),
        pytest.param((Arm(0, 0),) * 60, 8, id="no requests"),
        pytest.param((Arm(100, 50),), 7.65, id="one"),
        pytest.param((Arm(100, 50), Arm(0, 0)), 7.65, id="one that counts"),
        pytest.param((Arm(100, 0),) * 2, 7.3, id="nothing bad"),
        pytest.param((Arm(100, 100), Arm(50, 50)), 7.3, id="all bad"),
        pytest.param((Arm(100, 5),) * 10, 4.5, id="half of what is enough"),
        pytest.param(BURSTS, 6.25, id="bursts that are smaller"),
        pytest.param((Arm(1000, 5),) * 19, 1.35, id="one window is missing"),
        pytest.param((Arm(100, 5),) * 20, 1, id="enough"),
        pytest.param((Arm(100, 0),) * 20, 1, id="enough, with nothing bad"),
        pytest.param((Arm(100, 100),) * 20, 1, id="enough, with all bad"),
        pytest.param((Arm(100, 5),) * 2000, 1, id="more than enough"),
    ],
)
def test_a_young_stable_is_not_taken_for_a_calm_one(windows: Sequence[Arm], least: float) -> None:
    assert after(*windows) == pytest.approx(least)


def test_bursts_that_were_seen_are_believed_however_young_stable_is() -> None:
    windows = (Arm(1000, 60), Arm(1000, 24))
    assert by_definition(windows) == pytest.approx(16.1, abs=0.1)
    assert after(*windows) == pytest.approx(1 + (by_definition(windows) - 1) * 83 / 85)


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
    windows = [Arm(requests, int(requests * share)) for requests, share in counted] * (LONG // 2)
    shuffled = sorted(windows, key=lambda _: rng.random())
    bad = sum(window.bad for window in windows)
    assert after(*windows) == pytest.approx(after(*shuffled))
    if bad:
        pearson = min(max(by_definition(windows), 1), LARGEST)
        assert after(*windows) == pytest.approx(1 + (pearson - 1) * (bad - 1) / (bad + 1), rel=1e-6)
        assert math.isfinite(pearson)
