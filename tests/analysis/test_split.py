"""A gateway that divides otherwise than it was asked to is found out, and an honest one is not accused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.split import ODDS, mismatch
from simulation import independent, seeded


FOUND = math.log(ODDS)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0, 1), st.booleans())
def test_it_is_a_number_or_certain(candidate: int, stable: int, share: float, testers: bool) -> None:  # noqa: FBT001
    assert not math.isnan(mismatch(candidate, stable, share, testers=testers))


def test_an_honest_gateway_is_hardly_ever_accused() -> None:
    source = seeded(1)
    accused = 0
    for _ in range(300):
        candidate = stable = 0
        for _ in range(50):
            mine = independent(source, 200, 0.05)
            candidate, stable = candidate + mine, stable + 200 - mine
            if mismatch(candidate, stable, 0.05, testers=False) >= FOUND:
                accused += 1
                break
    assert accused / 300 <= 1 / ODDS


@pytest.mark.parametrize(
    ("candidate", "stable", "share"),
    [
        pytest.param(0, 1000, 0.05, id="an empty subset that falls back to all"),
        pytest.param(100, 100, 0.05, id="a route that balances over all versions"),
        pytest.param(500, 500, 0.9, id="far too few"),
        pytest.param(1, 1000, 0.0, id="at 0%"),
        pytest.param(1000, 1, 1.0, id="at 100%"),
    ],
)
def test_a_wrong_split_is_found(candidate: int, stable: int, share: float) -> None:
    assert mismatch(candidate, stable, share, testers=False) >= FOUND


@pytest.mark.parametrize(
    ("candidate", "stable", "share"),
    [(0, 0, 0.5), (5, 95, 0.05), (52, 948, 0.05), (0, 1000, 0.0), (1000, 0, 1.0), (0, 20, 0.05)],
)
def test_a_right_one_is_not(candidate: int, stable: int, share: float) -> None:
    assert mismatch(candidate, stable, share, testers=False) < FOUND


def test_small_deviations_are_nobodys_fault() -> None:
    assert mismatch(5_300, 94_700, 0.05, testers=False) < FOUND < mismatch(8_000, 92_000, 0.05, testers=False)


def test_with_testers_only_too_few_prove_anything() -> None:
    assert mismatch(500, 500, 0.05, testers=True) == 0.0
    assert mismatch(0, 1000, 0.05, testers=True) == mismatch(0, 1000, 0.05, testers=False) >= FOUND
