"""Requests through the gateway as users would send them: at their own pace, whatever the answers do.

Open loop: a slow or broken service does not slow its users down, so that its failures are counted in full.
What is counted is what a user sees, by the version that answered; nobody answered: version "none".
"""

import asyncio
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

import aiohttp

from sandbox import clock


NOBODY = "none"
PRECISION = math.log(1.02)  # latencies are kept to 2%
TIMEOUT = 15.0  # seconds a user waits


@dataclass(frozen=True, slots=True)
class Traffic:
    """What to send: `rps` requests a second for `url`, with these headers (`Host` among them)."""

    url: str
    rps: float = 20.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """The answers of one version: how many by code, when it failed first and last, and how long they took."""

    codes: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    first_failed: float | None = None  # seconds since 1970
    last_failed: float | None = None
    last: float | None = None  # answer, good or bad
    _latencies: Counter[int] = field(default_factory=Counter)

    def add(self, code: str, seconds: float, now: float) -> None:
        """Count an answer, or the lack of one (`code` is then the kind of error)."""
        self.codes[code] += 1
        self.last = now
        self._latencies[round(math.log(max(seconds, 1e-6)) / PRECISION)] += 1
        if not code.isdigit() or code >= "500":
            self.failed += 1
            self.first_failed = self.first_failed or now
            self.last_failed = now

    def quantile(self, q: float) -> float | None:
        """Return a quantile of the latency in seconds; None before the first answer."""
        rank = q * self._latencies.total()
        for bucket in sorted(self._latencies):
            rank -= self._latencies[bucket]
            if rank <= 0:
                return round(math.exp(bucket * PRECISION), 6)
        return None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "requests": self.codes.total(),
            "failed": self.failed,
            "codes": dict(sorted(self.codes.items())),
            "firstFailed": self.first_failed,
            "lastFailed": self.last_failed,
            "last": self.last,
            "latency": {name: self.quantile(q) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))},
        }


class Report:
    """Tallies by version over some time."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.versions: dict[str, Tally] = {}

    def add(self, version: str, code: str, seconds: float, now: float) -> None:
        """Count one answer."""
        self.versions.setdefault(version, Tally()).add(code, seconds, now)

    @property
    def requests(self) -> int:
        """How many requests were answered or given up."""
        return sum(tally.codes.total() for tally in self.versions.values())

    @property
    def failed(self) -> int:
        """How many of them failed: no answer, or a code of 500 and above."""
        return sum(tally.failed for tally in self.versions.values())

    def document(self, now: float) -> dict[str, Any]:
        """Return the report as JSON; `now` is its time."""
        return {
            "time": now,
            "seconds": round(now - self.started, 3),
            "requests": self.requests,
            "failed": self.failed,
            "versions": {name: tally.document() for name, tally in sorted(self.versions.items())},
        }


class Load:
    """Sends traffic in a thread of its own between `start` and `stop`; also a context manager.

    `journal`, if given, gets a JSON line a second with that second's report.
    """

    def __init__(self, traffic: Traffic, journal: Path | None = None, now: clock.Clock = clock.now) -> None:
        self._traffic = traffic
        self._journal = journal
        self._now = now
        self._report = Report(now())
        self._second = Report(now())
        self._lock = threading.Lock()  # reports are written in one thread and read in others
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        """Stop sending, wait for the requests in flight, and return the report."""
        self._stopping.set()
        self._thread.join()
        return self.snapshot()

    def snapshot(self) -> dict[str, Any]:
        """Return the report up to now (see `Report.document`)."""
        with self._lock:
            return self._report.document(self._now())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            writer = asyncio.create_task(self._write())
            async with asyncio.TaskGroup() as group:
                await self._send_all(session, group)
            writer.cancel()
        self._flush()

    async def _send_all(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        began, sent = time.monotonic(), 0
        while not self._stopping.is_set():
            due = began + sent / self._traffic.rps
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(min(wait, 0.1))  # so as to notice a stop
            else:
                group.create_task(self._send(session))
                sent += 1

    async def _send(self, session: aiohttp.ClientSession) -> None:
        began = time.monotonic()
        version = NOBODY
        try:
            async with session.get(self._traffic.url, headers=dict(self._traffic.headers)) as answer:
                body = await answer.text()
                code = str(answer.status)
                version = answer.headers.get("x-app-version") or version_in(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            code = type(error).__name__
        seconds, now = time.monotonic() - began, self._now()
        with self._lock:
            for report in (self._report, self._second):
                report.add(version, code, seconds, now)

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._flush()

    def _flush(self) -> None:
        now = self._now()
        finished, self._second = self._second, Report(now)
        if self._journal:
            with self._journal.open("a") as file:
                _line(file, finished.document(now))


def version_in(body: str) -> str:
    """Return the version that http-echo's text names: `version:v1`."""
    head, _, version = body.strip().partition("version:")
    return version if version and not head else NOBODY


def _line(file: TextIO, document: dict[str, Any]) -> None:
    file.write(json.dumps(document) + "\n")
