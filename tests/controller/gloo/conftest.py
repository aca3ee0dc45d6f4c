"""A running API server that knows Gloo's kinds."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.kube.client import Cluster
from controller.kube.resources import (
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Resource,
)


NAMESPACES = Resource("", "v1", "namespaces")
DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
ROUTES = {
    "type": "array",
    "maxItems": 3,
    "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
SPECS: dict[Resource, dict[str, Any]] = {
    VIRTUAL_SERVICES: {"virtualHost": {"type": "object", "properties": {"routes": ROUTES}}},
    ROUTE_TABLES: {"routes": ROUTES},
    UPSTREAM_GROUPS: {"destinations": ROUTES},
    UPSTREAMS: {"kube": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
}
KINDS = {
    VIRTUAL_SERVICES: "VirtualService",
    ROUTE_TABLES: "RouteTable",
    UPSTREAM_GROUPS: "UpstreamGroup",
    UPSTREAMS: "Upstream",
}


def definition(resource: Resource, kind: str) -> dict[str, Any]:
    """Define a kind as Gloo does: the status is a part of the object."""
    properties = {
        "spec": {"type": "object", "properties": SPECS[resource]},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    names = {"plural": resource.plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {"group": resource.group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("gloo-apiserver") / "kubeconfig"
    command = [
        sys.executable,
        "-m",
        "sandbox.apiserver",
        "--listen",
        "127.0.0.1:0",
        "--kubeconfig",
        str(path),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 30
        while not path.exists():
            assert server.poll() is None, "the API server ended"
            assert time.monotonic() < deadline, "the API server did not start"
            threading.Event().wait(0.02)
        cluster = Cluster.connect(str(path))
        for resource, kind in KINDS.items():
            cluster.create(DEFINITIONS, "", definition(resource, kind))
        cluster.close()
        yield path
        server.terminate()


_numbers = itertools.count()


@pytest.fixture
def namespace(kubeconfig: Path) -> str:
    """Make a namespace of the test's own."""
    name = f"gloo-{next(_numbers)}"
    cluster = Cluster.connect(str(kubeconfig))
    cluster.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    cluster.close()
    return name
