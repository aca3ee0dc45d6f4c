"""What a kubelet and a Prometheus get to hear."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from controller.telemetry.http import Probes, Server
from controller.telemetry.metrics import CONTENT_TYPE


@dataclass
class State:
    alive: int = 1
    unready: tuple[str, ...] = ()


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[Server]:
    probes = Probes(lambda: bool(state.alive), lambda: state.unready, lambda: b"crossfade_x 1\n")
    server = Server(probes, "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


def get(server: Server, path: str) -> tuple[int, str, str]:
    """Ask; connections wait in the listening socket until the server is up."""
    url = f"http://127.0.0.1:{server.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_a_healthy_service_says_so(server: Server) -> None:
    assert get(server, "/healthz")[::2] == (200, "ok\n")
    assert get(server, "/readyz")[::2] == (200, "ok\n")


def test_a_dead_scheduler_asks_for_a_restart(server: Server, state: State) -> None:
    state.alive = 0
    assert get(server, "/healthz")[::2] == (503, "the scheduler has died\n")


def test_what_is_not_ready_is_named_line_by_line(server: Server, state: State) -> None:
    state.unready = ("canaries: the CRD is absent", "upstreams: forbidden")
    assert get(server, "/readyz")[::2] == (503, "canaries: the CRD is absent\nupstreams: forbidden\n")
    assert get(server, "/healthz")[0] == 200


def test_metrics_come_in_prometheus_format(server: Server) -> None:
    assert get(server, "/metrics") == (200, CONTENT_TYPE, "crossfade_x 1\n")


def test_there_is_nothing_else(server: Server) -> None:
    assert get(server, "/")[0] == 404


def test_an_address_in_use_is_an_error_at_once(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(Probes(lambda: True, tuple, bytes), "127.0.0.1", server.port)


def test_ipv6_addresses_work_too() -> None:
    server = Server(Probes(lambda: True, tuple, bytes), "::1", 0)
    server.start()
    with urllib.request.urlopen(f"http://[::1]:{server.port}/healthz", timeout=20) as answer:
        assert answer.status == 200
    server.stop()


def test_stopping_frees_the_address_quickly(state: State) -> None:
    server = Server(Probes(lambda: True, tuple, bytes), "127.0.0.1", 0)
    server.start()
    get(server, "/healthz")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 3
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
