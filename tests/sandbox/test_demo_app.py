"""The application that stands in for every image: what its arguments promise."""

import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import demo_app
from sandbox.demo_app import Behaviour, Dice
from sandbox.process import wait_until


APP = Path(demo_app.__file__)
Start = Callable[..., tuple[subprocess.Popen[bytes], str]]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def launch() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, image: str = "crossfade/demo-app", wait: bool = True) -> Any:
        port = free_port()
        pod = {"POD_IP": "127.0.0.1", "POD_IMAGE": image, "POD_LABELS": json.dumps({"version": "v7"})}
        command = [sys.executable, "-S", "-E", str(APP), f"-listen=:{port}", *arguments]
        process = subprocess.Popen(command, env={**os.environ, **pod}, stderr=subprocess.DEVNULL)
        started.append(process)
        assert not wait or wait_until(lambda: listens(port), 30)
        return process, f"http://127.0.0.1:{port}"

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "image", ["hashicorp/http-echo", "docker.io/hashicorp/http-echo:1.0", "nobody/knows:3"]
)
def test_other_images_echo_their_text_on_every_path_and_export_nothing(launch: Start, image: str) -> None:
    _, url = launch("-text=version:v1", image=image)
    for path in ("/", "/metrics", "/any?thing=1"):
        answer = requests.get(url + path, timeout=5)
        assert (answer.status_code, answer.text) == (200, "version:v1\n")
        assert "x-app-version" not in answer.headers


def test_unknown_images_ignore_what_they_do_not_understand(launch: Start) -> None:
    _, url = launch("--workers=4", "-text=hello", "serve", image="nobody/knows")
    assert requests.get(url, timeout=5).text == "hello\n"


@pytest.mark.parametrize("image", ["hashicorp/http-echo", "crossfade/demo-app"])
def test_known_images_refuse_what_they_do_not_understand(launch: Start, image: str) -> None:
    process, _ = launch("--workers=4", image=image, wait=False)
    assert process.wait(30) == 2


def test_a_share_above_one_is_refused(launch: Start) -> None:
    process, _ = launch("--error-rate=5", wait=False)
    assert process.wait(30) == 2


def test_our_own_image_names_its_version_and_exports_what_it_answered(launch: Start) -> None:
    _, url = launch("-text=hi", "--error-rate=1", "--error-path=/bad")
    codes = [requests.get(url + path, timeout=5).status_code for path in ("/", "/bad/thing", "/good")]
    assert codes == [200, 500, 200]
    answer = requests.get(url, timeout=5)
    assert answer.headers["x-app-version"] == "v7"
    metrics = requests.get(f"{url}/metrics", timeout=5).text.splitlines()
    assert 'http_requests_total{version="v7",code="200"} 3' in metrics
    assert 'http_requests_total{version="v7",code="500"} 1' in metrics
    assert 'http_request_duration_seconds_bucket{version="v7",le="+Inf"} 4' in metrics
    assert 'http_request_duration_seconds_bucket{version="v7",le="2.5"} 4' in metrics
    assert 'http_request_duration_seconds_count{version="v7"} 4' in metrics


def test_bodies_are_read_so_that_the_connection_can_be_used_again(launch: Start) -> None:
    _, url = launch("-text=hi")
    with requests.Session() as session:
        assert session.post(url, data=b"x" * 100_000, timeout=5).status_code == 200
        assert session.post(url, data=iter([b"one", b"two"]), timeout=5).status_code == 200  # chunked
        assert session.get(url, timeout=5).text == "hi\n"


def test_a_closing_client_gets_its_answer_and_the_end(launch: Start) -> None:
    _, url = launch("-text=hi")
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: plain.recv(4096), b""))
    assert answer.endswith(b"hi\n")


def test_never_ready_stays_up_and_never_listens(launch: Start) -> None:
    process, url = launch("--never-ready", wait=False)
    port = int(url.rpartition(":")[2])
    assert not wait_until(lambda: listens(port) or process.poll() is not None, 0.7)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_crash_after_ends_with_code_one(launch: Start) -> None:
    process, _ = launch("--crash-after=0.3", wait=False)
    assert process.wait(30) == 1


def test_sigterm_lets_requests_in_hand_finish(launch: Start) -> None:
    process, url = launch("-text=done", "--latency=0.5", "--seed=1")
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert wait_until(lambda: unread(port) == 0, 5)
        process.terminate()
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.endswith(b"done\n")
    assert process.wait(30) == 0


def unread(port: int) -> int:
    """Return how many bytes the program that listens on `port` has not read yet of its connections."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
    return sum(int(row[4].rpartition(":")[2], 16) for row in ours)


def fates(behaviour: Behaviour, count: int = 20_000) -> list[bool]:
    dice = Dice(behaviour)
    return [dice.fails("/") for _ in range(count)]


@pytest.mark.parametrize("burst", [0.0, 20.0])
def test_errors_come_at_their_rate(burst: float) -> None:
    failed = fates(Behaviour(error_rate=0.1, burst=burst, seed="7"), 100_000)
    assert statistics.fmean(failed) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("burst", "length"), [(0.0, 1.1), (20.0, 20.0)])
def test_bursts_have_their_length(burst: float, length: float) -> None:
    failed = fates(Behaviour(error_rate=0.1, burst=burst, seed="7"), 100_000)
    runs = [sum(1 for _ in run) for bad, run in itertools.groupby(failed) if bad]
    assert statistics.fmean(runs) == pytest.approx(length, rel=0.15)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, {False}), (1.0, {True})])
def test_never_and_always_are_exact(rate: float, expected: set[bool]) -> None:
    assert set(fates(Behaviour(error_rate=rate, burst=5))) == expected


def test_a_seed_tells_the_same_story_again() -> None:
    one, again, other = (fates(Behaviour(error_rate=0.5, seed=seed)) for seed in ("1", "1", "2"))
    assert one == again
    assert one != other


def test_latency_is_around_its_median_and_the_slow_share_around_its_own() -> None:
    dice = Dice(Behaviour(latency=0.1, slow_share=0.2, slow_latency=2.0, seed="3"))
    delays = [dice.delay() for _ in range(10_000)]
    slow = [delay for delay in delays if delay > 0.6]
    assert len(slow) / len(delays) == pytest.approx(0.2, abs=0.02)
    assert statistics.median(slow) == pytest.approx(2.0, rel=0.05)
    assert statistics.median([d for d in delays if d <= 0.6]) == pytest.approx(0.1, rel=0.05)
