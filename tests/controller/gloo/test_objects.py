"""Routes in every kind of object, against a real API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import canary
from controller.errors import Conflict, NotFound, Refused, Unavailable
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.objects import RouteHolders
from controller.kube.client import Cluster
from controller.kube.resources import (
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.kube.watch import Watched, by_namespace
from controller.rollout.moves import Form
from controller.rollout.observation import Acceptance


QUARTER = Form("v1", "v2", 25)
HALF = Form("v1", "v2", 50)
RESOURCES = {
    "VirtualService": VIRTUAL_SERVICES,
    "RouteTable": ROUTE_TABLES,
    "UpstreamGroup": UPSTREAM_GROUPS,
    "Upstream": UPSTREAMS,
}
Json = dict[str, Any]


class World:
    """A VirtualService `web` that delegates to a RouteTable `team`, and a group."""

    def __init__(self, namespace: str, cluster: Cluster, other: Cluster) -> None:
        self.namespace, self.cluster, self.other = namespace, cluster, other
        self.requests: list[tuple[str, str]] = []
        delegate = {"delegateAction": {"ref": {"name": "team", "namespace": namespace}}}
        group = {"routeAction": {"upstreamGroup": {"name": "group", "namespace": namespace}}}
        host = {"domains": ["web.example"], "routes": [delegate, group, single("v1")]}
        subsets = {"subsetSpec": {"selectors": [{"keys": ["version"]}]}}
        self._add("Upstream", "echo", {"kube": {"serviceName": "echo", **subsets}})
        self._add("VirtualService", "web", {"virtualHost": host})
        self._add("RouteTable", "team", {"routes": [single("v1")]})
        entry = {"destination": self.echo("v1"), "weight": 3}
        self._add("UpstreamGroup", "group", {"destinations": [entry]})

    def echo(self, version: str) -> Json:
        upstream = {"name": "echo", "namespace": self.namespace}
        return {"upstream": upstream, "subset": {"values": {"version": version}}}

    def routes(self, cluster: Cluster | None = None) -> GlooRoutes:
        """Build a client whose caches know everything up to now, and nothing later."""
        caches = {
            kind: Watched(
                self.other, resource, self.namespace, index=bases if resource == UPSTREAMS else by_namespace
            ).start()
            for kind, resource in RESOURCES.items()
        }
        for cache in caches.values():
            assert cache.wait(20)
            cache.stop()
        *holders, upstreams = caches.values()
        connection = cluster or self.cluster
        return GlooRoutes(connection, RouteHolders(connection, *holders), upstreams)

    def spec(self, *refs: Json) -> canary.CanarySpec:
        named = [self.ref("VirtualService", "web"), self.ref("UpstreamGroup", "group")]
        return canary.CanarySpec.model_validate(
            {
                "workload": {"selector": {"app": "echo"}},
                "upstream": {"name": "echo", "namespace": self.namespace},
                "routes": list(refs) or named,
                "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
            }
        )

    def ref(self, kind: str, name: str) -> Json:
        return {"kind": kind, "name": name, "namespace": self.namespace}

    def edit(self, kind: str, name: str, path: str, value: Any) -> None:
        self.other.patch(RESOURCES[kind], self.namespace, name, [{"op": "add", "path": path, "value": value}])

    def report(self, kind: str, name: str, state: str, reason: str = "") -> None:
        status = {"statuses": {"gloo-system": {"state": state, "reason": reason}}}
        self.other.patch(RESOURCES[kind], self.namespace, name, {"status": status})

    def stored(self, kind: str, name: str) -> Json:
        spec: Json = self.other.read(RESOURCES[kind], self.namespace, name)["spec"]
        return spec

    def shares(self) -> dict[str, list[int]]:
        """Give the weights that all objects have now; a single destination counts as none."""
        web = self.stored("VirtualService", "web")["virtualHost"]["routes"]
        team = self.stored("RouteTable", "team")["routes"]
        group = self.stored("UpstreamGroup", "group")["destinations"]
        actions = {"web": web[-1]["routeAction"], "team": team[-1]["routeAction"]}
        lists = {name: each.get("multi", {}).get("destinations", []) for name, each in actions.items()}
        return {name: [each["weight"] for each in found] for name, found in {**lists, "group": group}.items()}

    def delete(self, kind: str, name: str) -> None:
        uid = self.other.read(RESOURCES[kind], self.namespace, name)["metadata"]["uid"]
        self.other.delete(RESOURCES[kind], self.namespace, name, uid=uid)

    def _add(self, kind: str, name: str, spec: Json) -> None:
        resource = RESOURCES[kind]
        metadata = {"name": name, "namespace": self.namespace}
        document = {
            "apiVersion": f"{resource.group}/v1",
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
        }
        self.other.create(resource, self.namespace, document)


def single(version: str) -> Json:
    action = {"single": {"upstream": {"name": "echo"}, "subset": {"values": {"version": version}}}}
    return {"matchers": [{"prefix": "/"}], "routeAction": action}


@pytest.fixture
def world(kubeconfig: Path, namespace: str) -> Iterator[World]:
    other = Cluster.connect(str(kubeconfig), user_agent="somebody-else")
    requests: list[tuple[str, str]] = []
    cluster = Cluster.connect(
        str(kubeconfig), on_request=lambda verb, resource, _: requests.append((verb, resource))
    )
    world = World(namespace, cluster, other)
    world.requests = requests
    yield world
    cluster.close()
    other.close()


class Stubborn(Cluster):
    """A connection that refuses to write some objects."""

    refused: frozenset[str] = frozenset()

    def patch(self, resource: Resource, namespace: str, name: str, patch: Any) -> Document:
        if name in self.refused:
            raise Refused(f"patch {name}: the webhook said no")
        return super().patch(resource, namespace, name, patch)


@pytest.fixture
def stubborn(kubeconfig: Path) -> Iterator[Stubborn]:
    cluster = Stubborn.connect(str(kubeconfig))
    yield cluster
    cluster.close()


def test_every_object_is_written_once_and_seen_at_once(world: World) -> None:
    routes, spec = world.routes(), world.spec()
    assert not routes.see(spec, QUARTER).in_form
    routes.write(spec, QUARTER)
    assert sorted(world.requests) == [
        ("patch", "routetables.gateway.solo.io"),
        ("patch", "upstreamgroups.gloo.solo.io"),
        ("patch", "virtualservices.gateway.solo.io"),
    ]
    assert world.shares() == {"web": [75, 25], "team": [75, 25], "group": [75, 25]}
    seen = routes.see(spec, QUARTER)
    assert (seen.in_form, seen.weight, seen.problem, seen.shape) == (True, 25, "", "v1 75, v2 25")


def test_a_table_that_changed_in_the_meantime_is_read_again_and_written_once_more(world: World) -> None:
    routes = world.routes()
    world.edit("RouteTable", "team", "/spec/routes/0/options", {"timeout": "9s"})
    routes.write(world.spec(), QUARTER)
    assert ("get", "routetables.gateway.solo.io") in world.requests
    assert world.shares()["team"] == [75, 25]
    assert world.stored("RouteTable", "team")["routes"][0]["options"] == {"timeout": "9s"}


def test_a_group_that_changed_in_the_meantime_is_read_again_and_written_once_more(world: World) -> None:
    routes = world.routes()
    other = {"destination": {"upstream": {"name": "cart", "namespace": "shop"}}, "weight": 1}
    world.edit("UpstreamGroup", "group", "/spec/destinations/-", other)
    routes.write(world.spec(), QUARTER)
    assert ("get", "upstreamgroups.gloo.solo.io") in world.requests
    group = world.stored("UpstreamGroup", "group")["destinations"]
    assert [each["weight"] for each in group] == [9, 3, 4]


def test_the_acceptance_is_the_worst_of_all(world: World) -> None:
    for kind, name in (("VirtualService", "web"), ("RouteTable", "team"), ("UpstreamGroup", "group")):
        world.report(kind, name, "Accepted")
    assert world.routes().see(world.spec(), Form("v1")).acceptance is Acceptance.ACCEPTED
    world.report("RouteTable", "team", "Rejected", "no such thing")
    seen = world.routes().see(world.spec(), Form("v1"))
    assert (seen.acceptance, seen.acceptance_reason) == (Acceptance.REJECTED, "no such thing")


@pytest.mark.parametrize("refused", ["web", "team", "group"])
def test_a_way_back_is_tried_everywhere(world: World, stubborn: Stubborn, refused: str) -> None:
    world.routes().write(world.spec(), HALF)
    stubborn.refused = frozenset({refused})
    with pytest.raises(Refused, match=f"patch {refused}: the webhook said no"):
        world.routes(stubborn).write(world.spec(), Form("v1"))
    pinned = {"web": [], "team": [], "group": [100]}
    assert world.shares() == {**pinned, refused: [50, 50]}
    world.routes().write(world.spec(), Form("v1"))
    assert world.shares() == pinned


def test_nothing_rises_any_more_once_something_was_refused(world: World, stubborn: Stubborn) -> None:
    world.routes().write(world.spec(), QUARTER)
    stubborn.refused = frozenset({"web"})
    with pytest.raises(Refused):
        world.routes(stubborn).write(world.spec(), HALF)
    assert world.shares() == {"web": [75, 25], "team": [75, 25], "group": [75, 25]}


def test_what_falls_is_written_before_and_whatever_happens_to_what_rises(
    world: World, stubborn: Stubborn
) -> None:
    world.routes().write(world.spec(), QUARTER)
    world.edit("UpstreamGroup", "group", "/spec/destinations/1/weight", 300)
    stubborn.refused = frozenset({"web"})
    with pytest.raises(Refused):
        world.routes(stubborn).write(world.spec(), HALF)
    assert world.shares() == {"web": [75, 25], "team": [75, 25], "group": [50, 50]}


def test_nothing_rises_where_something_could_not_be_lowered(world: World, stubborn: Stubborn) -> None:
    world.routes().write(world.spec(), QUARTER)
    world.edit("UpstreamGroup", "group", "/spec/destinations/1/weight", 300)
    stubborn.refused = frozenset({"group"})
    with pytest.raises(Refused):
        world.routes(stubborn).write(world.spec(), HALF)
    assert world.shares() == {"web": [75, 25], "team": [75, 25], "group": [75, 300]}


def test_nothing_rises_while_an_object_is_missing(world: World) -> None:
    spec = world.spec(world.ref("VirtualService", "web"), world.ref("RouteTable", "gone"))
    missing = rf"spec.routes\[1\]: RouteTable {world.namespace}/gone not found"
    with pytest.raises(NotFound, match=missing):
        world.routes().write(spec, QUARTER)
    assert world.shares()["web"] == []
    with pytest.raises(NotFound, match=missing):
        world.routes().write(spec, Form("v2"))
    assert world.stored("RouteTable", "team")["routes"] == [single("v2")]


def test_a_choice_that_nothing_answers_to_is_an_error_too(world: World) -> None:
    spec = world.spec({**world.ref("VirtualService", "web"), "names": ["main"]})
    with pytest.raises(NotFound, match=r"spec.routes\[0\].names: found main, but no route"):
        world.routes().write(spec, Form("v2"))
    assert world.requests == []


def test_a_table_that_is_gone_from_the_cluster_but_not_from_the_cache_is_an_error(world: World) -> None:
    routes = world.routes()
    world.delete("RouteTable", "team")
    with pytest.raises(NotFound):
        routes.write(world.spec(), Form("v2"))
    assert world.stored("UpstreamGroup", "group")["destinations"][0]["destination"] == world.echo("v2")


def test_routes_are_not_in_form_before_all_that_they_may_delegate_to_is_known(world: World) -> None:
    world.routes().write(world.spec(), Form("v2"))
    caches = [Watched(world.other, resource, world.namespace) for resource in RESOURCES.values()]
    for cache in (caches[0], caches[2], caches[3]):
        assert cache.start().wait(20)
        cache.stop()
    *holders, upstreams = caches
    routes = GlooRoutes(world.cluster, RouteHolders(world.cluster, *holders), upstreams)
    seen = routes.see(world.spec(), Form("v2"))
    assert (seen.in_form, seen.problem) == (False, "RouteTables have not been read yet")
    with pytest.raises(Unavailable, match="RouteTables have not been read yet"):
        routes.write(world.spec(), Form("v1"))
    assert world.shares()["web"] == []


def test_a_second_patch_asks_whether_it_is_still_meant(world: World) -> None:
    routes = world.routes()
    world.edit("RouteTable", "team", "/spec/routes/0/options", {"timeout": "9s"})

    def no() -> None:
        raise Conflict("decided otherwise")

    with pytest.raises(Conflict, match="decided otherwise"):
        routes.write(world.spec(), Form("v2"), no)
    assert world.stored("RouteTable", "team")["routes"][0]["routeAction"] == single("v1")["routeAction"]


@pytest.mark.parametrize("namespaces", [[], ["*"]], ids=["its own namespace", "everywhere"])
def test_tables_are_found_by_selector(world: World, namespaces: list[str]) -> None:
    labels = {"of": world.namespace}
    world.other.patch(ROUTE_TABLES, world.namespace, "team", {"metadata": {"labels": labels}})
    selector = {"labels": labels, **({"namespaces": namespaces} if namespaces else {})}
    world.edit("VirtualService", "web", "/spec/virtualHost/routes/0/delegateAction", {"selector": selector})
    world.routes().write(world.spec(), QUARTER)
    assert world.shares()["team"] == [75, 25]
