"""The door and the queries, against a real Prometheus: nothing here knows better than it does."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.counters import Baseline
from analysis.judge import judge
from analysis.prometheus import Prometheus
from analysis.queries import Query, queries_for
from analysis.readings import Counts, Latencies, count
from analysis.samples import Answer, Failure, Sample
from analysis.verdict import Judgement, Memory
from config.metrics import Analysis
from config.placeholders import resolve
from config.status import HeldReason, Verdict
from controller.clock import SystemClock
from metrics import NOW, SUBJECT, analysis, errors, latency, saturation, window
from sandbox.process import wait_until


pytestmark = pytest.mark.e2e

LONG = f'vector(400) unless up{{handler="{"x" * 4000}"}}'
"""About as long as an expression of a Canary may be."""


class Asking:
    """A Prometheus client that counts its requests by outcome."""

    def __init__(self, url: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.client = Prometheus(
            url, dt.timedelta(seconds=30), SystemClock().now, lambda outcome: self.outcomes.update([outcome])
        )

    def ask(self, *expressions: str, at: dt.datetime | None = None) -> list[Answer]:
        """Ask, and give the answers in the order of the expressions."""
        queries = [Query(f"m{number}/candidate/value/0", each) for number, each in enumerate(expressions)]
        answers = self.client.ask(queries, at or SystemClock().now())
        return [answers[query.id] for query in queries]


@pytest.fixture
def asking(prometheus: str) -> Iterator[Asking]:
    asking = Asking(prometheus)
    yield asking
    asking.client.close()


def value(answer: Answer) -> float:
    assert not isinstance(answer, Failure), answer
    (sample,) = answer
    return sample.value


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        pytest.param("vector(1) + 1 * 3", 4, id="binary operators"),
        pytest.param("vector(1) or vector(2)", 1, id="or"),
        pytest.param("vector(2) unless vector(3) or vector(5)", 5, id="operators that bind like the join"),
        pytest.param("sum(\n  up\n)", 2, id="several lines"),
        pytest.param("sum(up) # all of them", 2, id="a comment at the end"),
        pytest.param("# all of them\nsum(up)", 2, id="a comment before"),
        pytest.param('count(up{job="v1"} offset -1s)', 1, id="a modifier"),
        pytest.param("count(up > bool 7)", 2, id="a comparison"),
        pytest.param("-vector(3)", -3, id="a sign"),
        pytest.param("max_over_time(vector(1)[1m:1s])", 1, id="a subquery"),
        pytest.param("4.5", 4.5, id="a scalar"),
        pytest.param("scalar(sum(up))", 2, id="a scalar function"),
        pytest.param("vector(1) / 0", math.inf, id="infinity"),
    ],
)
def test_an_expression_means_the_same_among_others_as_alone(
    asking: Asking, expression: str, found: float
) -> None:
    first, it, last = asking.ask("vector(7)", expression, "vector(9)")
    assert (value(first), value(it), value(last)) == (7, found, 9)
    assert asking.ask(expression) == [it]


def test_not_a_number_comes_through(asking: Asking) -> None:
    assert math.isnan(value(asking.ask("vector(0) / 0")[0]))


def test_series_keep_their_labels_and_get_no_other(asking: Asking) -> None:
    ours, theirs = asking.ask('up{version="v1"}', 'up{version="v2"}')
    for answer, version in ((ours, "v1"), (theirs, "v2")):
        assert not isinstance(answer, Failure)
        (sample,) = answer
        assert set(sample.labels) == {"__name__", "instance", "job", "version"}
        assert (sample.labels["version"], sample.value) == (version, 1)


def test_series_that_differ_by_name_alone_all_come_back(asking: Asking) -> None:
    names = '{__name__=~"prometheus_notifications_dropped_total|prometheus_notifications_queue_length"}'
    (answer,) = asking.ask(names)
    assert not isinstance(answer, Failure)
    assert len(answer) == 4


def test_nothing_is_an_answer(asking: Asking) -> None:
    assert asking.ask("nowhere", "vector(1)", "vector(1) > 2") == [(), (Sample({}, 1.0),), ()]


def test_as_many_queries_as_a_canary_can_have_are_one_request(asking: Asking) -> None:
    answers = asking.ask(*(f"{LONG} + {number}" for number in range(128)))
    assert [value(answer) for answer in answers] == [400] * 128
    assert asking.outcomes == {"answered": 1}


def test_all_are_evaluated_at_the_time_that_was_asked_for(asking: Asking) -> None:
    at = NOW + dt.timedelta(milliseconds=125)
    joined, scalar = asking.ask("timestamp(vector(1))", "time()", at=at)
    assert (value(joined), value(scalar)) == (at.timestamp(), at.timestamp())


class TestRefused:
    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            pytest.param("up{", "Prometheus refused the query: 1:", id="it does not parse"),
            pytest.param("up)", "unexpected right parenthesis", id="it closes what the join has opened"),
            pytest.param('up{version="{{ version }', "unterminated quoted string", id="an open quote"),
            pytest.param("up{} # {{ x\n {{ version }}", "unexpected", id="braces that were not filled in"),
            pytest.param("nosuch(up)", "unknown function", id="it calls what is not there"),
            pytest.param("up * on (job) {__name__=~'up|scrape_samples_scraped'}", "many", id="it cannot run"),
            pytest.param("up[5m]", "it gives a matrix", id="a range"),
            pytest.param('"5"', "it gives a string", id="text"),
            pytest.param('up{x="\ud800"}', "it is not text", id="half a character"),
        ],
    )
    @pytest.mark.parametrize("at", [0, 3, 6])
    def test_one_is_found_and_the_others_are_answered(
        self, asking: Asking, expression: str, words: str, at: int
    ) -> None:
        expressions = [f"vector({number})" for number in range(7)]
        expressions[at] = expression
        for _ in range(2):
            answers = asking.ask(*expressions)
            refused = answers.pop(at)
            assert isinstance(refused, Failure)
            assert words in refused.reason
            assert [value(answer) for answer in answers] == [n for n in range(7) if n != at]

    def test_it_is_asked_on_its_own_from_then_on(self, asking: Asking) -> None:
        expressions = ["nosuch(up)", *(f"vector({number})" for number in range(60)), "2"]
        first = asking.ask(*expressions)
        asking.outcomes.clear()
        assert asking.ask(*expressions) == first
        assert asking.outcomes == {"answered": 2, "refused": 1}

    def test_it_may_be_all_of_them(self, asking: Asking) -> None:
        assert all(isinstance(answer, Failure) for answer in asking.ask("a{", "b{", "c{"))

    def test_it_is_forgotten_when_there_have_been_very_many(self, asking: Asking) -> None:
        many = [Query(f"m/candidate/value/{number}", "7") for number in range(3)]
        asking.client._apart.update(str(number) for number in range(1000))
        answers = asking.client.ask(many, SystemClock().now())
        assert [value(answer) for answer in answers.values()] == [7, 7, 7]
        assert len(asking.client._apart) <= 3


# --- Values that would like to be more than values ----------------------------------------------------

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\"'`\\\n\r\t{}[]()|.*+?^$#, =~!-_%ü€\U0001f600"), st.characters(codec="utf-8")
    ),
    max_size=12,
).filter(lambda value: "\ufffd" not in value)  # which Prometheus takes for broken UTF-8 and refuses

FIXED = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def literal(value: str, quote: str, operator: str = "=") -> str:
    """Give the string that a value becomes between these quotes."""
    resolved = resolve(f"{operator}{quote}{{{{ version }}}}{quote}", {"version": value})
    return resolved.removeprefix(operator)


def told(answer: Answer) -> Mapping[str, str]:
    assert not isinstance(answer, Failure), answer
    (sample,) = answer
    return sample.labels


@pytest.mark.parametrize("quote", ['"', "'", "`"])
@FIXED
@given(values=st.lists(HOSTILE, min_size=1, max_size=40))
def test_a_value_in_a_string_is_read_as_itself(prometheus: str, quote: str, values: list[str]) -> None:
    expressions = [  # a replacement knows $1, so that a dollar is written twice
        f'label_replace(vector(1), "x", {literal(each.replace("$", "$$"), quote)}, "", "")' for each in values
    ]
    answers = Asking(prometheus).ask(*expressions)
    assert [told(answer).get("x", "") for answer in answers] == values


@pytest.mark.parametrize("quote", ['"', "'", "`"])
@FIXED
@given(values=st.lists(HOSTILE.filter(bool), min_size=1, max_size=20), other=HOSTILE)
def test_a_value_in_a_regular_expression_matches_itself_alone(
    prometheus: str, quote: str, values: list[str], other: str
) -> None:
    def matches(regex: str, text: str) -> str:
        labelled = f'label_replace(vector(1), "x", {literal(text.replace("$", "$$"), quote)}, "", "")'
        return f'label_replace({labelled}, "hit", "yes", "x", {literal(regex, quote, "=~")})'

    pairs = [(value, text) for value in values for text in (value, value + "x", value[1:], other)]
    answers = Asking(prometheus).ask(*(matches(value, text) for value, text in pairs))
    assert [told(answer).get("hit") == "yes" for answer in answers] == [
        value == text for value, text in pairs
    ]


# --- From a Canary to a verdict, with real counters ----------------------------------------------------

HANDLER = 'version="{{ version }}", handler="/-/healthy"'
SELF = analysis(
    errors(
        ratio={
            "bad": f'prometheus_http_requests_total{{{HANDLER}, code!~"2.."}}',
            "total": f"prometheus_http_requests_total{{{HANDLER}}}",
        }
    ),
    latency(
        histogram={"buckets": f"prometheus_http_request_duration_seconds_bucket{{{HANDLER}}}"},
        max={"quantile": 0.99, "seconds": 60},
    ),
    saturation(query='sum(up{version=~"{{ version }}"})', max=1),
    min_requests=25,
)


class Evaluating:
    """Evaluates again and again, as the controller does, and adds up the candidate's requests."""

    def __init__(self, asking: Asking, about: Analysis) -> None:
        self.asking, self.about = asking, about
        self.queries = queries_for(about, SUBJECT)
        self.baseline = Baseline()
        self.memory = Memory()
        self.requests: Counter[str] = Counter()

    def __call__(self) -> Judgement:
        now = SystemClock().now()
        answers = self.asking.client.ask(self.queries, now)
        self.baseline, readings = count(self.about, self.baseline, self.queries, answers)
        for name, reading in readings.items():
            if isinstance(reading.candidate, Counts | Latencies):
                self.requests[name] += reading.candidate.requests
        judgement = judge(self.about, self.memory, window(readings, weight=50, until=now))
        self.memory = judgement.memory
        return judgement

    def until(self, errors: int, latency: int) -> bool:
        """Evaluate until so many requests have been counted by both metrics."""

        def counted() -> bool:
            self()
            return self.requests["errors"] >= errors and self.requests["latency"] >= latency

        return wait_until(counted, patience=30, pause=0.1)


def test_real_requests_are_counted_one_by_one_and_judged(prometheus: str, asking: Asking) -> None:
    def visit(times: int) -> None:
        for _ in range(times):
            assert requests.get(f"{prometheus}/-/healthy", timeout=10).ok

    def scraped() -> bool:
        (answer,) = asking.ask('count(prometheus_http_requests_total{handler="/-/healthy"})')
        return answer == (Sample({}, 2.0),)

    visit(1)
    assert wait_until(scraped, patience=30)
    evaluate = Evaluating(asking, SELF)
    first = evaluate()
    assert (first.verdict, first.because) == (
        Verdict.UNDECIDED,
        "errors: no requests yet, counting starts now",
    )
    visit(24)
    assert evaluate.until(24, 24)
    assert evaluate().waits_for is HeldReason.TOO_FEW_REQUESTS
    visit(7)
    assert evaluate.until(31, 31)
    last = evaluate()
    assert evaluate.requests == {"errors": 31, "latency": 31}
    assert (last.verdict, last.waits_for, last.answered) == (Verdict.UNDECIDED, None, True)
    assert [metric.requests for metric in last.memory.metrics] == [31, 31, 0]
    assert [metric.passes > 0 for metric in last.memory.metrics] == [False, False, True]
    assert asking.outcomes.total() == asking.outcomes["answered"]
