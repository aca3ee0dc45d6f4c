"""How the service asks Prometheus: counted, or told that there is none."""

import datetime as dt
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import structlog

from analysis.queries import Query
from analysis.samples import Answer, Failure, History
from config.settings import Settings
from controller.app import _evidence
from controller.clock import SystemClock
from controller.telemetry.asking import Counted
from controller.telemetry.metrics import Metrics


QUERY = Query("errors/candidate/bad/1a2b3c4d", "up")
NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


class HalfDeaf:
    """A Prometheus that finds nothing for `up`, and answers nothing else."""

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        return NOW, self.ask(queries, NOW)

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        return {query.id: () if query.expression == "up" else Failure("no") for query in queries}

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        return {query.id: () if query.expression == "up" else Failure("no") for query in queries}


@pytest.fixture
def nowhere() -> str:
    """Give a URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_requests_to_prometheus_are_counted_by_outcome(nowhere: str) -> None:
    metrics = Metrics()
    evidence = _evidence(Settings(prometheus_url=nowhere), metrics, SystemClock())
    answer = evidence.ask((QUERY,), NOW)[QUERY.id]
    assert isinstance(answer, Failure)
    assert b'crossfade_prometheus_requests_total{outcome="failed"} 2.0' in metrics.text()


def test_queries_are_counted_by_whether_they_got_an_answer() -> None:
    metrics, other = Metrics(), Query("errors/stable/bad/1a2b3c4d", "down")
    evidence = Counted(HalfDeaf(), metrics.asked)
    assert evidence.ask_now((QUERY, other)) == (NOW, {QUERY.id: (), other.id: Failure("no")})
    assert evidence.ask((QUERY,), NOW) == {QUERY.id: ()}
    assert evidence.history((other,), NOW, NOW, dt.timedelta(seconds=1)) == {other.id: Failure("no")}
    text = metrics.text()
    assert b'crossfade_prometheus_queries_total{outcome="answered"} 2.0' in text
    assert b'crossfade_prometheus_queries_total{outcome="failed"} 2.0' in text
    assert b"crossfade_prometheus_query_seconds_count 3.0" in text


def test_the_clock_of_the_service_says_when_it_was(nowhere: str) -> None:
    at, answers = _evidence(Settings(prometheus_url=nowhere), Metrics(), Stopped()).ask_now((QUERY,))
    assert (at, list(answers)) == (NOW, [QUERY.id])


def test_credentials_get_there(tmp_path: Path) -> None:
    settings = Settings(prometheus_url="http://prometheus", prometheus_bearer_token_file=str(tmp_path / "t"))
    answer = _evidence(settings, Metrics(), SystemClock()).ask((QUERY,), NOW)[QUERY.id]
    assert isinstance(answer, Failure)
    assert answer.reason.endswith(f"is not asked: {tmp_path / 't'}: No such file or directory")


def test_without_prometheus_every_answer_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSFADE_PROMETHEUS_URL", raising=False)
    evidence = _evidence(Settings(), Metrics(), Stopped())
    absent = {QUERY.id: Failure("no Prometheus is configured: set CROSSFADE_PROMETHEUS_URL")}
    assert evidence.ask((QUERY,), NOW) == absent
    assert evidence.ask_now((QUERY,)) == (NOW, absent)
    assert evidence.history((QUERY,), NOW, NOW, dt.timedelta(seconds=1)) == absent


@pytest.mark.parametrize("skip", [True, False])
def test_that_anybody_may_answer_is_said_once(nowhere: str, *, skip: bool) -> None:
    url = nowhere.replace("http://", "https://")
    with structlog.testing.capture_logs() as logs:
        _evidence(Settings(prometheus_url=url, prometheus_insecure_skip_verify=skip), Metrics(), Stopped())
    assert [log["event"] for log in logs] == ["prometheus.unverified"] * skip


class Stopped:
    """A clock that does not go."""

    def now(self) -> dt.datetime:
        return NOW
