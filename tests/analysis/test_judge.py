"""Blocks, failures in a row, and one verdict of many metrics."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.judge import judge, limit_of
from analysis.readings import Counts, MetricReading, NoData, Number, Reading
from analysis.samples import Failure
from analysis.verdict import Judgement
from config.status import MetricStatus, Verdict
from metrics import NOW, analysis, errors, latency, metric, saturation


HARMFUL, SAFE, UNDECIDED, BLIND = Verdict.HARMFUL, Verdict.SAFE, Verdict.UNDECIDED, Verdict.BLIND

DOWN = Failure("Prometheus did not answer: http://prometheus:9090 took longer than 5s")
NOTHING = NoData("the query answered nothing")


def reading(candidate: Reading, stable: Reading = NOTHING) -> MetricReading:
    return MetricReading(candidate, stable, "asked")


def remembered(given: dict[str, Any], **fields: Any) -> MetricStatus:
    """Give the status of a metric that has been judged before."""
    return MetricStatus(given["name"], limit=limit_of(metric(given)), **fields)


def weigh(given: dict[str, Any], found: Reading, min_requests: int = 100, **memory: Any) -> MetricStatus:
    """Judge one metric once."""
    about = analysis(given, min_requests=min_requests)
    got = judge(about, (remembered(given, **memory),), {given["name"]: reading(found)}, NOW)
    return got.metrics[0]


def run(given: dict[str, Any], found: Sequence[Reading], min_requests: int = 100) -> MetricStatus:
    """Judge one metric again and again."""
    about = analysis(given, min_requests=min_requests)
    memory: tuple[MetricStatus, ...] = ()
    for each in found:
        memory = judge(about, memory, {given["name"]: reading(each)}, NOW).metrics
    return memory[0]


class TestBlocks:
    @pytest.mark.parametrize(
        ("before", "counts", "after", "verdict", "message"),
        [
            pytest.param(
                (0, 0), (118, 1), (0, 0, 1, 0), SAFE, "0.8475% bad, at most 1% allowed (1 of 118 requests)",
                id="a full block within the limit passes",
            ),
            pytest.param(
                (60, 1), (40, 0), (0, 0, 1, 0), SAFE, "1% bad, at most 1% allowed (1 of 100 requests)",
                id="a block is filled over several evaluations; exactly the limit is within it",
            ),
            pytest.param(
                (0, 0), (118, 6), (0, 0, 0, 1), UNDECIDED,
                "5.085% bad, at most 1% allowed (6 of 118 requests)",
                id="a full block above the limit fails",
            ),
            pytest.param(
                (60, 1), (40, 5), (0, 0, 0, 1), UNDECIDED,
                "6% bad, at most 1% allowed (6 of 100 requests)",
                id="a block that fails is over",
            ),
            pytest.param(
                (0, 0), (2, 2), (0, 0, 0, 1), UNDECIDED, "100% bad, at most 1% allowed (2 of 2 requests)",
                id="a block that can no longer pass fails at once",
            ),
            pytest.param(
                (0, 0), (1, 1), (1, 1, 0, 0), UNDECIDED, "1 of 100 requests so far, 1 bad",
                id="a block that can still pass goes on",
            ),
            pytest.param(
                (99, 0), (201, 3), (0, 0, 1, 0), SAFE, "1% bad, at most 1% allowed (3 of 300 requests)",
                id="a large block may hold more bad ones",
            ),
            pytest.param(
                (12, 0), (30, 0), (42, 0, 0, 0), UNDECIDED, "42 of 100 requests so far",
                id="a block that is not full says nothing",
            ),
            pytest.param((0, 0), (0, 0), (0, 0, 0, 0), UNDECIDED, "no requests yet", id="no requests"),
        ],
    )  # fmt: skip
    def test_a_block_passes_or_fails_as_a_whole(
        self,
        before: tuple[int, int],
        counts: tuple[int, int],
        after: tuple[int, int, int, int],
        verdict: Verdict,
        message: str,
    ) -> None:
        got = weigh(errors(), Counts(*counts), requests=before[0], bad=before[1])
        assert (got.requests, got.bad, got.passes, got.failures) == after
        assert (got.verdict, got.message) == (verdict, message)

    @pytest.mark.parametrize(
        ("requests", "bad", "failures"),
        [
            pytest.param(118, 1, 0, id="within"),
            pytest.param(118, 4, 1, id="above"),
        ],
    )
    def test_a_histogram_is_counted_in_blocks_too(self, requests: int, bad: int, failures: int) -> None:
        got = weigh(latency(), Counts(requests, bad))
        assert got.failures == failures
        share = "3.39%" if failures else "0.8475%"
        expected = f"{share} slower than 0.5s, at most 1% allowed ({bad} of 118 requests)"
        assert got.message == expected

    @pytest.mark.parametrize("percent", range(1, 100))
    def test_exactly_the_limit_passes_whatever_floats_make_of_it(self, percent: int) -> None:
        assert weigh(errors(max=f"{percent}%"), Counts(100, percent)).passes == 1
        assert weigh(errors(max=f"{percent}%"), Counts(100, percent + 1)).failures == 1
        by_quantile = latency(max={"quantile": percent / 100, "seconds": 0.5})
        assert weigh(by_quantile, Counts(100, 100 - percent)).passes == 1
        assert weigh(by_quantile, Counts(100, 101 - percent)).failures == 1

    @pytest.mark.parametrize(("bad", "failures"), [(57, 0), (58, 1)])
    def test_shares_below_one_percent_are_exact_as_well(self, bad: int, failures: int) -> None:
        assert weigh(errors(max="0.57%"), Counts(10_000, bad)).failures == failures

    def test_a_pass_ends_failures_in_a_row(self) -> None:
        got = weigh(errors(), Counts(100, 0), failures=2, passes=1)
        assert (got.failures, got.passes, got.verdict) == (0, 2, SAFE)

    def test_a_failure_after_a_pass_is_not_safe_any_more(self) -> None:
        got = weigh(errors(), Counts(100, 9), passes=3)
        assert (got.failures, got.passes, got.verdict) == (1, 3, UNDECIDED)

    def test_what_passed_stays_safe_while_the_next_block_is_counted(self) -> None:
        got = weigh(errors(), Counts(30, 1), passes=1)
        assert (got.verdict, got.requests, got.bad) == (SAFE, 30, 1)

    @pytest.mark.parametrize(("limit", "verdict"), [(3, UNDECIDED), (2, HARMFUL), (1, HARMFUL)])
    def test_as_many_failures_in_a_row_as_the_limit_are_harm(self, limit: int, verdict: Verdict) -> None:
        assert weigh(errors(failureLimit=limit), Counts(100, 9), failures=1).verdict is verdict

    @pytest.mark.parametrize(
        ("counts", "memory", "message"),
        [
            pytest.param(
                Counts(12, 0), {"failures": 2},
                "12 of 100 requests so far, after 2 of 3 failures in a row", id="failed before",
            ),
            pytest.param(
                Counts(0, 0), {"failures": 1}, "no requests since, after 1 of 3 failures in a row",
                id="none since the failure",
            ),
            pytest.param(Counts(0, 0), {"passes": 1}, "no requests since", id="none since the pass"),
            pytest.param(
                Counts(0, 0, "counting starts now"), {}, "no requests yet, counting starts now",
                id="first look",
            ),
            pytest.param(
                Counts(0, 0, "counting starts now"), {"requests": 40},
                "40 of 100 requests so far", id="first look after a restart",
            ),
        ],
    )  # fmt: skip
    def test_the_message_of_an_open_block_says_what_is_missing(
        self, counts: Counts, memory: dict[str, int], message: str
    ) -> None:
        assert weigh(errors(), counts, **memory).message == message

    def test_the_value_is_the_share_of_the_block_and_stays_while_nothing_is_new(self) -> None:
        assert weigh(errors(), Counts(10, 1), requests=30, bad=1, value=0.5).value == 0.05
        assert weigh(errors(), Counts(0, 0), value=0.5).value == 0.5


class TestNumbers:
    @pytest.mark.parametrize(
        ("bounds", "value", "failures", "message"),
        [
            pytest.param({"max": 0.8}, 0.8, 0, "value 0.8", id="at the maximum"),
            pytest.param({"max": 0.8}, 0.81, 1, "value 0.81, at most 0.8 allowed", id="above it"),
            pytest.param({"min": 0.95}, 0.95, 0, "value 0.95", id="at the minimum"),
            pytest.param({"min": 0.95}, 0.83, 1, "value 0.83, at least 0.95 wanted", id="below it"),
            pytest.param({"min": 1, "max": 2}, 1.5, 0, "value 1.5", id="between"),
            pytest.param({"min": 1, "max": 2}, 2.5, 1, "value 2.5, at most 2 allowed", id="above both"),
            pytest.param({"min": 1, "max": 2}, 0, 1, "value 0, at least 1 wanted", id="below both"),
            pytest.param({"max": 0}, -1, 0, "value -1", id="zero is a bound"),
            pytest.param({"min": 0}, -1, 1, "value -1, at least 0 wanted", id="zero is a lower bound"),
        ],
    )
    def test_every_evaluation_passes_or_fails(
        self, bounds: dict[str, float], value: float, failures: int, message: str
    ) -> None:
        got = weigh(saturation(**bounds), Number(value))
        assert (got.failures, got.passes, got.message) == (failures, 1 - failures, message)
        assert got.value == value
        assert got.verdict is (UNDECIDED if failures else SAFE)

    def test_failures_in_a_row_are_harm_and_a_pass_ends_the_row(self) -> None:
        high, low = Number(0.9), Number(0.1)
        assert run(saturation(), [high, high, low, high, high]).verdict is UNDECIDED
        assert run(saturation(), [high, high, low, high, high, high]).verdict is HARMFUL


class TestNotMeasured:
    @pytest.mark.parametrize(
        ("found", "message"),
        [
            pytest.param(NOTHING, "no data: the query answered nothing", id="no data"),
            pytest.param(DOWN, DOWN.reason, id="could not ask"),
        ],
    )
    @pytest.mark.parametrize(
        "given_metric", [errors(), latency(), saturation()], ids=lambda each: each["name"]
    )
    def test_is_neither_a_pass_nor_a_failure(
        self, given_metric: dict[str, Any], found: Reading, message: str
    ) -> None:
        memory: dict[str, Any] = {
            "requests": 40,
            "bad": 1,
            "passes": 2,
            "failures": 0,
            "value": 0.1,
            "stable_value": 0.2,
        }
        got = weigh(given_metric, found, **memory)
        expected = remembered(given_metric, verdict=BLIND, message=message, query="asked", **memory)
        assert got == expected

    @pytest.mark.parametrize("found", [NOTHING, DOWN], ids=["no data", "could not ask"])
    def test_does_not_interrupt_failures_in_a_row(self, found: Reading) -> None:
        high = Number(0.9)
        assert run(saturation(), [high, found, high, found, high]).verdict is HARMFUL

    @pytest.mark.parametrize("found", [NOTHING, DOWN], ids=["no data", "could not ask"])
    def test_does_not_take_back_harm_that_was_shown(self, found: Reading) -> None:
        assert weigh(saturation(), found, failures=3).verdict is HARMFUL

    @pytest.mark.parametrize(
        ("candidate", "stable", "answered"),
        [
            pytest.param(Counts(0, 0), NOTHING, True, id="no requests are an answer"),
            pytest.param(NOTHING, NOTHING, True, id="nothing is an answer"),
            pytest.param(DOWN, DOWN, False, id="none"),
            pytest.param(Counts(9, 0), DOWN, True, id="stable's is for people only"),
        ],
    )
    def test_answered_tells_whether_prometheus_could_be_asked(
        self, candidate: Reading, stable: Reading, *, answered: bool
    ) -> None:
        got = judge(analysis(), (), {"errors": reading(candidate, stable)}, NOW)
        assert got.answered is answered


class TestTogether:
    THREE = (errors(), latency(), saturation())

    def judged(self, first: Reading, second: Reading, third: Reading, *memory: MetricStatus) -> Judgement:
        found = {"errors": reading(first), "latency": reading(second), "saturation": reading(third)}
        return judge(analysis(*self.THREE), memory, found, NOW)

    @pytest.mark.parametrize(
        ("found", "verdict", "because"),
        [
            pytest.param(
                (Counts(100, 0), Counts(100, 0), Number(0.1)), SAFE, "every metric is within its limit",
                id="all passed",
            ),
            pytest.param(
                (Counts(100, 0), Counts(99, 0), Number(0.1)), UNDECIDED,
                "latency: 99 of 100 requests so far", id="one is not full",
            ),
            pytest.param(
                (Counts(100, 0), Counts(50, 0), Number(0.9)), UNDECIDED,
                "saturation: value 0.9, at most 0.8 allowed", id="one fails, which is said first",
            ),
            pytest.param(
                (Counts(100, 0), NOTHING, Number(0.9)), BLIND,
                "latency: no data: the query answered nothing", id="one is blind",
            ),
        ],
    )  # fmt: skip
    def test_the_worst_metric_decides_and_is_named(
        self, found: tuple[Reading, Reading, Reading], verdict: Verdict, because: str
    ) -> None:
        got = self.judged(*found)
        assert (got.verdict, got.because, got.at) == (verdict, because, NOW)

    def test_harm_weighs_more_than_blindness(self) -> None:
        failing = remembered(saturation(), failures=2)
        got = self.judged(DOWN, NOTHING, Number(0.9), failing)
        assert (got.verdict, got.because) == (HARMFUL, "saturation: value 0.9, at most 0.8 allowed")

    def test_requests_are_those_of_the_metric_that_saw_most_and_bad_likewise(self) -> None:
        got = self.judged(Counts(40, 1), Counts(50, 0), Number(0.1))
        assert (got.requests, got.bad) == (50, 1)
        assert self.judged(DOWN, NOTHING, Number(1)).requests == 0

    def test_metrics_come_in_the_order_of_the_spec_whatever_the_memory(self) -> None:
        memory = [remembered(each, requests=at + 1) for at, each in enumerate(self.THREE)]
        got = self.judged(Counts(10, 0), Counts(10, 0), Number(0.1), *reversed(memory))
        assert [(each.name, each.requests) for each in got.metrics] == [
            ("errors", 11),
            ("latency", 12),
            ("saturation", 3),
        ]

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param(errors(name="faults"), id="renamed"),
            pytest.param(errors(max="5%"), id="another limit"),
            pytest.param(latency(name="errors"), id="another kind"),
        ],
    )
    def test_a_metric_that_became_another_one_starts_afresh(self, changed: dict[str, Any]) -> None:
        memory = remembered(errors(), requests=90, bad=1, failures=2, passes=4)
        got = judge(analysis(changed), (memory,), {changed["name"]: reading(Counts(5, 0))}, NOW).metrics
        expected = remembered(
            changed, requests=5, value=0.0, message="5 of 100 requests so far", query="asked"
        )
        assert got == (expected,)

    def test_the_value_of_stable_is_shown_and_kept_while_nothing_is_new(self) -> None:
        def shown(stable: Reading) -> float | None:
            memory = (remembered(errors(), stable_value=0.5),)
            found = {"errors": reading(Counts(1, 0), stable)}
            return judge(analysis(), memory, found, NOW).metrics[0].stable_value

        assert shown(Counts(10, 1)) == 0.1
        assert shown(Number(3)) == 3
        assert [shown(Counts(0, 0)), shown(NOTHING), shown(DOWN)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("given_metric", "limit"),
    [
        pytest.param(errors(max="0.25%"), "<= 0.25%", id="ratio"),
        pytest.param(latency(max={"quantile": 0.999, "seconds": 0.25}), "p99.9 <= 0.25s", id="histogram"),
        pytest.param(saturation(max=0.8), "<= 0.8", id="maximum"),
        pytest.param(saturation(min=3), ">= 3", id="minimum"),
        pytest.param(saturation(min=0.2, max=0.8), "0.2 .. 0.8", id="both"),
    ],
)
def test_limits_are_written_as_people_say_them(given_metric: dict[str, Any], limit: str) -> None:
    assert limit_of(metric(given_metric)) == limit


@pytest.mark.parametrize(("about", "found"), [(errors(), Number(1)), (saturation(), Counts(1, 0))])
def test_a_reading_of_another_kind_is_a_mistake_of_ours(about: dict[str, Any], found: Reading) -> None:
    with pytest.raises(TypeError, match="cannot be judged by"):
        weigh(about, found)


# --- Whatever is counted -------------------------------------------------------------------------------


@st.composite
def counted(draw: st.DrawFn) -> Counts:
    most = draw(st.sampled_from([0, 3, 40, 150, 10**12]))
    requests = draw(st.integers(0, most))
    rare = draw(st.integers(0, min(requests, 3)))
    return Counts(requests, draw(st.sampled_from([0, rare, draw(st.integers(0, requests))])))


MEASURED = st.one_of(counted(), st.just(NOTHING), st.just(DOWN))
PERCENT = st.integers(1, 99)


def naive(found: Sequence[Reading], percent: int, min_requests: int) -> tuple[int, int, int, int]:
    """Count one request block after the other: requests, bad, passes, failures in a row."""
    requests = bad = passes = failures = 0
    for each in found:
        if not isinstance(each, Counts):
            continue
        requests, bad = requests + each.requests, bad + each.bad
        if bad * 100 > percent * max(requests, min_requests):
            requests, bad, failures = 0, 0, failures + 1
        elif requests >= min_requests:
            requests, bad, passes, failures = 0, 0, passes + 1, 0
    return requests, bad, passes, failures


@settings(deadline=None)
@given(found=st.lists(MEASURED, max_size=8), percent=PERCENT, min_requests=st.integers(1, 120))
def test_blocks_follow_the_definition(found: list[Reading], percent: int, min_requests: int) -> None:
    got = run(errors(max=f"{percent}%", failureLimit=100), [Counts(0, 0), *found], min_requests)
    assert (got.requests, got.bad, got.passes, got.failures) == naive(found, percent, min_requests)
    last = next((each for each in reversed(found)), None)
    blind = isinstance(last, NoData | Failure)
    safe = got.passes > 0 and got.failures == 0
    assert got.verdict is (BLIND if blind else SAFE if safe else UNDECIDED)


BEFORE = st.fixed_dictionaries(
    {
        "requests": st.integers(0, 99),
        "passes": st.integers(0, 2),
        "failures": st.integers(0, 4),
    }
)
_WORSE = {SAFE: 0, UNDECIDED: 1, HARMFUL: 2}


@settings(deadline=None)
@given(memory=BEFORE, counts=counted().filter(lambda each: each.bad < each.requests), percent=PERCENT)
def test_one_more_bad_request_is_never_better(memory: dict[str, int], counts: Counts, percent: int) -> None:
    about = errors(max=f"{percent}%")
    fewer = weigh(about, counts, **memory)
    more = weigh(about, replace(counts, bad=counts.bad + 1), **memory)
    assert _WORSE[more.verdict] >= _WORSE[fewer.verdict]
    assert more.passes <= fewer.passes
    if fewer.failures > memory["failures"]:
        assert more.failures > memory["failures"]


@settings(deadline=None)
@given(
    found=st.tuples(MEASURED, MEASURED, st.sampled_from([Number(0.1), Number(0.9), NOTHING, DOWN])),
    failures=st.tuples(*[st.integers(0, 3)] * 3),
    order=st.permutations([0, 1, 2]),
)
def test_the_order_of_metrics_does_not_matter(
    found: tuple[Reading, Reading, Reading], failures: tuple[int, int, int], order: list[int]
) -> None:
    three = (errors(), latency(), saturation())
    memory = tuple(remembered(each, failures=count) for each, count in zip(three, failures, strict=True))
    readings = {each["name"]: reading(what) for each, what in zip(three, found, strict=True)}
    one = judge(analysis(*three), memory, readings, NOW)
    other = judge(analysis(*(three[at] for at in order)), memory, readings, NOW)
    assert {each.name: each for each in one.metrics} == {each.name: each for each in other.metrics}
    assert replace(one, because="", metrics=()) == replace(other, because="", metrics=())


@settings(deadline=None)
@given(found=st.lists(MEASURED, max_size=8), at=st.integers(0, 7))
def test_asking_more_often_in_vain_changes_nothing(found: list[Reading], at: int) -> None:
    vain = [*found[:at], Counts(0, 0), NOTHING, *found[at:]]
    ours, theirs = run(errors(), [*found, Counts(0, 0)]), run(errors(), [*vain, Counts(0, 0)])
    assert ours == theirs


def test_the_time_of_the_judgement_is_the_one_given() -> None:
    later = NOW + dt.timedelta(seconds=5)
    assert judge(analysis(), (), {"errors": reading(NOTHING)}, later).at == later
