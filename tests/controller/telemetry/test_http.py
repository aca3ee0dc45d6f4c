"""What a kubelet and a Prometheus get to hear."""

import contextlib
import socket
import threading
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


def ask(server: Server, request: bytes) -> bytes:
    """Send bytes as they are; give the first line of the answer, empty if there is none."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline().strip()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert ask(server, request.encode()) == b"HTTP/1.1 405 Method Not Allowed"


def test_who_wants_the_head_alone_gets_it(server: Server) -> None:
    assert ask(server, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n") == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "path",
    ["/../etc/passwd", "/healthz/../../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd", "/metrics/x"],
)
def test_no_path_leads_elsewhere(server: Server, path: str) -> None:
    assert ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == b"HTTP/1.1 404 Not Found"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2**20, id="a header of a megabyte"),
        pytest.param(b"GET /" + b"x" * 2**20, id="a path of a megabyte"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4 + b"\r\n\r\n", id="TLS"),
    ],
)
def test_what_is_no_request_is_refused(server: Server, request_: bytes) -> None:
    with contextlib.suppress(OSError):  # it may hang up before all was sent
        assert ask(server, request_) in (b"HTTP/1.1 400 Bad Request", b"")
    assert get(server, "/healthz")[0] == 200


def test_clients_that_never_finish_their_request_keep_nobody_waiting(server: Server) -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        assert get(server, "/healthz")[::2] == (200, "ok\n")
        assert get(server, "/metrics")[0] == 200
        assert threading.active_count() < before + 10


def test_it_does_not_say_what_it_is_made_of(server: Server) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=20) as answer:
        assert "server" not in {name.lower() for name in answer.headers}


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
