"""Bursts are seen, and a few errors in windows of uneven size are no burst."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.dispersion import LARGEST, dispersion, observed
from analysis.evidence import Arm
from config.status import Dispersion
from simulation import in_bursts, independent, seeded


def after(*arms: Arm) -> Dispersion:
    sums = Dispersion()
    for arm in arms:
        sums = observed(sums, arm)
    return sums


@given(st.lists(st.integers(0, 10**9).flatmap(lambda n: st.builds(Arm, st.just(n), st.integers(0, n)))))
def test_it_lies_between_1_and_the_largest(arms: list[Arm]) -> None:
    assert 1 <= dispersion(after(*arms)) <= LARGEST


def test_by_chance_alone_it_is_about_1() -> None:
    source = seeded(1)
    windows = [Arm(1000, independent(source, 1000, 0.01)) for _ in range(60)]
    assert dispersion(after(*windows)) < 1.5


def test_bursts_of_five_make_it_nine() -> None:
    source = seeded(2)
    windows = [Arm(1000, in_bursts(source, 1000, 0.02)) for _ in range(500)]
    assert dispersion(after(*windows)) == pytest.approx(9, rel=0.15)  # 2 * 5 - 1: geometric bursts of mean 5


def test_it_is_pearsons() -> None:
    arms = [Arm(100, 2), Arm(300, 9), Arm(200, 1)]
    share = 12 / 600
    chi = sum((bad - share * n) ** 2 / (share * (1 - share) * n) for n, bad in arms)
    assert dispersion(after(*arms)) == pytest.approx(1 + (chi / 2 - 1) * 11 / 13)


@pytest.mark.parametrize(
    "arms",
    [
        pytest.param([], id="nothing seen"),
        pytest.param([Arm(0, 0)] * 5, id="no requests"),
        pytest.param([Arm(100, 50)], id="one window"),
        pytest.param([Arm(100, 0)] * 5, id="no errors"),
        pytest.param([Arm(100, 100)] * 5, id="nothing but errors"),
        pytest.param([Arm(1000, 0), Arm(2, 1), Arm(1000, 0)], id="one error"),
    ],
)
def test_where_nothing_can_be_told_it_is_1(arms: list[Arm]) -> None:
    assert dispersion(after(*arms)) == 1.0


def test_a_window_without_requests_is_none() -> None:
    assert after(Arm(10, 1), Arm(0, 0)) == after(Arm(10, 1)) == Dispersion(1, 10, 1, 0.1)


def test_the_largest_is_the_largest() -> None:
    quiet, burst = [Arm(1000, 0)] * 60, Arm(1000, 900)
    assert 19 < dispersion(after(*quiet, burst)) <= LARGEST
