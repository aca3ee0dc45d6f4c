"""The service as a process: in a cluster that is not as it should be, and when it is told to go."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import config
from config.crd import definitions
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, CONFIG_MAPS, VIRTUAL_SERVICES, Document, Resource
from sandbox.apiserver.testing import ApiServer


DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
NAMESPACES = Resource("", "v1", "namespaces")
EXAMPLE = Path(config.__file__).parent / "examples" / "minimal.yaml"

READS = {"get", "list"}
WRITES = {"create", "update", "patch", "delete"}


class Service:
    """`crossfade run` in a process of its own, with its log."""

    def __init__(self, folder: Path, kubeconfig: Path, **settings: str) -> None:
        self.log = folder / "service.log"
        defaults = {"KUBECONFIG": str(kubeconfig), "LOG_FORMAT": "json", "LISTEN_PORT": "0"}
        variables = {f"CROSSFADE_{name}": value for name, value in {**defaults, **settings}.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "controller", "run"],
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
            )

    def lines(self) -> list[dict[str, Any]]:
        text = self.log.read_text()
        assert "Traceback" not in text, text
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == event]

    def get(self, path: str) -> tuple[int, str]:
        port = self.said("probes.listening")[0]["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def terminate(self) -> tuple[int, float]:
        """Tell it to go; give its exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60), time.monotonic() - began


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path) as apiserver:
        yield apiserver


@pytest.fixture
def cluster(apiserver: ApiServer) -> Iterator[Cluster]:
    cluster = Cluster.connect(str(apiserver.kubeconfig))
    for name in ("echo", "gloo-system"):
        cluster.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield cluster
    cluster.close()


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path, apiserver: ApiServer) -> Iterator[Start]:
    """Start the service and wait until it watches."""
    services = []

    def start(**settings: str) -> Service:
        service = Service(tmp_path, apiserver.kubeconfig, **settings)
        services.append(service)
        eventually(lambda: service.said("service.started") or service.process.poll() is not None)
        return service

    yield start
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()


def open_kind(group: str, plural: str, kind: str) -> Document:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def install(cluster: Cluster) -> None:
    for definition in definitions():
        cluster.create(DEFINITIONS, "", definition)
    cluster.create(DEFINITIONS, "", open_kind("gateway.solo.io", "virtualservices", "VirtualService"))
    cluster.create(DEFINITIONS, "", open_kind("gateway.solo.io", "routetables", "RouteTable"))
    cluster.create(DEFINITIONS, "", open_kind("gloo.solo.io", "upstreams", "Upstream"))
    cluster.create(DEFINITIONS, "", open_kind("gloo.solo.io", "upstreamgroups", "UpstreamGroup"))


def create_canary(cluster: Cluster, name: str = "echo", **labels: str) -> Document:
    document = yaml.safe_load(EXAMPLE.read_text())
    document["metadata"] |= {"name": name, "labels": labels}
    return cluster.create(CANARIES, "echo", document)


def reason(cluster: Cluster) -> str:
    """Give the sentence in the Canary's status, empty before the first one."""
    status: dict[str, str] = cluster.read(CANARIES, "echo", "echo").get("status", {})
    return status.get("reason", "")


def test_a_cluster_without_the_kinds_is_waited_for(start: Start, cluster: Cluster) -> None:
    service = start()
    assert service.get("/healthz") == (200, "ok\n")
    code, unready = service.get("/readyz")
    assert code == 503
    routes = ("virtualservices.gateway.solo.io", "routetables.gateway.solo.io")
    upstreams = ("upstreams.gloo.solo.io", "upstreamgroups.gloo.solo.io")
    for kind in ("canaries.crossfade.dev", *routes, *upstreams):
        assert f"{kind}: the CRD {kind}" in unready
    install(cluster)
    eventually(lambda: service.get("/readyz") == (200, "ok\n"))
    create_canary(cluster)
    eventually(lambda: "VirtualService gloo-system/echo not found" in reason(cluster))
    assert "crossfade_canary_phase" in service.get("/metrics")[1]


def test_a_change_of_what_a_canary_refers_to_wakes_it_and_only_then_it_costs(
    start: Start, apiserver: ApiServer, cluster: Cluster
) -> None:
    install(cluster)
    service = start()
    create_canary(cluster)
    eventually(lambda: "VirtualService gloo-system/echo not found" in reason(cluster))
    metadata = {"name": "echo", "namespace": "gloo-system"}
    virtual_service = {
        "apiVersion": VIRTUAL_SERVICES.api_version,
        "kind": "VirtualService",
        "metadata": metadata,
    }
    cluster.create(VIRTUAL_SERVICES, "gloo-system", virtual_service)
    eventually(lambda: "VirtualService gloo-system/echo not found" not in reason(cluster))
    eventually(lambda: len(service.said("tick")) == 2)

    def ticks() -> float:
        lines = service.get("/metrics")[1].splitlines()
        return float(next(line for line in lines if line.startswith("crossfade_ticks_total")).split()[-1])

    before = ticks()
    apiserver.request("DELETE", "/sandbox/requests")
    for number in range(5):
        cluster.patch(CANARIES, "echo", "echo", {"metadata": {"labels": {"touched": str(number)}}})
    eventually(lambda: ticks() > before)
    _, counted = apiserver.request("GET", "/sandbox/requests")
    ours = [entry for entry in counted["requests"] if entry["userAgent"].startswith("crossfade/")]
    assert [entry for entry in ours if entry["verb"] in READS | WRITES] == []


def test_what_rbac_forbids_is_said_and_retried(start: Start, apiserver: ApiServer, cluster: Cluster) -> None:
    install(cluster)
    words = 'deployments.apps is forbidden: User "eve" cannot list resource "deployments"'
    fault = {"fault": "answer", "code": 403, "message": words, "resource": "deployments.apps", "times": None}
    assert apiserver.request("POST", "/sandbox/faults", fault)[0] == 200
    service = start()
    eventually(lambda: service.get("/readyz") != (200, "ok\n") and "eve" in service.get("/readyz")[1])
    assert "deployments.apps: forbidden: list deployments.apps in all namespaces" in service.get("/readyz")[1]
    create_canary(cluster)
    apiserver.request("DELETE", "/sandbox/faults")
    eventually(lambda: service.get("/readyz") == (200, "ok\n"))
    eventually(lambda: reason(cluster))


def test_a_canary_that_is_deleted_is_forgotten(start: Start, cluster: Cluster) -> None:
    install(cluster)
    service = start()
    created = create_canary(cluster)
    eventually(lambda: 'name="echo"' in service.get("/metrics")[1])
    cluster.delete(CANARIES, "echo", "echo", uid=created["metadata"]["uid"])
    eventually(lambda: 'name="echo"' not in service.get("/metrics")[1])


def test_of_two_with_opposite_selectors_each_looks_after_its_own(
    start: Start, tmp_path: Path, apiserver: ApiServer, cluster: Cluster
) -> None:
    install(cluster)
    one = start(SELECTOR="shard=one", LOG_LEVEL="info")
    (tmp_path / "rest").mkdir()
    rest = Service(tmp_path / "rest", apiserver.kubeconfig, SELECTOR="shard!=one")
    try:
        create_canary(cluster, "a", shard="one")
        create_canary(cluster, "b", shard="two")
        create_canary(cluster, "c")
        eventually(lambda: {line["canary"] for line in rest.said("tick")} >= {"echo/b", "echo/c"})
        eventually(lambda: one.said("tick"))
        assert {line["canary"] for line in one.said("tick")} == {"echo/a"}
        assert {line["canary"] for line in rest.said("tick")} == {"echo/b", "echo/c"}
    finally:
        rest.process.kill()
        rest.process.wait()


def test_an_api_server_that_comes_back_finds_the_service_at_work(
    start: Start, apiserver: ApiServer, cluster: Cluster
) -> None:
    install(cluster)
    service = start()
    create_canary(cluster)
    eventually(lambda: reason(cluster))
    apiserver.kill()
    eventually(lambda: service.get("/readyz")[0] == 503)
    assert "unavailable: " in service.get("/readyz")[1]
    assert service.get("/healthz") == (200, "ok\n")
    apiserver.start()
    eventually(lambda: service.get("/readyz") == (200, "ok\n"))
    cluster.create(DEFINITIONS, "", open_kind("late.example", "things", "Thing"))
    create_canary(cluster, "second")
    eventually(lambda: cluster.read(CANARIES, "echo", "second").get("status"))


def test_a_signal_ends_it_quickly_with_success(start: Start, cluster: Cluster) -> None:
    install(cluster)
    service = start()
    create_canary(cluster)
    eventually(lambda: reason(cluster))
    code, seconds = service.terminate()
    assert code == 0
    assert seconds < 5
    events = [line["event"] for line in service.lines() if line["event"] != "tick"]  # one may be in hand
    assert events[-2:] == ["service.stopping", "service.stopped"]


def test_a_signal_while_the_cluster_is_silent_ends_it_too(
    start: Start, apiserver: ApiServer, tmp_path: Path
) -> None:
    fault = {"fault": "delay", "seconds": 30, "times": None}
    assert apiserver.request("POST", "/sandbox/faults", fault)[0] == 200
    service = Service(tmp_path, apiserver.kubeconfig)
    eventually(lambda: service.said("probes.listening"))
    code, seconds = service.terminate()
    assert code == 0
    assert seconds < 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"KUBECONFIG": "/nowhere/kubeconfig"}, "/nowhere/kubeconfig", id="no kubeconfig"),
        pytest.param({"LISTEN_PORT": "taken"}, "in use", id="an address in use"),
    ],
)
def test_what_makes_it_impossible_is_said_and_the_exit_code_is_1(
    start: Start, settings: dict[str, str], words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        service = start(**{name: port if value == "taken" else value for name, value in settings.items()})
        assert service.process.wait(30) == 1
    (line,) = service.said("service.impossible")
    assert words in line["error"]


def test_one_configmap_stops_and_frees_all_releases_and_wakes_them(start: Start, cluster: Cluster) -> None:
    install(cluster)
    service = start(STOP_CONFIGMAP="ops/stop")
    create_canary(cluster)
    eventually(lambda: reason(cluster))

    def number(name: str) -> float:
        lines = service.get("/metrics")[1].splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])

    assert number("crossfade_stopped") == 0
    ticks = number("crossfade_tick_seconds_count")
    data = {"reason": "disk full"}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stop"}, "data": data}
    cluster.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ops"}})
    made = cluster.create(CONFIG_MAPS, "ops", document)
    eventually(lambda: number("crossfade_stopped") == 1 and number("crossfade_tick_seconds_count") > ticks)
    assert service.said("line.stopped")[0]["configmap"] == "ops/stop"
    ticks = number("crossfade_tick_seconds_count")
    cluster.delete(CONFIG_MAPS, "ops", "stop", uid=made["metadata"]["uid"])
    eventually(lambda: number("crossfade_stopped") == 0 and number("crossfade_tick_seconds_count") > ticks)
    assert service.said("line.free")
