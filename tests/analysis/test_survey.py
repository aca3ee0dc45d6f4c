import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from analysis.dispersion import dispersion
from analysis.prometheus import Prometheus
from analysis.queries import Subject, queries_for
from analysis.readings import Latencies, MetricReading, NoData
from analysis.samples import Answer, Failure, Sample
from analysis.survey import WINDOWS, Survey, begun, counted_queries, scrape_queries, take
from analysis.verdict import Memory
from config.metrics import Analysis
from config.status import MetricStatus, Revision, Weighed
from metrics import NOW, SUBJECT, analysis, errors, latency, metric, saturation
from told import Teller, Told, always, rising, together


LONG_AGO = NOW - dt.timedelta(hours=2)
TOTAL, BAD = 'total{version="v1"}', 'bad{version="v1"}'
BUCKETS = 'seconds_bucket{version="v1"}'


def scrapes(selector: str) -> str:
    times = f"timestamp({selector})[5m:1s]"
    return f"quantile(0.5, (max_over_time({times}) - min_over_time({times})) / changes({times}) > 0)"


def buckets(**per_second: float) -> Told:
    """Give the buckets of one pod by their bounds; `_0_5` stands for le="0.5"."""
    return together(
        *(
            rising(LONG_AGO, rate, pod="one", le=bound.replace("_", ".").removeprefix("."))
            for bound, rate in per_second.items()
        )
    )


HISTOGRAM = buckets(_0_25=8, _0_5=9.5, Inf=10)
SERVING: dict[str, Told] = {
    TOTAL: rising(LONG_AGO, 10, pod="one"),
    BAD: rising(LONG_AGO, 0.1, pod="one"),
    BUCKETS: HISTOGRAM,
    scrapes(TOTAL): always((Sample({}, 15.0),)),
    'max(busy{version="v1"})': always((Sample({}, 0.5),)),
}
ALL = analysis(errors(), latency(), saturation())


def taken(_spec: Analysis = ALL, **told: Told | None) -> tuple[Survey, Teller]:
    """Survey a stable version like SERVING, with some answers changed."""
    known = {"total": TOTAL, "bad": BAD, "buckets": BUCKETS, "busy": 'max(busy{version="v1"})'}
    answers = {**SERVING, **{known.get(name, name): each for name, each in told.items() if each}}
    for name, each in told.items():
        if each is None:
            del answers[known[name]]
    teller = Teller(answers)
    return take(teller, _spec, SUBJECT, NOW), teller


def test_stable_s_past_is_summed_up_in_sixty_windows() -> None:
    found, teller = taken()
    assert (found.problem, found.unanswered, found.at) == ("", "", NOW)
    assert found.memory.weighed == Weighed(scrape=15.0)
    ratio, histogram, free = found.memory.metrics
    assert ratio.tests
    (comparison,) = ratio.tests.comparisons
    seen = comparison.dispersion
    assert (seen.windows, seen.requests, seen.bad) == (WINDOWS, 60 * 150, 90)
    assert histogram.tests
    assert [each.bound for each in histogram.tests.comparisons] == [0.25, 0.5]
    assert [each.dispersion.bad for each in histogram.tests.comparisons] == [1800, 450]
    assert histogram.tests.watched == 0.5
    assert free == MetricStatus("saturation", limit="<= 0.8")
    assert len(teller.asked) == 3


def test_limits_are_written_as_the_judge_writes_them() -> None:
    found, _ = taken()
    assert [each.limit for each in found.memory.metrics] == [
        "<= 1%, <= 1.5 x stable",
        "p99 <= 0.5s, <= 1.5 x stable",
        "<= 0.8",
    ]


def test_a_rollout_that_was_surveyed_has_compared_nothing_yet() -> None:
    found, _ = taken()
    for each in found.memory.metrics[:2]:
        assert each.tests
        assert (each.tests.requests, each.tests.stable_requests, each.tests.excess) == (0, 0, 0.0)
        assert all(not comparison.harm for comparison in each.tests.comparisons)


def test_windows_are_no_shorter_than_the_scrape_interval() -> None:
    slow, _ = taken(ALL, **{scrapes(TOTAL): always((Sample({}, 60.0),))})
    unknown, _ = taken(ALL, **{scrapes(TOTAL): always(())})
    for found, requests, scrape in ((slow, 600, 60.0), (unknown, 100, None)):
        tests = found.memory.metrics[0].tests
        assert tests
        assert tests.comparisons[0].dispersion.requests == WINDOWS * requests
        assert found.memory.weighed.scrape == scrape


@pytest.mark.parametrize("answer", [Failure("took longer than 5s"), Failure("no subqueries", refused=True)])
def test_a_scrape_interval_that_cannot_be_asked_for_stops_nothing(answer: Answer) -> None:
    found, _ = taken(ALL, **{scrapes(TOTAL): always(answer)})
    assert (found.problem, found.unanswered, found.memory.weighed.scrape) == ("", "", None)


def test_the_scrape_interval_is_asked_of_every_selector_and_of_one_bucket_only() -> None:
    spec = analysis(
        errors(
            ratio={
                "bad": 'x{version="{{ version }}", code="500"}',
                "total": 'a{version="{{ version }}"} or b{version="{{ version }}"}',
            }
        ),
        latency(),
    )
    asked = scrape_queries(counted_queries(spec, queries_for(spec, SUBJECT)))
    assert [query.expression for query in asked] == [
        scrapes('a{version="v1"}'),
        scrapes('b{version="v1"}'),
        scrapes('seconds_bucket{version="v1", le="+Inf"}'),
    ]


def test_uneven_failures_show_in_the_dispersion() -> None:
    def bursts(at: dt.datetime) -> Answer:
        hundreds = int((at - LONG_AGO).total_seconds() // 150) * 30
        return (Sample({"pod": "one"}, float(hundreds)),)

    found, _ = taken(bad=bursts)
    tests = found.memory.metrics[0].tests
    assert tests
    assert dispersion(tests.comparisons[0].dispersion) > 10


def test_without_a_limit_the_bound_that_stable_exceeds_at_times_is_watched() -> None:
    spec = analysis(latency(max=None))
    at_times, _ = taken(spec)
    rarely, _ = taken(spec, buckets=buckets(_0_25=9.8, _0_5=9.95, Inf=10))
    assert at_times.memory.metrics[0].tests
    assert rarely.memory.metrics[0].tests
    assert (at_times.memory.metrics[0].tests.watched, rarely.memory.metrics[0].tests.watched) == (0.5, 0.25)


def test_bounds_that_not_all_windows_have_are_not_compared() -> None:
    readings = [
        MetricReading(NoData(""), stable, "")
        for stable in (
            Latencies(0, note="the query finds no series yet", series=False),
            Latencies(10, ((0.1, 3), (0.5, 1))),
            Latencies(10, ((0.5, 2),)),
        )
    ]
    tests = begun(metric(latency()), readings).tests
    assert tests
    assert [(each.bound, each.dispersion.bad, each.dispersion.requests) for each in tests.comparisons] == [
        (0.5, 3, 20)
    ]


def test_stable_without_traffic_is_no_problem() -> None:
    idle = rising(LONG_AGO, 0, pod="one")
    found, _ = taken(analysis(errors()), total=idle, bad=None)
    assert (found.problem, found.unanswered) == ("", "")
    assert found.memory.metrics[0].tests
    assert found.memory.metrics[0].tests.comparisons[0].dispersion.windows == 0


def test_nothing_bad_so_far_is_no_problem() -> None:
    found, _ = taken(bad=None)
    assert found.problem == ""


def test_stable_that_began_a_minute_ago_is_known_for_a_minute() -> None:
    found, _ = taken(analysis(errors()), total=rising(NOW - dt.timedelta(minutes=1), 10, pod="one"), bad=None)
    assert found.memory.metrics[0].tests
    assert found.memory.metrics[0].tests.comparisons[0].dispersion.requests == 600


def test_free_queries_alone_are_asked_once() -> None:
    found, teller = taken(analysis(saturation()))
    assert found.memory == Memory((MetricStatus("saturation", limit="<= 0.8"),))
    assert teller.asked == ['max(busy{version="v2"}); max(busy{version="v1"})']


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (
            {"total": None},
            (
                "spec.analysis.metrics[0].ratio.total: stable cannot be measured: no series, and "
                "none is called total: is the application scraped, and has it answered anything?"
            ),
        ),
        (
            {"total": None, "count by (version) (total{})": always((Sample({}, 3.0),))},
            (
                "spec.analysis.metrics[0].ratio.total: stable cannot be measured: no series; "
                'without version="v1" there are 3, and none of them carries a label version'
            ),
        ),
        (
            {
                "buckets": None,
                "count by (version) (seconds_bucket{})": always((Sample({"version": "1"}, 3.0),)),
            },
            (
                "spec.analysis.metrics[1].histogram.buckets: stable cannot be measured: no series; "
                'without version="v1" there are 3, and their version is 1'
            ),
        ),
        (
            {"buckets": buckets(_0_1=8, _0_25=9, Inf=10)},
            "spec.analysis.metrics[1].max.seconds: 0.5 is not a bucket bound; bounds: 0.1, 0.25",
        ),
        (
            {"buckets": buckets(_0_5=10)},
            (
                'spec.analysis.metrics[1].histogram.buckets: the bucket le="+Inf" is missing: '
                "histogram.buckets wants all buckets"
            ),
        ),
        (
            {"bad": always(Failure("Prometheus refused the query: bad_data", refused=True))},
            "spec.analysis.metrics[0].ratio.bad: Prometheus refused the query: bad_data",
        ),
        (
            {"busy": always(Failure("Prometheus refused the query: parse error", refused=True))},
            "spec.analysis.metrics[2].query: Prometheus refused the query: parse error",
        ),
        (
            {"busy": always((Sample({"pod": "a"}, 1), Sample({"pod": "b"}, 1)))},
            (
                "spec.analysis.metrics[2].query: 2 series where one number was expected; "
                "sum() or max() makes one of them"
            ),
        ),
        (
            {"bad": rising(LONG_AGO, 11, pod="one")},
            (
                "spec.analysis.metrics[0].ratio: in 60 of 60 windows before the rollout: 165 bad requests "
                "of 150 cannot be: does ratio.total count the bad ones too?"
            ),
        ),
    ],
)
def test_what_cannot_be_judged_is_said_with_its_field(told: dict[str, Any], problem: str) -> None:
    found, teller = taken(**told)
    assert (found.problem, found.unanswered, found.memory) == (problem, "", Memory())
    assert found.lacking is ("no series" in problem)
    assert len(teller.asked) <= 4


def test_a_free_query_that_answers_nothing_yet_is_no_problem() -> None:
    nothing, _ = taken(busy=None)
    nan, _ = taken(busy=always((Sample({}, float("nan")),)))
    assert (nothing.problem, nan.problem) == ("", "")


def test_a_few_odd_windows_are_no_problem() -> None:
    def odd_at_first(at: dt.datetime) -> Answer:
        return (Sample({"pod": "one"}, 0.0 if at < NOW - dt.timedelta(minutes=12) else 5000.0),)

    found, _ = taken(bad=odd_at_first)
    assert found.problem == ""


def test_a_connection_that_fails_is_not_answered() -> None:
    down = Failure("Prometheus did not answer: cannot be reached")
    at_once, teller = taken(bad=always(down))
    assert (at_once.unanswered, at_once.problem, len(teller.asked)) == (down.reason, "", 1)

    def later(at: dt.datetime) -> Answer:
        return (Sample({}, 1.0),) if at == NOW else down

    midway, _ = taken(bad=later)
    assert (midway.unanswered, midway.problem) == (down.reason, "")


def test_a_past_that_is_refused_is_a_problem() -> None:
    def too_much(at: dt.datetime) -> Answer:
        return (Sample({}, 1.0),) if at == NOW else Failure("refused: too many samples", refused=True)

    found, _ = taken(bad=too_much)
    assert found.problem == "spec.analysis.metrics[0].ratio.bad: refused: too many samples"


def real(**fields: Any) -> tuple[Analysis, Subject]:
    where = '{version="{{ version }}"'
    name = "prometheus_http_request_duration_seconds"
    counters = {
        "bad": f'prometheus_http_requests_total{where}, code=~"5.."}}',
        "total": f"prometheus_http_requests_total{where}}}",
    }
    spec = Analysis.model_validate(
        {
            "interval": "1s",
            "metrics": [
                {"name": "errors", "ratio": counters},
                {"name": "latency", "histogram": {"buckets": f"{name}_bucket{where}}}"}, **fields},
            ],
        }
    )
    return spec, SUBJECT


@pytest.fixture
def client(prometheus: str) -> Any:
    client = Prometheus(prometheus, dt.timedelta(seconds=20))
    yield client
    client.close()


def test_prometheus_itself_is_surveyed(client: Prometheus) -> None:
    at, _ = client.ask_now([])
    spec, subject = real(max={"quantile": 0.99, "seconds": 0.4})
    found = take(client, spec, subject, at)
    assert (found.problem, found.unanswered) == ("", "")
    assert found.memory.metrics[1].tests
    assert found.memory.metrics[1].tests.watched == 0.4


def test_prometheus_itself_names_its_bounds_and_labels(client: Prometheus) -> None:
    at, _ = client.ask_now([])
    spec, subject = real(max={"quantile": 0.99, "seconds": 0.3})
    problem = take(client, spec, subject, at).problem
    assert problem.startswith(
        "spec.analysis.metrics[1].max.seconds: 0.3 is not a bucket bound; bounds: 0.1, 0.2"
    )
    other = replace(subject, stable=Revision("v7", "", "echo-v7"))
    problem = take(client, spec, other, at).problem
    assert problem.startswith("spec.analysis.metrics[0].ratio.total: stable cannot be measured: no series; ")
    assert problem.endswith("and their version is v1, v2")
