"""The client against a real API server; its caches may be as old as a test wants them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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


BY_STAGE = canary.TestingMatch.model_validate({"headers": [{"name": "stage", "value": "canary"}]})
QUARTER = Form("v1", "v2", 25, (BY_STAGE,))
WATCHED = (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)


def joined(cluster: Cluster, caches: Sequence[Watched]) -> GlooRoutes:
    virtual_services, route_tables, upstream_groups, upstreams = caches
    holders = RouteHolders(cluster, virtual_services, route_tables, upstream_groups)
    return GlooRoutes(cluster, holders, upstreams)


@dataclass
class World:
    """A namespace with an Upstream, the client, and somebody else who edits things."""

    namespace: str
    cluster: Cluster
    other: Cluster
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Of the client: verb, resource, HTTP status."""

    def routes(self, *, cluster: Cluster | None = None) -> GlooRoutes:
        """Build a client whose caches know everything up to now, and nothing later."""
        caches = [
            Watched(
                self.other, resource, self.namespace, index=bases if resource == UPSTREAMS else by_namespace
            ).start()
            for resource in WATCHED
        ]
        for cache in caches:
            assert cache.wait(20)
            cache.stop()
        return joined(cluster or self.cluster, caches)

    def spec(self, *names: str) -> canary.CanarySpec:
        return canary.CanarySpec.model_validate(
            {
                "workload": {"selector": {"app": "echo"}},
                "upstream": {"name": "echo", "namespace": self.namespace},
                "routes": [{"name": name, "namespace": self.namespace} for name in names or ("web",)],
                "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
            }
        )

    def add(self, name: str = "web", *routes: dict[str, Any]) -> None:
        host = {"domains": [f"{name}.example"], "routes": list(routes) or [single(None)]}
        self.other.create(
            VIRTUAL_SERVICES, self.namespace, self._object("VirtualService", name, {"virtualHost": host})
        )

    def add_upstream(self, *keys: str) -> None:
        subsets = {"subsetSpec": {"selectors": [{"keys": list(keys)}]}}
        document = self._object("Upstream", "echo", {"kube": {"serviceName": "echo", **subsets}})
        self.other.create(UPSTREAMS, self.namespace, document)

    def edit(self, operations: Sequence[dict[str, Any]], name: str = "web") -> None:
        self.other.patch(VIRTUAL_SERVICES, self.namespace, name, operations)

    def report(self, name: str = "web", **report: Any) -> None:  # any report
        status = {"statuses": {"gloo-system": report}}
        self.other.patch(VIRTUAL_SERVICES, self.namespace, name, {"status": status})

    def stored(self, name: str = "web") -> list[dict[str, Any]]:
        document = self.other.read(VIRTUAL_SERVICES, self.namespace, name)
        routes: list[dict[str, Any]] = document["spec"]["virtualHost"]["routes"]
        return routes

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.requests]

    def _object(self, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        group = "gloo.solo.io" if kind == "Upstream" else "gateway.solo.io"
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}


def echo(version: str | None) -> dict[str, Any]:
    return {"upstream": {"name": "echo"}, **({"subset": {"values": {"version": version}}} if version else {})}


def single(version: str | None, **matcher: Any) -> dict[str, Any]:  # any matcher
    return {"matchers": [{"prefix": "/", **matcher}], "routeAction": {"single": echo(version)}}


def multi(**weights: int) -> dict[str, Any]:
    entries = [{"destination": echo(version), "weight": weight} for version, weight in weights.items()]
    return {"matchers": [{"prefix": "/"}], "routeAction": {"multi": {"destinations": entries}}}


TESTED = single("v2", headers=[{"name": "stage", "value": "canary"}])
WEIGHT = "/spec/virtualHost/routes/1/routeAction/multi/destinations/0/weight"


@pytest.fixture
def world(kubeconfig: Path, namespace: str) -> Iterator[World]:
    requests: list[tuple[str, str, int]] = []
    cluster = Cluster.connect(
        str(kubeconfig), on_request=lambda verb, resource, status: requests.append((verb, resource, status))
    )
    other = Cluster.connect(str(kubeconfig), user_agent="somebody-else")
    yield World(namespace, cluster, other, requests)
    cluster.close()
    other.close()


def test_seeing_makes_no_request(world: World) -> None:
    world.add_upstream("version")
    world.add("web", TESTED, multi(v1=75, v2=25))
    world.report(state="Accepted", reason="fine")
    seen = world.routes().see(world.spec(), QUARTER)
    assert world.requests == []
    assert (seen.in_form, seen.weight, seen.problem) == (True, 25, "")
    assert (seen.acceptance, seen.acceptance_reason) == (Acceptance.ACCEPTED, "fine")
    assert seen.shape == "v1 75, v2 25; testing v2"


def test_without_a_form_nothing_is_in_form_and_everything_is_told(world: World) -> None:
    world.add_upstream("version")
    world.add("web", single("v1"))
    seen = world.routes().see(world.spec(), None)
    assert (seen.in_form, seen.version, seen.unpinned, seen.weight) == (False, "v1", False, None)


def test_writing_takes_one_request_and_is_seen_at_once(world: World) -> None:
    world.add_upstream("version")
    world.add()
    routes = world.routes()
    assert not routes.see(world.spec(), QUARTER).in_form
    routes.write(world.spec(), QUARTER)
    assert world.verbs() == ["patch"]
    assert routes.see(world.spec(), QUARTER).in_form
    assert world.stored() == [TESTED, multi(v1=75, v2=25)]


def test_writing_what_is_there_already_takes_no_request(world: World) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    world.routes().write(world.spec(), QUARTER)
    assert world.requests == []


def test_writes_are_marked_as_ours(world: World) -> None:
    world.add()
    world.routes().write(world.spec(), Form("v1"))
    managers = world.other.read(VIRTUAL_SERVICES, world.namespace, "web")["metadata"]["managedFields"]
    assert "crossfade" in {entry["manager"] for entry in managers}


def test_a_status_written_in_the_meantime_costs_nothing(world: World) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    routes = world.routes()
    world.report(state="Accepted")
    routes.write(world.spec(), Form("v1", retired=(BY_STAGE,)))
    assert world.verbs() == ["patch"]
    assert world.stored() == [single("v1")]


def test_an_acceptance_is_not_taken_for_one_of_what_is_written_now(world: World) -> None:
    world.add_upstream("version")
    world.add("web", TESTED, multi(v1=75, v2=25))
    world.report(state="Accepted")
    routes = world.routes()
    routes.write(world.spec(), QUARTER)
    assert routes.see(world.spec(), QUARTER).acceptance is Acceptance.ACCEPTED
    half = Form("v1", "v2", 50, (BY_STAGE,))
    routes.write(world.spec(), half)
    assert routes.see(world.spec(), half).acceptance is Acceptance.PENDING


def test_a_report_withdrawn_by_somebody_else_in_the_meantime_costs_one_reading(world: World) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    world.report(state="Accepted")
    routes = world.routes()
    world.edit([{"op": "remove", "path": "/status"}])
    routes.write(world.spec(), Form("v1", retired=(BY_STAGE,)))
    assert world.verbs() == ["patch", "get", "patch"]
    assert world.stored() == [single("v1")]


def test_a_route_changed_in_the_meantime_is_read_again_and_written_once_more(world: World) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    routes = world.routes()
    world.edit([{"op": "add", "path": "/spec/virtualHost/routes/1/options", "value": {"timeout": "9s"}}])
    routes.write(world.spec(), Form("v1", retired=(BY_STAGE,)))
    assert world.verbs() == ["patch", "get", "patch"]
    assert world.stored() == [{**single("v1"), "options": {"timeout": "9s"}}]


def test_what_is_no_longer_meant_is_not_written_a_second_time(world: World) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    routes = world.routes()
    world.edit([{"op": "replace", "path": "/spec/virtualHost/routes", "value": [single("v1")]}])

    def no_longer() -> None:
        raise Conflict("rolled back meanwhile")

    with pytest.raises(Conflict, match="rolled back meanwhile"):
        routes.write(world.spec(), Form("v1", "v2", 50, (BY_STAGE,)), no_longer)
    assert world.verbs() == ["patch", "get"]
    assert world.stored() == [single("v1")]


def test_a_change_in_the_meantime_that_is_the_wanted_one_is_left_as_it_is(world: World) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    routes = world.routes()
    world.edit([{"op": "replace", "path": "/spec/virtualHost/routes", "value": [single("v1")]}])
    routes.write(world.spec(), Form("v1", retired=(BY_STAGE,)))
    assert world.verbs() == ["patch", "get"]


class Watching(Cluster):
    """A connection on which something happens around every patch."""

    before: Callable[[], object] = staticmethod(lambda: None)
    after: Callable[[Document], Document] = staticmethod(lambda document: document)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Any) -> Document:
        self.before()
        return self.after(super().patch(resource, namespace, name, patch))


@pytest.fixture
def watching(kubeconfig: Path) -> Iterator[Watching]:
    cluster = Watching.connect(str(kubeconfig))
    yield cluster
    cluster.close()


def test_routes_that_keep_changing_are_a_conflict(world: World, watching: Watching) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))
    weights = iter([70, 60, 50])
    watching.before = lambda: world.edit([{"op": "replace", "path": WEIGHT, "value": next(weights)}])
    with pytest.raises(Conflict, match="changed in the meantime"):
        world.routes(cluster=watching).write(world.spec(), Form("v1", "v2", 50, (BY_STAGE,)))
    assert next(weights) == 50, "there should have been two attempts"


def test_a_server_that_stores_something_else_is_a_conflict(world: World, watching: Watching) -> None:
    world.add("web", TESTED, multi(v1=75, v2=25))

    def tampered(document: Document) -> Document:
        world.edit([{"op": "replace", "path": WEIGHT, "value": 75}])
        return world.other.read(VIRTUAL_SERVICES, world.namespace, document["metadata"]["name"])

    watching.after = tampered
    with pytest.raises(
        Conflict, match=r"web: stored other than sent; the routes give v1 60, v2 40; testing v2"
    ):
        world.routes(cluster=watching).write(world.spec(), Form("v1", "v2", 50, (BY_STAGE,)))


def test_a_missing_object_is_named_and_does_not_keep_the_others_from_being_written(world: World) -> None:
    world.add_upstream("version")
    world.add("web")
    routes, spec = world.routes(), world.spec("gone", "web")
    missing = f"spec.routes[0]: VirtualService {world.namespace}/gone not found"
    with pytest.raises(NotFound, match=missing.replace("[", r"\[")):
        routes.write(spec, Form("v1"))
    assert world.stored() == [single("v1")]
    seen = routes.see(spec, Form("v1"))
    assert (seen.in_form, seen.problem) == (False, missing)


def test_a_route_that_leads_elsewhere_is_a_problem_and_an_error(world: World) -> None:
    world.add_upstream("version")
    world.add("web", {"routeAction": {"single": {"upstream": {"name": "cart"}}}})
    routes = world.routes()
    seen = routes.see(world.spec(), Form("v1"))
    space = world.namespace
    elsewhere = f"no route leads to Upstream {space}/echo; its routes lead to Upstream {space}/cart"
    assert not seen.in_form
    assert seen.problem == f"VirtualService {space}/web: {elsewhere}"
    assert seen.shape == "no route"
    with pytest.raises(NotFound, match=elsewhere):
        routes.write(world.spec(), Form("v1"))
    assert world.requests == []


def test_what_the_api_server_refuses_is_refused_in_its_words(world: World) -> None:
    redirect = {"redirectAction": {"hostRedirect": "example.org"}}
    world.add("web", redirect, redirect, single("v1"))
    with pytest.raises(Refused, match=r"routes.*at most 3 items"):
        world.routes().write(world.spec(), Form("v1", "v2", None, (BY_STAGE,)))
    assert world.verbs() == ["patch"]


def test_an_upstream_without_the_subset_is_a_problem_of_routes_in_form(world: World) -> None:
    world.add_upstream("app")
    world.add("web", single("v1"))
    seen = world.routes().see(world.spec(), Form("v1"))
    assert seen.in_form
    assert seen.problem.startswith(
        f"Upstream {world.namespace}/echo: spec.kube.subsetSpec.selectors declares app"
    )
    assert "- version\n" in seen.problem


def test_a_missing_upstream_is_named(world: World) -> None:
    world.add("web", single("v1"))
    seen = world.routes().see(world.spec(), Form("v1"))
    assert seen.problem == f"spec.upstream: Upstream {world.namespace}/echo not found"


def test_before_the_first_list_nothing_is_called_missing(world: World) -> None:
    routes = joined(world.cluster, [Watched(world.other, resource) for resource in WATCHED])
    assert routes.see(world.spec(), None).problem == (
        f"spec.routes[0]: VirtualService {world.namespace}/web has not been read yet; "
        "RouteTables, UpstreamGroups have not been read yet; "
        f"spec.upstream: Upstream {world.namespace}/echo has not been read yet"
    )
    with pytest.raises(Unavailable, match="has not been read yet"):
        routes.write(world.spec(), Form("v1"))


def test_a_kind_that_is_not_installed_is_the_problem(world: World) -> None:
    absent = Watched(world.other, Resource("gateway.solo.io", "v1", "absent")).start()
    deadline = time.monotonic() + 20
    while not absent.problem:
        assert not absent.wait(0.01)
        assert time.monotonic() < deadline
    absent.stop()
    seen = joined(world.cluster, [absent] * 4).see(world.spec(), Form("v1"))
    assert seen.problem == f"{absent.problem}; RouteTables, UpstreamGroups have not been read yet"
    assert "the CRD absent.gateway.solo.io (v1) is not installed" in seen.problem


def test_several_objects_are_taken_together(world: World) -> None:
    world.add_upstream("version")
    world.add("web", TESTED, multi(v1=75, v2=25))
    world.add("api", TESTED, multi(v1=90, v2=10))
    world.report("web", state="Accepted")
    world.report("api", state="Rejected", reason="no such thing")
    seen = world.routes().see(world.spec("web", "api"), QUARTER)
    assert not seen.in_form
    assert seen.weight == 25
    assert (seen.acceptance, seen.acceptance_reason) == (Acceptance.REJECTED, "no such thing")
    assert seen.shape == (
        f"{world.namespace}/web: v1 75, v2 25; testing v2; {world.namespace}/api: v1 90, v2 10; testing v2"
    )


def test_objects_that_are_pinned_to_different_versions_have_no_one_version(world: World) -> None:
    world.add_upstream("version")
    world.add("web", single("v1"))
    world.add("api", single("v2"))
    world.add("raw", single(None))
    routes = world.routes()
    assert routes.see(world.spec("web"), QUARTER).version == "v1"
    assert routes.see(world.spec("web", "api"), QUARTER).version is None
    seen = routes.see(world.spec("web", "raw"), QUARTER)
    assert (seen.version, seen.unpinned, seen.weight) == (None, True, None)


def test_a_rise_that_comes_late_does_not_come_through_though_the_routes_look_the_same_again(
    world: World,
) -> None:
    """Frozen between the decision and the patch: meanwhile others rose, found harm and went back."""

    def overtaken() -> None:
        raise Conflict("the Canary has changed")

    world.add("web", single("v1"))
    frozen = world.routes()
    for route in (multi(v1=75, v2=25), single("v1")):
        world.edit([{"op": "replace", "path": "/spec/virtualHost/routes/0", "value": route}])
    with pytest.raises(Conflict, match="the Canary has changed"):
        frozen.write(world.spec(), QUARTER, overtaken)
    assert world.verbs() == ["patch", "get"]
    assert world.stored() == [single("v1")]
