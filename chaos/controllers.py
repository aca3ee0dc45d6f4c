"""The controllers of a chaos run: processes with the rights that the chart grants, and no others."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

from sandbox.cluster import Cluster
from sandbox.process import start, wait_until


CROSSFADE = Path(sys.executable).with_name("crossfade")
CHART = Path(__file__).parents[1] / "helm" / "crossfade"
NAMESPACE = "crossfade-system"
RELEASE = "crossfade"
STOP = (NAMESPACE, "crossfade-stop")
"""Namespace and name of the ConfigMap that stops all releases."""
PATIENCE = 30.0
"""Seconds for a controller to start, and to end when told to."""
_RIGHTS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
_TERMS = {
    "CROSSFADE_LEADER_ELECTION": "true",
    "CROSSFADE_LEASE_NAME": RELEASE,
    "CROSSFADE_LEASE_NAMESPACE": NAMESPACE,
    "CROSSFADE_LEASE_DURATION": "3s",
    "CROSSFADE_LEASE_RENEW_WITHIN": "2s",
    "CROSSFADE_LEASE_RETRY": "300ms",
}


def rights() -> Iterator[dict[str, Any]]:
    """Give the account that the chart makes for two replicas, and all that it may do."""
    values = {"image": {"repository": "registry.example.org/crossfade"}, "replicaCount": 2}
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    for path, text in texts.items():
        if path.endswith(".yaml"):
            yield from (each for each in yaml.safe_load_all(text) if each and each["kind"] in _RIGHTS)


class Controller:
    """One `crossfade run`; `number` tells replicas apart, `pair` makes them elect a leader."""

    def __init__(self, cluster: Cluster, number: int, *, pair: bool) -> None:
        self.log = cluster.folder / f"controller-{number}.log"
        self._environment = {
            "KUBECONFIG": str(_kubeconfig(cluster)),
            "CROSSFADE_PROMETHEUS_URL": cluster.prometheus,
            "CROSSFADE_PROMETHEUS_TIMEOUT": "2s",
            "CROSSFADE_LISTEN_PORT": "0",
            "CROSSFADE_LOG_FORMAT": "json",
            "CROSSFADE_STOP_CONFIGMAP": "/".join(STOP),
            **(_TERMS if pair else {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self._process = start([str(CROSSFADE), "run"], self.log, self._environment)

    def start_again(self) -> None:
        """Start it once it has ended, which it is helped to do after a while."""
        self._wait()
        self.start()

    def terminate(self) -> None:
        """Tell it to end, as Kubernetes would, and do not wait."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it where it stands."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """End it as Kubernetes would; give the exit code."""
        self.terminate()
        return self._wait()

    def freeze(self) -> None:
        """Let it stand still."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def wait_until_started(self) -> bool:
        """Wait until it looks after Canaries; say whether it does."""
        return wait_until(lambda: "service.started" in self.said(), PATIENCE, pause=0.1)

    def said(self) -> str:
        """Give all that it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _wait(self) -> int:
        if self._process is None:
            return 0
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def _kubeconfig(cluster: Cluster) -> Path:
    """Write the file for KUBECONFIG that is the account's: its name is its token on the sandbox."""
    user: Mapping[str, str] = {"token": f"system:serviceaccount:{NAMESPACE}:{RELEASE}"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": RELEASE, "cluster": {"server": cluster.apiserver}}],
        "users": [{"name": RELEASE, "user": user}],
        "contexts": [
            {"name": RELEASE, "context": {"cluster": RELEASE, "user": RELEASE, "namespace": NAMESPACE}}
        ],
        "current-context": RELEASE,
    }
    path = cluster.folder / "account.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path
