"""Every way in which the Kubernetes API fails: what was decided happens later, and nothing else ever.

Every request of a tick goes through the real client to a stand-in over HTTP, which fails before or after
the request took effect. docs/faults.md names these tests by their ids.
"""

import contextlib
import http.server
import itertools
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from kubernetes import client as kube_client

from config.status import HeldReason, Outcome, Phase
from controller.errors import Conflict, EdgeError, NotFound
from controller.kube.client import Cluster, Limits
from controller.kube.credentials import Login
from controller.kube.resources import CANARIES
from situations import SECOND
from weather import Content
from world import READS, World, adopted


T = TypeVar("T")
OBJECT: dict[str, Any] = {"metadata": {"name": "echo", "namespace": "echo", "resourceVersion": "1"}}
TICKS = 8
"""That meet the fault."""


@dataclass(frozen=True)
class Fault:
    """What the stand-in does instead of an answer."""

    code: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    applied: bool = False
    """The request takes effect all the same."""
    cut: bool = False
    silent: bool = False


def refusing(code: int, **headers: str) -> Fault:
    body = {"kind": "Status", "code": code, "message": f"refused with {code}"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(code, json.dumps(body).encode(), named)


FAULTS = {
    "latency": Fault(silent=True, applied=True),
    "401": refusing(401),
    "403": refusing(403),
    "409": refusing(409),
    "429": refusing(429),
    "429-retry-after": refusing(429, Retry_After="3600"),
    "500": refusing(500),
    "503": refusing(503),
    "504": refusing(504),
    "reset-before": Fault(cut=True),
    "reset-after": Fault(cut=True, applied=True),
    "html": Fault(200, b"<html>please sign in</html>"),
    "html-after": Fault(200, b"<html>please sign in</html>", applied=True),
    "truncated": Fault(200, b'{"metadata": {', applied=True),
}


class ApiServer(http.server.ThreadingHTTPServer):
    """Lets a request do what it should, unless a fault is there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fault: Fault | None = None
        self.chance = 1.0
        """How likely a request is to meet the fault."""
        self.dice = random.Random(1)  # noqa: S311  # no secret
        self.effect: Callable[[], Any] = lambda: None
        self.result: Any = None
        self.over = threading.Event()
        configuration = kube_client.Configuration(host=f"http://127.0.0.1:{self.server_address[1]}")
        limits = Limits(connect=2, read=0.1, attempts=4, total=5, pause=0)
        self.cluster = Cluster(Login(configuration), user_agent="crossfade/test", limits=limits)

    def handle_error(self, *_args: object) -> None:
        """Say nothing: connections that break are the point here."""

    def gate(self, operation: str, effect: Callable[[], T]) -> T:
        """Send a request of the world's through the real client."""
        if operation == "ask":
            return effect()
        self.effect, self.result = effect, None
        if operation in READS:
            self.cluster.read(CANARIES, "echo", "echo")
        else:
            self.cluster.patch(CANARIES, "echo", "echo", [])
        result: T = self.result
        return result

    def next_fault(self) -> Fault | None:
        return self.fault if self.dice.random() < self.chance else None


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.next_fault()
        if fault is None:
            self._answer(*self._applied())
            return
        if fault.applied:
            self._applied()
        if fault.silent:
            self.server.over.wait(30)
        if fault.cut or fault.silent:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        self._answer(fault.code, fault.body, fault.headers)

    do_PATCH = do_GET  # noqa: N815

    def _applied(self) -> tuple[int, bytes]:
        try:
            self.server.result = self.server.effect()
        except Conflict as error:
            return 409, json.dumps({"kind": "Status", "code": 409, "message": str(error)}).encode()
        return 200, json.dumps(OBJECT).encode()

    def _answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None: ...


@pytest.fixture
def apiserver() -> Iterator[ApiServer]:
    with ApiServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
        server.cluster.close()


class Estate:
    """A world behind that server, and all shares that its routes have ever had."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.world: World = adopted(testing=None)
        self.world.gate = server.gate
        self.shares: list[int] = []
        self.errors: list[str] = []

    def go_on(self, until: Callable[[], bool], within: int = 120) -> None:
        """Tick as the schedule does, which survives what a tick raises."""
        for _ in range(within):
            if until():
                return
            wake_at = None
            try:
                wake_at = self.world.tick()
            except EdgeError as error:
                self.errors.append(str(error))
            share = self.world.weather.content.weight or 0
            if self.shares[-1:] != [share]:
                self.shares.append(share)
            now = self.world.weather.now
            self.world.advance(max((wake_at or now + SECOND) - now, SECOND / 10))
        raise AssertionError(f"{self.world.status.phase}: {self.world.status.reason} {self.errors[-1:]}")

    def meet(self, fault: Fault) -> None:
        """Tick some times while the fault is there."""
        self.server.fault = fault
        ticks = itertools.count()
        self.go_on(lambda: next(ticks) >= TICKS)
        self.server.fault = None

    def at_20(self) -> "Estate":
        self.world.weather.deploy("v2")
        self.go_on(lambda: self.world.status.step_started_at is not None and self.world.status.weight == 20)
        return self


@pytest.fixture
def estate(apiserver: ApiServer) -> Estate:
    return Estate(apiserver)


EACH = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


@EACH
def test_a_good_version_gets_there_by_its_steps_and_no_others(estate: Estate, fault: Fault) -> None:
    estate.at_20().meet(fault)
    assert set(estate.shares) <= {0, 20, 100}, "no share that nobody decided"
    estate.go_on(lambda: estate.world.status.phase is Phase.PROMOTED)
    assert estate.shares == [0, 20, 100, 0]
    assert [entry.outcome for entry in estate.world.status.history] == [Outcome.PROMOTED]


@EACH
def test_the_way_back_is_taken_as_soon_as_it_is_open(estate: Estate, fault: Fault) -> None:
    estate.at_20()
    estate.world.error_rates["v2"] = 0.5
    estate.meet(fault)
    assert max(estate.shares) == 20
    opened = estate.world.weather.now
    estate.go_on(lambda: estate.world.weather.content == Content("v1"))
    assert estate.world.weather.now - opened <= 10 * SECOND
    estate.go_on(lambda: estate.world.status.phase is Phase.ROLLED_BACK)
    assert estate.shares == [0, 20, 0]


@EACH
def test_the_very_start_is_made_later(estate: Estate, fault: Fault) -> None:
    estate.world.weather.deploy("v2")
    estate.meet(fault)
    estate.go_on(lambda: estate.world.status.phase is Phase.PROMOTED)
    assert estate.shares == [0, 20, 100, 0]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "fault", [FAULTS[name] for name in ("409", "503", "reset-after")], ids=["409", "503", "reset-after"]
)
def test_what_fails_now_and_then_holds_up_nobody(estate: Estate, fault: Fault, seed: int) -> None:
    estate.server.fault, estate.server.chance = fault, 0.2
    estate.server.dice.seed(seed)
    estate.at_20()
    estate.go_on(lambda: estate.world.status.phase is Phase.PROMOTED)
    assert estate.shares == [0, 20, 100, 0]


def test_a_lost_right_is_said(estate: Estate) -> None:
    estate.at_20()
    before = estate.server.gate

    def refused(operation: str, effect: Callable[[], T]) -> T:
        estate.server.fault = FAULTS["403"] if operation == "write" else None
        return before(operation, effect)

    estate.world.gate = refused
    estate.world.error_rates["v2"] = 0.5
    estate.go_on(lambda: estate.world.status.held is not None)
    held = estate.world.status.held
    assert held is not None
    assert (held.reason, held.needs_human) == (HeldReason.STALLED, True)
    assert "refused with 403" in held.message


def test_a_cache_far_behind_writes_nothing_and_the_second_look_decides(estate: Estate) -> None:
    """What is at hand is minutes old: a rise has become a rollback since."""
    world = estate.at_20().world
    behind = world.document
    world.error_rates["v2"] = 0.5
    world.run(lambda: world.status.phase is Phase.ROLLED_BACK)
    canaries = world.reconciler.canaries
    seen: list[str] = []

    def stale(key: object) -> Any:
        seen.append("stale")
        return behind

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(NotFound):
        patch.setattr(type(canaries), "get", lambda _self, key: stale(key))
        patch.setattr(type(canaries), "refresh", lambda self, _key: self.world.document)
        world.tick()
    assert seen == ["stale"]
    assert world.status.phase is Phase.ROLLED_BACK
    assert world.weather.content == Content("v1")
