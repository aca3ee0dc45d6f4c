"""How the service asks Prometheus: counted, or told that there is none."""

import datetime as dt
import socket

import pytest

from analysis.queries import Query
from analysis.samples import Failure
from config.settings import Settings
from controller.app import _evidence
from controller.clock import SystemClock
from controller.telemetry.metrics import Metrics


QUERY = Query("errors/candidate/bad/1a2b3c4d", "up")
NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def nowhere() -> str:
    """Give a URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_requests_to_prometheus_are_counted_by_outcome(nowhere: str) -> None:
    metrics = Metrics()
    answer = _evidence(Settings(prometheus_url=nowhere), metrics, SystemClock()).ask((QUERY,), NOW)[QUERY.id]
    assert isinstance(answer, Failure)
    assert b'crossfade_prometheus_requests_total{outcome="failed"} 2.0' in metrics.text()


def test_without_prometheus_every_answer_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSFADE_PROMETHEUS_URL", raising=False)
    answer = _evidence(Settings(), Metrics(), SystemClock()).ask((QUERY,), NOW)[QUERY.id]
    assert answer == Failure("no Prometheus is configured: set CROSSFADE_PROMETHEUS_URL")
    _, answers = _evidence(Settings(), Metrics(), SystemClock()).ask_now((QUERY,))
    assert answers == {QUERY.id: answer}
