"""Load counts what users see, and keeps its pace whatever the service does."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sandbox.load import Load, Report, Tally, Traffic, version_in
from sandbox.process import wait_until


class Service(BaseHTTPRequestHandler):
    """Answers by path: /v1 and /v2 well, /bad with 503, /slow after a while."""

    protocol_version = "HTTP/1.1"
    release = threading.Event()
    waiting = 0

    def do_GET(self) -> None:  # the base class names it
        if self.path == "/slow":
            type(self).waiting += 1
            self.release.wait(60)
        body = b"version:v2\n" if self.path == "/v2" else b""
        self.send_response(503 if self.path == "/bad" else 200)
        self.send_header("content-length", str(len(body)))
        if self.path == "/v1":
            self.send_header("x-app-version", self.headers.get("stage", "v1"))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    Service.release.clear()
    Service.waiting = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Service.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "version", "code", "failed"),
    [
        pytest.param("/v1", "v1", "200", False, id="version by header"),
        pytest.param("/v2", "v2", "200", False, id="version by the body of http-echo"),
        pytest.param("/bad", "none", "503", True, id="the gateway's own error"),
    ],
)
def test_answers_are_counted_by_version_and_code(
    service: str, path: str, version: str, code: str, *, failed: bool
) -> None:
    load = Load(Traffic(service + path, rps=100))
    load.start()
    assert wait_until(lambda: load.snapshot()["requests"] >= 5, 10)
    report = load.stop()
    tally = report["versions"][version]
    assert list(report["versions"]) == [version]
    assert tally["codes"] == {code: report["requests"]}
    assert tally["failed"] == report["failed"] == (report["requests"] if failed else 0)
    assert (tally["firstFailed"] is not None) == failed
    assert 0 < tally["latency"]["p50"] <= tally["latency"]["p99"]


def test_headers_go_along(service: str) -> None:
    with Load(Traffic(f"{service}/v1", rps=100, headers={"stage": "canary"})) as load:
        assert wait_until(lambda: load.snapshot()["requests"] > 0, 10)
    assert list(load.snapshot()["versions"]) == ["canary"]


def test_nobody_there_is_a_failure_with_the_kind_of_error() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Load(Traffic(f"http://127.0.0.1:{closed.getsockname()[1]}", rps=50)) as load:
            assert wait_until(lambda: load.snapshot()["failed"] > 0, 10)
    assert load.snapshot()["versions"]["none"]["codes"].keys() == {"ClientConnectorError"}


def test_slow_answers_do_not_slow_the_senders_down(service: str) -> None:
    with Load(Traffic(f"{service}/slow", rps=50)) as load:
        assert wait_until(lambda: Service.waiting >= 20, 30)
        assert load.snapshot()["requests"] == 0
        Service.release.set()
    assert load.snapshot()["requests"] >= 20


def test_the_journal_has_a_line_a_second_that_adds_up(service: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with Load(Traffic(f"{service}/v1", rps=20), journal) as load:
        assert wait_until(lambda: journal.exists() and len(journal.read_text().splitlines()) >= 2, 10)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sum(line["requests"] for line in lines) == load.snapshot()["requests"]


def test_failures_are_dated_first_and_last() -> None:
    tally = Tally()
    for code, now in (("200", 1.0), ("500", 2.0), ("404", 3.0), ("TimeoutError", 4.0), ("200", 5.0)):
        tally.add(code, 0.01, now)
    assert (tally.failed, tally.first_failed, tally.last_failed) == (2, 2.0, 4.0)


def test_quantiles_are_right_to_two_percent() -> None:
    tally = Tally()
    for milliseconds in range(1, 1001):
        tally.add("200", milliseconds / 1000, 0.0)
    assert tally.quantile(0.5) == pytest.approx(0.5, rel=0.02)
    assert tally.quantile(0.99) == pytest.approx(0.99, rel=0.02)
    assert Tally().quantile(0.5) is None


def test_a_report_adds_up_over_versions() -> None:
    report = Report(10.0)
    for version, code in (("v1", "200"), ("v2", "500"), ("v2", "200")):
        report.add(version, code, 0.1, 11.0)
    document = report.document(12.0)
    assert (document["requests"], document["failed"], document["seconds"]) == (3, 1, 2.0)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ("version:v1\n", "v1"),
        ("version:", "none"),
        ("my version:v1", "none"),
        ("hello", "none"),
        ("", "none"),
    ],
)
def test_the_version_is_read_from_an_echo_only(body: str, version: str) -> None:
    assert version_in(body) == version
