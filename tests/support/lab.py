"""A world whose Prometheus is asked over HTTP by the real client, has its own clock, and lies on demand."""

import dataclasses
import datetime as dt
import email.utils
import http.server
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from analysis.prometheus import Prometheus
from analysis.queries import MARK
from config.access import Access
from controller.measuring import Measuring
from controller.reconcile import Reconciler
from situations import SECOND, T0
from world import PAST, RATE, ClockPort, EvidencePort, World


JOINED = re.compile(rf'label_replace\(\(\n(.*?)\n\), "{MARK}", "([^"]*)", "", ""\)', re.DOTALL)
STALE = dt.timedelta(minutes=5)
"""Prometheus looks this far back for a sample."""
PATIENCE = dt.timedelta(seconds=0.4)
"""The client's, for one set of questions."""


@dataclass
class Reply:
    """What Prometheus is about to answer; a fault changes it."""

    document: dict[str, Any]
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    """Instead of the document."""
    then: str = "end"
    """`cut` the connection, or say nothing (`silence`)."""

    @property
    def series(self) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.document["data"]["result"]
        return result


Fault = Callable[[Reply], None]


@dataclass
class Lab(World):
    """As a World, but for its Prometheus."""

    url: str = ""
    access: Access = field(default_factory=Access)
    over: threading.Event = field(default_factory=threading.Event)
    fault: Fault | None = None
    there: dt.timedelta = dt.timedelta(0)
    """What Prometheus' clock is ahead of ours."""
    frozen: bool = False
    """It answers, and scrapes no more."""
    asked: int = 0
    shares: list[int] = field(default_factory=list)
    """The candidate's shares that the routes have had, each named once in a row."""
    _scraped: list[tuple[dt.datetime, dict[str, tuple[int, int]]]] = field(
        default_factory=lambda: [(T0, PAST)]
    )
    _reset: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What the counters of a version had counted when its pods restarted."""

    def started(self) -> Reconciler:
        """Start a process that remembers nothing, with the real client."""
        clock = ClockPort(self)
        prometheus = Prometheus(self.url, PATIENCE, clock.now, access=self.access)
        return dataclasses.replace(super().started(), measuring=Measuring(prometheus, clock))

    def set_clock(self, leap: dt.timedelta) -> None:
        """Set the clock of the machine, and of nobody else."""
        self.weather.now += leap
        self.there -= leap

    def restart(self, version: str) -> None:
        """Let the pods of a version begin to count anew."""
        self._reset[version] = self._history[-1][1][version]

    def tick(self) -> dt.datetime | None:
        """Run one tick now, and note what share the routes give."""
        wake_at = super().tick()
        share = self.weather.content.weight or 0
        if self.shares[-1:] != [share]:
            self.shares.append(share)
        return wake_at

    def advance(self, pause: dt.timedelta) -> None:
        """Let time pass, and Prometheus scrape."""
        super().advance(pause)
        if not self.frozen:
            found = {version: self._since_restart(version) for version in self._history[-1][1]}
            self._scraped.append((self.weather.now + self.there, found))

    def evaluate(self, times: int = 1) -> None:
        """Go on until this many evaluations have been made."""
        for _ in range(times):
            made = self._another_than(self.status.evaluated_at)
            self.run(made)

    def counters(self, at: dt.datetime) -> dict[str, tuple[int, int]]:
        """Give what Prometheus would find at this time of its own clock."""
        if at < self._scraped[0][0]:
            return {
                version: (total - round(RATE * (T0 - at) / SECOND), 0) for version, (total, _) in PAST.items()
            }
        when, found = next(each for each in reversed(self._scraped) if each[0] <= at)
        return found if at - when < STALE else {}

    def answer(self, form: dict[str, str]) -> Reply:
        """Answer a request as Prometheus would, but for the fault."""
        self.asked += 1
        self.asked_at = self.weather.now
        joined = [(expression, {MARK: mark}) for expression, mark in JOINED.findall(form["query"])]
        expressions = joined or [(form["query"], {})]
        reply = Reply({"status": "success", "data": self._data(form, expressions)})
        now = self.weather.now + self.there
        reply.headers["Date"] = email.utils.format_datetime(now, usegmt=True)
        if self.fault is not None:
            self.fault(reply)
        return reply

    def _another_than(self, last: dt.datetime | None) -> Callable[[], bool]:
        return lambda: self.status.evaluated_at != last

    def _since_restart(self, version: str) -> tuple[int, int]:
        total, bad = self._history[-1][1][version]
        before, bad_before = self._reset.get(version, (0, 0))
        return total - before, bad - bad_before

    def _data(self, form: dict[str, str], expressions: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
        if "time" in form:
            return {"resultType": "vector", "result": self._vector(expressions, float(form["time"]))}
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        found: dict[str, dict[str, Any]] = {}
        for number in range(int((end - start) / step + 1.5)):
            for series in self._vector(expressions, start + number * step):
                known = found.setdefault(
                    json.dumps(series["metric"]), {"metric": series["metric"], "values": []}
                )
                known["values"].append(series["value"])
        return {"resultType": "matrix", "result": list(found.values())}

    def _vector(self, expressions: list[tuple[str, dict[str, str]]], at: float) -> list[dict[str, Any]]:
        moment = dt.datetime.fromtimestamp(at, dt.UTC)
        return [
            {"metric": {**sample.labels, **mark}, "value": [at, f"{sample.value:g}"]}
            for expression, mark in expressions
            for sample in EvidencePort(self)._series(expression, moment)
        ]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    lab: Lab

    def handle_error(self, *_args: object) -> None:
        """Say nothing: connections that break are the point here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        reply = self.server.lab.answer(dict(parse_qsl(body)))
        if reply.then == "cut":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if reply.then == "silence":
            self.server.lab.over.wait(60)
            return
        content = json.dumps(reply.document).encode() if reply.content is None else reply.content
        self.send_response_only(reply.code)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def lab(**spec: Any) -> Iterator[Lab]:
    """Run a lab in which v1 is adopted and at rest."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        made = server.lab = Lab(url=f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            made.edit(**spec)
            made.rest()
            yield made
        finally:
            made.over.set()
            server.shutdown()
            thread.join()
