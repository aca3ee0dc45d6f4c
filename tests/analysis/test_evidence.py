import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.evidence import BEGINNINGS, BETTER, WORSE, Arm, Logs, above, log_mean_exp, safe, worse


Compare = Callable[[Logs, Arm, Arm, float, float], Logs]

NOTHING_LEFT = (0.0,) * len(WORSE) + (-1e300,)
"""The bets as they began, and a reserve from which no other can begin."""
FIRST = -math.log(BEGINNINGS * len(WORSE))
"""What is staked on each alternative in the first window, in logarithms."""
KEPT = math.log1p(-1 / BEGINNINGS)
"""What is left of the reserve then."""


def staked(gains: Sequence[float]) -> list[float]:
    """Give what the first window makes of the bets and of the reserve."""
    return [math.log1p(math.exp(FIRST)) + gain for gain in gains] + [KEPT]


MANY = 10**12
QUICKLY = settings(deadline=None, max_examples=60)


def test_evidence_of_harm_is_the_mean_of_the_likelihood_ratios_and_the_reserve() -> None:
    candidate, stable, tolerate = Arm(20, 2), Arm(380, 1), 1.5
    odds = 20 / 380

    def share(ratio: float) -> float:
        return odds * ratio / (1 + odds * ratio)

    ratios = [
        (share(tolerate * gain) / share(tolerate)) ** 2 * (1 - share(tolerate * gain)) / (1 - share(tolerate))
        for gain in (1.5, 2, 3, 5, 10, 20, 50)
    ]
    logs = worse((), candidate, stable, tolerate, 1)
    assert logs == pytest.approx(staked([math.log(ratio) for ratio in ratios]), rel=1e-12)
    rest = 1 - 1 / BEGINNINGS
    mean = (sum(ratios) * (1 + (1 - rest) / 7) + rest) / 8
    assert log_mean_exp(logs) == pytest.approx(math.log(mean), rel=1e-12)


def test_evidence_beyond_a_limit_is_the_mean_of_the_likelihood_ratios_and_the_reserve() -> None:
    ratios = [
        (share / 0.05) ** 3 * ((1 - share) / 0.95) ** 17
        for share in (0.075, 0.1, 0.15, 0.25, 0.5, 0.99, 0.99)
    ]
    expected = staked([math.log(ratio) for ratio in ratios])
    assert above((), Arm(20, 3), 0.05, 1) == pytest.approx(expected, rel=1e-12)


def test_evidence_of_safety_is_that_of_harm_turned_round() -> None:
    odds = 100 / 300
    ratios = [
        (ratio * (1 + odds * 3) / (3 * (1 + odds * ratio))) * ((1 + odds * 3) / (1 + odds * ratio)) ** 12
        for ratio in (0.5, 0.75, 1, 1.25)
    ]
    logs = safe((), Arm(100, 1), Arm(300, 12), 3, 1)
    assert logs == pytest.approx([math.log(ratio) for ratio in ratios], rel=1e-12)


def test_no_digit_is_lost_when_almost_all_requests_are_the_candidates() -> None:
    """Then a bad request of its is no surprise, whatever it is like; but these are many."""
    logs = worse((), Arm(MANY, MANY), Arm(1, 0), 1, 1)
    assert logs == pytest.approx(staked([(gain - 1) / gain for gain in WORSE]), rel=1e-9)


@pytest.mark.parametrize("temper", [1, 0.5, 0.05])
def test_bursts_make_all_evidence_weaker_by_the_same_factor(temper: float) -> None:
    candidate, stable, before = Arm(50, 4), Arm(450, 3), (0.25,) * len(WORSE) + (-1e300,)

    def gained(logs: Logs) -> list[float]:
        return [log - 0.25 for log in logs[:-1]]

    full, calm = (gained(worse(before, candidate, stable, 1, each)) for each in (1.0, temper))
    assert calm == pytest.approx([temper * gain for gain in full])
    full, calm = (gained(above(before, candidate, 0.01, each)) for each in (1.0, temper))
    assert calm == pytest.approx([temper * gain for gain in full])
    full, calm = (gained(safe(before[:4], candidate, stable, 3, each)) for each in (1.0, temper))
    assert calm == pytest.approx([temper * gain for gain in full])


@pytest.mark.parametrize(
    "nothing", [(Arm(0, 0), Arm(500, 3)), (Arm(20, 20), Arm(0, 0)), (Arm(0, 0), Arm(0, 0))]
)
@pytest.mark.parametrize("compare", [worse, safe])
def test_what_cannot_be_compared_shows_nothing(compare: Compare, nothing: tuple[Arm, Arm]) -> None:
    before = compare((), Arm(20, 3), Arm(180, 1), 2, 1)
    assert compare(before, *nothing, 2, 1) == before
    assert set(compare((), *nothing, 2, 1)) == {0.0}


def test_no_requests_are_not_above_a_limit_and_not_below_it() -> None:
    before = above((), Arm(20, 3), 0.01, 1)
    assert above(before, Arm(0, 0), 0.01, 1) == before


def test_nothing_beyond_the_largest_limit_can_be_shown() -> None:
    assert log_mean_exp(above((), Arm(1000, 1000), 0.995, 1)) == pytest.approx(0, abs=1e-12)


def test_nothing_was_tested_yet() -> None:
    assert log_mean_exp(()) == 0
    assert log_mean_exp([0.0] * 7) == 0


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([2.0], 2.0),
        ([math.log(3), math.log(5)], math.log(4)),
        ([1e13, -1e13, 0], 1e13 - math.log(3)),
        ([-1e13, -2e13], -1e13 - math.log(2)),
    ],
)
def test_the_mean_of_very_large_and_very_small_evidence(logs: list[float], expected: float) -> None:
    assert log_mean_exp(logs) == pytest.approx(expected, rel=1e-14)


# Harm may begin at any time.


def test_new_bets_begin_in_every_window_and_all_are_from_one_purse() -> None:
    """Each bet by itself: from when it began, on one alternative, with a part of the reserve at that time."""
    counted = [Arm(20, bad) for bad in (0, 1, 0, 4, 2)]
    alone = [above(NOTHING_LEFT, arm, 0.03, 0.7)[:-1] for arm in counted]
    won, reserve = [math.exp(math.fsum(logs)) for logs in zip(*alone, strict=True)], 1.0
    for first in range(len(counted)):
        stake = reserve * reserve / BEGINNINGS
        won += [stake / len(WORSE) * math.exp(math.fsum(logs)) for logs in zip(*alone[first:], strict=True)]
        reserve -= stake
    logs = Logs()
    for arm in counted:
        logs = above(logs, arm, 0.03, 0.7)
    assert math.exp(logs[-1]) == pytest.approx(reserve, rel=1e-12)
    assert odds(logs) == pytest.approx((math.fsum(won) + reserve) / 8, rel=1e-12)


def test_of_the_reserve_something_is_left_after_any_number_of_windows() -> None:
    logs = Logs()
    for _ in range(500):
        logs = above(logs, Arm(20, 0), 0.01, 1)
    assert math.exp(logs[-1]) == pytest.approx(1 / 2, rel=1e-2)
    for _ in range(1500):
        logs = above(logs, Arm(20, 0), 0.01, 1)
    assert math.exp(logs[-1]) == pytest.approx(1 / 5, rel=1e-2)


def test_good_hours_hardly_hide_what_comes_after_them() -> None:
    """A fifth of the reserve is left then, and a fifth of the first part is staked."""
    logs = Logs()
    for _ in range(2000):
        logs = worse(logs, Arm(100, 0), Arm(900, 1), 1, 1)
    bad = Arm(100, 9), Arm(900, 1)
    at_once, late = log_mean_exp(worse((), *bad, 1, 1)), log_mean_exp(worse(logs, *bad, 1, 1))
    assert at_once + FIRST - math.log(25.5) < late < at_once
    first_bets = NOTHING_LEFT
    for _ in range(2000):
        first_bets = worse(first_bets, Arm(100, 0), Arm(900, 1), 1, 1)
    assert log_mean_exp(worse(first_bets, *bad, 1, 1)) < at_once - 50


@pytest.mark.parametrize("stored", [(-5.0,) * 7, (3.0,), (9.0,) * 9])
def test_what_was_stored_in_another_form_begins_anew(stored: Logs) -> None:
    arms = Arm(20, 3), Arm(180, 1)
    assert worse(stored, *arms, 1.5, 1) == worse((), *arms, 1.5, 1)
    assert above(stored, arms[0], 0.01, 1) == above((), arms[0], 0.01, 1)
    assert worse(stored, Arm(0, 0), Arm(180, 1), 1.5, 1) == (0.0,) * 8


# A bet on chance wins nothing on average: every outcome of small windows, weighed by how likely it is.


def chances(requests: int, share: float) -> Iterator[tuple[Arm, float]]:
    """Give every number of bad requests, and how likely it is."""
    for bad in range(requests + 1):
        yield Arm(requests, bad), math.comb(requests, bad) * share**bad * (1 - share) ** (requests - bad)


def odds(logs: Logs) -> float:
    return math.exp(log_mean_exp(logs))


@pytest.mark.parametrize("share", [0.001, 0.03, 0.2, 0.33])
@pytest.mark.parametrize(("candidate", "stable"), [(1, 9), (6, 6), (9, 2)])
@pytest.mark.parametrize(("ratio", "temper"), [(1, 1), (1.5, 1), (3, 1), (1, 0.6), (1.5, 0.1)])
def test_a_candidate_as_bad_as_tolerated_gives_no_evidence_of_harm_on_average(
    candidate: int, stable: int, share: float, ratio: float, temper: float
) -> None:
    mean = math.fsum(
        chance * likely * odds(worse((), arm, other, ratio, temper))
        for arm, chance in chances(candidate, share * ratio)
        for other, likely in chances(stable, share)
    )
    assert mean <= 1 + 1e-12


@pytest.mark.parametrize("beyond", [1, 1.2])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.2])
@pytest.mark.parametrize(("candidate", "stable"), [(1, 9), (6, 6), (9, 2)])
@pytest.mark.parametrize(("ratio", "temper"), [(2, 1), (4, 1), (3, 0.4)])
def test_a_candidate_as_bad_as_must_not_be_gives_no_evidence_of_safety_on_average(
    candidate: int, stable: int, share: float, ratio: float, temper: float, beyond: float
) -> None:
    mean = math.fsum(
        chance * likely * odds(safe((), arm, other, ratio, temper))
        for arm, chance in chances(candidate, share * ratio * beyond)
        for other, likely in chances(stable, share)
    )
    assert mean <= 1 + 1e-12


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.7])
@pytest.mark.parametrize("requests", [1, 7, 30])
def test_a_candidate_at_its_limit_gives_evidence_of_1_on_average(requests: int, share: float) -> None:
    at_limit = [(chance, arm) for arm, chance in chances(requests, share)]
    assert math.fsum(chance * odds(above((), arm, share, 1)) for chance, arm in at_limit) == pytest.approx(1)
    assert math.fsum(chance * odds(above((), arm, share, 0.3)) for chance, arm in at_limit) < 1
    below = [(chance, arm) for arm, chance in chances(requests, share * 0.9)]
    assert math.fsum(chance * odds(above((), arm, share, 1)) for chance, arm in below) < 1


ALL_IN_RESERVE = (-1e300,) * len(WORSE) + (math.log(len(WORSE) + 1),)


@pytest.mark.parametrize("begun", [(), ALL_IN_RESERVE], ids=["from the start", "all in reserve"])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.45])
def test_new_bets_change_nothing_about_that(share: float, begun: Logs) -> None:
    def mean(temper: float) -> float:
        paths = [(1.0, begun)]
        for requests in (2, 5, 3):
            paths = [
                (before * chance, above(logs, arm, share, temper))
                for before, logs in paths
                for arm, chance in chances(requests, share)
            ]
        return math.fsum(chance * odds(logs) for chance, logs in paths)

    assert mean(1) == pytest.approx(1, rel=1e-12)
    assert mean(0.5) < 1


@pytest.mark.parametrize("temper", [1, 0.5])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.45])
@pytest.mark.parametrize("begun", [(), ALL_IN_RESERVE], ids=["from the start", "all in reserve"])
def test_new_bets_against_stable_win_nothing_on_average(share: float, temper: float, begun: Logs) -> None:
    paths = [(1.0, begun)]
    for candidate, stable in ((2, 4), (5, 3), (3, 5)):
        paths = [
            (before * chance * likely, worse(logs, arm, other, 1, temper))
            for before, logs in paths
            for arm, chance in chances(candidate, share)
            for other, likely in chances(stable, share)
        ]
    assert math.fsum(chance * odds(logs) for chance, logs in paths) <= 1 + 1e-12


@pytest.mark.parametrize("compare", [worse, safe])
@pytest.mark.parametrize("ratio", [1.5, 3])
def test_rare_bad_requests_give_evidence_of_1_on_average_over_windows_of_different_weights(
    compare: Compare, ratio: float
) -> None:
    """Given how many are bad, the candidate's share is binomial if they are rare: then nothing is lost."""
    windows = [(MANY // 20, MANY, 5), (MANY, MANY // 2, 6)]

    def outcomes(candidate: int, stable: int, bad: int) -> list[tuple[Arm, Arm, float]]:
        theta = candidate * ratio / (candidate * ratio + stable)
        return [
            (Arm(candidate, arm.bad), Arm(stable, bad - arm.bad), chance)
            for arm, chance in chances(bad, theta)
        ]

    mean = math.fsum(
        first[2] * second[2] * odds(compare(compare((), *first[:2], ratio, 1), *second[:2], ratio, 1))
        for first, second in product(*(outcomes(*window) for window in windows))
    )
    assert mean == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(("candidate", "stable"), [(3, 12), (8, 8), (12, 4)])
@pytest.mark.parametrize("temper", [1, 0.5])
def test_equal_versions_draw_their_bad_requests_from_one_urn(
    candidate: int, stable: int, temper: float
) -> None:
    total = candidate + stable
    for bad in range(total + 1):
        mean = math.fsum(
            math.comb(candidate, own)
            * math.comb(stable, bad - own)
            / math.comb(total, bad)
            * odds(worse((), Arm(candidate, own), Arm(stable, bad - own), 1, temper))
            for own in range(max(0, bad - stable), min(candidate, bad) + 1)
        )
        assert mean <= 1 + 1e-12


# Whatever was counted.


@st.composite
def arms(draw: st.DrawFn, least: int = 0, most: int = MANY) -> Arm:
    requests = draw(st.integers(least, most) | st.integers(least, 1000))
    return Arm(requests, draw(st.integers(0, requests) | st.integers(0, min(requests, 20))))


tempers = st.floats(0.05, 1)
tolerated = st.floats(1, 1000)
limits = st.floats(1e-6, 0.999)
windows = st.lists(st.tuples(arms(), arms(), tempers), max_size=6)


@QUICKLY
@given(windows, tolerated, limits)
def test_evidence_is_always_a_number(
    counted: list[tuple[Arm, Arm, float]], tolerate: float, limit: float
) -> None:
    harm, safety, beyond = (Logs() for _ in range(3))
    for candidate, stable, temper in counted:
        harm = worse(harm, candidate, stable, tolerate, temper)
        safety = safe(safety, candidate, stable, tolerate + 0.26, temper)
        beyond = above(beyond, candidate, limit, temper)
    assert all(map(math.isfinite, (*harm, *safety, *beyond)))
    assert all(math.isfinite(log_mean_exp(logs)) for logs in (harm, safety, beyond))
    assert {len(harm), len(beyond)} <= {0, len(WORSE) + 1}
    assert len(safety) in {0, len(BETTER)}


@QUICKLY
@given(arms(least=1), arms(), tolerated, limits, tempers, st.data())
def test_a_worse_candidate_never_looks_better(
    candidate: Arm, stable: Arm, tolerate: float, limit: float, temper: float, data: st.DataObject
) -> None:
    more = Arm(candidate.requests, data.draw(st.integers(candidate.bad, candidate.requests)))
    assert all(
        map(
            _at_most,
            worse((), candidate, stable, tolerate, temper),
            worse((), more, stable, tolerate, temper),
        )
    )
    assert all(map(_at_most, above((), candidate, limit, temper), above((), more, limit, temper)))
    ratio = tolerate + 0.26
    assert all(
        map(_at_most, safe((), more, stable, ratio, temper), safe((), candidate, stable, ratio, temper))
    )


@QUICKLY
@given(arms(least=1), arms(), tolerated, tempers, st.data())
def test_a_worse_stable_never_speaks_against_the_candidate(
    candidate: Arm, stable: Arm, tolerate: float, temper: float, data: st.DataObject
) -> None:
    more = Arm(stable.requests, data.draw(st.integers(stable.bad, stable.requests)))
    assert all(
        map(
            _at_most,
            worse((), candidate, more, tolerate, temper),
            worse((), candidate, stable, tolerate, temper),
        )
    )
    ratio = tolerate + 0.26
    assert all(
        map(_at_most, safe((), candidate, stable, ratio, temper), safe((), candidate, more, ratio, temper))
    )


def _at_most(smaller: float, larger: float) -> bool:
    """Compare, but for the last digit."""
    return smaller <= larger + 1e-12 * abs(larger)


@QUICKLY
@given(
    st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    st.integers(1, 1000),
    st.integers(1, 1000),
    tolerated,
    tempers,
    st.data(),
)
@pytest.mark.parametrize("compare", [worse, safe])
def test_how_often_one_looks_changes_no_bet_on_a_comparison(
    compare: Compare,
    unit: tuple[int, int],
    first: int,
    second: int,
    tolerate: float,
    temper: float,
    data: st.DataObject,
) -> None:
    """As long as the requests are divided in the same way, for the bets that have begun."""
    parts = [
        [Arm(requests * part, data.draw(st.integers(0, min(requests * part, 10**4)))) for requests in unit]
        for part in (first, second)
    ]
    whole = [Arm(a.requests + b.requests, a.bad + b.bad) for a, b in zip(*parts, strict=True)]
    begun = NOTHING_LEFT if compare is worse else Logs()
    ratio, logs = tolerate + 0.26, begun
    for candidate, stable in parts:
        logs = compare(logs, candidate, stable, ratio, temper)
    assert compare(begun, whole[0], whole[1], ratio, temper) == pytest.approx(logs, rel=1e-9, abs=1e-9)


@QUICKLY
@given(arms(most=10**6), arms(most=10**6), limits, tempers)
def test_how_often_one_looks_changes_no_bet_on_a_limit(
    first: Arm, second: Arm, limit: float, temper: float
) -> None:
    whole = Arm(first.requests + second.requests, first.bad + second.bad)
    parts = above(above(NOTHING_LEFT, first, limit, temper), second, limit, temper)
    assert above(NOTHING_LEFT, whole, limit, temper) == pytest.approx(parts, rel=1e-9, abs=1e-6)


@QUICKLY
@given(st.permutations(range(4)), st.lists(st.tuples(arms(), arms(), tempers), min_size=4, max_size=4))
def test_the_order_of_windows_does_not_matter_to_bets_that_have_begun(
    order: list[int], counted: list[tuple[Arm, Arm, float]]
) -> None:
    def logs(order: list[int]) -> tuple[Logs, Logs]:
        harm = beyond = NOTHING_LEFT
        for candidate, stable, temper in (counted[each] for each in order):
            harm = worse(harm, candidate, stable, 1.5, temper)
            beyond = above(beyond, candidate, 0.01, temper)
        return harm, beyond

    largest = 100 * sum(candidate.requests + stable.requests for candidate, stable, _ in counted)
    for one, other in zip(logs(order), logs(list(range(4))), strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-14 * largest + 1e-9)
