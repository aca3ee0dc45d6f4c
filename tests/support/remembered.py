"""A real Prometheus with a past that is made up: counters of pods, written as blocks by promtool."""

import contextlib
import datetime as dt
import random
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from sandbox.process import start, wait_until
from sandbox.prometheus import cache_folder, find


START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
BOUNDS = (0.1, 0.25, 0.5)


@dataclass(frozen=True)
class Period:
    """Pods of one version between two times, in hours since START, and what they answer."""

    version: str
    pods: int
    begin: float
    end: float
    rate: float
    """Requests per second of each pod."""
    errors: float = 0.002
    slow: float = 0.005
    """Share that takes longer than a quarter of a second; as many again are slower than 0.1s."""
    number: int = 0
    """Tells pods of the same version and other periods apart."""


@dataclass
class _Pod:
    labels: str
    ok: int = 0
    bad: int = 0
    slower: dict[float, int] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0))

    def answer(self, chance: random.Random, requests: int, period: Period) -> None:
        for _ in range(requests):
            failed, slow = chance.random() < period.errors, chance.random()
            self.bad += failed
            self.ok += not failed
            self.slower[0.1] += slow < 2 * period.slow
            self.slower[0.25] += slow < period.slow


def write(folder: Path, periods: Sequence[Period], scrape: int = 30, seed: int = 7) -> None:
    """Write the blocks of a Prometheus' data folder."""
    chance = random.Random(seed)  # noqa: S311  # to be repeatable
    counts: list[str] = []
    buckets: list[str] = []
    for period in periods:
        for number in range(period.pods):
            labels = f'version="{period.version}",pod="{period.version}-{period.number}-{number}"'
            _live(_Pod(labels), period, scrape, chance, (counts, buckets))
    store(folder, ["# TYPE requests counter", *counts, "# TYPE seconds histogram", *buckets])


def store(folder: Path, lines: Sequence[str]) -> None:
    """Write lines of the OpenMetrics text format as blocks of a Prometheus' data folder."""
    text = folder / "past.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    promtool = find(cache_folder()).with_name("promtool")
    command = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True)
    text.unlink()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run a Prometheus on what was written, that scrapes nothing; give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "prometheus.yaml").write_text("{}")
    command = [
        str(find(cache_folder())),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    process = start(command, folder / "log")
    try:
        assert wait_until(lambda: _ready(address), patience=60), (folder / "log").read_text()
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _live(
    pod: _Pod, period: Period, scrape: int, chance: random.Random, lines: tuple[list[str], list[str]]
) -> None:
    counts, buckets = lines
    mean = period.rate * scrape
    for second in range(round(period.begin * 3600), round(period.end * 3600), scrape):
        at = START.timestamp() + second
        counts.append(f'requests_total{{{pod.labels},code="200"}} {pod.ok} {at:.0f}')
        if pod.bad:
            counts.append(f'requests_total{{{pod.labels},code="500"}} {pod.bad} {at:.0f}')
        total = pod.ok + pod.bad
        for bound in BOUNDS:
            count = total - pod.slower[bound]
            buckets.append(f'seconds_bucket{{{pod.labels},le="{bound}"}} {count} {at:.0f}')
        buckets.append(f'seconds_bucket{{{pod.labels},le="+Inf"}} {total} {at:.0f}')
        pod.answer(chance, max(0, round(chance.gauss(mean, mean**0.5))), period)


def _ready(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/-/ready", timeout=5).ok
    except requests.exceptions.RequestException:
        return False
