"""The command line against a real API server, one namespace per test."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from canaries import MINIMAL
from config.status import Status, dump_status
from controller.cli.program import run
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES
from controller.ports import ANNOTATION


BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """One namespace of the API server."""

    namespace: str
    kubeconfig: Path
    cluster: Cluster
    capsys: pytest.CaptureFixture[str]
    command: tuple[str, ...] = (str(BIN / "crossfade"),)

    def crossfade(self, *arguments: str) -> Result:
        """Run a command in this process, in this namespace."""
        self.capsys.readouterr()
        code = run([*arguments, "-n", self.namespace, "--kubeconfig", str(self.kubeconfig)])
        captured = self.capsys.readouterr()
        return Result(code, captured.out, captured.err)

    @contextlib.contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command as a process of its own, and leave nothing of it behind."""
        command = [*self.command, *arguments, "-n", self.namespace, "--kubeconfig", str(self.kubeconfig)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def add(self, name: str = "echo", status: Status | None = None, **spec: object) -> None:
        """Create a Canary like the smallest example, with this status."""
        document = {
            **MINIMAL,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {**MINIMAL["spec"], **spec},
        }
        self.cluster.create(CANARIES, self.namespace, document)
        if status is not None:
            self.report(status, name)

    def report(self, status: Status, name: str = "echo") -> None:
        """Write a status as a controller does."""
        document = self.cluster.read(CANARIES, self.namespace, name)
        document["status"] = {**dump_status(status), "observedGeneration": document["metadata"]["generation"]}
        self.cluster.replace(CANARIES, document, subresource="status")

    def order(self, name: str = "echo") -> dict[str, str]:
        """Give the order that is written on a Canary."""
        metadata = self.cluster.read(CANARIES, self.namespace, name)["metadata"]
        order: dict[str, str] = json.loads(metadata["annotations"][ANNOTATION])
        return order


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Start an API server; give its process and kubeconfig."""
    kubeconfig = folder / "kubeconfig"
    command = [
        sys.executable,
        "-m",
        "sandbox.apiserver",
        "--listen",
        "127.0.0.1:0",
        "--kubeconfig",
        str(kubeconfig),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(kubeconfig.exists, seconds=30)
    return process, kubeconfig


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def kubectl(kubeconfig: Path, *arguments: str, text: str | None = None) -> Result:
    """Run the real kubectl."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(
        [BIN / "kubectl", *arguments],
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
