import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from analysis.queries import Query, origin
from analysis.samples import Answer, Failure, History, Moment, Sample
from canaries import MINIMAL
from config.canary import CanarySpec
from config.load import load_spec
from controller.rehearsal.past import NothingFoundError, look_back, subject_of, versions
from controller.rehearsal.traffic import Measured, Traffic


NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)
LABELS = {"pod": "echo-1", "version": "v1"}
ERRORS: dict[str, Any] = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{version="{{ version }}", code=~"5.."}',
        "total": 'http_requests_total{version="{{ version }}"}',
    },
}
LATENCY: dict[str, Any] = {
    "name": "latency",
    "histogram": {"buckets": 'http_request_duration_seconds_bucket{version="{{ version }}"}'},
}
QUERY: dict[str, Any] = {"name": "memory", "query": 'max(memory{version="{{ version }}"})', "max": 1}
BUCKETS = {"0.1": 0.5, "0.5": 0.98, "+Inf": 1.0}
"""Share of requests at most that slow."""


@dataclass
class Memory:
    """A Prometheus that has seen 10 requests per second for ever; every 100 s, 5 of them failed at once."""

    rps: float = 10.0
    age: dt.timedelta = 2 * WEEK
    scrape: float | None = 5.0
    versions: Sequence[str] = ("v1",)
    failure: Failure | None = None
    asked: list[str] = field(default_factory=list)

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        return {query.id: self.failure or self._at(query, at) for query in queries}

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        instants = [start + number * step for number in range(int((end - start) / step) + 1)]
        return {query.id: tuple(Moment(at, self._at(query, at)) for at in instants) for query in queries}

    def _at(self, query: Query, at: dt.datetime) -> tuple[Sample, ...]:
        self.asked.append(query.expression)
        if query.id == "versions":
            return tuple(Sample({"version": each}, 1.0) for each in self.versions)
        if query.id.startswith("scrape"):
            return (Sample({}, self.scrape),) if self.scrape else ()
        seconds = (at - NOW + self.age).total_seconds()
        if seconds < 0:
            return ()
        requests = int(seconds * self.rps)
        match origin(query.id).part:
            case "total":
                return (Sample(LABELS, requests),)
            case "bad":
                return (Sample({**LABELS, "code": "500"}, requests // 1000 * 5),)
            case "buckets":
                return tuple(
                    Sample({**LABELS, "le": bound}, int(share * requests)) for bound, share in BUCKETS.items()
                )
            case _:
                return (Sample({}, 0.5),)


def spec(*metrics: dict[str, Any]) -> CanarySpec:
    return load_spec({**MINIMAL["spec"], "analysis": {"metrics": list(metrics)}})


def found(memory: Memory, *metrics: dict[str, Any]) -> Traffic:
    canary = spec(*metrics)
    return look_back(memory, canary, subject_of(canary, "echo", "shop", "v1", "echo-v1"), NOW, WEEK).traffic


def test_the_traffic_is_read_from_the_counters() -> None:
    traffic = found(Memory(), QUERY, ERRORS, LATENCY)
    assert traffic.rps == pytest.approx(10.0, rel=0.01)
    assert traffic.base_error == pytest.approx(0.005, rel=0.02)
    assert traffic.scrape == 5.0
    assert isinstance(traffic.latency, Measured)
    assert traffic.latency.bounds == (0.1, 0.5)
    assert traffic.latency.shares == pytest.approx((0.5, 0.02), rel=0.01)


def test_an_application_that_is_young_is_looked_at_more_closely() -> None:
    traffic = found(Memory(age=dt.timedelta(minutes=10)), ERRORS)
    assert traffic.rps == pytest.approx(10.0, rel=0.1)
    assert traffic.base_error == pytest.approx(0.005, rel=0.2)


def test_failures_that_come_together_are_bursts() -> None:
    assert found(Memory(), ERRORS).burst == pytest.approx(2.8, abs=0.6)


def test_of_a_past_too_short_for_that_no_bursts_are_assumed() -> None:
    assert found(Memory(age=dt.timedelta(minutes=3)), ERRORS).burst == 1.0


def test_what_the_metrics_do_not_count_is_as_usual() -> None:
    usual = Traffic(1.0)
    assert found(Memory(), ERRORS).latency == usual.latency
    only_latency = found(Memory(), LATENCY)
    assert (only_latency.base_error, only_latency.burst) == (usual.base_error, 1.0)


def test_an_unknown_scrape_interval_is_said() -> None:
    canary = spec(ERRORS)
    subject = subject_of(canary, "echo", "shop", "v1", "echo-v1")
    past = look_back(Memory(scrape=None), canary, subject, NOW, WEEK)
    assert past.traffic.scrape == 15.0
    assert past.notes == ("how often pods are scraped could not be told; 15s are assumed",)
    assert look_back(Memory(), canary, subject, NOW, WEEK).notes == ()


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(NothingFoundError, match="it is down"):
        found(Memory(failure=Failure("it is down")), ERRORS)


def test_a_version_without_requests_tells_nothing() -> None:
    with pytest.raises(NothingFoundError, match="v1 had no requests"):
        found(Memory(rps=0.0), ERRORS)


def test_versions_are_found_by_the_label_that_tells_them_apart() -> None:
    memory, canary = Memory(versions=("v2", "v1")), spec(QUERY, ERRORS)
    subject = subject_of(canary, "echo", "shop", "", "")
    assert versions(memory, canary, subject, NOW) == ("v1", "v2")
    assert memory.asked == ['count by (version) (http_requests_total{version!=""})']


def test_versions_of_metrics_that_tell_them_apart_otherwise_are_unknown() -> None:
    other = {
        "name": "errors",
        "ratio": {"bad": 'bad{pod=~"{{ deployment }}-.*"}', "total": 'all{pod=~"{{ deployment }}-.*"}'},
    }
    canary = spec(other, QUERY)
    assert versions(Memory(), canary, subject_of(canary, "echo", "shop", "", ""), NOW) == ()


def test_versions_cannot_be_found_if_nobody_answers() -> None:
    canary = spec(LATENCY)
    with pytest.raises(NothingFoundError, match=re.escape("it is down")):
        versions(
            Memory(failure=Failure("it is down")), canary, subject_of(canary, "echo", "shop", "", ""), NOW
        )
