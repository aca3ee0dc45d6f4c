import math
import statistics
from random import Random

import pytest

from controller.rehearsal.chance import binomial, geometric, poisson


DRAWS = 4000


@pytest.mark.parametrize(
    ("trials", "share"),
    [(1, 0.3), (7, 0.5), (30, 0.4), (1000, 0.002), (1000, 0.02), (200, 0.9), (100_000, 0.3), (10**9, 1e-9)],
)
def test_binomial_draws_have_the_right_mean_and_spread(trials: int, share: float) -> None:
    random = Random(1)  # noqa: S311
    drawn = [binomial(random, trials, share) for _ in range(DRAWS)]
    variance = trials * share * (1 - share)
    assert min(drawn) >= 0
    assert max(drawn) <= trials
    assert abs(statistics.fmean(drawn) - trials * share) < 4 * math.sqrt(variance / DRAWS)
    assert statistics.variance(drawn) == pytest.approx(variance, rel=0.12)


@pytest.mark.parametrize(("trials", "share"), [(25, 0.1), (30, 0.4), (400, 0.03), (40, 0.75)])
def test_binomial_draws_are_exact_one_by_one(trials: int, share: float) -> None:
    random, draws = Random(2), 20_000  # noqa: S311
    counts = [0] * (trials + 1)
    for _ in range(draws):
        counts[binomial(random, trials, share)] += 1
    expected = [
        draws * math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(trials + 1)
    ]
    usual = [(found, wanted) for found, wanted in zip(counts, expected, strict=True) if wanted >= 5]
    chi_squared = sum((found - wanted) ** 2 / wanted for found, wanted in usual)
    assert chi_squared < len(usual) + 4 * math.sqrt(2 * len(usual))


def test_what_cannot_fail_and_what_cannot_succeed() -> None:
    random = Random(3)  # noqa: S311
    assert binomial(random, 0, 0.5) == 0
    assert binomial(random, 10, 0.0) == 0
    assert binomial(random, 10, 1.0) == 10
    assert binomial(random, 10, 1.5) == 10


@pytest.mark.parametrize("mean", [0.2, 3.0, 40.0, 99.0, 150.0, 5000.0])
def test_arrivals_have_the_right_mean_and_spread(mean: float) -> None:
    random = Random(4)  # noqa: S311
    drawn = [poisson(random, mean) for _ in range(DRAWS)]
    assert min(drawn) >= 0
    assert abs(statistics.fmean(drawn) - mean) < 4 * math.sqrt(mean / DRAWS)
    assert statistics.variance(drawn) == pytest.approx(mean, rel=0.12)


@pytest.mark.parametrize("mean", [1.0, 1.5, 5.0, 40.0])
def test_bursts_have_the_right_mean_and_at_least_one_failure(mean: float) -> None:
    random = Random(5)  # noqa: S311
    drawn = [geometric(random, mean) for _ in range(DRAWS)]
    assert min(drawn) == 1
    assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.06)
    assert statistics.pvariance(drawn) == pytest.approx(mean * (mean - 1), rel=0.15, abs=1e-9)
