"""An application on the sandbox, its Canary, its users and the controller, as end-to-end tests see them."""

import contextlib
import copy
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests
import yaml

from sandbox.cluster import Cluster
from sandbox.load import Load, Traffic


Document = dict[str, Any]
CROSSFADE = Path(sys.executable).with_name("crossfade")
KUBECTL = Path(sys.executable).with_name("kubectl")
RESTING = {"Idle", "Promoted", "RolledBack"}
PATIENCE = 120.0
"""Seconds; machines may be slow, and a test that fails may take its time."""


class Controller:
    """`crossfade run` on a cluster, up inside of `with`; it can be killed and started again."""

    def __init__(self, kubeconfig: Path, prometheus: str, folder: Path, **settings: str) -> None:
        self.log = folder / "controller.log"
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "CROSSFADE_PROMETHEUS_URL": prometheus,
            "CROSSFADE_PROMETHEUS_TIMEOUT": "2s",
            "CROSSFADE_LISTEN_PORT": "0",
            "CROSSFADE_LOG_FORMAT": "json",
            **{f"CROSSFADE_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0
        """Where the log of this run begins."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._began = log.tell()
            self._process = subprocess.Popen(
                [CROSSFADE, "run"], env=self._environment, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def probes(self) -> str:
        """URL of its /metrics, once it has started."""
        told = re.search(r'"port": (\d+)', self._said())
        assert told is not None, self._said()
        return f"http://127.0.0.1:{told[1]}"

    def wait_until_started(self) -> None:
        """Wait until it begins to look after Canaries."""
        assert self._process is not None
        deadline = time.monotonic() + 30
        while "service.started" not in self._said():
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < deadline, self._said()
            time.sleep(0.01)

    def kill(self) -> None:
        """End it where it stands."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it as Kubernetes would; give the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def _said(self) -> str:
        """Give the log of this run."""
        return self.log.read_bytes()[self._began :].decode()


@dataclass
class Application:
    """Versions of one application in a namespace of its own, behind a domain of its own."""

    cluster: Cluster
    kubectl: Callable[..., str]
    namespace: str
    routes: str = ""
    """Name of the VirtualService; the namespace's if empty."""
    _seen: list[Document] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.routes or self.namespace

    @property
    def host(self) -> str:
        return f"{self.namespace}.test"

    def install(self, version: str = "v1", *arguments: str, **deployment: Any) -> None:
        """Set up Service, Upstream, VirtualService and a version; wait until it is used and measured."""
        self.apply(self.service(), self.upstream(), self.virtual_service_manifest())
        self.deploy(version, *arguments, **deployment)
        self.kubectl(
            "wait",
            "-n",
            self.namespace,
            f"deployment/echo-{version}",
            "--for=condition=Available",
            "--timeout=30s",
        )
        wait_for(lambda: str(self.versions(1)), version)
        wait_for(self.measured, f'"{version}"')

    def service(self) -> Document:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "echo", "namespace": self.namespace},
            "spec": {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": "echo"}},
        }

    def upstream(self) -> Document:
        kube = {
            "selector": {"app": "echo"},
            "serviceName": "echo",
            "serviceNamespace": self.namespace,
            "servicePort": 80,
            "subsetSpec": {"selectors": [{"keys": ["version"]}]},
        }
        return {
            "apiVersion": "gloo.solo.io/v1",
            "kind": "Upstream",
            "metadata": {"name": self.namespace, "namespace": "gloo-system"},
            "spec": {"kube": kube},
        }

    def virtual_service_manifest(self) -> Document:
        single = {"upstream": {"name": self.namespace, "namespace": "gloo-system"}}
        route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": single}}
        return {
            "apiVersion": "gateway.solo.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": self.name, "namespace": "gloo-system"},
            "spec": {"virtualHost": {"domains": [self.host], "routes": [route]}},
        }

    def deploy(
        self,
        version: str,
        *arguments: str,
        replicas: int = 1,
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Apply a Deployment of this version, with arguments for the application and more labels."""
        selected = {"app": "echo", "version": version}
        container = {
            "name": "echo",
            "image": "crossfade/demo-app",
            "args": [f"-text=version:{version}", "-listen=:8080", *arguments],
            "ports": [{"containerPort": 8080}],
        }
        self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name or f"echo-{version}", "namespace": self.namespace},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": selected},
                    "template": {
                        "metadata": {"labels": {**selected, **(labels or {})}},
                        "spec": {"containers": [container]},
                    },
                },
            }
        )

    def canary(self, **changes: Any) -> None:
        """Apply the Canary: small and quick, with these parts of its spec instead of the usual ones."""
        self.apply(self.canary_manifest(**changes))

    def canary_manifest(self, **changes: Any) -> Document:
        of_version = f'namespace="{self.namespace}", version="{{{{ version }}}}"'
        spec: Document = {
            "workload": {"selector": {"app": "echo"}},
            "upstream": {"name": self.namespace, "namespace": "gloo-system"},
            "routes": [{"kind": "VirtualService", "name": self.name, "namespace": "gloo-system"}],
            "shifting": {"steps": [20, 60], "interval": "2s"},
            "analysis": {
                "interval": "1s",
                "minRequests": 20,
                "metrics": [
                    {
                        "name": "errors",
                        "ratio": {
                            "bad": f'http_requests_total{{{of_version}, code=~"5.."}}',
                            "total": f"http_requests_total{{{of_version}}}",
                        },
                        "max": "5%",
                    },
                    {
                        "name": "latency",
                        "histogram": {"buckets": f"http_request_duration_seconds_bucket{{{of_version}}}"},
                        "max": {"quantile": 0.9, "seconds": 0.25},
                    },
                ],
            },
        }
        spec = _merged(spec, changes)
        return {
            "apiVersion": "crossfade.dev/v1alpha1",
            "kind": "Canary",
            "metadata": {"name": "echo", "namespace": self.namespace},
            "spec": spec,
        }

    def apply(self, *documents: Document) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def status(self) -> Document:
        """Give the Canary's status; empty while there is none."""
        url = (
            f"{self.cluster.apiserver}/apis/crossfade.dev/v1alpha1/namespaces/{self.namespace}/canaries/echo"
        )
        answer = requests.get(url, timeout=5)
        status: Document = answer.json().get("status") or {} if answer.ok else {}
        return status

    def until(self, condition: Callable[[Document], bool], patience: float = PATIENCE) -> Document:
        """Wait for a status; what it was last is in the failure."""
        deadline = time.monotonic() + patience
        while not condition(status := self.status()):
            if time.monotonic() > deadline:
                told = {
                    key: status.get(key)
                    for key in ("phase", "weight", "verdict", "held", "reason", "metrics")
                }
                raise AssertionError(f"not within {patience:g} s; it is {json.dumps(told, indent=1)}")
            time.sleep(0.05)
        return status

    def adopted(self, *arguments: str, **changes: Any) -> None:
        """Install v1, with arguments for it, and the Canary, and wait until the routes are pinned."""
        self.install("v1", *arguments)
        self.canary(**changes)
        self.until(lambda status: status.get("phase") == "Idle")

    def ended(self, version: str, patience: float = PATIENCE) -> Document:
        """Wait until the rollout of a version is over; give its entry in the history."""

        def entry(status: Document) -> Document | None:
            entries = (e for e in status.get("history", []) if e["revision"]["version"] == version)
            return next(entries, None) if status.get("phase") in RESTING else None

        status = self.until(lambda status: entry(status) is not None, patience)
        found = entry(status)
        assert found is not None
        return found

    def crossfade(self, *arguments: str, name: str = "echo", code: int = 0) -> str:
        """Run a command on a Canary, as `crossfade abort echo -n NAMESPACE`; give what it prints."""
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig), "COLUMNS": "500"}
        command = [str(CROSSFADE), arguments[0], name, "-n", self.namespace, *arguments[1:]]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def load(self, rps: float = 60, headers: Mapping[str, str] | None = None) -> Iterator[Load]:
        """Let users send requests while the test goes on."""
        traffic = Traffic(self.cluster.gateway + "/", rps, {"Host": self.host, **(headers or {})})
        with Load(traffic) as load:
            yield load

    def versions(self, count: int = 40, headers: Mapping[str, str] | None = None) -> Counter[str]:
        """Ask this often, and count which versions answered."""
        with requests.Session() as session:
            session.headers.update({"Host": self.host, **(headers or {})})
            answers = (session.get(self.cluster.gateway + "/", timeout=5) for _ in range(count))
            return Counter(answer.headers.get("x-app-version", str(answer.status_code)) for answer in answers)

    def virtual_service(self) -> Document:
        """Give the VirtualService as it is now."""
        return self._get("virtualservices.gateway.solo.io", self.name, "gloo-system")

    def patch_routes(self, operations: list[Document]) -> None:
        """Change the VirtualService by hand."""
        patch = json.dumps(operations)
        self.kubectl("patch", "virtualservice", "-n", "gloo-system", self.name, "--type=json", "-p", patch)

    def deployment(self, version: str) -> Document:
        return self._get("deployments.apps", f"echo-{version}", self.namespace)

    def events(self) -> list[str]:
        """Give the reasons of the Canary's events, oldest first."""
        listed = json.loads(self.kubectl("get", "events", "-n", self.namespace, "-o", "json"))["items"]
        listed.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [event["reason"] for event in listed if event["involvedObject"]["kind"] == "Canary"]

    def reasons(self) -> str:
        """Give all that the Canary has said why, as the API server took it in."""
        statuses = [
            line["object"].get("status", {}) for line in self.writes() if line["object"]["kind"] == "Canary"
        ]
        return "\n".join(status.get("reason", "") for status in statuses)

    def writes(self) -> list[Document]:
        """Give what the API server took in about the Canary and its VirtualService, in order."""
        lines = (json.loads(line) for line in self.cluster.audit_log.read_text().splitlines())
        return [
            line
            for line in lines
            if (line["resource"].startswith("canaries.") and line["namespace"] == self.namespace)
            or (line["resource"].startswith("virtualservices.") and line["name"] == self.name)
        ]

    def measured(self) -> str:
        """Give what Prometheus knows of this application's requests, as JSON."""
        query = {"query": f'http_requests_total{{namespace="{self.namespace}"}}'}
        return requests.get(f"{self.cluster.prometheus}/api/v1/query", query, timeout=5).text

    def _get(self, resource: str, name: str, namespace: str) -> Document:
        found: Document = json.loads(self.kubectl("get", resource, name, "-n", namespace, "-o", "json"))
        return found


def wait_for(told: Callable[[], str], words: str, patience: float = 45) -> None:
    """Wait until what is told contains these words; what was told last is in the failure."""
    deadline = time.monotonic() + patience
    while words not in (last := told()):
        assert time.monotonic() < deadline, f"not within {patience:g} s: {words}\nbut: {last[-3000:]}"
        time.sleep(0.05)


def failures(report: Document, *versions: str) -> int:
    """Count the failed requests of these versions, of all if none is named."""
    return sum(
        tally["failed"] for name, tally in report["versions"].items() if not versions or name in versions
    )


def _merged(base: Document, changes: Mapping[str, Any]) -> Document:
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged
