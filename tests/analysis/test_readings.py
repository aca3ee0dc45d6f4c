import datetime as dt
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counters import Baseline
from analysis.queries import Query, Role, Subject, origin, queries_for
from analysis.readings import Counts, Latencies, MetricReading, NoData, Number, Reading, count
from analysis.samples import Answer, Failure, Sample
from config.metrics import Analysis
from config.status import Revision


SUBJECT = Subject(
    name="echo",
    namespace="shop",
    upstream="echo",
    stable=Revision("v1", "hash-v1", "echo-v1"),
    candidate=Revision("v2", "hash-v2", "echo-v2"),
    window=dt.timedelta(seconds=30),
)
ERRORS = {
    "name": "errors",
    "ratio": {"bad": 'bad{v="{{ version }}"}', "total": 'total{v="{{ version }}"}'},
    "max": "1%",
}
LATENCY = {
    "name": "latency",
    "histogram": {"buckets": 'buckets{v="{{ version }}"}'},
    "max": {"quantile": 0.99, "seconds": 0.5},
}
SATURATION = {"name": "saturation", "query": 'used{v="{{ version }}"}', "max": 0.8}

Part = Callable[[str], Answer]
"""Gives the answer to a part of a question: `bad`, `total`, `buckets` or `value`."""


def analysis(*metrics: Mapping[str, object]) -> Analysis:
    return Analysis.model_validate({"metrics": metrics})


def readings(
    metrics: Analysis, *evaluations: Part, subject: Subject = SUBJECT, role: Role = "candidate"
) -> dict[str, Reading]:
    """Give the readings of the last of these evaluations, one after the other."""
    baseline, found = None, dict[str, MetricReading]()
    for answer in evaluations:
        baseline, found = evaluate(metrics, baseline, answer, subject)
    return {name: getattr(reading, role) for name, reading in found.items()}


def evaluate(
    metrics: Analysis, baseline: Baseline | None, answer: Part, subject: Subject = SUBJECT
) -> tuple[Baseline, dict[str, MetricReading]]:
    queries = queries_for(metrics, subject)
    return count(metrics, baseline, queries, answers_of(queries, answer))


def answers_of(queries: Sequence[Query], answer: Part) -> dict[str, Answer]:
    return {query.id: answer(origin(query.id).part) for query in queries}


def ratio(bad: float | None, total: float | None, pod: str = "a") -> Part:
    """One pod's counters; None: there is no such series."""
    found = {"bad": bad, "total": total}

    def answer(part: str) -> Answer:
        value = found[part]
        return () if value is None else (Sample({"pod": pod}, value),)

    return answer


def buckets(*histograms: Mapping[str, float]) -> Part:
    """Histograms of the handlers /0, /1 and so on: bound -> counter."""
    found = tuple(
        Sample({"pod": "a", "handler": f"/{at}", "le": bound}, value)
        for at, histogram in enumerate(histograms)
        for bound, value in histogram.items()
    )
    return lambda _: found


class TestRatio:
    def test_counting_starts_at_the_first_evaluation(self) -> None:
        assert readings(analysis(ERRORS), ratio(3, 100)) == {"errors": Counts(0, 0, "counting starts now")}

    def test_what_was_added_since_the_last_evaluation_counts(self) -> None:
        assert readings(analysis(ERRORS), ratio(3, 100), ratio(4, 120)) == {"errors": Counts(20, 1)}

    def test_no_series_is_no_request_and_says_so(self) -> None:
        silent = Counts(0, 0, "the query finds no series yet", series=False)

        assert readings(analysis(ERRORS), ratio(None, None)) == {"errors": silent}
        assert readings(analysis(ERRORS), ratio(None, None), ratio(None, None)) == {"errors": silent}

    def test_requests_without_any_bad_one_need_no_series_of_bad_ones(self) -> None:
        assert readings(analysis(ERRORS), ratio(None, 100), ratio(None, 120)) == {"errors": Counts(20, 0)}

    def test_a_candidate_that_appears_later_counts_from_zero(self) -> None:
        assert readings(analysis(ERRORS), ratio(None, None), ratio(2, 50)) == {"errors": Counts(50, 2)}

    def test_series_of_bad_requests_alone_could_not_count_any(self) -> None:
        gone = readings(analysis(ERRORS), ratio(1, 10), ratio(1, None))

        assert gone == {"errors": Counts(0, 0, series=False)}

    def test_a_pod_of_stable_that_appears_later_does_not(self) -> None:
        seen = [ratio(None, None), ratio(2, 50), ratio(3, 60)]

        assert readings(analysis(ERRORS), *seen[:2], role="stable") == {"errors": Counts(0, 0)}
        assert readings(analysis(ERRORS), *seen, role="stable") == {"errors": Counts(10, 1)}

    def test_more_bad_requests_than_requests_are_named(self) -> None:
        found = readings(analysis(ERRORS), ratio(0, 0), ratio(9, 4))["errors"]

        assert found == NoData("9 bad requests of 4 cannot be: does ratio.total count the bad ones too?")

    def test_after_a_restart_that_cannot_be_told_from_a_mistake_counting_goes_on(self) -> None:
        """A pod at 1 bad of 5 restarts and is at 3 of 5: from now on every request of its counts."""
        seen = [ratio(1, 5), ratio(3, 5), ratio(98, 100)]

        assert readings(analysis(ERRORS), *seen) == {"errors": Counts(95, 95)}

    def test_as_many_bad_requests_as_requests_are_counted(self) -> None:
        assert readings(analysis(ERRORS), ratio(0, 0), ratio(4, 4)) == {"errors": Counts(4, 4)}

    def test_a_series_that_is_no_counter_is_named(self) -> None:
        found = readings(analysis(ERRORS), ratio(0, 0), ratio(math.nan, 4))["errors"]

        assert found == NoData('a counter cannot be nan: {pod="a"}')


class TestWhatCouldNotBeCounted:
    """It is counted next time: nothing is lost, nothing twice, and never one part without the other."""

    FAILED = Failure("Prometheus did not answer: timeout")

    @pytest.mark.parametrize(
        "gap",
        [
            pytest.param(lambda _: TestWhatCouldNotBeCounted.FAILED, id="nothing is answered"),
            pytest.param(
                lambda part: TestWhatCouldNotBeCounted.FAILED if part == "bad" else ratio(3, 60)(part),
                id="only the total is answered",
            ),
            pytest.param(
                lambda part: TestWhatCouldNotBeCounted.FAILED if part == "total" else ratio(3, 60)(part),
                id="only the bad ones are answered",
            ),
            pytest.param(ratio(math.nan, 60), id="a counter is NaN"),
        ],
    )
    def test_it_is_counted_next_time(self, gap: Part) -> None:
        found = readings(analysis(ERRORS), ratio(1, 10), gap, ratio(5, 110))

        assert found == {"errors": Counts(100, 4)}

    def test_before_the_first_answer_nothing_has_started(self) -> None:
        found = readings(analysis(ERRORS), lambda _: self.FAILED, ratio(5, 110))

        assert found == {"errors": Counts(0, 0, "counting starts now")}

    def test_the_reason_is_told(self) -> None:
        assert readings(analysis(ERRORS), lambda _: self.FAILED) == {"errors": self.FAILED}
        assert readings(analysis(LATENCY), lambda _: self.FAILED) == {"latency": self.FAILED}
        assert readings(analysis(SATURATION), lambda _: self.FAILED) == {"saturation": self.FAILED}

    @pytest.mark.parametrize("part", ["bad", "total"])
    def test_the_part_is_told_if_the_reason_is_its_own(self, part: str) -> None:
        found = readings(
            analysis(ERRORS), lambda asked: Failure("parse error") if asked == part else ratio(1, 1)(asked)
        )

        assert found == {"errors": Failure(f"{part}: parse error")}

    def test_of_two_reasons_the_first_is_told_with_its_part(self) -> None:
        assert readings(analysis(ERRORS), lambda asked: Failure(f"no {asked}")) == {
            "errors": Failure("bad: no bad")
        }

    def test_stable_without_an_answer_does_not_blind_the_candidate(self) -> None:
        metrics = analysis(ERRORS)
        queries = queries_for(metrics, SUBJECT)
        answers = {
            query.id: self.FAILED if origin(query.id).role == "stable" else ratio(1, 1)(origin(query.id).part)
            for query in queries
        }

        _, found = count(metrics, None, queries, answers)

        assert isinstance(found["errors"].stable, Failure)
        assert isinstance(found["errors"].candidate, Counts)


class TestHistogram:
    def test_slow_is_what_lies_above_a_bound_for_every_bound(self) -> None:
        before = buckets({"0.1": 50, "0.5": 90, "+Inf": 100})
        now = buckets({"0.1": 55, "0.5": 117, "+Inf": 130})

        assert readings(analysis(LATENCY), before, now) == {"latency": Latencies(30, ((0.1, 25), (0.5, 3)))}

    def test_without_a_limit_any_bounds_will_do_in_ascending_order(self) -> None:
        unlimited = {name: value for name, value in LATENCY.items() if name != "max"}
        before = buckets({"10": 0, "2": 0, "+Inf": 0})
        now = buckets({"10": 4, "2": 3, "+Inf": 5})

        assert readings(analysis(unlimited), before, now) == {"latency": Latencies(5, ((2, 2), (10, 1)))}

    def test_every_label_set_is_a_histogram_of_its_own(self) -> None:
        before = buckets({"0.5": 0, "+Inf": 0}, {"0.5": 0, "+Inf": 0})
        now = buckets({"0.5": 10, "+Inf": 12}, {"0.5": 7, "+Inf": 8})

        assert readings(analysis(LATENCY), before, now) == {"latency": Latencies(20, ((0.5, 3),))}

    def test_only_the_bounds_that_all_pods_have_can_be_counted(self) -> None:
        before = buckets({"0.1": 0, "0.5": 0, "+Inf": 0}, {"0.5": 0, "1": 0, "+Inf": 0})
        now = buckets({"0.1": 8, "0.5": 9, "+Inf": 12}, {"0.5": 5, "1": 7, "+Inf": 8})

        assert readings(analysis(LATENCY), before, now) == {"latency": Latencies(20, ((0.5, 6),))}

    @pytest.mark.parametrize("written", ["0.5", "0.50", "5e-1", ".5"])
    def test_bounds_are_compared_as_numbers(self, written: str) -> None:
        before, now = (buckets({written: fast, "+Inf": total}) for fast, total in ((1, 1), (3, 4)))

        assert readings(analysis(LATENCY), before, now) == {"latency": Latencies(3, ((0.5, 1),))}

    def test_a_restart_makes_no_slow_requests(self) -> None:
        """The fast bucket has outgrown its old value already, the total has not."""
        before = buckets({"0.5": 50, "+Inf": 100})
        now = buckets({"0.5": 60, "+Inf": 60})

        assert readings(analysis(LATENCY), before, now) == {"latency": Latencies(60, ((0.5, 0),))}

    def test_a_restart_that_every_bucket_hides_shows_between_them(self) -> None:
        before = buckets({"0.1": 0, "0.5": 1, "+Inf": 4})
        now = buckets({"0.1": 5, "0.5": 6, "+Inf": 7})

        assert readings(analysis(LATENCY), before, now) == {"latency": Latencies(7, ((0.1, 2), (0.5, 1)))}

    def test_no_series_is_no_request(self) -> None:
        silent = Latencies(0, (), "the query finds no series yet", series=False)

        assert readings(analysis(LATENCY), buckets(), buckets()) == {"latency": silent}

    def test_counting_starts_at_the_first_evaluation(self) -> None:
        found = readings(analysis(LATENCY), buckets({"0.5": 50, "+Inf": 100}))

        assert found == {"latency": Latencies(0, ((0.5, 0),), "counting starts now")}

    @pytest.mark.parametrize("evaluations", [1, 2], ids=["at once", "later"])
    @pytest.mark.parametrize(
        ("histograms", "reason"),
        [
            pytest.param(
                [{"1": 5, "0.1": 1, "0.25": 3, "+Inf": 5}],
                "0.5 is not a bucket bound; bounds: 0.1, 0.25, 1",
                id="the bound is none",
            ),
            pytest.param(
                [{"0.5": 5, "+Inf": 5}, {"1": 5, "+Inf": 5}],
                "0.5 is not a bucket bound; bounds: 1",
                id="the bound is none of another handler's",
            ),
            pytest.param(
                [{"0.5": 5}],
                'the bucket le="+Inf" is missing: histogram.buckets wants all buckets',
                id="no +Inf",
            ),
            pytest.param(
                [{"0.5": 5, "": 5}],
                "series without a number as label le: histogram.buckets wants the _bucket series",
                id="no le",
            ),
            pytest.param(
                [{"0.5": 5, "fast": 5, "+Inf": 5}],
                "series without a number as label le: histogram.buckets wants the _bucket series",
                id="le is a word",
            ),
            pytest.param(
                [{"nan": 5, "0.5": 5, "+Inf": 5}],
                "series without a number as label le: histogram.buckets wants the _bucket series",
                id="le is no number",
            ),
            pytest.param(
                [{"0.5": 5, "+Inf": 4}],
                'the bucket le=inf holds less than a smaller one: {handler="/0", pod="a"}',
                id="buckets that do not include the smaller ones",
            ),
            pytest.param(
                [{"0.5": 5, "0.50": 5, "+Inf": 5}],
                "the same bucket bound twice in one histogram",
                id="a bound twice",
            ),
        ],
    )
    def test_buckets_that_cannot_be_judged_are_named(
        self, histograms: Sequence[Mapping[str, float]], reason: str, evaluations: int
    ) -> None:
        seen = [buckets(*histograms)] * evaluations

        assert readings(analysis(LATENCY), *seen) == {"latency": NoData(reason)}

    def test_another_bound_asks_the_same_and_goes_on_counting(self) -> None:
        stricter = {**LATENCY, "max": {"quantile": 0.99, "seconds": 0.1}}
        baseline, _ = evaluate(analysis(LATENCY), None, buckets({"0.1": 1, "0.5": 2, "+Inf": 2}))

        _, found = evaluate(analysis(stricter), baseline, buckets({"0.1": 2, "0.5": 4, "+Inf": 4}))

        assert found["latency"].candidate == Latencies(2, ((0.1, 1), (0.5, 0)))


class TestNumber:
    @pytest.mark.parametrize(
        ("answer", "reading"),
        [
            pytest.param((Sample({"pod": "a"}, 0.83),), Number(0.83), id="one series"),
            pytest.param((Sample({}, 0.0),), Number(0.0), id="zero"),
            pytest.param((Sample({}, -3.0),), Number(-3.0), id="below zero"),
            pytest.param((), NoData("the query answered nothing"), id="nothing"),
            pytest.param((Sample({}, math.nan),), NoData("the query answered NaN"), id="NaN"),
            pytest.param((Sample({}, math.inf),), NoData("the query answered +Inf"), id="+Inf"),
            pytest.param((Sample({}, -math.inf),), NoData("the query answered -Inf"), id="-Inf"),
            pytest.param(
                tuple(Sample({"pod": pod}, 0.5) for pod in "abc"),
                NoData("3 series where one number was expected"),
                id="several series",
            ),
        ],
    )
    def test_one_finite_number_is_a_value_and_all_else_is_named(
        self, answer: Answer, reading: Reading
    ) -> None:
        assert readings(analysis(SATURATION), lambda _: answer) == {"saturation": reading}

    def test_it_is_read_in_the_first_evaluation_already_and_needs_no_baseline(self) -> None:
        baseline, _ = evaluate(analysis(SATURATION), None, lambda _: (Sample({}, 1.0),))

        assert baseline == Baseline()


class TestBaseline:
    def test_one_rebuilt_from_the_answers_of_then_counts_the_same(self) -> None:
        """A controller that starts anew asks Prometheus for the instant of the last evaluation."""
        metrics = analysis(ERRORS)
        kept, _ = evaluate(metrics, None, ratio(1, 10))
        rebuilt = Baseline.of(answers_of(queries_for(metrics, SUBJECT), ratio(1, 10)))

        assert evaluate(metrics, rebuilt, ratio(3, 60)) == evaluate(metrics, kept, ratio(3, 60))

    @pytest.mark.parametrize(
        ("then", "counts"),
        [
            pytest.param(ratio(1, 10, pod="b"), Counts(0, 0), id="another pod was seen"),
            pytest.param(ratio(None, None), Counts(0, 0), id="no pod was seen"),
            pytest.param(ratio(None, 10), Counts(40, 2), id="the pod had no bad request"),
        ],
    )
    def test_one_rebuilt_may_miss_a_pod_whose_history_then_does_not_count(
        self, then: Part, counts: Counts
    ) -> None:
        """Prometheus may have been down at that instant."""
        metrics = analysis(ERRORS)
        rebuilt = Baseline.of(answers_of(queries_for(metrics, SUBJECT), then))

        baseline, found = evaluate(metrics, rebuilt, ratio(2, 50))

        assert found["errors"].candidate == counts
        assert evaluate(metrics, baseline, ratio(1, 7, pod="c"))[1]["errors"].candidate == Counts(7, 1)

    def test_another_expression_under_the_same_name_starts_anew(self) -> None:
        other = {**ERRORS, "ratio": {"bad": 'oops{v="{{ version }}"}', "total": 'total{v="{{ version }}"}'}}
        baseline, _ = evaluate(analysis(ERRORS), None, ratio(1, 10))

        _, found = evaluate(analysis(other), baseline, ratio(500, 900))

        assert found["errors"].candidate == Counts(0, 0, "counting starts now")

    def test_another_candidate_starts_anew(self) -> None:
        baseline, _ = evaluate(analysis(ERRORS), None, ratio(1, 10))
        next_version = Subject(
            "echo", "shop", "echo", SUBJECT.stable, Revision("v3", "h", "echo-v3"), SUBJECT.window
        )

        _, found = evaluate(analysis(ERRORS), baseline, ratio(500, 900), next_version)

        assert found["errors"].candidate == Counts(0, 0, "counting starts now")

    def test_what_is_no_longer_asked_is_forgotten(self) -> None:
        baseline, _ = evaluate(analysis(ERRORS), None, ratio(1, 10))

        baseline, _ = evaluate(analysis(SATURATION), baseline, lambda _: ())

        assert baseline == Baseline()

    def test_a_metric_added_later_starts_later(self) -> None:
        second = {**ERRORS, "name": "more"}
        baseline, _ = evaluate(analysis(ERRORS), None, ratio(1, 10))

        _, found = evaluate(analysis(second, ERRORS), baseline, ratio(2, 20))

        assert found["more"].candidate == Counts(0, 0, "counting starts now")
        assert found["errors"].candidate == Counts(10, 1)


@pytest.mark.parametrize(
    ("metric", "query"),
    [
        (ERRORS, '(bad{v="v2"}) / (total{v="v2"})'),
        (LATENCY, 'buckets{v="v2"}'),
        (SATURATION, 'used{v="v2"}'),
    ],
    ids=["ratio", "histogram", "query"],
)
def test_people_are_shown_what_was_asked_about_the_candidate(
    metric: Mapping[str, object], query: str
) -> None:
    _, found = evaluate(analysis(metric), None, lambda _: ())

    assert [reading.query for reading in found.values()] == [query]


class Round(NamedTuple):
    """What happens to one pod between two evaluations."""

    restarts: bool
    served: tuple[int, int, int]
    """Good fast, good slow and bad fast requests, after the restart."""
    missed: bool
    """Prometheus does not see the pod at the end of it."""


CALM = Round(restarts=False, served=(0, 0, 0), missed=False)


@dataclass
class Pod:
    """A process that counts its requests; series come into being with the first request of their kind."""

    since_start: list[int] = field(default_factory=lambda: [0, 0, 0])
    ever: list[int] = field(default_factory=lambda: [0, 0, 0])
    missed: bool = False

    def live(self, happens: Round) -> None:
        self.since_start = [0, 0, 0] if happens.restarts else self.since_start
        self.since_start = [*map(operator.add, self.since_start, happens.served)]
        self.ever = [*map(operator.add, self.ever, happens.served)]
        self.missed = happens.missed

    def shown(self, part: str) -> dict[tuple[str, str], int]:
        fast, slow, bad = self.since_start
        match part:
            case "bad":
                found = {("code", "500"): bad}
            case "total":
                found = {("code", "200"): fast + slow, ("code", "500"): bad}
            case _:
                return {} if self.missed else {("le", "0.5"): fast + bad, ("le", "+Inf"): fast + slow + bad}
        return {} if self.missed else {label: value for label, value in found.items() if value}


def prometheus(pods: Sequence[Pod]) -> Part:
    return lambda part: tuple(
        Sample({"pod": str(at), name: text}, value)
        for at, pod in enumerate(pods)
        for (name, text), value in pod.shown(part).items()
    )


ROUNDS = st.lists(
    st.lists(
        st.builds(Round, st.booleans(), st.tuples(*[st.sampled_from([0, 0, 1, 5])] * 3), st.booleans()),
        min_size=2,
        max_size=2,
    ),
    max_size=6,
)


@settings(max_examples=500, deadline=None)
@given(ROUNDS)
def test_no_request_is_made_up_whatever_happens_to_pods(rounds: Sequence[Sequence[Round]]) -> None:
    """Never more is counted than happened; if no pod restarted, exactly what happened."""
    pods, metrics = [Pod(), Pod()], analysis(ERRORS, LATENCY)
    baseline, _ = evaluate(metrics, None, prometheus(pods))
    counted = {"errors": (0, 0), "latency": (0, 0)}
    truth = counted
    for happens in [*rounds, [CALM, CALM]]:
        for pod, happening in zip(pods, happens, strict=True):
            pod.live(happening)
        baseline, found = evaluate(metrics, baseline, prometheus(pods))
        requests, slow, bad = (sum(numbers) for numbers in zip(*(_told(pod) for pod in pods), strict=True))
        truth = {"errors": (requests, bad), "latency": (requests, slow)}
        for metric, (requests_before, bad_before) in counted.items():
            reading = found[metric].candidate
            assert isinstance(reading, Counts | Latencies)
            bad_now = reading.bad if isinstance(reading, Counts) else dict(reading.slower).get(0.5, 0)
            assert 0 <= bad_now <= reading.requests
            counted[metric] = (requests_before + reading.requests, bad_before + bad_now)
            assert counted[metric] <= truth[metric]
            assert counted[metric][1] <= truth[metric][1]
    if not any(happening.restarts for happens in rounds for happening in happens):
        assert counted == truth


def _told(pod: Pod) -> tuple[int, int, int]:
    _, slow, bad = pod.ever
    return sum(pod.ever), slow, bad
