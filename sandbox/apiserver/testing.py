"""The API server in a process of its own, for tests and benchmarks to start, ask, kill and start again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import requests
import yaml


if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.apiserver.documents import Json, Object


_START_SECONDS = 60.0
_REQUEST_SECONDS = 60.0


class ApiServer:
    """A server with its kubeconfig, data and audit in ``folder``; it keeps its port when started again.

    ``options`` are more arguments for it, as on the command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.audit = folder / "audit.jsonl"
        self.url = ""
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.kubeconfig.unlink(missing_ok=True)
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        command: list[str | Path] = [sys.executable, "-m", "sandbox.apiserver", "--listen", listen]
        command += ["--data", self.folder / "data", "--audit", self.audit, "--kubeconfig", self.kubeconfig]
        command += self._options
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  # our own
        deadline = time.monotonic() + _START_SECONDS
        while not self.kubeconfig.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no API server: {(self.folder / 'server.log').read_text()}")
            time.sleep(0.02)
        self.url = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    def stop(self) -> int:
        """End it as a supervisor does; return its exit code."""
        return self._end(self._running().terminate)

    def kill(self) -> int:
        """End it in the middle of whatever it does; return its exit code."""
        return self._end(self._running().kill)

    def request(self, method: str, path: str, body: Json = None, **headers: str) -> tuple[int, Json]:
        """Make a request; return the code and the body. Underscores in header names become dashes."""
        sent = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        data = None if body is None else json.dumps(body)
        answer = requests.request(method, self.url + path, data=data, headers=sent, timeout=_REQUEST_SECONDS)
        return answer.status_code, answer.json() if answer.content else None

    def kubectl(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the real kubectl against it."""
        kubectl = Path(sys.executable).with_name("kubectl")
        environment = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.folder / "kubectl-cache"),
        }
        return subprocess.run(  # noqa: S603  # kubectl, from our own environment
            [kubectl, *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_REQUEST_SECONDS,
            check=False,
        )

    def writes(self) -> list[Object]:
        """Return the writes that took effect so far, as the audit has them."""
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the API server is not running")
        return self._process

    def _end(self, end: Callable[[], None]) -> int:
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            end()
        code = process.wait(timeout=_START_SECONDS)
        self._process = None
        return code
