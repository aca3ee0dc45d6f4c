"""Many metrics, one verdict; what a step waits for; and what lasts longer than a window."""

import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import split
from analysis.judge import judge, leans, limit_of
from analysis.readings import Counts, Latencies, MetricReading, NoData, Number
from analysis.samples import Failure
from analysis.verdict import Judgement, Memory
from analysis.window import Window
from config.metrics import Analysis
from config.status import Comparison, Dispersion, HeldReason, MetricStatus, Phase, Verdict, Weighed
from config.status import Tests as Known
from metrics import (
    DOWN,
    NOTHING,
    NOW,
    analysis,
    counted,
    errors,
    judged,
    latency,
    metric,
    reading,
    saturation,
    slow,
    stored,
    window,
)


HARMFUL, SAFE, UNDECIDED, BLIND = Verdict.HARMFUL, Verdict.SAFE, Verdict.UNDECIDED, Verdict.BLIND
OUT_OF_BOUNDS, MISMATCH = HeldReason.OUT_OF_BOUNDS, HeldReason.SPLIT_MISMATCH
TOO_FEW, UNSEEN = HeldReason.TOO_FEW_REQUESTS, HeldReason.BLIND

GOOD = counted(Counts(100, 0), Counts(900, 1))
LEANING = counted(Counts(60, 4), Counts(540, 1))
HARM = counted(Counts(118, 9), Counts(1100, 1))
THREE = (errors(), latency(), saturation())


def three(
    first: MetricReading | None = None,
    second: MetricReading | None = None,
    third: MetricReading | None = None,
    **fields: Any,
) -> Window:
    """Give a window of three metrics, all of them well unless said otherwise."""
    found = {
        "errors": first or reading(Counts(100, 0), Counts(900, 1)),
        "latency": second or reading(slow(100, 2, 0, 0), slow(900, 18, 1, 0)),
        "saturation": third or reading(Number(0.1)),
    }
    return window(found, **fields)


def only(judgement: Judgement) -> MetricStatus:
    (found,) = judgement.memory.metrics
    return found


class TestTogether:
    @pytest.mark.parametrize(
        ("found", "verdict", "because"),
        [
            pytest.param(
                three(), UNDECIDED,
                "errors: 0% bad (0 of 100 requests), stable 0.11% (1 of 900); "
                "odds of harm 1:2, rolls back at 400:1", id="nothing is shown",
            ),
            pytest.param(
                three(third=reading(Number(0.9))), UNDECIDED,
                "saturation: value 0.9, at most 0.8 allowed, failed 1 in a row, rolls back at 3",
                id="one fails, which is said first",
            ),
            pytest.param(
                three(reading(NOTHING), None, reading(Number(0.9))), BLIND,
                "errors: no data: the query answered nothing", id="one is blind",
            ),
            pytest.param(
                three(reading(Counts(118, 9), Counts(1100, 1)), reading(DOWN), reading(DOWN)), HARMFUL,
                "errors: 7.6% bad (9 of 118 requests), stable 0.091% (1 of 1,100): "
                "more than 1.5 times stable's, odds 497,000:1", id="harm weighs more than blindness",
            ),
        ],
    )  # fmt: skip
    def test_the_worst_verdict_decides_and_its_metric_is_named(
        self, found: Window, verdict: Verdict, because: str
    ) -> None:
        got = judged(analysis(*THREE), found)
        assert (got.verdict, got.because) == (verdict, because)

    def test_safe_is_what_every_metric_is(self) -> None:
        plenty = three(
            reading(Counts(5000, 5), Counts(45_000, 50)),
            reading(slow(5000, 90, 5, 0), slow(45_000, 900, 50, 0)),
        )
        got = judged(analysis(*THREE), plenty)
        assert (got.verdict, got.because) == (SAFE, "every metric is shown to be safe")
        doubtful = three(reading(Counts(500, 0), Counts(4500, 0)), *list(plenty.readings.values())[1:])
        assert judged(analysis(*THREE), doubtful).verdict is UNDECIDED

    def test_of_several_the_one_with_the_strongest_evidence_is_named(self) -> None:
        worse = reading(Counts(118, 90), Counts(1100, 1))
        for names in (("errors", "faults"), ("faults", "errors")):
            about = analysis(*(errors(name=name) for name in names))
            bad = {"errors": reading(Counts(118, 8), Counts(1100, 1)), "faults": worse}
            assert judged(about, window(bad)).because.startswith("faults: 76% bad")
            leaning = {"errors": LEANING.readings["errors"], "faults": GOOD.readings["errors"]}
            assert judged(about, window(leaning)).because.startswith("errors: 6.7% bad")

    def test_requests_and_bad_ones_are_those_of_the_metric_that_found_most(self) -> None:
        got = judged(
            analysis(*THREE),
            three(reading(Counts(40, 1), Counts(90, 0)), reading(slow(50, 9, 3, 1), NOTHING)),
        )
        assert (got.requests, got.bad) == (50, 3)
        got = judged(analysis(*THREE), three(reading(DOWN), reading(NOTHING), reading(Number(1))))
        assert (got.requests, got.bad) == (0, 0)
        unchosen = analysis(latency(max=None))
        got = judged(unchosen, window({"latency": reading(slow(5, 1, 1, 1), slow(9, 1, 0, 0))}))
        assert (got.requests, got.bad) == (5, 0)

    def test_excess_is_that_of_the_metric_that_found_most_since_the_beginning(self) -> None:
        bad = three(reading(Counts(100, 2), Counts(980, 0)), reading(slow(100, 9, 5, 0), slow(980, 9, 0, 0)))
        assert judged(analysis(*THREE), bad).excess == 5
        assert judged(analysis(*THREE), bad, bad).excess == 10
        assert judged(analysis(saturation()), window({"saturation": reading(Number(1))})).excess == 0

    def test_metrics_come_in_the_order_of_the_spec_whatever_the_memory(self) -> None:
        memory = judged(analysis(*THREE), three()).memory
        turned = replace(memory, metrics=memory.metrics[::-1])
        got = judged(analysis(*THREE), three(), memory=turned).memory.metrics
        assert [(each.name, each.requests, each.passes) for each in got] == [
            ("errors", 200, 0),
            ("latency", 200, 0),
            ("saturation", 0, 2),
        ]

    def test_the_time_of_the_judgement_is_that_of_the_window(self) -> None:
        later = NOW + dt.timedelta(seconds=5)
        assert judged(analysis(), counted(until=later)).at == later

    @pytest.mark.parametrize(
        ("about", "found", "answered"),
        [
            pytest.param(errors(), reading(Counts(0, 0), Counts(0, 0)), True, id="no requests"),
            pytest.param(errors(), reading(NOTHING, NOTHING), True, id="nothing"),
            pytest.param(errors(), reading(DOWN, Counts(0, 0)), False, id="not about the candidate"),
            pytest.param(errors(), reading(Counts(9, 0), DOWN), False, id="not about stable"),
            pytest.param(saturation(), reading(Number(9), DOWN), True, id="about stable for people only"),
        ],
    )
    def test_answered_tells_whether_prometheus_answered_what_decides(
        self, about: dict[str, Any], found: MetricReading, *, answered: bool
    ) -> None:
        assert judged(analysis(about), window({about["name"]: found})).answered is answered

    def test_at_100_percent_stable_decides_nothing(self) -> None:
        assert judged(analysis(), counted(Counts(9, 0), DOWN, weight=100)).answered
        assert judged(analysis(), counted(Counts(900, 0), DOWN, weight=100)).verdict is UNDECIDED
        assert judged(analysis(), counted(Counts(900, 0), DOWN, weight=99)).verdict is BLIND

    def test_all_tests_share_the_false_rollbacks(self) -> None:
        """What is harm by itself is not, once two metrics more have their share."""
        about = errors(max=None, tolerate=1.0)
        found = reading(Counts(60, 4), Counts(540, 1))
        assert judged(analysis(about), window({"errors": found})).verdict is HARMFUL
        more = [errors(name=name, dryRun=True) for name in ("more", "still-more")]
        quiet = {name: reading(Counts(60, 0), Counts(540, 1)) for name in ("more", "still-more")}
        got = judged(analysis(about, *more), window({"errors": found, **quiet}))
        assert got.verdict is UNDECIDED
        assert got.because.endswith("leans towards harm, odds 278:1, rolls back at 600:1")


class TestWaitsFor:
    @pytest.mark.parametrize(
        ("found", "reason"),
        [
            pytest.param([GOOD], None, id="enough, and nothing against it"),
            pytest.param([HARM], OUT_OF_BOUNDS, id="harm"),
            pytest.param([LEANING, GOOD], OUT_OF_BOUNDS, id="the evidence leans"),
            pytest.param([counted(Counts(99, 0), Counts(900, 0))], TOO_FEW, id="a request is missing"),
            pytest.param([counted(Counts(60, 0), Counts(540, 0))] * 2, None, id="together they are enough"),
            pytest.param([counted(DOWN)], UNSEEN, id="the candidate cannot be seen"),
            pytest.param([counted(Counts(100, 0), DOWN)], UNSEEN, id="stable cannot be seen"),
            pytest.param([counted(settled=False)], TOO_FEW, id="nothing is settled"),
        ],
    )
    def test_a_step_is_left_with_enough_evidence_and_none_against_it(
        self, found: list[Window], reason: HeldReason | None
    ) -> None:
        assert judged(analysis(), *found).waits_for is reason

    def test_the_most_pressing_reason_is_told(self) -> None:
        skewed = Counts(100, 0), Counts(20_000, 0)
        about = analysis(*THREE, min_requests=200)
        few = three(reading(*skewed))
        failing = replace(few, readings={**few.readings, "saturation": reading(Number(0.9))})
        unseen = replace(few, readings={**few.readings, "saturation": reading(DOWN)})
        whole = three(reading(Counts(100, 0), Counts(900, 0)), None, reading(Number(0.9)))
        assert judged(about, unseen).waits_for is UNSEEN
        assert judged(about, failing).waits_for is MISMATCH
        assert judged(about, whole).waits_for is OUT_OF_BOUNDS
        assert judged(about, three()).waits_for is TOO_FEW

    def test_it_is_told_in_its_own_words(self) -> None:
        about = analysis(errors(), errors(name="faults"), min_requests=50)
        found = {
            "errors": reading(Counts(40, 0), Counts(360, 9)),
            "faults": reading(Counts(30, 0), Counts(270, 8)),
        }
        got = judged(about, window(found))
        assert (got.waits_for, got.because) == (
            TOO_FEW,
            "faults: 0% bad (0 of 30 requests), stable 3% (8 of 270); 30 of 50 requests at this step so far",
        )
        failing = {**found, "faults": reading(Counts(30, 3), Counts(270, 1))}
        got = judged(about, window(failing))
        assert got.waits_for is OUT_OF_BOUNDS
        assert got.because.startswith("faults: 10% bad (3 of 30 requests), stable 0.37% (1 of 270): leans")

    def test_a_query_has_to_pass_at_this_step(self) -> None:
        about = analysis(saturation())
        passed = window({"saturation": reading(Number(0.1))})
        assert judged(about, passed).waits_for is None
        early = replace(passed, settled=False)
        got = judged(about, early)
        assert (got.waits_for, got.because) == (
            TOO_FEW,
            "saturation: value 0.1, within its bounds before the routes settled",
        )
        assert judged(about, passed, replace(early, weight=25)).waits_for is TOO_FEW

    def test_a_failing_query_leans(self) -> None:
        assert leans(MetricStatus("saturation", failures=1))
        assert leans(MetricStatus("errors", odds=10.0))
        assert not leans(MetricStatus("errors", odds=9.0))


class TestAdvanceByEvidence:
    ABOUT = analysis(errors(), saturation(), advance="Evidence")

    def found(self, requests: int = 100, **fields: Any) -> Window:
        counts = reading(Counts(requests, 0), Counts(9 * requests, requests // 100))
        return window({"errors": counts, "saturation": reading(Number(0.1))}, **fields)

    def test_a_step_is_left_once_every_metric_is_safe(self) -> None:
        got = judged(self.ABOUT, self.found())
        assert got.waits_for is TOO_FEW
        assert got.because == (
            "errors: 0% bad (0 of 100 requests), stable 0.11% (1 of 900); "
            "odds of harm 1:2, rolls back at 200:1; odds of being safe 1:1, 20:1 needed to go on"
        )
        got = judged(self.ABOUT, self.found(5000))
        assert (got.waits_for, got.verdict) == (None, SAFE)

    @pytest.mark.parametrize(
        "elsewhere",
        [
            pytest.param({"weight": 0}, id="before the first step"),
            pytest.param({"weight": 100}, id="at the last step"),
            pytest.param({"phase": Phase.BAKING, "weight": 100}, id="baking"),
            pytest.param({"phase": Phase.TESTING, "weight": 0}, id="testing"),
            pytest.param({"phase": Phase.TESTING, "weight": 5}, id="whatever the weight in testing"),
        ],
    )
    def test_elsewhere_nothing_has_to_be_shown(self, elsewhere: dict[str, Any]) -> None:
        stable = {0: 10**6, 100: 0}.get(elsewhere["weight"], 1900)
        counts = reading(Counts(100, 0), Counts(stable, 0))
        found = window(
            {"errors": counts, "saturation": reading(Number(0.1))},
            testers=elsewhere["weight"] == 0,
            **elsewhere,
        )
        got = judged(self.ABOUT, found)
        assert (got.waits_for, got.verdict) == (None, UNDECIDED)

    def test_a_soak_asks_for_no_such_evidence(self) -> None:
        assert judged(analysis(), GOOD).waits_for is None

    def test_what_only_reports_need_not_be_safe(self) -> None:
        about = analysis(errors(), latency(dryRun=True), advance="Evidence")
        counts = {"errors": reading(Counts(5000, 0), Counts(45_000, 50)), "latency": reading(DOWN)}
        assert judged(about, window(counts)).waits_for is None


class TestPlaces:
    def test_a_step_begins_anew(self) -> None:
        about = analysis(errors(), saturation())
        plenty = window(
            {"errors": reading(Counts(5000, 5), Counts(45_000, 50)), "saturation": reading(Number(0.1))}
        )
        got = judged(about, plenty)
        assert (got.verdict, got.waits_for) == (SAFE, None)
        quiet = {"errors": reading(Counts(0, 0), Counts(0, 0)), "saturation": reading(NOTHING)}
        for elsewhere in ({"weight": 25}, {"phase": Phase.BAKING}):
            moved = judged(about, window(quiet, **elsewhere), memory=got.memory)
            first, second = moved.memory.metrics
            assert (first.requests, first.bad, second.passes) == (0, 0, 0)
            assert first.tests is not None
            assert set(first.tests.safe) == {0.0}
            assert (moved.memory.weighed.candidate, moved.memory.weighed.stable) == (0, 0)
            assert moved.memory.weighed.windows == 2

    def test_the_evidence_against_a_version_goes_on(self) -> None:
        before = judged(analysis(), LEANING).memory
        same = only(judged(analysis(), LEANING, memory=before))
        moved = only(judged(analysis(), replace(LEANING, weight=25), memory=before))
        assert moved.tests is not None
        assert same.tests is not None
        assert moved.tests.comparisons == same.tests.comparisons
        assert moved.tests.limit == same.tests.limit
        assert moved.verdict is HARMFUL

    def test_a_row_of_failures_goes_on_too(self) -> None:
        failing = {"saturation": reading(Number(0.9))}
        windows = [window(failing, weight=weight) for weight in (10, 25, 50)]
        assert judged(analysis(saturation()), *windows).verdict is HARMFUL

    def test_the_same_place_is_not_begun_anew(self) -> None:
        assert only(judged(analysis(), GOOD, GOOD)).requests == 200


class TestWhatLasts:
    def test_harm_that_was_shown_stays_shown_in_its_words(self) -> None:
        first = judged(analysis(), HARM)
        for later in (
            counted(Counts(10**6, 0), Counts(10**6, 10**5)),
            counted(DOWN),
            counted(DOWN, weight=5),
        ):
            got = judged(analysis(), later, memory=first.memory)
            assert (got.verdict, got.because, got.waits_for) == (HARMFUL, first.because, OUT_OF_BOUNDS)
        recovered = only(
            judged(analysis(), counted(Counts(10**6, 0), Counts(10**6, 10**5)), memory=first.memory)
        )
        assert recovered.odds == 0.125

    def test_failures_in_a_row_that_were_too_many_stay_harm(self) -> None:
        about = analysis(saturation(failureLimit=1))
        high, low = (window({"saturation": reading(Number(value))}) for value in (0.9, 0.1))
        got = judged(about, high, low)
        assert (got.verdict, got.because) == (
            HARMFUL,
            "saturation: value 0.9, at most 0.8 allowed, failed 1 in a row, rolls back at 1",
        )

    def test_a_budget_that_is_spent_stays_spent(self) -> None:
        about = analysis(errors(max=None, tolerate=1000), harmBudget=10)
        spent = counted(Counts(1000, 11), Counts(9000, 0))
        first = judged(about, spent)
        assert (first.verdict, first.waits_for, first.acts) == (HARMFUL, OUT_OF_BOUNDS, True)
        assert first.because == "errors: 11 bad requests beyond stable's rate, harmBudget is 10"
        got = judged(about, counted(Counts(1000, 0), Counts(9000, 900)), memory=first.memory)
        assert (got.excess, got.verdict) == (0, HARMFUL)

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param(errors(name="faults"), id="renamed"),
            pytest.param(latency(name="errors"), id="another kind"),
            pytest.param(saturation(name="errors"), id="a query"),
        ],
    )
    def test_a_metric_that_became_another_one_starts_afresh(self, changed: dict[str, Any]) -> None:
        memory = judged(analysis(), HARM).memory
        found = {changed["name"]: reading(NOTHING)}
        got = only(judged(analysis(changed), window(found), memory=memory))
        assert (got.tests, got.verdict, got.limit) == (None, BLIND, limit_of(metric(changed)))

    @pytest.mark.parametrize(
        ("before", "after"), [(errors, latency), (latency, errors)], ids=["to a histogram", "to a ratio"]
    )
    def test_another_kind_under_the_same_name_and_limit_starts_afresh(self, before: Any, after: Any) -> None:
        found = (
            {"it": reading(Counts(118, 9), Counts(1100, 1))},
            {"it": reading(slow(9, 5, 0, 0), slow(9, 5, 0, 0))},
        )
        first, second = found if before is errors else found[::-1]
        memory = judged(analysis(before(name="it", max=None)), window(first)).memory
        got = only(judged(analysis(after(name="it", max=None)), window(second), memory=memory))
        afresh = judged(analysis(after(name="it", max=None)), window(second), memory=Memory())
        assert got == only(afresh)

    def test_with_another_limit_it_starts_afresh_and_still_knows_stable(self) -> None:
        memory = judged(analysis(), HARM).memory
        before = only(judged(analysis(), HARM)).tests
        assert before is not None
        got = only(judged(analysis(errors(max="5%")), counted(DOWN), memory=memory))
        assert got.verdict is BLIND
        assert got.tests == Known(comparisons=(Comparison(dispersion=before.comparisons[0].dispersion),))
        histogram = {"latency": reading(slow(100, 9, 1, 0), slow(900, 90, 9, 0))}
        memory = judged(analysis(latency()), window(histogram)).memory
        got = only(judged(analysis(latency(max=None)), window({"latency": reading(DOWN)}), memory=memory))
        assert got.tests is not None
        assert [each.bound for each in got.tests.comparisons] == [0.1, 0.5, 1.0]
        assert got.tests.watched is None

    def test_windows_are_numbered(self) -> None:
        assert judged(analysis(), GOOD, counted(DOWN), replace(GOOD, weight=25)).memory.weighed.windows == 3

    def test_the_survey_is_where_it_begins(self) -> None:
        past = Known(comparisons=(Comparison(dispersion=Dispersion(60, 54_000, 540, 60.0)),))
        surveyed = Memory((MetricStatus("errors", limit=limit_of(metric(errors())), tests=past),))
        got = only(judged(analysis(), GOOD, memory=surveyed))
        assert got.tests is not None
        assert got.tests.comparisons[0].dispersion.windows == 61
        assert got.dispersion is not None
        assert got.dispersion > 5


class TestDryRun:
    def test_a_metric_that_only_reports_never_acts(self) -> None:
        about = analysis(errors(dryRun=True), latency())
        bad = {
            "errors": reading(Counts(118, 9), Counts(1100, 1)),
            "latency": reading(slow(118, 2, 0, 0), slow(1100, 18, 1, 0)),
        }
        got = judged(about, window(bad))
        assert (got.verdict, got.waits_for, got.acts) == (UNDECIDED, None, True)
        assert got.because.startswith("latency: ")
        first, second = got.memory.metrics
        assert (first.verdict, first.dry_run, first.would_roll_back_at) == (HARMFUL, True, NOW)
        assert (second.dry_run, second.would_roll_back_at) == (False, None)

    @pytest.mark.parametrize(
        "found",
        [
            pytest.param(reading(DOWN, DOWN), id="it cannot be asked"),
            pytest.param(reading(Counts(1, 0), Counts(9, 0)), id="it has few requests"),
            pytest.param(reading(Counts(60, 4), Counts(540, 1)), id="it leans"),
        ],
    )
    def test_nor_does_it_hold_anything(self, found: MetricReading) -> None:
        about = analysis(errors(), errors(name="faults", dryRun=True))
        got = judged(about, window({**GOOD.readings, "faults": found}))
        assert (got.waits_for, got.answered, got.acts) == (None, True, True)

    def test_when_it_would_have_rolled_back_is_told_once(self) -> None:
        about = analysis(errors(dryRun=True))
        later = replace(HARM, until=NOW + dt.timedelta(hours=1))
        got = judged(about, GOOD, HARM, later)
        assert only(got).would_roll_back_at == NOW
        assert only(judged(about, GOOD)).would_roll_back_at is None

    def test_if_all_only_report_the_verdict_is_for_people(self) -> None:
        about = analysis(errors(dryRun=True), saturation(dryRun=True))
        bad = window({**HARM.readings, "saturation": reading(Number(0.1))})
        got = judged(about, bad)
        assert (got.verdict, got.waits_for, got.acts) == (HARMFUL, None, False)
        assert got.because.startswith("errors: 7.6% bad")

    @pytest.mark.parametrize("found", [HARM, LEANING, counted(DOWN), counted(Counts(1, 0))])
    def test_a_dry_run_of_the_whole_neither_acts_nor_waits(self, found: Window) -> None:
        got = judged(analysis(dryRun=True), found)
        assert (got.waits_for, got.acts) == (None, False)
        assert got.verdict is judged(analysis(), found).verdict
        assert only(got).would_roll_back_at is None

    def test_a_metric_that_begins_to_act_acts_on_what_it_has_shown(self) -> None:
        memory = judged(analysis(errors(dryRun=True)), HARM).memory
        got = judged(analysis(), GOOD, memory=memory)
        assert (got.verdict, got.acts, only(got).dry_run) == (HARMFUL, True, False)


class TestSplit:
    """Nothing is judged by it but whether the gateway does as it was asked."""

    def weighed(self, *found: Window) -> tuple[int, int]:
        memory = judged(analysis(errors(max="50%")), *found).memory
        return memory.weighed.candidate, memory.weighed.stable

    def waits(self, candidate: int, stable: int, **fields: Any) -> HeldReason | None:
        return judged(analysis(), counted(Counts(candidate, 0), Counts(stable, 0), **fields)).waits_for

    def test_settled_requests_of_this_step_are_counted(self) -> None:
        assert self.weighed(GOOD, GOOD) == (200, 1800)
        assert self.weighed(GOOD, replace(GOOD, settled=False)) == (100, 900)
        assert self.weighed(GOOD, replace(GOOD, weight=25)) == (100, 900)
        assert self.weighed(replace(GOOD, phase=Phase.BAKING)) == (100, 900)
        assert self.weighed(replace(GOOD, phase=Phase.TESTING)) == (0, 0)

    @pytest.mark.parametrize(
        "gap",
        [
            pytest.param(reading(DOWN, Counts(900, 0)), id="the candidate's are missing"),
            pytest.param(reading(Counts(100, 0), NOTHING), id="stable's are missing"),
        ],
    )
    def test_only_where_both_versions_were_counted_over_the_same_time(self, gap: MetricReading) -> None:
        assert self.weighed(GOOD, window({"errors": gap})) == (100, 900)
        assert self.weighed(GOOD, window({"errors": gap}), GOOD) == (100, 900)
        assert self.weighed(GOOD, window({"errors": gap}), GOOD, GOOD) == (200, 1800)

    @pytest.mark.parametrize(
        ("found", "counted_by"),
        [
            pytest.param(three(), (100, 900), id="the first"),
            pytest.param(
                three(reading(DOWN), reading(slow(7, 0, 0, 0), slow(63, 0, 0, 0))), (7, 63), id="the second"
            ),
            pytest.param(three(reading(DOWN), reading(DOWN)), (0, 0), id="none"),
        ],
    )
    def test_the_first_metric_that_can_count_does(self, found: Window, counted_by: tuple[int, int]) -> None:
        weighed = judged(analysis(saturation(), errors(), latency()), found).memory.weighed
        assert (weighed.candidate, weighed.stable) == counted_by

    @pytest.mark.parametrize(
        ("candidate", "stable", "fields", "reason"),
        [
            pytest.param(1000, 9000, {}, None, id="as asked"),
            pytest.param(1050, 9000, {}, None, id="about as asked"),
            pytest.param(3000, 9000, {}, MISMATCH, id="too many"),
            pytest.param(0, 9000, {}, MISMATCH, id="none"),
            pytest.param(3000, 9000, {"testers": True}, None, id="testers come on top"),
            pytest.param(100, 9000, {"testers": True}, MISMATCH, id="too few in spite of testers"),
            pytest.param(100, 9000, {"weight": 0}, MISMATCH, id="some at 0%"),
            pytest.param(3, 9000, {"weight": 0}, TOO_FEW, id="a probe at 0%"),
            pytest.param(3, 1000, {"weight": 0}, TOO_FEW, id="a probe among few requests at 0%"),
            pytest.param(100, 9000, {"weight": 0, "testers": True}, None, id="testers at 0%"),
            pytest.param(100, 10**8, {"weight": 0}, None, id="much traffic at 0%"),
            pytest.param(10**8, 0, {"weight": 100}, None, id="much traffic at 100%"),
            pytest.param(3000, 7000, {"weight": 100, "phase": Phase.BAKING}, MISMATCH, id="baking"),
            pytest.param(9000, 3, {"weight": 100}, None, id="a probe at 100%"),
            pytest.param(9000, 200, {"weight": 100}, MISMATCH, id="some of stable's at 100%"),
            pytest.param(5000, 5000, {"phase": Phase.TESTING, "weight": 0}, None, id="not while testing"),
        ],
    )
    def test_a_mismatch_holds(
        self, candidate: int, stable: int, fields: dict[str, Any], reason: HeldReason | None
    ) -> None:
        assert self.waits(candidate, stable, **fields) is reason

    def test_from_these_odds_on(self) -> None:
        """Of one request more, nothing depends on how the evidence for it is computed."""

        def against(candidate: int) -> float:
            return split.mismatch(candidate, 9000, 0.1, testers=False, apart=2)

        first = next(count for count in range(1000, 3000) if against(count) >= math.log(split.ODDS))
        assert self.waits(first, 9000) is MISMATCH
        assert self.waits(first - 1, 9000) is None

    @pytest.mark.parametrize(
        ("scrape", "seconds", "reason"),
        [
            pytest.param(15.0, (10.0,), TOO_FEW, id="stable was scraped, the candidate was not yet"),
            pytest.param(15.0, (10.0, 10.0), None, id="stable was scraped twice, the candidate once"),
            pytest.param(1.0, (10.0, 10.0), MISMATCH, id="ten scrapes of each"),
            pytest.param(None, (5.0,), TOO_FEW, id="as long as an interval, if nobody knows better"),
            pytest.param(None, (10.0, 10.0, 10.0, 10.0), MISMATCH, id="four of these"),
        ],
    )
    def test_versions_are_scraped_at_different_moments(
        self, scrape: float | None, seconds: Sequence[float], reason: HeldReason | None
    ) -> None:
        found = [
            replace(each, since=each.until - dt.timedelta(seconds=length))
            for length in seconds
            for each in [counted(Counts(1200 // len(seconds), 0), Counts(20000 // len(seconds), 0))]
        ]
        memory = Memory(weighed=Weighed(scrape=scrape))
        assert judged(analysis(), *found, memory=memory).waits_for is reason

    def test_a_step_waits_until_its_split_can_be_seen(self) -> None:
        memory = Memory(weighed=Weighed(scrape=15.0))
        first = judged(analysis(), GOOD, memory=memory)
        assert first.because == "how the requests are divided is seen after a whole scrape of 15s"
        second = judged(analysis(), GOOD, memory=first.memory)
        assert (first.waits_for, second.waits_for) == (TOO_FEW, None)
        assert judged(analysis(), replace(GOOD, weight=25), memory=second.memory).waits_for is TOO_FEW
        assert judged(analysis(), replace(GOOD, weight=100), memory=memory).waits_for is None

    @pytest.mark.parametrize(
        ("candidate", "because"),
        [
            pytest.param(
                0,
                "asked for 10%, but the candidate answered 0% (0 of 9,000 requests): does the route's "
                "subset find the candidate's pods, and do its metrics tell the versions apart?",
                id="too few",
            ),
            pytest.param(
                3000,
                "asked for 10%, but the candidate answered 25% (3,000 of 12,000 requests): does "
                "another route, a subset without pods, a cache or a probe reach these pods?",
                id="too many",
            ),
        ],
    )
    def test_it_is_told_with_what_to_look_for(self, candidate: int, because: str) -> None:
        got = judged(analysis(), counted(Counts(candidate, 0), Counts(9000, 0)))
        assert got.because == because
        assert got.verdict is UNDECIDED

    def test_at_0_percent_what_was_asked_for_is_told_as_it_was(self) -> None:
        got = judged(analysis(), counted(Counts(1000, 0), Counts(9000, 0), weight=0))
        assert got.because.startswith(
            "asked for 0%, but the candidate answered 10% (1,000 of 10,000 requests)"
        )

    def test_a_dry_run_does_not_wait_for_it(self) -> None:
        assert judged(analysis(dryRun=True), counted(Counts(0, 0), Counts(9000, 0))).waits_for is None


@pytest.mark.parametrize(
    ("given_metric", "limit"),
    [
        pytest.param(errors(), "<= 1%, <= 1.5 x stable", id="ratio"),
        pytest.param(latency(), "p99 <= 0.5s, <= 1.5 x stable", id="histogram"),
        pytest.param(saturation(), "<= 0.8", id="query"),
    ],
)
def test_limits_are_written_as_people_say_them(given_metric: dict[str, Any], limit: str) -> None:
    assert limit_of(metric(given_metric)) == limit


# --- Whatever is counted -------------------------------------------------------------------------------

LARGEST = 10**12
REQUESTS = st.sampled_from([0, 3, 40, 150, 2000, LARGEST]).flatmap(lambda most: st.integers(0, most))
Counted = Counts | NoData | Failure
UNMEASURED: st.SearchStrategy[Counted] = st.sampled_from([NOTHING, DOWN, Counts(0, 0, series=False)])


def part_of(draw: st.DrawFn, whole: int) -> int:
    rare = draw(st.integers(0, min(whole, 3)))
    return draw(st.sampled_from([0, rare, draw(st.integers(0, whole)), whole]))


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    requests = draw(REQUESTS)
    return Counts(requests, part_of(draw, requests))


NUMBERS: st.SearchStrategy[Number | NoData] = st.sampled_from([Number(0.1), Number(0.9), NOTHING])
READ: st.SearchStrategy[Counted] = st.one_of(counts(), counts(), UNMEASURED)


def latencies_of(draw: st.DrawFn, requests: int) -> Latencies:
    first = part_of(draw, requests)
    second = part_of(draw, first)
    return slow(requests, first, second, part_of(draw, second))


def alike(draw: st.DrawFn, found: Counted) -> Latencies | NoData | Failure:
    """Give the same requests, by how long they took."""
    if not isinstance(found, Counts):
        return found
    return latencies_of(draw, found.requests) if found.series else slow(0, bounds=())


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Give a window of three metrics; those that count requests count the same ones."""
    candidate, stable = draw(READ), draw(READ)
    found = {
        "errors": reading(candidate if draw(st.booleans()) else DOWN, stable),
        "latency": reading(alike(draw, candidate), alike(draw, stable)),
        "saturation": reading(draw(NUMBERS)),
    }
    return window(
        found,
        weight=draw(st.sampled_from([0, 10, 50, 100])),
        phase=draw(st.sampled_from([Phase.TESTING, Phase.SHIFTING, Phase.BAKING])),
        settled=draw(st.booleans()),
        testers=draw(st.booleans()),
    )


ANALYSES = st.builds(
    lambda ratio, histogram, query, general: analysis(
        errors(**ratio), latency(**histogram), saturation(**query), **general
    ),
    st.fixed_dictionaries({"max": st.sampled_from([None, "1%"]), "dryRun": st.booleans()}),
    st.fixed_dictionaries({"max": st.sampled_from([None, {"quantile": 0.99, "seconds": 0.5}])}),
    st.fixed_dictionaries({"dryRun": st.booleans()}),
    st.fixed_dictionaries(
        {"harmBudget": st.sampled_from([None, 5]), "advance": st.sampled_from(["Soak", "Evidence"])}
    ),
)


@settings(deadline=None, max_examples=60)
@given(about=ANALYSES, found=st.lists(windows(), min_size=1, max_size=5))
def test_a_restart_between_any_two_windows_changes_nothing(about: Analysis, found: list[Window]) -> None:
    """All that is remembered is finite, and comes back from the status as it was."""
    memory = Memory()
    for each in found:
        judgement = judge(about, memory, each)
        json.dumps([judgement.excess, judgement.requests, judgement.bad], allow_nan=False)
        assert stored(judgement.memory) == judgement.memory
        assert judge(about, stored(memory), each) == judgement
        memory = judgement.memory


@settings(deadline=None, max_examples=60)
@given(about=ANALYSES, found=st.lists(windows(), min_size=1, max_size=4), order=st.permutations([0, 1, 2]))
def test_the_order_of_metrics_does_not_matter(
    about: Analysis, found: list[Window], order: Sequence[int]
) -> None:
    turned = about.model_copy(update={"metrics": tuple(about.metrics[at] for at in order)})
    one, other = judged(about, *found), judged(turned, *found)
    assert {each.name: each for each in one.memory.metrics} == {
        each.name: each for each in other.memory.metrics
    }
    assert one.memory.weighed == other.memory.weighed
    told = ("verdict", "waits_for", "requests", "bad", "excess", "at", "answered", "acts")
    assert [getattr(one, name) for name in told] == [getattr(other, name) for name in told]


@settings(deadline=None, max_examples=60)
@given(about=ANALYSES, found=st.lists(windows(), min_size=1, max_size=3), last=windows(), data=st.data())
def test_more_bad_requests_never_turn_harm_into_something_milder(
    about: Analysis, found: list[Window], last: Window, data: st.DataObject
) -> None:
    memory = judged(about, *found).memory
    worse = dict(last.readings)
    match last.readings["errors"].candidate, last.readings["latency"].candidate:
        case Counts(requests=requests, bad=bad) as fewer, _:
            more = replace(fewer, bad=data.draw(st.integers(bad, requests)))
            worse["errors"] = replace(worse["errors"], candidate=more)
        case _, Latencies(requests=requests, slower=slower) as fewer if slower:
            most = tuple((bound, requests) for bound, _ in slower)
            worse["latency"] = replace(worse["latency"], candidate=replace(fewer, slower=most))
    before, after = judge(about, memory, last), judge(about, memory, replace(last, readings=worse))
    assert after.excess >= before.excess
    for one, other in zip(before.memory.metrics, after.memory.metrics, strict=True):
        assert (other.odds or 0) >= (one.odds or 0)
        assert other.verdict is HARMFUL or one.verdict is not HARMFUL
    if before.waits_for is not None:
        assert after.waits_for is not None or before.waits_for is not OUT_OF_BOUNDS


@settings(deadline=None, max_examples=60)
@given(about=ANALYSES, found=st.lists(windows(), min_size=2, max_size=5))
def test_harm_is_never_taken_back(about: Analysis, found: list[Window]) -> None:
    memory, harmful = Memory(), set[str]()
    for each in found:
        memory = judge(about, memory, each).memory
        now = {metric.name for metric in memory.metrics if metric.verdict is HARMFUL}
        assert harmful <= now
        harmful = now


@settings(deadline=None, max_examples=60)
@given(
    candidate=st.tuples(st.integers(1, 500), st.integers(0, 9)),
    stable=st.tuples(st.integers(1, 5000), st.integers(0, 9)),
)
def test_a_window_says_the_same_in_two_halves(candidate: tuple[int, int], stable: tuple[int, int]) -> None:
    ours = Counts(candidate[0] + candidate[1], candidate[1])
    theirs = Counts(stable[0] + stable[1], stable[1])
    whole = counted(Counts(2 * ours.requests, 2 * ours.bad), Counts(2 * theirs.requests, 2 * theirs.bad))
    begun = only(judged(analysis(), whole))
    assert begun.tests is not None
    no_new_bets = (0.0,) * 7 + (-1e300,)
    calm_for_ever = Dispersion(windows=10**9, requests=10**9)
    comparison = Comparison(harm=no_new_bets, dispersion=calm_for_ever)
    begun = replace(begun, requests=0, bad=0, tests=Known(comparisons=(comparison,), limit=no_new_bets))
    memory = Memory((begun,), Weighed(1, Phase.SHIFTING, whole.weight))
    one, two = (
        only(judged(analysis(), *windows, memory=memory))
        for windows in ([whole], [counted(ours, theirs)] * 2)
    )
    assert one.tests is not None
    assert two.tests is not None
    assert two.tests.comparisons[0].harm == pytest.approx(one.tests.comparisons[0].harm, abs=1e-9)
    assert two.tests.limit == pytest.approx(one.tests.limit, abs=1e-9)
    assert two.tests.safe == pytest.approx(one.tests.safe, abs=1e-9)
    assert (two.requests, two.bad, two.value) == (one.requests, one.bad, one.value)
