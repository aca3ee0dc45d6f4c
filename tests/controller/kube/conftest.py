"""Two API servers: the sandbox's, and one that does exactly what a test tells it."""

import http.server
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kube_client

from config.crd import definitions
from controller.kube.client import Cluster, Limits, Observer
from controller.kube.credentials import Login
from controller.kube.resources import CANARIES, METRIC_TEMPLATES, Resource
from sandbox.apiserver.testing import ApiServer


NAMESPACES = Resource("", "v1", "namespaces")
DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")

_numbers = itertools.count()


class _Scripted(http.server.ThreadingHTTPServer):
    """Does one step per request; the last one repeats. A step is a dict.

    Answer: `code`, `body` (JSON, or bytes as they are), `headers`. Watch: `events`
    (JSON, or bytes as they are). Both: `then` is `end`, `cut` (reset the connection),
    `hang` (until the test is over) or `linger` (end a watch after a while);
    `{"then": "cut"}` alone answers nothing. A `hook` is called before anything is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.over = threading.Event()

    def handle_error(self, *_args: object) -> None:
        """Say nothing: connections that break are the point here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Scripted

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        asked = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        self.server.asked.append(asked)
        steps = self.server.steps
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        step.get("hook", lambda: None)()
        if "events" in step:
            self._stream(step["events"])
        elif "then" not in step:
            self._answer(step)
        self._end(step)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _answer(self, step: dict[str, Any]) -> None:
        body = step.get("body", {})
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(step.get("code", 200))
        for name, value in {"Content-Length": str(len(content)), **step.get("headers", {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, events: list[object]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def _end(self, step: dict[str, Any]) -> None:
        match step.get("then", "end"):
            case "end" if "events" in step:
                self.wfile.write(b"0\r\n\r\n")
            case "linger":
                self.server.over.wait(0.15)
                self.wfile.write(b"0\r\n\r\n")
            case "hang":
                self.server.over.wait(60)
                self.close_connection = True
            case "cut":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case _:
                return

    def log_message(self, *_args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[_Scripted]:
    with _Scripted() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def play(server: _Scripted) -> Callable[..., None]:
    """Say what the scripted server does, step by step."""

    def play(*steps: dict[str, Any]) -> None:
        server.steps = list(steps)

    return play


@pytest.fixture
def asked(server: _Scripted) -> list[dict[str, Any]]:
    """Tell what the scripted server was asked: method, path, headers, body."""
    return server.asked


def _unobserved(_verb: str, _resource: str, _status: int) -> None: ...


def _permitted() -> None: ...


@pytest.fixture
def connect(server: _Scripted) -> Iterator[Callable[..., Cluster]]:
    """Connect to the scripted server: hastily, three attempts without pauses."""
    clusters = []

    def connect(
        *,
        scheme: str = "http",
        renew: Callable[[object], None] | None = None,
        on_request: Observer = _unobserved,
        permit: Callable[[], None] = _permitted,
        pause: float = 0.0,
    ) -> Cluster:
        host = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        configuration = kube_client.Configuration(host=host, api_key={"BearerToken": "Bearer very-secret"})
        configuration.refresh_api_key_hook = renew  # type: ignore[assignment]  # typed as None
        limits = Limits(connect=5, read=1, attempts=3, total=5, pause=pause)
        clusters.append(
            Cluster(
                Login(configuration),
                user_agent="crossfade/test",
                limits=limits,
                on_request=on_request,
                permit=permit,
            )
        )
        return clusters[-1]

    yield connect
    for cluster in clusters:
        cluster.close()


@pytest.fixture
def scripted(connect: Callable[..., Cluster]) -> Cluster:
    return connect()


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run an API server that knows Canaries and MetricTemplates."""
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as server:
        cluster = Cluster.connect(str(server.kubeconfig))
        for definition in definitions():
            cluster.create(DEFINITIONS, "", definition)
        _eventually(lambda: all(_is_served(cluster, resource) for resource in (CANARIES, METRIC_TEMPLATES)))
        cluster.close()
        yield server.kubeconfig


@pytest.fixture
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    cluster = Cluster.connect(str(kubeconfig))
    yield cluster
    cluster.close()


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """Make a namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    cluster.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    return _eventually


def _eventually(holds: Callable[[], object]) -> None:
    """Wait for what another thread or process is about to do."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


def _is_served(cluster: Cluster, resource: Resource) -> bool:
    document = cluster.read(DEFINITIONS, "", str(resource))
    conditions = document.get("status", {}).get("conditions", ())
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
