"""Many applications that only an API server knows of: all that there is to watch, and nothing that runs.

Deployments say that they are ready, VirtualServices that Gloo has accepted them, and that is how it stays.
"""

import itertools
from typing import Any

import yaml

from config.crd import definitions
from releases import wait_for
from sandbox.apiserver.testing import ApiServer
from sandbox.cluster import CRDS


Document = dict[str, Any]
NAMESPACE = "fleet"
GLOO = "gloo-system"
UPSTREAM = {"name": "fleet", "namespace": GLOO}
MERGE_PATCH = "application/merge-patch+json"


class Fleet:
    """A number of idle Canaries on an API server, all of one Upstream."""

    def __init__(self, server: ApiServer, size: int) -> None:
        self.size = size
        self._server = server
        self._touches = itertools.count(1)

    def install(self) -> None:
        """Create what a controller needs in order to start."""
        for document in (*definitions(), *yaml.safe_load_all(CRDS.read_text())):
            self._create("apis/apiextensions.k8s.io/v1/customresourcedefinitions", document)
        for name in (NAMESPACE, GLOO):
            self._create("api/v1/namespaces", {"metadata": {"name": name}})
        kube = {"selector": {}, "subsetSpec": {"selectors": [{"keys": ["version"]}]}}
        self._create(
            f"apis/gloo.solo.io/v1/namespaces/{GLOO}/upstreams",
            {"metadata": UPSTREAM, "spec": {"kube": kube}},
        )

    def launch(self) -> None:
        """Create all applications, and wait until the controller has adopted them."""
        for number in range(self.size):
            name = f"app-{number}"
            self._create(f"apis/gateway.solo.io/v1/namespaces/{GLOO}/virtualservices", _routes(name))
            self._deploy(name)
            self._create(f"apis/crossfade.dev/v1alpha1/namespaces/{NAMESPACE}/canaries", _canary(name))
        wait_for(self._phases, f"Idle {self.size}", 300)

    def touch(self) -> None:
        """Change the Upstream in a way that matters to nobody, but makes every Canary look."""
        path = f"/apis/gloo.solo.io/v1/namespaces/{GLOO}/upstreams/fleet"
        patch = {"metadata": {"annotations": {"touched": str(next(self._touches))}}}
        self._server.request("PATCH", path, patch, Content_Type=MERGE_PATCH)

    def _deploy(self, name: str) -> None:
        path = f"apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        stored = self._create(path, _deployment(name))
        stored["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
        self._server.request("PUT", f"/{path}/{name}/status", stored)

    def _create(self, path: str, document: Document) -> Document:
        code, answer = self._server.request("POST", f"/{path}", document)
        if code != 201:
            raise RuntimeError(f"{path}: {answer}")
        created: Document = answer
        return created

    def _phases(self) -> str:
        path = f"/apis/crossfade.dev/v1alpha1/namespaces/{NAMESPACE}/canaries"
        _, listed = self._server.request("GET", path)
        phases = [(item.get("status") or {}).get("phase", "none") for item in listed["items"]]
        return ", ".join(f"{phase} {phases.count(phase)}" for phase in sorted(set(phases)))


def _deployment(name: str) -> Document:
    labels = {"app": name, "version": "v1"}
    pod = {"containers": [{"name": "app", "image": "app"}]}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _routes(name: str) -> Document:
    single = {"upstream": UPSTREAM, "subset": {"values": {"version": "v1"}}}
    route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": single}}
    return {
        "metadata": {"name": name, "namespace": GLOO},
        "spec": {"virtualHost": {"domains": [f"{name}.test"], "routes": [route]}},
        "status": {"statuses": {GLOO: {"state": "Accepted", "reportedBy": "gloo"}}},
    }


def _canary(name: str) -> Document:
    metric = {"name": "up", "query": 'min(up{version="{{ version }}"})', "min": 1}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "workload": {"selector": {"app": name}},
            "upstream": UPSTREAM,
            "routes": [{"name": name, "namespace": GLOO}],
            "analysis": {"metrics": [metric]},
        },
    }
