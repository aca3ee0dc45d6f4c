"""Secrets that were planted are nowhere, whatever servers answer: the process as it is run."""

import base64
import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from config.access import Access
from lab import Reply, lab


TOKEN = "planted-cluster-token"  # noqa: S105  # no secret of anybody's
BEARER = "planted-prometheus-token"
HEADER = "planted-header-value"
PASSWORD = "planted-password"  # noqa: S105  # as above
KEY = "planted-client-key"
SECRETS = (TOKEN, BEARER, HEADER, PASSWORD, KEY)


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers every request with an error that repeats all of it, in one of many ways."""

    asked: list[str]
    answers = (401, 403, 404, 409, 422, 429, 500, 503, 302, 200)

    def do_GET(self) -> None:
        text = f"{self.command} {self.path} {self.headers}"
        type(self).asked.append(text)
        code = self.answers[len(self.asked) % len(self.answers)]
        status = {"kind": "Status", "code": code, "status": "error", "message": text, "error": text}
        body = json.dumps(status).encode() if len(self.asked) % 3 else text.encode()
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"http://planted:{PASSWORD}@127.0.0.1:9/{BEARER}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815  # the library's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[tuple[str, list[str]]]:
    """Give the address of a server that repeats what it is asked, and what that was."""
    asked: list[str] = []
    handler = type("Echo", (Echo,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": url}}],
        "users": [{"name": "x", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


def settings(folder: Path, url: str) -> Path:
    file = folder / "settings.yaml"
    content = {
        "prometheusUrl": url,
        "prometheusBearerToken": BEARER,
        "prometheusHeaders": {"X-Key": HEADER},
        "logFormat": "json",
        "logLevel": "debug",
        "listenPort": 0,
        "leaderElection": True,
    }
    file.write_text(yaml.safe_dump(content))
    return file


@contextlib.contextmanager
def running(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller", *arguments],
            stdout=stream,
            stderr=stream,
            env=environment(log.parent),
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


WATCH = """\
import os, sys

def watch(event, arguments):
    writes = event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.truncate")
    if event == "open" and isinstance(arguments[0], str) and arguments[0] != "/dev/null":
        writes = bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if writes:
        os.write(2, f"WRITES {arguments}\\n".encode())

sys.addaudithook(watch)
"""


def environment(folder: Path) -> dict[str, str]:
    """Give an environment without a home, in which Python tells of every attempt to write a file."""
    (folder / "watching").mkdir(exist_ok=True)
    (folder / "watching" / "sitecustomize.py").write_text(WATCH)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSFADE_", "HOME"))}
    added = {"PYTHONPATH": str(folder / "watching"), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": "/nowhere"}
    return kept | added


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def get(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}{error.read().decode()}"


def hidden_in(text: str) -> None:
    encoded = [base64.b64encode(each.encode()).decode().rstrip("=") for each in SECRETS]
    found = [each for each in (*SECRETS, *encoded) if each in text]
    assert not found, text[max(0, text.find(found[0]) - 200) :][:400]


def test_a_cluster_that_repeats_everything_learns_nobody_else_the_token(
    echo: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = echo
    file, log = settings(tmp_path, url), tmp_path / "log"
    arguments = ["run", "--config", str(file), "--kubeconfig", str(kubeconfig(tmp_path, url))]
    with running(arguments, log):
        eventually(lambda: "probes.listening" in log.read_text())
        (line,) = [json.loads(each) for each in log.read_text().splitlines() if "probes.listening" in each]
        eventually(lambda: len(asked) > 30)
        said = "".join(get(line["port"], path) for path in ("/readyz", "/metrics", "/healthz", "/none"))
    assert TOKEN in "".join(asked)
    assert "***" in log.read_text()
    assert "WRITES" not in log.read_text(), "the file system of its container is read-only"
    hidden_in(said)
    hidden_in(log.read_text())


@pytest.mark.parametrize("code", [400, 401, 422, 500, 200])
def test_a_prometheus_that_repeats_everything_gets_it_into_no_status_and_no_event(
    code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    repeated = f"found Bearer {BEARER}, X-Key: {HEADER}"

    def repeats(reply: Reply) -> None:
        reply.code, reply.document = code, {"status": "error", "error": repeated, "warnings": [repeated]}

    with lab(testing=None) as found:
        found.access = Access(token=BEARER, headers={"X-Key": HEADER})
        found.reconciler = found.started()
        found.weather.deploy("v2")
        found.run(lambda: found.weather.content.weight == 20)
        found.fault = repeats
        found.evaluate(3)
        kept = json.dumps(found.document.status, default=str) + repr(found.published)
    assert "***" in kept
    hidden_in(kept)
    hidden_in("".join(capsys.readouterr()))


@pytest.mark.parametrize("command", ["get", "status", "doctor", "explain", "history", "abort"])
def test_no_command_tells_what_the_cluster_repeats(
    echo: tuple[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    from controller.cli.program import run  # noqa: PLC0415  # the process above needs none of it here

    url, asked = echo
    for _ in range(2):
        run([command, "--kubeconfig", str(kubeconfig(tmp_path, url))])
    captured = capsys.readouterr()
    assert TOKEN in "".join(asked)
    assert captured.err
    hidden_in(captured.out + captured.err)


def test_writing_would_be_noticed(tmp_path: Path) -> None:
    for attempt in ("open('x', 'w')", "import os; os.mkdir('y')"):
        command = [sys.executable, "-c", attempt]
        done = subprocess.run(
            command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "WRITES" in done.stderr


def test_checking_the_settings_shows_none(tmp_path: Path) -> None:
    file, log = settings(tmp_path, f"http://planted:{PASSWORD}@prometheus:9090"), tmp_path / "log"
    file.write_text(file.read_text().replace(f"prometheusBearerToken: {BEARER}\n", ""))
    with running(["run", "--check", "--config", str(file)], log) as process:
        assert process.wait(60) == 0
    assert "prometheusHeaders" in log.read_text()
    hidden_in(log.read_text())
