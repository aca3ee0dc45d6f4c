"""One release over a VirtualService, RouteTables below it by reference and by selector, and a group."""

import contextlib
import copy
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from faults import faults, forbidden
from releases import Application, Controller, Document, failures, wait_for
from sandbox.cluster import Cluster
from sandbox.load import Load, Traffic


PATHS = ("/", "/team/", "/team/deep/", "/shared/")
"""By the VirtualService, by a RouteTable, by one below it, by an UpstreamGroup."""
TESTERS = {"stage": "canary"}
HOLDERS = ("virtualservice", "routetable", "upstreamgroup")


class Estate(Application):
    """An application whose routes are spread over several objects."""

    def install(self, version: str = "v1", *arguments: str, **deployment: Any) -> None:
        self.apply(*self.tables(), self.group())
        super().install(version, *arguments, **deployment)

    def virtual_service_manifest(self) -> Document:
        manifest = super().virtual_service_manifest()
        host = manifest["spec"]["virtualHost"]
        ref = {"name": f"{self.name}-team", "namespace": "gloo-system"}
        group = {"name": self.name, "namespace": "gloo-system"}
        host["routes"] = [
            {"matchers": [{"prefix": "/team/"}], "delegateAction": {"ref": ref}},
            {"matchers": [{"prefix": "/shared/"}], "routeAction": {"upstreamGroup": group}},
            *host["routes"],
        ]
        return manifest

    def tables(self) -> list[Document]:
        selector = {"labels": {"routes-of": self.name}, "namespaces": ["*"]}
        single = {"upstream": {"name": self.name, "namespace": "gloo-system"}}
        team = [
            {"matchers": [{"prefix": "/team/deep/"}], "delegateAction": {"selector": selector}},
            {"matchers": [{"prefix": "/team/"}], "routeAction": {"single": single}, "name": "team"},
        ]
        deep = {
            "inheritablePathMatchers": True,
            "routeAction": {"single": copy.deepcopy(single)},
            "options": {"timeout": "9s", "retries": {"retryOn": "connect-failure", "numRetries": 1}},
        }
        return [
            self._object("RouteTable", f"{self.name}-team", {"routes": team}),
            {
                **self._object("RouteTable", "deep", {"routes": [deep], "weight": 3}),
                "metadata": {
                    "name": "deep",
                    "namespace": self.namespace,
                    "labels": {"routes-of": self.name},
                },
            },
        ]

    def group(self) -> Document:
        destination = {"upstream": {"name": self.name, "namespace": "gloo-system"}}
        spec = {"destinations": [{"destination": destination, "weight": 100}]}
        return self._object("UpstreamGroup", self.name, spec) | {"apiVersion": "gloo.solo.io/v1"}

    def references(self) -> list[Document]:
        """Refer to what the Canary names; the RouteTables are found below it."""
        named = {"name": self.name, "namespace": "gloo-system"}
        return [{"kind": "VirtualService", **named}, {"kind": "UpstreamGroup", **named}]

    def specs(self) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for kind, name, namespace in (
            ("virtualservices.gateway.solo.io", self.name, "gloo-system"),
            ("routetables.gateway.solo.io", f"{self.name}-team", "gloo-system"),
            ("routetables.gateway.solo.io", "deep", self.namespace),
            ("upstreamgroups.gloo.solo.io", self.name, "gloo-system"),
        ):
            found[f"{kind} {name}"] = self._get(kind, name, namespace)["spec"]
        return found

    def answers(self, path: str, headers: dict[str, str] | None = None) -> Counter[str]:
        """Ask 20 times on a path, and count which versions answered."""
        with requests.Session() as session:
            session.headers.update({"Host": self.host, **(headers or {})})
            answers = (session.get(f"{self.cluster.gateway}{path}", timeout=5) for _ in range(20))
            return Counter(answer.headers.get("x-app-version", str(answer.status_code)) for answer in answers)

    def told(self, path: str) -> str:
        return str(dict(self.answers(path)))

    @contextlib.contextmanager
    def users(self, headers: dict[str, str] | None = None, rps: float = 20) -> Iterator[list[Load]]:
        """Let users send requests on every path while the test goes on."""
        with contextlib.ExitStack() as stack:
            yield [
                stack.enter_context(
                    Load(Traffic(self.cluster.gateway + path, rps, {"Host": self.host, **(headers or {})}))
                )
                for path in PATHS
            ]

    def _object(self, kind: str, name: str, spec: Document) -> Document:
        return {
            "apiVersion": "gateway.solo.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "gloo-system"},
            "spec": spec,
        }


@pytest.fixture
def estate(
    cluster: Cluster, kubectl: Callable[..., str], namespace: str, controller: Controller
) -> Iterator[Estate]:
    application = Estate(cluster, kubectl, namespace)
    yield application
    kubectl("delete", "virtualservice,upstream,upstreamgroup", "-n", "gloo-system", namespace)
    kubectl("delete", "routetable", "-n", "gloo-system", f"{namespace}-team")


def pinned(specs: dict[str, Document], version: str) -> dict[str, Document]:
    """Give these objects, with nothing changed but the version that every destination is fixed to."""

    def fix(node: Any) -> Any:
        if isinstance(node, list):
            return [fix(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "upstream" in node:
            return {**node, "subset": {"values": {"version": version}}}
        return {key: fix(each) for key, each in node.items()}

    return {name: fix(spec) for name, spec in specs.items()}


def test_all_routes_are_tested_moved_and_left_as_they_were_but_for_the_version(estate: Estate) -> None:
    estate.install()
    before = estate.specs()
    match = [{"headers": [{"name": "stage", "value": "canary"}]}]
    estate.canary(routes=estate.references(), testing={"match": match, "requests": 20})
    estate.until(lambda status: status.get("phase") == "Idle")
    assert estate.specs() == pinned(before, "v1")
    with estate.users() as users, estate.users(TESTERS, rps=5) as testers:
        estate.deploy("v2")
        estate.until(lambda status: status["phase"] == "Testing" and "stepStartedAt" in status)
        for path in PATHS:
            assert set(estate.answers(path)) == {"v1"}, path
            assert set(estate.answers(path, TESTERS)) == {"v2"}, path
        estate.until(lambda status: status["weight"] == 60 and status.get("weightSeen") == 60)
        for path in PATHS:
            assert len(estate.answers(path)) == 2, path
        assert estate.ended("v2")["outcome"] == "Promoted"
        estate.until(lambda status: not status.get("retiring"))
    assert [failures(load.snapshot()) for load in (*users, *testers)] == [0] * 8
    assert estate.specs() == pinned(before, "v2")


def test_a_rollback_leaves_no_route_behind(estate: Estate) -> None:
    estate.install()
    before = estate.specs()
    estate.canary(routes=estate.references(), shifting={"steps": [40], "interval": "30s"})
    estate.until(lambda status: status.get("phase") == "Idle")
    with estate.users() as users:
        estate.deploy("v2", "--error-rate=0.4")
        entry = estate.ended("v2")
        assert entry["outcome"] == "RolledBack", json.dumps(entry)
        for path in PATHS:
            assert set(estate.answers(path)) == {"v1"}, path
    assert [failures(load.snapshot(), "v1", "none") for load in users] == [0] * 4
    assert estate.specs() == pinned(before, "v1")


def test_an_object_that_cannot_be_written_keeps_no_other_from_going_back(
    cluster: Cluster, estate: Estate
) -> None:
    estate.install()
    before = estate.specs()
    estate.canary(routes=estate.references(), shifting={"steps": [40], "interval": "60s"})
    estate.until(lambda status: status.get("phase") == "Idle")
    stuck = forbidden("patch", "routetables.gateway.solo.io", f"{estate.name}-team")
    with estate.users() as users:
        estate.deploy("v2")
        estate.until(lambda status: status["weight"] == 40 and status.get("weightSeen") == 40)
        with faults(cluster.apiserver, stuck):
            estate.crossfade("abort")
            estate.until(lambda status: 'cannot patch resource "routetables"' in (status.get("reason") or ""))
            for path in ("/", "/team/deep/", "/shared/"):
                wait_for(functools.partial(estate.told, path), "{'v1': 20}")
            assert len(estate.answers("/team/")) == 2
            assert estate.status()["phase"] == "RollingBack"
        estate.ended("v2")
        assert set(estate.answers("/team/")) == {"v1"}
    assert [failures(load.snapshot()) for load in users] == [0] * 4
    assert estate.specs() == pinned(before, "v1")
