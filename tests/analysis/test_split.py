import math
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.split import CONCENTRATION, DEVIATION, ODDS, mismatch


MANY = 10**12
QUICKLY = settings(deadline=None, max_examples=100)


def log_m(candidate: int, stable: int, share: float) -> float:
    return mismatch(candidate, stable, share, testers=False)


def step_by_step(candidate: int, stable: int, share: float, best: float) -> float:
    """Bet on each request by what the prior and those before it predict, against the best share allowed."""
    log, priors = 0.0, (CONCENTRATION * share, CONCENTRATION * (1 - share))
    for prior, requests, fair in zip(priors, (candidate, stable), (best, 1 - best), strict=True):
        log += sum(math.log((prior + before) / fair) for before in range(requests))
    return log - sum(math.log(CONCENTRATION + before) for before in range(candidate + stable))


@pytest.mark.parametrize(
    ("candidate", "stable", "share", "best"),
    [
        (0, 700, 0.05, 0.045),
        (30, 70, 0.1, 0.11),
        (52, 48, 0.5, 0.52),
        (10, 90, 0.105, 0.1),
        (99, 1, 0.98, 0.982),
        (1, 99, 0.98, 0.978),
    ],
)
def test_evidence_of_a_mismatch_is_what_a_bettor_would_win(
    candidate: int, stable: int, share: float, best: float
) -> None:
    expected = step_by_step(candidate, stable, share, best)
    assert log_m(candidate, stable, share) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("share", [0, 0.001, 0.05, 0.5, 1])
def test_no_requests_are_no_mismatch(share: float) -> None:
    assert log_m(0, 0, share) == 0


@pytest.mark.parametrize("requests", [1, 1000, MANY])
def test_a_version_that_is_to_get_nothing_gets_nothing(requests: int) -> None:
    assert log_m(0, requests, 0) == pytest.approx(0, abs=0.01)
    assert log_m(requests, 0, 1) == pytest.approx(0, abs=0.01)
    assert log_m(1, requests, 0) == math.inf
    assert log_m(requests, 1, 1) == math.inf


def test_testers_are_no_mismatch_and_hide_none() -> None:
    assert mismatch(900, 100, 0.05, testers=True) == 0
    assert mismatch(5, 95, 0.05, testers=True) == 0
    assert mismatch(1, 0, 0, testers=True) == 0
    assert mismatch(0, 700, 0.05, testers=True) == log_m(0, 700, 0.05) > math.log(ODDS)
    assert mismatch(0, 1, 1, testers=True) == math.inf


def needed(share: float, got: float) -> int:
    """Count requests until a mismatch is reported, if the candidate gets exactly the share `got`."""
    return next(
        requests
        for requests in count(1)
        if log_m(round(got * requests), requests - round(got * requests), share) >= math.log(ODDS)
    )


@pytest.mark.parametrize(
    ("share", "got", "requests"),
    [
        (0.01, 0, 1548),
        (0.05, 0, 666),
        (0.1, 0, 492),
        (0.5, 0, 285),
        (0.05, 1, 32),
        (0.05, 0.5, 67),
        (0.1, 0.2, 583),
        (0.001, 0.5, 11),
        (0.999, 0.5, 12),
    ],
)
def test_so_many_requests_show_a_mismatch(share: float, got: float, requests: int) -> None:
    """The table of the documentation."""
    assert needed(share, got) == pytest.approx(requests, abs=2)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("off", [-0.99, -0.1, 0.5, 0.99])
def test_a_small_deviation_is_no_mismatch_however_long_it_lasts(share: float, off: float) -> None:
    got = share + off * DEVIATION * min(share, 1 - share)
    for requests in (10**3, 10**6, 10**9, MANY):
        candidate = round(got * requests)
        assert log_m(candidate, requests - candidate, share) < 1


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("scrapes", [1, 2, 10])
def test_one_scrape_more_of_either_version_is_no_mismatch(share: float, scrapes: int) -> None:
    apart = (scrapes + 1) / scrapes
    for more, fewer in ((scrapes + 1, scrapes), (scrapes, scrapes + 1)):
        for requests in (10**2, 10**4, 10**9):
            candidate, stable = round(requests * share * more), round(requests * (1 - share) * fewer)
            assert mismatch(candidate, stable, share, testers=False, apart=apart) < 1
    for candidate, stable in ((4, 1), (1, 4)):
        far = round(10**6 * share * candidate), round(10**6 * (1 - share) * stable)
        assert mismatch(*far, share, testers=False, apart=apart) > math.log(ODDS)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize("requests", [1, 20, 100])
def test_a_gateway_that_does_as_asked_gives_no_evidence_on_average(
    share: float, off: float, requests: int
) -> None:
    real = share + off * DEVIATION * min(share, 1 - share)
    mean = math.fsum(
        math.comb(requests, candidate)
        * real**candidate
        * (1 - real) ** (requests - candidate)
        * math.exp(log_m(candidate, requests - candidate, share))
        for candidate in range(requests + 1)
    )
    assert mean <= 1 + 1e-9


@QUICKLY
@given(st.integers(0, MANY), st.integers(0, MANY), st.floats(0, 1))
def test_evidence_is_a_number_unless_the_impossible_was_seen(
    candidate: int, stable: int, share: float
) -> None:
    impossible = (candidate and share == 0) or (stable and share == 1)
    assert math.isinf(log_m(candidate, stable, share)) == bool(impossible)
    assert not math.isnan(log_m(candidate, stable, share))


@QUICKLY
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([0.25, 0.5, 0.75]))
def test_neither_version_is_special(candidate: int, stable: int, share: float) -> None:
    other = log_m(stable, candidate, 1 - share)
    assert log_m(candidate, stable, share) == pytest.approx(other, rel=1e-9, abs=1e-6)
