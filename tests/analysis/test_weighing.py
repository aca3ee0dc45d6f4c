"""One counted metric: harm counts at once, innocence once it is settled, and nothing unmeasured counts."""

import math
from typing import Any

import pytest

from analysis import evidence
from analysis.dispersion import dispersion
from analysis.evidence import Arm
from analysis.readings import Counts, Number, Reading
from analysis.weighing import SAFE as NEEDED_FOR_SAFETY
from analysis.weighing import Rules, leans, limits, not_yet_safe, weigh
from config.metrics import CountedMetric
from config.status import Comparison, Dispersion, MetricStatus, Verdict
from config.status import Tests as Known
from metrics import (
    DOWN,
    NOTHING,
    analysis,
    counted_metric,
    errors,
    latency,
    reading,
    saturation,
    slow,
    well_known,
)


HARMFUL, SAFE, UNDECIDED, BLIND = Verdict.HARMFUL, Verdict.SAFE, Verdict.UNDECIDED, Verdict.BLIND

RATIO = counted_metric(errors())
RELATIVE = counted_metric(errors(max=None))
LATENCY = counted_metric(latency())
UNLIMITED = counted_metric(latency(max=None))

Pair = tuple[Reading, Reading]

CALM = (Counts(100, 0), Counts(900, 1))
NEVER_SEEN = MetricStatus("metric")
"""Stable before the first window of a rollout without a survey."""
GONE = Counts(0, 0, series=False)


def rules(**fields: Any) -> Rules:
    given: dict[str, Any] = {
        "needed": math.log(200),
        "must_not_exceed": 3.0,
        "min_requests": 100,
        "budget": None,
        "settled": True,
        "comparable": True,
        **fields,
    }
    return Rules(**given)


def weighed(
    metric: CountedMetric, *windows: Pair, before: MetricStatus | None = None, **fields: Any
) -> MetricStatus:
    """Weigh one window after the other; stable is known well by default."""
    status = before or well_known(metric)
    for candidate, stable in windows:
        status = weigh(metric, status, reading(candidate, stable), rules(**fields))
    return status


def known(status: MetricStatus) -> Known:
    assert status.tests is not None
    return status.tests


def surveyed(*bounds: tuple[float | None, int], requests: int = 54_000, squares: float = 0.0) -> MetricStatus:
    """Give a metric after a survey that found so many bad requests of stable's."""
    comparisons = tuple(
        Comparison(bound, dispersion=Dispersion(60, requests, bad, squares)) for bound, bad in bounds
    )
    return MetricStatus("metric", tests=Known(comparisons=comparisons))


class TestRules:
    @pytest.mark.parametrize(
        ("metrics", "tests"),
        [
            pytest.param((errors(),), 2, id="one"),
            pytest.param((errors(), latency(), saturation()), 4, id="queries have no tests"),
            pytest.param((errors(), latency(dryRun=True)), 4, id="a metric that only reports counts too"),
            pytest.param((saturation(),), 1, id="none"),
        ],
    )
    def test_all_tests_share_the_false_rollbacks(
        self, metrics: tuple[dict[str, Any], ...], tests: int
    ) -> None:
        found = Rules.of(analysis(*metrics, falseRollbackRate=0.05), settled=True, comparable=True)
        assert math.exp(found.needed) == pytest.approx(tests / 0.05)

    def test_the_rest_is_as_people_wrote_it(self) -> None:
        about = analysis(harmBudget=7, mustNotExceed=4, min_requests=33)
        found = Rules.of(about, settled=False, comparable=True)
        assert (found.budget, found.must_not_exceed, found.min_requests) == (7, 4, 33)
        assert (found.settled, found.comparable) == (False, True)


class TestAgainstStable:
    def test_a_window_is_added_to_the_test(self) -> None:
        got = known(weighed(RELATIVE, (Counts(118, 2), Counts(1100, 3)), (Counts(80, 1), Counts(700, 0))))
        first = evidence.worse((), Arm(118, 2), Arm(1100, 3), 1.5, 1.0)
        assert got.comparisons[0].harm == evidence.worse(first, Arm(80, 1), Arm(700, 0), 1.5, 1.0)
        assert (got.comparisons[0].bad, got.comparisons[0].stable_bad) == (3, 3)
        assert (got.requests, got.stable_requests) == (198, 1800)

    def test_it_is_harm_when_the_evidence_reaches_what_is_needed(self) -> None:
        window = (Counts(118, 5), Counts(1100, 3))
        log_e = evidence.log_mean_exp(evidence.worse((), Arm(118, 5), Arm(1100, 3), 1.5, 1.0))
        assert weighed(RELATIVE, window, needed=log_e).verdict is HARMFUL
        assert weighed(RELATIVE, window, needed=log_e + 1e-9).verdict is UNDECIDED

    def test_what_is_tolerated_is_as_people_wrote_it(self) -> None:
        window = (Counts(118, 9), Counts(1100, 1))
        assert weighed(RELATIVE, window).verdict is HARMFUL
        assert weighed(counted_metric(errors(max=None, tolerate=100)), window).verdict is UNDECIDED

    def test_a_window_counts_by_how_stable_was_until_then(self) -> None:
        """One bad window of stable's makes the next ones count for less, and itself for as much as before."""
        bursty = (Counts(100, 3), Counts(900, 90))
        calm = surveyed((None, 54))
        first = weighed(RELATIVE, bursty, before=calm)
        past = known(calm).comparisons[0].dispersion
        logs = evidence.worse((), Arm(100, 3), Arm(900, 90), 1.5, 1 / dispersion(past))
        assert known(first).comparisons[0].harm == logs
        burstier = dispersion(known(first).comparisons[0].dispersion)
        assert burstier > dispersion(past)
        assert first.dispersion == round(burstier, 2)
        second = weighed(RELATIVE, bursty, before=first)
        logs = evidence.worse(logs, Arm(100, 3), Arm(900, 90), 1.5, 1 / burstier)
        assert known(second).comparisons[0].harm == logs

    def test_a_stable_that_was_hardly_seen_is_not_taken_for_a_calm_one(self) -> None:
        """Each window counts for more than the one before, and the numbers say for how much."""
        quiet = (Counts(100, 2), Counts(900, 9))
        first = weighed(RATIO, quiet, before=NEVER_SEEN)
        harm = evidence.worse((), Arm(100, 2), Arm(900, 9), 1.5, 1 / 8)
        limit = evidence.above((), Arm(100, 2), 0.01, 1 / 8)
        assert known(first).comparisons[0].harm == harm
        assert known(first).limit == limit
        assert known(first).safe == evidence.safe((), Arm(100, 2), Arm(900, 9), 3.0, 1 / 8)
        assert first.dispersion == 7.65
        second = weighed(RATIO, quiet, before=first)
        harm = evidence.worse(harm, Arm(100, 2), Arm(900, 9), 1.5, 1 / 7.65)
        assert known(second).comparisons[0].harm == pytest.approx(harm)
        assert known(second).limit == pytest.approx(evidence.above(limit, Arm(100, 2), 0.01, 1 / 7.65))
        assert weighed(RATIO, *[quiet] * 20, before=NEVER_SEEN).dispersion == 1

    @pytest.mark.parametrize(
        ("metric", "window"),
        [
            pytest.param(RATIO, (Counts(177, 9), NOTHING), id="against its limit"),
            pytest.param(RELATIVE, (Counts(177, 9), Counts(180, 0)), id="against stable"),
        ],
    )
    def test_what_is_only_assumed_of_it_excuses_no_rise(self, metric: CountedMetric, window: Pair) -> None:
        got = weighed(metric, window, before=NEVER_SEEN, comparable=window[1] is not NOTHING)
        assert (got.verdict, got.doubtful, leans(got)) == (UNDECIDED, True, True)
        assert got.odds is not None
        assert got.odds < 10
        assert "leans towards harm, while stable is too new to be sure, odds " in got.message

    @pytest.mark.parametrize(
        ("before", "bad"),
        [pytest.param(NEVER_SEEN, 2, id="nothing odd"), pytest.param(None, 9, id="stable is known")],
    )
    def test_there_is_no_doubt_without_a_reason(self, before: MetricStatus | None, bad: int) -> None:
        known_for_bursts = surveyed((None, 540), squares=54.0 * 20) if before is None else before
        got = weighed(RATIO, (Counts(177, bad), NOTHING), before=known_for_bursts, comparable=False)
        assert (got.doubtful, leans(got)) == (False, False)

    def test_at_100_percent_what_stable_still_gets_is_no_comparison(self) -> None:
        window = (Counts(1000, 5), Counts(3, 0))
        got = weighed(RELATIVE, window, before=NEVER_SEEN, comparable=False)
        assert known(got).comparisons[0].harm == ()
        assert known(got).stable_requests == 0
        assert got.odds is None


class TestAgainstTheLimit:
    def test_a_window_is_added_to_the_test(self) -> None:
        before = surveyed((None, 540), squares=20.0)
        temper = 1 / dispersion(known(before).comparisons[0].dispersion)
        assert temper < 0.9
        got = weighed(RATIO, (Counts(118, 2), Counts(1100, 3)), before=before)
        assert known(got).limit == evidence.above((), Arm(118, 2), 0.01, temper)

    def test_it_needs_no_stable(self) -> None:
        got = weighed(RATIO, (Counts(118, 9), GONE), comparable=False)
        assert got.verdict is HARMFUL
        assert got.message == "7.6% bad (9 of 118 requests): more than the 1% allowed, odds 6,870:1"

    def test_a_limit_of_latency_is_about_its_bucket_bound_and_the_rest_of_the_quantile(self) -> None:
        got = weighed(LATENCY, (slow(118, 60, 9, 2), slow(1000, 500, 80, 20)))
        assert known(got).limit == evidence.above((), Arm(118, 9), 1 - 0.99, 1.0)
        assert got.message == (
            "7.6% slower than 0.5s (9 of 118 requests), stable 8% (80 of 1,000): "
            "more than the 1% allowed, odds 6,870:1"
        )

    def test_without_one_there_is_none_while_stable_can_be_compared_with(self) -> None:
        window = (Counts(1000, 100), Counts(1000, 100))
        assert known(weighed(RELATIVE, window, window, before=surveyed((None, 54)))).limit == ()

    def test_at_100_percent_it_is_what_stable_used_to_have(self) -> None:
        before = surveyed((None, 53), requests=53_999)
        got = weighed(RELATIVE, (Counts(1000, 7), GONE), before=before, comparable=False)
        assert known(got).limit == evidence.above((), Arm(1000, 7), 1.5 * 0.001, 1.0)
        assert got.message == (
            "0.7% bad (7 of 1,000 requests): leans towards harm, odds 45:1, rolls back at 200:1"
        )
        again = weighed(RELATIVE, (Counts(100, 9), GONE), before=got, comparable=False)
        assert again.verdict is HARMFUL
        assert "more than 1.5 times what stable used to have" in again.message

    def test_that_is_less_than_everything(self) -> None:
        before = surveyed((None, 900), requests=1000)
        got = weighed(RELATIVE, (Counts(1000, 1000), GONE), before=before, comparable=False)
        assert known(got).limit == evidence.above((), Arm(1000, 1000), 0.99, 1.0)

    def test_of_a_stable_that_was_never_seen_nothing_can_be_said(self) -> None:
        got = weighed(RELATIVE, (Counts(1000, 900), GONE), before=NEVER_SEEN, comparable=False)
        assert known(got).limit == ()
        assert (got.odds, got.verdict) == (None, UNDECIDED)
        assert got.message == "90% bad (900 of 1,000 requests)"


class TestLatency:
    def test_the_evidence_of_all_bounds_is_averaged_and_the_leading_one_named(self) -> None:
        got = weighed(LATENCY, (slow(1200, 73, 5, 0), slow(10_800, 108, 40, 2)))
        logs = [
            evidence.worse((), Arm(1200, bad), Arm(10_800, usual), 1.5, 1.0)
            for bad, usual in ((73, 108), (5, 40), (0, 2))
        ]
        assert [each.harm for each in known(got).comparisons] == logs
        assert got.verdict is HARMFUL
        assert got.message == (
            "6.1% slower than 0.1s (73 of 1,200 requests), stable 1% (108 of 10,800): "
            "more than 1.5 times stable's, odds over 1,000,000:1"
        )
        assert got.odds == 1e6

    def test_while_nothing_leans_the_watched_bound_is_described(self) -> None:
        got = weighed(LATENCY, (slow(1200, 13, 5, 0), slow(10_800, 108, 40, 2)))
        assert got.message.startswith(
            "0.42% slower than 0.5s (5 of 1,200 requests), stable 0.37% (40 of 10,800)"
        )
        assert (got.value, got.stable_value, got.bad) == (5 / 1200, 40 / 10_800, 5)

    def test_each_bound_has_a_dispersion_of_its_own(self) -> None:
        before = surveyed((0.1, 540), (0.5, 540), (1.0, 540))
        first, *others = known(before).comparisons
        bursty = Comparison(0.1, dispersion=Dispersion(60, 54_000, 540, 40.0))
        assert dispersion(bursty.dispersion) > dispersion(first.dispersion)
        before = MetricStatus("latency", tests=Known(comparisons=(bursty, *others)))
        got = known(weighed(LATENCY, (slow(100, 5, 5, 5), slow(900, 9, 9, 9)), before=before))
        assert got.comparisons[0].harm[0] < got.comparisons[1].harm[0]
        assert got.comparisons[1].harm == got.comparisons[2].harm

    def test_before_the_first_request_there_are_no_buckets(self) -> None:
        silent = slow(0, bounds=())
        got = weighed(LATENCY, (silent, slow(900, 9, 1, 0)))
        assert (got.verdict, got.message) == (UNDECIDED, "no requests yet")
        assert [each.bound for each in known(got).comparisons] == [0.1, 0.5, 1.0]

    def test_without_a_limit_the_bound_is_chosen_once_stable_is_known(self) -> None:
        few = (slow(10, 9, 1, 0), slow(90, 85, 1, 0))
        got = weighed(UNLIMITED, few, before=NEVER_SEEN)
        assert known(got).watched is None
        assert (got.value, got.dispersion, known(got).safe, known(got).excess) == (None, None, (), 0.0)
        assert got.message.startswith("10% slower than 0.5s (1 of 10 requests), stable 1.1% (1 of 90)")
        got = weighed(UNLIMITED, few, few, few, before=NEVER_SEEN)
        assert known(got).watched == 0.5
        assert known(got).safe != ()
        assert got.value == 3 / 30

    def test_the_bound_stays(self) -> None:
        window = (slow(100, 50, 9, 0), slow(900, 450, 9, 0))
        got = weighed(UNLIMITED, window, window, before=NEVER_SEEN)
        assert known(got).watched == 0.5
        slower = (slow(100, 50, 50, 50), slow(9000, 9000, 9000, 9000))
        assert known(weighed(UNLIMITED, slower, slower, before=got)).watched == 0.5

    @pytest.mark.parametrize(
        ("found", "message"),
        [
            pytest.param(slow(100, 9, bounds=(0.1,)), "the candidate has no bucket le=0.5", id="the watched"),
            pytest.param(
                slow(100, bounds=()), "candidate and stable have no bucket bound in common", id="any bound"
            ),
        ],
    )
    def test_a_candidate_without_the_bound_cannot_be_judged(self, found: Reading, message: str) -> None:
        before = surveyed((0.1, 4000), (0.5, 1000), (1.0, 5))
        got = weighed(UNLIMITED, (found, slow(900, 60, 20, 0)), before=before)
        assert (got.verdict, got.message, got.requests) == (BLIND, message, 0)

    def test_a_bound_that_only_one_of_them_still_has_is_not_compared(self) -> None:
        before = weighed(LATENCY, (slow(100, 9, 1, 0), slow(900, 90, 9, 0)))
        got = weighed(LATENCY, (slow(100, 50, 1, 0), slow(900, 9, 0, bounds=(0.5, 1.0))), before=before)
        first, second, _ = known(got).comparisons
        assert first.harm == known(before).comparisons[0].harm
        assert (first.bad, first.stable_bad) == (59, 90)
        assert (second.bad, second.stable_bad) == (2, 18)
        got = weighed(LATENCY, (slow(100, 1, 0, bounds=(0.5, 1.0)), slow(900, 90, 9, 0)), before=before)
        assert known(got).comparisons[0] == known(before).comparisons[0]


class TestSafe:
    GOOD = (Counts(1000, 1), Counts(9000, 20))

    def test_it_is_shown_by_evidence_that_it_is_not_many_times_worse(self) -> None:
        got = weighed(RATIO, self.GOOD)
        assert known(got).safe == evidence.safe((), Arm(1000, 1), Arm(9000, 20), 3.0, 1.0)
        assert evidence.log_mean_exp(known(got).safe) < NEEDED_FOR_SAFETY
        assert got.verdict is UNDECIDED
        assert not_yet_safe(got) == "odds of being safe 17:1, 20:1 needed to go on"
        assert weighed(RATIO, *[self.GOOD] * 2).verdict is SAFE

    def test_how_many_times_is_as_people_wrote_it(self) -> None:
        assert weighed(RATIO, self.GOOD, must_not_exceed=10.0).verdict is SAFE

    def test_bursts_slow_it_down_too(self) -> None:
        before = surveyed((None, 54), squares=1.0)
        temper = 1 / dispersion(known(before).comparisons[0].dispersion)
        assert temper < 0.9
        got = weighed(RATIO, self.GOOD, before=before)
        assert known(got).safe == evidence.safe((), Arm(1000, 1), Arm(9000, 20), 3.0, temper)

    @pytest.mark.parametrize(
        "fields", [{"settled": False}, {"comparable": False}], ids=["unsettled", "at 100%"]
    )
    def test_other_windows_say_nothing_about_it(self, fields: dict[str, Any]) -> None:
        got = weighed(RATIO, *[self.GOOD] * 3, **fields)
        assert (known(got).safe, got.verdict) == ((), UNDECIDED)

    def test_it_takes_enough_requests(self) -> None:
        assert weighed(RATIO, *[self.GOOD] * 2, min_requests=2000).verdict is SAFE
        assert weighed(RATIO, *[self.GOOD] * 2, min_requests=2001).verdict is UNDECIDED

    def test_it_is_not_while_the_evidence_leans_towards_harm(self) -> None:
        """At many times fewer errors than stable, and still more than the limit allows."""
        window = (Counts(1000, 20), Counts(9000, 900))
        got = weighed(RATIO, window)
        assert evidence.log_mean_exp(known(got).safe) > NEEDED_FOR_SAFETY
        assert leans(got)
        assert got.verdict is UNDECIDED


class TestSettled:
    def test_harm_counts_from_the_first_request(self) -> None:
        got = weighed(RELATIVE, (Counts(118, 9), Counts(1100, 1)), settled=False)
        assert got.verdict is HARMFUL
        assert got.message == (
            "7.6% bad (9 of 118 requests), stable 0.091% (1 of 1,100): "
            "more than 1.5 times stable's, odds 497,000:1"
        )

    def test_what_speaks_for_the_candidate_does_not(self) -> None:
        got = weighed(RATIO, (Counts(400, 1), Counts(900, 1)), settled=False)
        assert (got.requests, got.bad) == (0, 0)
        assert (got.value, known(got).requests) == (1 / 400, 400)
        assert got.message.endswith("; 0 of 100 requests at this step so far")
        got = weighed(RATIO, (Counts(40, 1), Counts(90, 1)), before=got)
        assert (got.requests, got.bad) == (40, 1)
        assert got.message == (
            "0.45% bad (2 of 440 requests), stable 0.2% (2 of 990); 40 of 100 requests at this step so far"
        )

    @pytest.mark.parametrize(
        "gap",
        [
            pytest.param((DOWN, DOWN), id="nothing"),
            pytest.param((Counts(60, 0), DOWN), id="stable"),
        ],
    )
    def test_after_a_gap_the_counts_may_reach_back_before_the_step(self, gap: Pair) -> None:
        got = weighed(RATIO, gap, CALM)
        assert (got.verdict, got.requests, known(got).safe) == (UNDECIDED, 0, ())
        assert weighed(RATIO, CALM, before=got).requests == 100


class TestNotMeasured:
    @pytest.mark.parametrize(
        ("found", "message"),
        [
            pytest.param(NOTHING, "no data: the query answered nothing", id="no data"),
            pytest.param(DOWN, DOWN.reason, id="could not ask"),
        ],
    )
    @pytest.mark.parametrize("metric", [RATIO, LATENCY], ids=["ratio", "histogram"])
    def test_a_candidate_that_cannot_be_seen_changes_nothing_but_the_verdict(
        self, metric: CountedMetric, found: Reading, message: str
    ) -> None:
        before = weighed(RATIO, CALM) if metric is RATIO else weighed(LATENCY, (slow(9, 1, 0, 0),) * 2)
        got = weighed(metric, (found, Counts(900, 1)), before=before) if metric is RATIO else None
        got = got or weighed(metric, (found, slow(900, 1, 0, 0)), before=before)
        assert (got.verdict, got.message) == (BLIND, message)
        assert (got.tests, got.requests, got.bad) == (before.tests, before.requests, before.bad)

    @pytest.mark.parametrize(
        ("found", "message"),
        [
            pytest.param(NOTHING, "stable: no data: the query answered nothing", id="no data"),
            pytest.param(DOWN, f"stable: {DOWN.reason}", id="could not ask"),
            pytest.param(GONE, "stable: the query finds no series", id="no series"),
        ],
    )
    def test_a_stable_that_cannot_be_seen_is_blindness_where_it_matters(
        self, found: Reading, message: str
    ) -> None:
        got = weighed(RATIO, (Counts(100, 1), found))
        assert (got.verdict, got.message) == (BLIND, message)
        assert (got.requests, got.bad) == (0, 0)
        assert known(got).limit == evidence.above((), Arm(100, 1), 0.01, 1.0)
        assert weighed(RATIO, (Counts(100, 1), found), comparable=False).verdict is UNDECIDED

    def test_a_stable_whose_series_have_gone_is_missed_before_the_candidate_has_requests(self) -> None:
        silent = (Counts(0, 0), GONE)
        asked = weighed(RATIO, (Counts(9, 0), Counts(0, 0)), before=NEVER_SEEN)
        assert weighed(RATIO, silent, before=NEVER_SEEN).verdict is UNDECIDED
        assert weighed(RATIO, silent, before=surveyed((None, 3))).verdict is BLIND
        assert weighed(RATIO, silent, before=asked).verdict is BLIND

    def test_harm_is_harm_even_if_stable_cannot_be_seen(self) -> None:
        got = weighed(RATIO, (Counts(118, 9), DOWN))
        assert (got.verdict, got.message) == (
            HARMFUL,
            "7.6% bad (9 of 118 requests): more than the 1% allowed, odds 6,870:1",
        )

    def test_series_that_disappear_after_they_answered_are_blindness(self) -> None:
        got = weighed(RATIO, CALM, (GONE, Counts(900, 0)))
        assert (got.verdict, got.message) == (BLIND, "the candidate's series have disappeared")
        assert weighed(LATENCY, (slow(9, 1, 0, 0),) * 2, (slow(0, bounds=()), slow(9, 1, 0, 0))).verdict is (
            UNDECIDED
        )

    def test_series_that_never_were_are_not(self) -> None:
        note = Counts(0, 0, "the query finds no series yet", series=False)
        got = weighed(RATIO, (note, Counts(900, 0)))
        assert (got.verdict, got.message, got.odds) == (
            UNDECIDED,
            "no requests yet, the query finds no series yet",
            None,
        )

    def test_no_requests_are_neither_a_pass_nor_a_failure(self) -> None:
        before = weighed(RATIO, CALM)
        got = weighed(RATIO, (Counts(0, 0), Counts(0, 0)), before=before)
        assert (got.verdict, got.message, got.tests) == (before.verdict, before.message, before.tests)
        assert weighed(RATIO, (Counts(0, 0), Counts(900, 1))).message == "no requests yet"

    @pytest.mark.parametrize(
        ("metric", "found"),
        [(RATIO, Number(1)), (RATIO, slow(1, 0, 0, 0)), (LATENCY, Counts(1, 0)), (LATENCY, Number(1))],
    )
    def test_a_reading_of_another_kind_is_a_mistake_of_ours(
        self, metric: CountedMetric, found: Reading
    ) -> None:
        with pytest.raises(TypeError, match=f"{metric.name} cannot be judged by"):
            weighed(metric, (found, NOTHING))


class TestLeaning:
    def test_from_ten_to_one_the_evidence_leans(self) -> None:
        assert not leans(MetricStatus("errors"))
        assert [leans(MetricStatus("errors", odds=odds)) for odds in (9.99, 10.0, 1e6)] == [False, True, True]

    def test_the_odds_are_those_of_the_strongest_test_that_was_made(self) -> None:
        window = (Counts(300, 1), Counts(2700, 10))
        against_stable = evidence.log_mean_exp(evidence.worse((), Arm(300, 1), Arm(2700, 10), 1.5, 1.0))
        against_limit = evidence.log_mean_exp(evidence.above((), Arm(300, 1), 0.01, 1.0))
        assert against_limit < against_stable < 0
        assert weighed(RATIO, window).odds == pytest.approx(math.exp(against_stable), rel=0.01)
        assert weighed(RELATIVE, window).odds == pytest.approx(math.exp(against_stable), rel=0.01)
        spiky = (Counts(300, 9), Counts(2700, 80))
        against_limit = evidence.log_mean_exp(evidence.above((), Arm(300, 9), 0.01, 1.0))
        assert weighed(RATIO, spiky).odds == pytest.approx(math.exp(against_limit), rel=0.01)

    def test_odds_are_told_with_three_digits_and_within_bounds(self) -> None:
        worst = weighed(RATIO, (Counts(10**12, 10**12), Counts(10**12, 0)))
        best = weighed(RELATIVE, (Counts(10**12, 0), Counts(10**12, 10**11)))
        assert (worst.odds, best.odds) == (1e6, 0.125)
        assert "odds over 1,000,000:1" in worst.message
        assert "odds of harm 1:8, rolls back at 200:1" in best.message
        assert "odds of being safe over 1,000,000:1" in not_yet_safe(best)
        assert "odds of being safe under 1:1,000,000" in not_yet_safe(worst)

    def test_the_message_says_so(self) -> None:
        got = weighed(RELATIVE, (Counts(60, 4), Counts(540, 1)))
        assert got.verdict is UNDECIDED
        assert got.message == (
            "6.7% bad (4 of 60 requests), stable 0.19% (1 of 540): "
            "leans towards harm, odds 85:1, rolls back at 200:1"
        )

    def test_else_it_says_how_far_off_it_is(self) -> None:
        assert weighed(RATIO, *[CALM] * 3).message == (
            "0% bad (0 of 300 requests), stable 0.11% (3 of 2,700); odds of harm 1:2, rolls back at 200:1"
        )


class TestBudget:
    """Harm that no test has shown: bad requests beyond what stable would have had."""

    def test_bad_requests_are_held_against_stable_in_the_same_window(self) -> None:
        got = weighed(RATIO, (Counts(100, 9), Counts(980, 49)))
        assert known(got).excess == pytest.approx(9 - 100 * 49 / (980 + 20))

    def test_of_few_requests_the_past_says_more(self) -> None:
        before = surveyed((None, 540))
        got = weighed(RATIO, (Counts(100, 9), Counts(5, 1)), before=before)
        assert known(got).excess == pytest.approx(9 - 100 * (1 + 20 * 0.01) / (5 + 20))

    def test_without_stable_it_is_the_past_alone(self) -> None:
        got = weighed(RATIO, (Counts(1000, 90), GONE), before=surveyed((None, 540)), comparable=False)
        assert known(got).excess == pytest.approx(90 - 1000 * 0.01)
        assert known(weighed(RATIO, (Counts(1000, 90), GONE), comparable=False)).excess == 90

    def test_it_adds_up_and_a_good_hour_earns_no_credit(self) -> None:
        bad, good = (Counts(100, 10), Counts(980, 0)), (Counts(100, 0), Counts(980, 490))
        assert known(weighed(RATIO, bad, bad)).excess == 20
        assert known(weighed(RATIO, bad, good)).excess == 0
        assert known(weighed(RATIO, *[good] * 5, bad, before=surveyed((None, 0)))).excess == pytest.approx(
            10, abs=1
        )

    def test_when_it_is_spent_that_is_harm(self) -> None:
        lenient = counted_metric(errors(max=None, tolerate=1000))
        window = (Counts(1000, 20), Counts(9000, 0))
        assert weighed(lenient, window, budget=21).verdict is UNDECIDED
        got = weighed(lenient, window, budget=20)
        assert (got.verdict, got.message) == (
            HARMFUL,
            "20 bad requests beyond stable's rate, harmBudget is 20",
        )
        assert weighed(lenient, window).verdict is UNDECIDED

    def test_slow_requests_are_those_above_the_watched_bound(self) -> None:
        got = weighed(LATENCY, (slow(100, 90, 7, 0), slow(980, 900, 0, 0)))
        assert known(got).excess == 7


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        pytest.param(errors(max="0.25%"), "<= 0.25%, <= 1.5 x stable", id="ratio"),
        pytest.param(errors(max=None, tolerate=2), "<= 2 x stable", id="relative"),
        pytest.param(
            latency(max={"quantile": 0.999, "seconds": 0.25}),
            "p99.9 <= 0.25s, <= 1.5 x stable",
            id="histogram",
        ),
        pytest.param(latency(max=None), "<= 1.5 x stable", id="distribution"),
    ],
)
def test_limits_are_written_as_people_say_them(given: dict[str, Any], limit: str) -> None:
    assert limits(counted_metric(given)) == limit
