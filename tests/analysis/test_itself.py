import datetime as dt

import pytest

from analysis.history import Past
from analysis.itself import FalseRollback, Itself, Pretended, interval, leans, window_of
from analysis.judge import judge
from analysis.readings import Counts, MetricReading
from analysis.samples import Failure
from analysis.survey import WINDOWS
from analysis.verdict import Memory
from config.status import Phase
from metrics import NOW, analysis, errors


STEP = dt.timedelta(seconds=10)
ANALYSIS = analysis(errors(max="20%"), min_requests=10)


def window(number: int, candidate: tuple[int, int] = (50, 0), stable: tuple[int, int] = (50, 0)) -> Past:
    at = NOW + number * STEP
    return Past(at - STEP, at, {"errors": MetricReading(Counts(*candidate), Counts(*stable), "")})


def tried(*windows: Past, length: int = 10) -> Itself:
    pretended = Pretended(ANALYSIS, "v1", length, Itself())
    for each in windows:
        pretended.add(each)
    return pretended.found


def test_rollouts_follow_each_other_after_a_first_look_at_the_past() -> None:
    found = tried(*map(window, range(WINDOWS + 35)))
    assert (found.rollouts, found.rolled_back, found.windows) == (3, (), 35)
    assert (found.blind, found.leaning) == (0, 0)


def test_a_half_that_is_worse_is_rolled_back_and_the_next_rollout_begins() -> None:
    quiet = [window(number, stable=(50, number % 3 == 0)) for number in range(WINDOWS)]
    worse = [window(number, candidate=(50, 25), stable=(50, 0)) for number in range(WINDOWS, WINDOWS + 12)]
    found = tried(*quiet, *worse, length=100)
    assert found.rollouts == len(found.rolled_back) > 1
    first = found.rolled_back[0]
    assert (first.version, first.at) == ("v1", worse[0].until)
    assert first.because.startswith("errors: 50% bad (25 of 50 requests)")


def test_the_past_that_a_rollout_begins_with_is_stable_s_half() -> None:
    """Bursts of stable's make later evidence weaker; bursts of the candidate's half do not."""
    bursts = [(50, 20 * (number % 10 == 0)) for number in range(WINDOWS)]
    worse = [window(number, candidate=(50, 8), stable=(50, 1)) for number in range(WINDOWS, WINDOWS + 5)]
    uneven = tried(*(window(number, stable=each) for number, each in enumerate(bursts)), *worse, length=5)
    even = tried(*(window(number, candidate=each) for number, each in enumerate(bursts)), *worse, length=5)
    assert not uneven.rolled_back
    assert even.rolled_back


def test_leaning_and_blind_windows_are_counted() -> None:
    quiet = [window(number, stable=(50, number % 3 == 0)) for number in range(WINDOWS)]
    silent = Past(NOW, NOW, {"errors": MetricReading(Failure("no"), Failure("no"), "")})
    leaning = window(99, candidate=(50, 7), stable=(50, 0))
    found = tried(*quiet, leaning, silent, length=100)
    assert (found.windows, found.leaning, found.blind) == (2, 1, 1)


def test_an_interrupted_rollout_counts_neither_way() -> None:
    pretended = Pretended(ANALYSIS, "v1", 10, Itself())
    for number in range(WINDOWS + 9):
        pretended.add(window(number))
    pretended.interrupted(4)
    for number in range(9):
        pretended.add(window(number))
    assert (pretended.found.rollouts, pretended.found.undivided) == (0, 4)
    pretended.add(window(9))
    assert pretended.found.rollouts == 1


@pytest.mark.parametrize(
    ("together", "phase", "weight"), [(True, Phase.TESTING, 0), (False, Phase.BAKING, 100)]
)
def test_windows_are_judged_without_a_check_of_the_split(
    *, together: bool, phase: Phase, weight: int
) -> None:
    given = window_of(window(1, candidate=(10_000, 0), stable=(10 if together else 0, 0)), together=together)
    assert (given.phase, given.weight) == (phase, weight)
    judgement = judge(ANALYSIS, Memory(), given)
    assert "asked for" not in judgement.because
    assert not leans(judgement)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 100, 0.0, 0.0362),
        (5, 100, 0.0164, 0.1128),
        (10, 10, 0.6915, 1.0),
        (1, 4000, 0.0000063, 0.0013921),
    ],
)
def test_the_interval_is_the_exact_one(hits: int, trials: int, low: float, high: float) -> None:
    assert interval(hits, trials) == pytest.approx((low, high), abs=5e-5)


def test_what_was_found_knows_its_interval() -> None:
    rollbacks = (FalseRollback("v1", NOW, "why"),) * 5
    assert Itself(rollouts=100, rolled_back=rollbacks).interval == interval(5, 100)
