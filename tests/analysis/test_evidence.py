"""Evidence never lies more often than it says, and finds harm as soon as it should."""

import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.dispersion import dispersion, observed
from analysis.evidence import Arm, Logs, above, log_mean_exp, safe, worse
from config.status import Dispersion
from simulation import Draw, in_bursts, independent, seeded, windows


ALPHA = 0.01
HARM = math.log(1 / ALPHA)
STABLE = 0.001
WINDOW = 20
"""Requests of the candidate."""

counts = st.integers(0, 10**12)
ratios = st.floats(1, 100)
tempers = st.floats(0.05, 1)


@st.composite
def arms(draw: Callable[..., int]) -> Arm:
    requests = draw(counts)
    return Arm(requests, draw(st.integers(0, requests)))


def binomial(requests: int, rate: float) -> list[float]:
    """Give the chance of each number of bad requests."""
    return [
        math.comb(requests, bad) * rate**bad * (1 - rate) ** (requests - bad) for bad in range(requests + 1)
    ]


class TestWhatHoldsForAllCounts:
    @given(own=arms(), other=arms(), ratio=ratios, temper=tempers)
    def test_every_number_is_finite(self, own: Arm, other: Arm, ratio: float, temper: float) -> None:
        for logs in (
            worse((), own, other, ratio, temper),
            safe((), own, other, ratio + 1, temper),
            above((), own, min(0.98, ratio / 101), temper),
        ):
            assert all(map(math.isfinite, logs))
            assert math.isfinite(log_mean_exp(logs))

    @given(own=arms(), other=arms(), ratio=ratios, temper=tempers)
    def test_one_more_bad_request_never_speaks_for_the_candidate(
        self, own: Arm, other: Arm, ratio: float, temper: float
    ) -> None:
        if own.bad == own.requests:
            return
        more = own._replace(bad=own.bad + 1)
        slack = 1e-9 * max(1, own.requests, other.requests)
        pairs = [
            (worse((), own, other, ratio, temper), worse((), more, other, ratio, temper)),
            (above((), own, ratio / 101, temper), above((), more, ratio / 101, temper)),
        ]
        for before, after in pairs:
            assert log_mean_exp(after) >= log_mean_exp(before) - slack

    @given(arms=st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 9), st.integers(0, 9)), min_size=1))
    def test_a_window_may_be_split_as_long_as_the_weights_stay(
        self, arms: list[tuple[int, int, int]]
    ) -> None:
        split: Logs = ()
        for requests, bad, other_bad in arms:
            split = worse(split, Arm(requests, bad), Arm(9 * requests, other_bad), 1.5, 0.7)
        requests, bad, other_bad = (sum(column) for column in zip(*arms, strict=True))
        whole = worse((), Arm(requests, bad), Arm(9 * requests, other_bad), 1.5, 0.7)
        assert split == pytest.approx(whole, rel=1e-9, abs=1e-9)

    def test_where_there_is_nothing_to_compare_nothing_changes(self) -> None:
        logs = worse((), Arm(10, 3), Arm(100, 1), 1.5, 1.0)
        assert worse(logs, Arm(10, 3), Arm(0, 0), 1.5, 1.0) == logs
        assert worse(logs, Arm(0, 0), Arm(100, 9), 1.5, 1.0) == logs
        assert log_mean_exp(()) == 0.0


class TestTheMeanUnderTheNullHypothesis:
    """Of E it is at most 1, in every window: enumerated, not simulated."""

    @pytest.mark.parametrize("temper", [1.0, 0.6, 0.1])
    @pytest.mark.parametrize(("own", "other"), [(5, 40), (20, 20), (30, 6)])
    @pytest.mark.parametrize("rate", [0.01, 0.1, 0.3])
    def test_of_worse(self, own: int, other: int, rate: float, temper: float) -> None:
        for ratio in (1.0, 1.5, 2.0):
            both = itertools.product(enumerate(binomial(own, rate * ratio)), enumerate(binomial(other, rate)))
            mean = math.fsum(
                chance
                * chances
                * math.exp(log_mean_exp(worse((), Arm(own, bad), Arm(other, bads), ratio, temper)))
                for (bad, chance), (bads, chances) in both
            )
            assert mean <= 1 + 1e-9

    @pytest.mark.parametrize("temper", [1.0, 0.6])
    def test_of_safe(self, temper: float) -> None:
        both = itertools.product(enumerate(binomial(20, 0.3)), enumerate(binomial(40, 0.1)))
        mean = math.fsum(
            chance * chances * math.exp(log_mean_exp(safe((), Arm(20, bad), Arm(40, bads), 3.0, temper)))
            for (bad, chance), (bads, chances) in both
        )
        assert mean <= 1 + 1e-9

    @pytest.mark.parametrize("temper", [1.0, 0.6])
    @pytest.mark.parametrize("limit", [0.01, 0.3, 0.98])
    def test_of_above(self, limit: float, temper: float) -> None:
        mean = math.fsum(
            chance * math.exp(log_mean_exp(above((), Arm(40, bad), limit, temper)))
            for bad, chance in enumerate(binomial(40, limit))
        )
        assert mean <= 1 + 1e-9
        if temper == 1.0:
            assert mean == pytest.approx(1, rel=1e-6)


def until_harm(source: random.Random, rate: float, weight: float, tolerate: float = 1.0) -> int:
    """Give the candidate's requests until harm is shown, in windows of 20."""
    stable = round(WINDOW * (1 - weight) / weight)
    logs: Logs = ()
    divided = itertools.repeat((WINDOW, stable))
    for number, (own, other) in enumerate(windows(source, (rate, STABLE), divided), start=1):
        logs = worse(logs, own, other, tolerate, 1.0)
        if log_mean_exp(logs) >= HARM:
            return number * WINDOW
    raise AssertionError("there is always a next window")


def rollout(looks: int = 150, rps: int = 50, seconds: int = 20) -> Iterator[tuple[int, int]]:
    """Give the requests of both versions at 1, 5, 10, 25 and 50%, with as many looks at each."""
    for weight in (0.01, 0.05, 0.10, 0.25, 0.50):
        own = round(rps * seconds * weight)
        yield from itertools.repeat((own, rps * seconds - own), looks // 5)


def false_alarms(
    runs: int, tolerate: float, draw: Draw, *, tempered: bool = False, drift: float = 1.0
) -> float:
    """Give the share of rollouts of an equal version in which harm is shown."""
    source = seeded(7)
    alarms = 0
    for _ in range(runs):
        logs: Logs = ()
        before = Dispersion()
        if tempered:
            for _, stable in windows(source, (STABLE, STABLE), itertools.repeat((0, 1000), 60), draw):
                before = observed(before, stable)
        temper = 1 / dispersion(before)
        for number, divided in enumerate(rollout()):
            rate = STABLE * drift ** (number / 150)
            [(own, other)] = windows(source, (rate, rate), iter([divided]), draw)
            logs = worse(logs, own, other, tolerate, temper)
            if log_mean_exp(logs) >= HARM:
                alarms += 1
                break
    return alarms / runs


class TestSimulatedRollouts:
    @pytest.mark.parametrize(
        ("rate", "weight", "median", "ninety"),
        [
            (0.05, 0.05, 66, 129),
            (0.05, 0.10, 73, 143),
            (0.05, 0.50, 192, 309),
            (0.01, 0.05, 420, 989),
            (0.01, 0.10, 485, 1094),
            (0.01, 0.50, 1123, 2183),
            (0.005, 0.05, 1500, 3300),
            (0.005, 0.10, 1600, 3400),
            (0.005, 0.50, 3300, 6800),
        ],
    )
    def test_harm_is_found_in_time(self, rate: float, weight: float, median: int, ninety: int) -> None:
        source = seeded(1)
        found = sorted(until_harm(source, rate, weight) for _ in range(1500))
        assert abs(statistics.median(found) - median) <= max(0.1 * median, WINDOW)
        assert found[int(0.9 * len(found))] <= max(1.15 * ninety, ninety + WINDOW)

    def test_an_equal_version_is_hardly_ever_accused(self) -> None:
        assert false_alarms(1500, 1.0, independent) <= ALPHA
        assert false_alarms(1500, 1.5, independent) <= ALPHA / 4

    def test_nor_while_the_whole_system_gets_worse(self) -> None:
        assert false_alarms(300, 1.0, independent, drift=5.0) <= ALPHA

    def test_nor_when_errors_come_in_bursts(self) -> None:
        assert false_alarms(300, 1.0, in_bursts, tempered=True) <= 2 * ALPHA
        assert false_alarms(300, 1.5, in_bursts, tempered=True) <= ALPHA
        assert false_alarms(60, 1.0, in_bursts) > 0.2, "without tempering, bursts are taken for harm"

    def test_a_version_that_is_no_worse_is_shown_to_be_safe(self) -> None:
        source = seeded(3)
        logs: Logs = ()
        for own, other in windows(source, (0.01, 0.01), itertools.repeat((100, 900), 100)):
            logs = safe(logs, own, other, 3.0, 1.0)
        assert log_mean_exp(logs) >= math.log(20)
        logs = ()
        for own, other in windows(source, (0.05, 0.01), itertools.repeat((100, 900), 100)):
            logs = safe(logs, own, other, 3.0, 1.0)
        assert log_mean_exp(logs) < 0

    def test_a_limit_is_held_without_stable(self) -> None:
        source = seeded(4)
        bad = above((), Arm(400, independent(source, 400, 0.05)), 0.01, 1.0)
        good = above((), Arm(4000, independent(source, 4000, 0.005)), 0.01, 1.0)
        assert log_mean_exp(bad) >= HARM
        assert log_mean_exp(good) < 0
