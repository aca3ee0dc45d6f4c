"""Two days that never were, in a real Prometheus: a good release, a bad one, and one that nobody called."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from analysis.backtest import Backtest, Release, Task, backtest, last_judged
from analysis.lineage import Appearance, NoHistoryError, lineage
from analysis.prometheus import Prometheus
from analysis.queries import Query, Subject
from analysis.samples import Answer, Failure, History, Sample
from analysis.survey import take
from config.metrics import Analysis
from config.status import Revision
from remembered import START, Period, serving, write
from told import Teller, Told, always, rising, together


ERRORS = {
    "name": "errors",
    "ratio": {
        "bad": 'requests_total{code=~"5..",version="{{ version }}"}',
        "total": 'requests_total{version="{{ version }}"}',
    },
    "max": "2%",
}
LATENCY = {"name": "latency", "histogram": {"buckets": 'seconds_bucket{version="{{ version }}"}'}}
DAYS = [
    Period("v1", 2, 0, 14.2, rate=1),
    Period("v2", 1, 14, 14.2, rate=0.5, number=1),
    Period("v2", 2, 14.2, 36, rate=1),
    Period("v3", 1, 30, 30.25, rate=0.5, errors=0.06, number=1),
    Period("v4", 1, 36, 48, rate=1),
    Period("v5", 1, 40, 42, rate=0),
]
SUBJECT = Subject("echo", "shop", "echo", None, None, dt.timedelta(minutes=5))


def hours(number: float) -> dt.datetime:
    return START + dt.timedelta(hours=number)


def analysis(*metrics: dict[str, Any], **fields: Any) -> Analysis:
    return Analysis.model_validate({"interval": "1m", "metrics": metrics or (ERRORS, LATENCY), **fields})


def task(spec: Analysis, since: float = 0, until: float = 48, **fields: Any) -> Task:
    return Task(spec, dt.timedelta(minutes=5), SUBJECT, hours(since), hours(until), **fields)


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("past")
    write(folder, DAYS, scrape=60)
    with serving(folder) as url:
        client = Prometheus(url, dt.timedelta(seconds=60))
        yield client
        client.close()


@pytest.fixture(scope="module")
def found(remembering: Prometheus) -> Backtest:
    return backtest(remembering, task(analysis()), lambda _share: None)


def release(found: Backtest, version: str) -> Release:
    (chosen,) = (each for each in found.releases if each.version == version)
    return chosen


def test_every_release_is_found_with_what_served_before_it(found: Backtest) -> None:
    assert found.versions == ("v1", "v2", "v3", "v4", "v5")
    assert [(each.version, each.stable) for each in found.releases] == [
        ("v2", "v1"),
        ("v3", "v2"),
        ("v4", "v2"),
        ("v5", "v4"),
    ]


def test_the_bad_release_would_have_been_rolled_back_within_minutes(found: Backtest) -> None:
    bad = release(found, "v3")
    assert bad.first_request
    assert bad.rolled_back
    assert hours(30) < bad.first_request <= hours(30) + dt.timedelta(minutes=2)
    assert dt.timedelta(0) < bad.rolled_back - bad.first_request <= dt.timedelta(minutes=10)
    assert (bad.metric, bad.problem) == ("errors", "")
    assert bad.odds
    assert bad.odds >= 400
    assert bad.value
    assert bad.stable_value is not None
    assert bad.value > 0.03
    assert bad.stable_value < 0.01
    assert bad.because.startswith("errors: ")


def test_a_good_release_would_have_passed(found: Backtest) -> None:
    for each in (release(found, "v2"), release(found, "v4")):
        assert each.rolled_back is None
        assert each.problem == ""
        assert each.requests > 3000
        assert each.windows == 60
        assert each.blind == 0
    assert release(found, "v2").stable_requests > 1000


def test_a_release_that_nobody_called_is_said_to_be_one(found: Backtest) -> None:
    assert release(found, "v5").problem == "it never answered a request"
    assert release(found, "v5").first_request is None


def test_stable_is_hardly_ever_rolled_back_against_itself(found: Backtest) -> None:
    itself = found.itself
    assert itself.rollouts > 350
    assert len(itself.rolled_back) <= 1
    assert itself.interval[1] < 0.02
    assert itself.step == dt.timedelta(minutes=1)
    assert itself.blind <= 5


def test_times_with_one_pod_alone_are_left_out(found: Backtest) -> None:
    assert 12 * 60 - 10 <= found.itself.undivided <= 12 * 60 + 10


def test_the_scrape_interval_is_measured_where_it_is_longer_than_the_analysis_s(
    remembering: Prometheus,
) -> None:
    spec = analysis(ERRORS, interval="10s")
    subject = replace(SUBJECT, stable=Revision("v1", "", "echo-v1"), candidate=Revision("v2", "", "echo-v2"))
    surveyed = take(remembering, spec, subject, hours(13))
    assert surveyed.memory.weighed.scrape == 60.0
    assert surveyed.memory.metrics[0].tests
    assert 55 <= surveyed.memory.metrics[0].tests.comparisons[0].dispersion.windows <= 60
    found = backtest(remembering, task(spec, 12, 15), lambda _share: None)
    assert found.itself.step == dt.timedelta(minutes=1)


def test_what_only_reports_is_tried_as_if_it_decided(remembering: Prometheus) -> None:
    spec = analysis({**ERRORS, "dryRun": True}, LATENCY, dryRun=True)
    found = backtest(remembering, task(spec, 28, 32), lambda _share: None)
    assert release(found, "v3").rolled_back


def test_free_queries_alone_have_no_past(remembering: Prometheus) -> None:
    spec = analysis({"name": "busy", "query": 'max(busy{version="{{ version }}"})', "max": 1})
    with pytest.raises(NoHistoryError, match="no metric counts requests"):
        backtest(remembering, task(spec), lambda _share: None)


def appearance(shared: float, gone: float) -> Appearance:
    return Appearance("v2", "v1", hours(1), hours(shared), hours(gone), asked=True)


@pytest.mark.parametrize(
    ("shared", "gone", "soak", "end"),
    [
        (1.1, 48, 0.1, 2),  # sixty evaluations
        (1.1, 48, 3, 4),  # the soak
        (5, 48, 0.1, 5),  # both served
        (5, 4.5, 0.1, 4.5),  # it was gone
        (1.1, 1.2, 3, 1.2),
        (40, 48, 0.1, 25),  # a day
    ],
)
def test_a_release_is_judged_for_as_long_as_it_says_something(
    shared: float, gone: float, soak: float, end: float
) -> None:
    given = replace(task(analysis()), soak=dt.timedelta(hours=soak))
    assert last_judged(given, appearance(shared, gone)) == hours(end)


def test_a_pod_that_was_not_scraped_before_is_no_burst_of_the_half_that_it_joins() -> None:
    def joined(count: float) -> Told:
        return lambda at: (Sample({"pod": "c"}, count),) if at >= hours(3) else ()

    series, requests = lineage(analysis(ERRORS), SUBJECT, None).queries(dt.timedelta(minutes=1))
    teller = Teller(
        {
            series.expression: always((Sample({"version": "v1"}, 2),)),
            requests.expression: always((Sample({"version": "v1"}, 100),)),
            'requests_total{version="v1"}': together(
                rising(START, 1, pod="a"), rising(START, 1, pod="b"), joined(100_000)
            ),
            'requests_total{code=~"5..",version="v1"}': joined(50_000),
        }
    )
    itself = backtest(teller, task(analysis(ERRORS), 0, 4), lambda _share: None).itself
    assert itself.rollouts > 20
    assert not itself.rolled_back


def test_a_free_query_is_tried_on_releases_only(remembering: Prometheus) -> None:
    share = (
        'sum(rate(requests_total{code="500",version="{{ version }}"}[{{ window }}]))'
        ' / sum(rate(requests_total{version="{{ version }}"}[{{ window }}]))'
    )
    spec = analysis(ERRORS, {"name": "share", "query": share, "max": 0.00001, "failureLimit": 2})
    found = backtest(remembering, task(spec, 12, 16), lambda _share: None)
    assert release(found, "v2").metric == "share"
    assert release(found, "v2").rolled_back
    assert not found.itself.rolled_back


def test_progress_is_told_from_nothing_to_all(remembering: Prometheus) -> None:
    told: list[float] = []
    backtest(remembering, task(analysis(ERRORS), 0, 15, step=dt.timedelta(minutes=1)), told.append)
    assert told == sorted(told)
    assert len(told) > 3
    assert 0 < told[0] < told[-1] == 1.0


def test_a_query_that_is_refused_is_an_error(remembering: Prometheus) -> None:
    broken = {**ERRORS["ratio"], "total": 'requests_total{version="{{ version }}"} +'}  # type: ignore[dict-item]
    with pytest.raises(NoHistoryError, match="refused"):
        backtest(remembering, task(analysis({**ERRORS, "ratio": broken}), 12, 15), lambda _share: None)


def test_a_time_of_which_nothing_is_known_is_an_error(remembering: Prometheus) -> None:
    with pytest.raises(NoHistoryError, match=r'knows no series in that time: requests_total\{version!=""\}'):
        backtest(remembering, task(analysis(), -48, -24), lambda _share: None)


def test_nothing_is_asked_but_the_past(remembering: Prometheus) -> None:
    """A release whose stable version was never measured, and deployments that are named otherwise."""
    by_pod = {
        "bad": 'requests_total{code="500",pod=~"{{ deployment }}-.*"}',
        "total": 'requests_total{pod=~"{{ deployment }}-.*"}',
    }
    spec = analysis({**ERRORS, "ratio": by_pod})
    named = task(spec, 28, 32, label="version", deployment="{version}")
    assert release(backtest(remembering, named, lambda _share: None), "v3").rolled_back
    wrong = task(spec, 28, 32, label="version")
    missing = backtest(remembering, wrong, lambda _share: None)
    assert release(missing, "v3").rolled_back is None
    assert release(missing, "v3").requests == 0


class Broken:
    """A Prometheus that does not answer some of the questions about the past."""

    def __init__(self, real: Prometheus, silent: range) -> None:
        self._real, self._silent, self._asked = real, silent, 0

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        return self._real.ask(queries, at)

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        self._asked += 1
        if self._asked in self._silent:
            return dict.fromkeys((query.id for query in queries), Failure("took longer than 60s"))
        return self._real.history(queries, start, end, step)


def test_pieces_that_are_not_answered_are_blind_windows(remembering: Prometheus) -> None:
    asked = task(analysis(ERRORS), 0, 12)
    whole = backtest(remembering, asked, lambda _share: None).itself
    broken = backtest(Broken(remembering, range(3, 4)), asked, lambda _share: None).itself
    assert whole.blind == 0
    assert broken.windows == whole.windows
    assert broken.blind == 360


def test_a_prometheus_that_falls_silent_is_given_up(remembering: Prometheus) -> None:
    with pytest.raises(NoHistoryError, match="took longer than 60s"):
        backtest(Broken(remembering, range(3, 100)), task(analysis(ERRORS), 0, 28), lambda _share: None)


def test_a_past_before_a_release_that_cannot_be_read_leaves_it_unjudged(remembering: Prometheus) -> None:
    found = backtest(Broken(remembering, range(2, 3)), task(analysis(ERRORS), 28, 32), lambda _share: None)
    assert release(found, "v3").problem == "spec.analysis.metrics[0].ratio.bad: took longer than 60s"
