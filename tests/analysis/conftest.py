"""Two Prometheuses: a real one that scrapes itself as v1 and as v2, and one that does as it is told."""

import contextlib
import http.server
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import requests
import yaml

from sandbox.process import start, wait_until
from sandbox.prometheus import cache_folder, find


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus that has scraped itself, and give its URL."""
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = start(_command(find(cache_folder()), folder, address), folder / "log")
    try:
        assert wait_until(lambda: _scraped(f"http://{address}"), patience=60), (folder / "log").read_text()
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _command(program: Path, folder: Path, address: str) -> list[str]:
    jobs = [
        {
            "job_name": version,
            "scrape_interval": "1s",
            "static_configs": [{"targets": [address], "labels": {"version": version}}],
        }
        for version in ("v1", "v2")
    ]
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump({"scrape_configs": jobs}))
    return [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]


def _scraped(url: str) -> bool:
    try:
        asked = {"query": "count(prometheus_http_requests_total) by (version)"}
        answer = requests.get(f"{url}/api/v1/query", asked, timeout=5).json()
    except requests.exceptions.RequestException:
        return False
    return len(answer.get("data", {}).get("result", ())) == 2


@dataclass(frozen=True)
class Step:
    """What the scripted server does with one request."""

    body: object = field(default_factory=dict)
    """JSON, or bytes as they are."""
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    """Besides its length; a `Date` only if it is here."""
    then: str = "end"
    """`hang` after half of the body, say nothing (`silence`), `cut` the connection, `drip` the body, or
    `echo` the request's headers as an error."""


class Scripted(http.server.ThreadingHTTPServer):
    """Does one step per request; the last one repeats."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.steps = [Step()]
        self.asked: list[dict[str, str]] = []
        """Form fields and headers of each request; `:path`, `:method`, and `:peer`, the client certificate's
        number."""
        self.over = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def play(self, *steps: Step) -> None:
        self.steps = list(steps)

    def handle_error(self, *_args: object) -> None:
        """Say nothing: connections that break are the point here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        tls = self.connection if isinstance(self.connection, ssl.SSLSocket) else None
        peer = (tls.getpeercert() if tls else None) or {}
        special = {
            ":path": self.path, ":method": self.command, ":peer": str(peer.get("serialNumber", ""))
        }  # fmt: skip
        self.server.asked.append({**dict(self.headers), **dict(parse_qsl(body)), **special})
        steps = self.server.steps
        self._do(steps.pop(0) if len(steps) > 1 else steps[0])

    do_GET = do_POST  # noqa: N815

    def _do(self, step: Step) -> None:
        if step.then == "cut":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if step.then == "silence":
            self.server.over.wait(60)
            return
        body = {"status": "error", "error": str(self.headers)} if step.then == "echo" else step.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(step.code)
        for name, value in {"Content-Length": str(len(content)), **step.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if step.then == "hang":
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.server.over.wait(60)
            return
        if step.then == "drip":
            for number in range(len(content)):
                self.wfile.write(content[number : number + 1])
                self.wfile.flush()
                self.server.over.wait(0.05)
            return
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None: ...


@contextlib.contextmanager
def _serving(context: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    with Scripted(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with _serving() as server:
        yield server


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    """Run more scripted servers, with TLS if a context is given."""
    with contextlib.ExitStack() as stack:
        yield lambda context=None: stack.enter_context(_serving(context))


@pytest.fixture
def play(scripted: Scripted) -> Callable[..., None]:
    """Say what the scripted server does: a `dict(body=, code=, headers=, then=)` per request."""

    def play(*steps: dict[str, object]) -> None:
        scripted.play(*(Step(**step) for step in steps))  # type: ignore[arg-type]  # as the tests write them

    return play


@pytest.fixture
def play_on() -> Callable[..., None]:
    """Say the same of any scripted server."""

    def play_on(server: Scripted, *steps: dict[str, object]) -> None:
        server.play(*(Step(**step) for step in steps))  # type: ignore[arg-type]  # as the tests write them

    return play_on
