"""A whole sandbox: API server, kubelet, Gloo, Envoy and Prometheus as children of the process that holds it.

Its children cannot outlive it. Ports are chosen once, so a part that is started again is where it was.
"""

import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

import requests
import yaml
from kubernetes.client.exceptions import ApiException

from sandbox import prometheus
from sandbox.envoy import Gateway
from sandbox.kube import DEFINITIONS, NAMESPACES, Kube
from sandbox.process import Identity, start, wait_until, write_atomically


PARTS = ("apiserver", "envoy", "prometheus", "kubelet", "gloo")  # in the order of starting
CRDS = Path(__file__).with_name("crds") / "gloo.yaml"
PORTS = range(20_000, 32_000)  # below those that the kernel hands out to clients
PATIENCE = 30.0  # seconds for a part to be ready
STATE = "sandbox.json"


class SandboxError(Exception):
    """The sandbox cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports of 127.0.0.1 of one sandbox, and the loopback network of its pods."""

    apiserver: int
    gateway: int
    envoy_admin: int
    prometheus: int
    pods: str

    @classmethod
    def choose(cls) -> Self:
        """Find free ones."""
        dice = random.SystemRandom()  # two processes with the same seed must not choose the same
        api, gateway, admin, metrics, *_ = (p for p in dice.sample(PORTS, 100) if _free(p))
        x, y = dice.sample(range(1, 255), 2)
        return cls(api, gateway, admin, metrics, pods=f"127.{x}.{y}.0/24")


class Cluster:
    """A sandbox in `folder`, up inside of `with`; what starts or ends a part takes one of `PARTS`.

    With `authorization="rbac"` a service account may do what roles allow, whoever brings no token everything.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "sandbox",
        scrape_interval: str = "1s",
        authorization: str = "always-allow",
    ) -> None:
        self.folder = folder.absolute()
        self.name = name
        self._addresses = Addresses.choose()
        self._scrape_interval = scrape_interval
        self._authorization = authorization
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._program = Path()  # of Prometheus
        self._ready = False
        self._lock: IO[str] | None = None

    @property
    def kubeconfig(self) -> Path:
        """The file for KUBECONFIG."""
        return self.folder / "kubeconfig"

    @property
    def apiserver(self) -> str:
        """URL of the Kubernetes API."""
        return f"http://127.0.0.1:{self._addresses.apiserver}"

    @property
    def gateway(self) -> str:
        """URL where Envoy serves the VirtualServices."""
        return f"http://127.0.0.1:{self._addresses.gateway}"

    @property
    def envoy_admin(self) -> str:
        """URL of Envoy's admin interface."""
        return f"http://127.0.0.1:{self._addresses.envoy_admin}"

    @property
    def prometheus(self) -> str:
        """URL of Prometheus."""
        return f"http://127.0.0.1:{self._addresses.prometheus}"

    @property
    def access_log(self) -> Path:
        """Envoy's access log: one JSON object a line."""
        return self.folder / "envoy" / "access.jsonl"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON object a line for each write."""
        return self.folder / "audit.jsonl"

    @property
    def _targets(self) -> Path:
        return self.folder / "targets.json"

    def __enter__(self) -> Self:
        try:
            self._up()
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._down()

    def start(self, part: str) -> None:
        """Start a part that does not run, and wait until it is ready.

        Raises:
            SandboxError: it ended at once or did not become ready; the message ends with its log.
        """
        self._launch(part)
        self._await(part)

    def stop(self, part: str) -> None:
        """End a part as a shutdown would."""
        process = self._processes.pop(part)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._save()

    def kill(self, part: str) -> None:
        """End a part with SIGKILL."""
        process = self._processes.pop(part)
        process.kill()
        process.wait()
        self._save()

    def freeze(self, part: str) -> None:
        """Let a part stand still, as a machine without a processor to spare would: connections stay open."""
        self._processes[part].send_signal(signal.SIGSTOP)

    def thaw(self, part: str) -> None:
        """Let a frozen part go on."""
        self._processes[part].send_signal(signal.SIGCONT)

    def _up(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(f"a sandbox already runs in {self.folder}") from None
        self._save()
        self._program = prometheus.find(prometheus.cache_folder())
        for part in ("apiserver", "envoy", "prometheus"):
            self._launch(part)
        self._await("apiserver")
        for part in ("kubelet", "gloo"):
            self._launch(part)
        install(Kube(self.kubeconfig, manager="sandbox"))
        for part in PARTS:
            self._await(part)
        self._ready = True
        self._save()

    def _down(self) -> None:
        for part in reversed(list(self._processes)):
            with contextlib.suppress(ProcessLookupError):
                self._processes[part].terminate()
        for part in reversed(list(self._processes)):
            self.stop(part)
        if self._lock:
            self._lock.close()

    def _launch(self, part: str) -> None:
        if part in self._processes and self._processes[part].poll() is None:
            raise SandboxError(f"{part} already runs")
        self._ready_file(part).unlink(missing_ok=True)
        command = self._command(part)
        self._processes[part] = start(command, self.folder / f"{part}.log")
        self._save()

    def _command(self, part: str) -> list[str]:
        here = self._addresses
        module = [sys.executable, "-m", f"sandbox.{part}", "--kubeconfig", str(self.kubeconfig)]
        match part:
            case "apiserver":
                data, audit = self.folder / "data", self.audit_log
                where = ["--listen", f"127.0.0.1:{here.apiserver}"]
                kept = ["--data", str(data), "--audit", str(audit)]
                return [*module, *where, *kept, "--authorization", self._authorization]
            case "envoy":
                return Gateway(self.folder / "envoy", here.gateway, here.envoy_admin).prepare()
            case "prometheus":
                return prometheus.Server(
                    folder=self.folder / "prometheus",
                    port=here.prometheus,
                    targets=self._targets,
                    envoy_admin=self.envoy_admin,
                    scrape_interval=self._scrape_interval,
                ).prepare(self._program)
            case "kubelet":
                pods = ["--dir", str(self.folder / "pods"), "--pods", here.pods]
                return [
                    *module,
                    *pods,
                    "--targets",
                    str(self._targets),
                    "--ready-file",
                    str(self._ready_file(part)),
                ]
            case "gloo":
                files = ["--envoy-dir", str(self.folder / "envoy"), "--envoy-admin", self.envoy_admin]
                return [*module, *files, "--ready-file", str(self._ready_file(part))]
            case _:
                raise SandboxError(f"there is no part {part}, only {', '.join(PARTS)}")

    def _await(self, part: str) -> None:
        process = self._processes[part]
        came = wait_until(lambda: self._is_ready(part) or process.poll() is not None, PATIENCE)
        if not came or process.poll() is not None:
            log = self.folder / f"{part}.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise SandboxError(f"{part} did not become ready ({log}):\n{tail}")
        self._save()

    def _is_ready(self, part: str) -> bool:
        match part:
            case "apiserver":
                return self.kubeconfig.exists() and _answers(f"{self.apiserver}/readyz")
            case "envoy":
                return _answers(f"{self.envoy_admin}/ready")
            case "prometheus":
                return _answers(f"{self.prometheus}/-/ready")
            case _:
                return self._ready_file(part).exists()

    def _ready_file(self, part: str) -> Path:
        return self.folder / f"{part}.ready"

    def _save(self) -> None:
        """Write down who belongs to this sandbox, for `down` after a crash and for other programs."""
        pids = {part: process.pid for part, process in self._processes.items()}
        identities = {part: Identity.of(pid) for part, pid in pids.items()}
        own = Identity.of(os.getpid())
        state = {
            "name": self.name,
            "ready": self._ready,
            "kubeconfig": str(self.kubeconfig),
            "apiserver": self.apiserver,
            "gateway": self.gateway,
            "envoyAdmin": self.envoy_admin,
            "prometheus": self.prometheus,
            "supervisor": asdict(own) if own else None,
            "processes": {part: asdict(found) for part, found in identities.items() if found},
        }
        write_atomically(self.folder / STATE, json.dumps(state, indent=1))


def install(kube: Kube) -> None:
    """Create Gloo's resource definitions and its namespace, unless they are there."""
    definitions = list(yaml.safe_load_all(CRDS.read_text()))
    namespace = {"metadata": {"name": "gloo-system"}}
    for resource, document in [(NAMESPACES, namespace), *((DEFINITIONS, item) for item in definitions)]:
        try:
            kube.create(resource, document)
        except ApiException as error:
            if error.status != 409:
                raise


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def _free(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
