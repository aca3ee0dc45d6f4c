"""Two Upstreams that a Canary names itself: what they run, and where routes may be led."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.canary import CanarySpec
from controller.errors import Refused, Unavailable
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.named import VersionsInUse
from controller.gloo.objects import RouteHolders
from controller.kube.client import Cluster
from controller.kube.resources import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES, Document
from controller.kube.watch import Watched, by_namespace
from controller.rollout.moves import Form
from controller.rollout.observation import Acceptance, Workload


STATIC = {"static": {"hosts": [{"addr": "192.0.2.1", "port": 80}]}}
QUARTER = Form("onprem", "cloud", 25)
KINDS = (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)


@dataclass
class Deployments:
    """Implements `controller.ports.Workloads`, and remembers what it was asked for."""

    asked: list[tuple[str, ...]] = field(default_factory=list)

    def find(self, namespace: str, spec: CanarySpec) -> tuple[Workload, ...]:
        self.asked.append(("find", namespace))
        return ()

    def scale_to_zero(self, namespace: str, name: str, template_hash: str) -> None:
        self.asked.append(("scale", namespace, name, template_hash))

    def delete(self, namespace: str, name: str, template_hash: str) -> None:
        self.asked.append(("delete", namespace, name, template_hash))


@dataclass
class World:
    """A namespace with the static Upstreams onprem and cloud, and the VirtualService web to the former."""

    namespace: str
    cluster: Cluster

    def caches(self) -> dict[Any, Watched]:
        found = {
            resource: Watched(
                self.cluster, resource, self.namespace, index=bases if resource == UPSTREAMS else by_namespace
            )
            for resource in KINDS
        }
        for cache in found.values():
            assert cache.start().wait(20)
            cache.stop()
        return found

    def routes(self) -> GlooRoutes:
        caches = self.caches()
        holders = (caches[VIRTUAL_SERVICES], caches[ROUTE_TABLES], caches[UPSTREAM_GROUPS])
        return GlooRoutes(self.cluster, RouteHolders(self.cluster, *holders), caches[UPSTREAMS])

    def ref(self, name: str) -> dict[str, str]:
        return {"name": name, "namespace": self.namespace}

    def spec(self, stable: str = "onprem", candidate: str | None = "cloud") -> CanarySpec:
        versions = {"stable": self.ref(stable)} | ({"candidate": self.ref(candidate)} if candidate else {})
        return CanarySpec.model_validate(
            {
                "versions": versions,
                "routes": [{"name": "web", "namespace": self.namespace}],
                "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
            }
        )

    def workloads(self, candidate: str | None = "cloud") -> dict[str, Workload]:
        used = VersionsInUse(Deployments(), self.caches()[UPSTREAMS])
        return {each.version: each for each in used.find("any", self.spec(candidate=candidate))}

    def add(self, resource: Any, kind: str, name: str, spec: Document) -> None:
        document = {
            "apiVersion": resource.api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        self.cluster.create(resource, self.namespace, document)

    def report(self, name: str, state: str = "Accepted") -> None:
        status = {"statuses": {"gloo-system": {"state": state, "reason": "so"}}}
        self.cluster.patch(UPSTREAMS, self.namespace, name, {"status": status})

    def delete(self, name: str) -> None:
        uid = self.cluster.read(UPSTREAMS, self.namespace, name)["metadata"]["uid"]
        self.cluster.delete(UPSTREAMS, self.namespace, name, uid=uid)

    def action(self) -> Document:
        document = self.cluster.read(VIRTUAL_SERVICES, self.namespace, "web")
        action: Document = document["spec"]["virtualHost"]["routes"][0]["routeAction"]
        return action


@pytest.fixture
def world(kubeconfig: Path, namespace: str) -> Iterator[World]:
    cluster = Cluster.connect(str(kubeconfig))
    made = World(namespace, cluster)
    for name in ("onprem", "cloud"):
        made.add(UPSTREAMS, "Upstream", name, {"kube": {"stands for": name}})
        made.report(name)
    route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": made.ref("onprem")}}}
    made.add(VIRTUAL_SERVICES, "VirtualService", "web", {"virtualHost": {"routes": [route]}})
    yield made
    cluster.close()


def test_an_upstream_runs_what_its_spec_says_and_is_ready_when_accepted(world: World) -> None:
    world.report("cloud", "Warning")
    before = world.workloads()
    assert {(each.version, each.kind, each.wanted, each.ready) for each in before.values()} == {
        ("onprem", "Upstream", 1, 1),
        ("cloud", "Upstream", 1, 0),
    }
    assert before["onprem"].name == f"{world.namespace}/onprem"
    assert before["onprem"].created_at.tzinfo is not None
    world.cluster.patch(UPSTREAMS, world.namespace, "cloud", {"spec": {"kube": {"stands for": "more"}}})
    world.report("cloud")
    after = world.workloads()
    assert after["onprem"] == before["onprem"]
    assert (after["cloud"].hash != before["cloud"].hash, after["cloud"].ready) == (True, 1)


def test_only_what_is_named_and_there_runs(world: World) -> None:
    assert set(world.workloads(None)) == {"onprem"}
    assert set(world.workloads("gone")) == {"onprem"}


def test_where_deployments_are_wanted_they_are_asked_for(world: World) -> None:
    deployments = Deployments()
    used = VersionsInUse(deployments, Watched(world.cluster, UPSTREAMS))
    given = {**world.spec().model_dump(by_alias=True, exclude_none=True), "versions": None}
    given |= {"workload": {"selector": {"app": "echo"}}, "upstream": world.ref("onprem")}
    used.find("shop", CanarySpec.model_validate(given))
    used.scale_to_zero("shop", "echo-v1", "1a")
    used.delete("shop", "echo-v1", "1a")
    assert deployments.asked == [
        ("find", "shop"),
        ("scale", "shop", "echo-v1", "1a"),
        ("delete", "shop", "echo-v1", "1a"),
    ]


def test_before_the_first_list_nothing_is_called_absent(world: World) -> None:
    used = VersionsInUse(Deployments(), Watched(world.cluster, UPSTREAMS))
    with pytest.raises(Unavailable, match="not listed yet"):
        used.find("shop", world.spec())


def test_routes_are_led_from_one_to_the_other_and_back(world: World) -> None:
    seen = world.routes().see(world.spec(), None)
    assert (seen.version, seen.unpinned, seen.problem) == ("onprem", False, "")
    world.routes().write(world.spec(), QUARTER)
    assert world.action()["multi"]["destinations"] == [
        {"destination": {"upstream": world.ref("onprem")}, "weight": 75},
        {"destination": {"upstream": world.ref("cloud")}, "weight": 25},
    ]
    seen = world.routes().see(world.spec(), QUARTER)
    assert (seen.in_form, seen.weight, seen.leftover) == (True, 25, frozenset())
    world.routes().write(world.spec(), Form("onprem"))
    assert world.action() == {"single": {"upstream": world.ref("onprem")}}


def test_one_that_gloo_does_not_accept_is_not_led_to(world: World) -> None:
    world.report("cloud", "Rejected")
    world.routes().write(world.spec(), QUARTER)
    assert world.action() == {"single": {"upstream": world.ref("onprem")}}
    seen = world.routes().see(world.spec(), QUARTER)
    assert (seen.in_form, seen.waits_for) == (False, f"Upstream {world.namespace}/cloud")
    assert (seen.acceptance, seen.acceptance_reason) == (
        Acceptance.REJECTED,
        f"Upstream {world.namespace}/cloud: so",
    )


@pytest.mark.parametrize(("name", "field"), [("onprem", "stable"), ("cloud", "candidate")])
def test_one_that_is_not_there_is_named_by_its_field(world: World, name: str, field: str) -> None:
    world.delete(name)
    for form in (None, Form("onprem")):
        problem = world.routes().see(world.spec(), form).problem
        assert problem == f"spec.versions.{field}: Upstream {world.namespace}/{name} not found"


def test_routes_are_led_to_nothing_that_is_not_named(world: World) -> None:
    spec = world.spec("cloud", None)
    words = (
        "spec.versions names cloud, but onprem serves; name it as stable, and what should take its place "
        "as candidate"
    )
    assert words in world.routes().see(spec, Form("onprem")).problem
    with pytest.raises(Refused, match=words):
        world.routes().write(spec, Form("onprem"))
    assert world.action() == {"single": {"upstream": world.ref("onprem")}}
