"""Clones of an Upstream against a real API server: when they come, follow, and go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.canary import CanarySpec
from controller.errors import Conflict, NotFound, Refused
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


PINNED = Form("v1")
PREPARED = Form("v1", prepared="v2")
QUARTER = Form("v1", "v2", 25)
KUBE = {"serviceName": "echo", "selector": {"app": "echo"}}


class Watching(Cluster):
    """A connection on which something may happen before a request."""

    before: Callable[[str], object] = staticmethod(lambda verb: None)

    def create(self, resource: Resource, namespace: str, document: Any) -> Document:
        self.before("create")
        return super().create(resource, namespace, document)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Any) -> Document:
        self.before(f"patch {resource.plural}")
        return super().patch(resource, namespace, name, patch)

    def delete(self, resource: Resource, namespace: str, name: str, **conditions: Any) -> None:
        self.before("delete")
        super().delete(resource, namespace, name, **conditions)


@dataclass
class World:
    """A namespace with the Upstream echo, the VirtualService web, and somebody else who edits things."""

    namespace: str
    ours: Watching
    other: Cluster
    requests: list[str] = field(default_factory=list)
    """Of the client: verb and kind."""

    def routes(self, unread: Resource | None = None) -> GlooRoutes:
        """Build a client whose caches know everything up to now, and nothing later."""
        caches = {
            resource: Watched(
                self.other, resource, self.namespace, index=bases if resource == UPSTREAMS else by_namespace
            )
            for resource in (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)
        }
        for resource, cache in caches.items():
            if resource != unread:
                assert cache.start().wait(20)
                cache.stop()
        holders = (caches[VIRTUAL_SERVICES], caches[ROUTE_TABLES], caches[UPSTREAM_GROUPS])
        return GlooRoutes(self.ours, RouteHolders(self.ours, *holders), caches[UPSTREAMS])

    def spec(self, destinations: str = "Upstreams") -> CanarySpec:
        return CanarySpec.model_validate(
            {
                "workload": {"selector": {"app": "echo"}},
                "upstream": {"name": "echo", "namespace": self.namespace},
                "destinations": destinations,
                "routes": [{"name": "web", "namespace": self.namespace}],
                "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
            }
        )

    def add_upstream(self, name: str, kube: Document, **metadata: Any) -> None:
        self._add(UPSTREAMS, "Upstream", name, {"kube": kube}, metadata)

    def add_routes(self, name: str, *routes: Document) -> None:
        spec = {"virtualHost": {"domains": [name], "routes": list(routes)}}
        self._add(VIRTUAL_SERVICES, "VirtualService", name, spec, {})

    def adopt(self, *versions: str) -> None:
        """Let there be accepted clones of these versions, and the routes pinned to v1."""
        for version in versions:
            self.routes().write(self.spec(), Form(version))
            self.report(f"echo-{version}")
        self.routes().write(self.spec(), PINNED)
        self.requests.clear()

    def report(self, name: str, state: str = "Accepted", reason: str = "") -> None:
        status = {"statuses": {"gloo-system": {"state": state, "reason": reason}}}
        self.other.patch(UPSTREAMS, self.namespace, name, {"status": status})

    def edit(self, name: str, **kube: Any) -> None:
        self.other.patch(UPSTREAMS, self.namespace, name, {"spec": {"kube": kube}})

    def delete(self, name: str) -> None:
        uid = self.upstream(name)["metadata"]["uid"]
        self.other.delete(UPSTREAMS, self.namespace, name, uid=uid)

    def upstream(self, name: str) -> Document:
        return self.other.read(UPSTREAMS, self.namespace, name)

    def clones(self) -> dict[str, Any]:
        """Give what each clone selects."""
        return {
            each["metadata"]["name"]: each["spec"]["kube"]["selector"]
            for each in self.other.list(UPSTREAMS, self.namespace).documents
            if list(bases(each))
        }

    def action(self) -> Document:
        document = self.other.read(VIRTUAL_SERVICES, self.namespace, "web")
        action: Document = document["spec"]["virtualHost"]["routes"][0]["routeAction"]
        return action

    def _add(self, resource: Resource, kind: str, name: str, spec: Document, metadata: Document) -> None:
        whole = {"name": name, "namespace": self.namespace, **metadata}
        document = {"apiVersion": resource.api_version, "kind": kind, "metadata": whole, "spec": spec}
        self.other.create(resource, self.namespace, document)


def route(single: Document) -> Document:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": single}}


def own(version: str) -> Document:
    return {"upstream": {"name": f"echo-{version}"}}


@pytest.fixture
def world(kubeconfig: Path, namespace: str) -> Iterator[World]:
    requests: list[str] = []
    ours = Watching.connect(
        str(kubeconfig), on_request=lambda verb, resource, status: requests.append(f"{verb} {resource}")
    )
    other = Cluster.connect(str(kubeconfig), user_agent="somebody-else")
    made = World(namespace, ours, other, requests)
    made.add_upstream("echo", {**KUBE, "subsetSpec": {"selectors": [{"keys": ["version"]}]}})
    made.add_routes("web", route({"upstream": {"name": "echo"}}))
    yield made
    ours.close()
    other.close()


def test_no_route_names_an_upstream_that_gloo_does_not_know_yet(world: World) -> None:
    seen = world.routes().see(world.spec(), PINNED)
    assert (seen.waits_for, seen.lacking) == ("", f"Upstream {world.namespace}/echo-v1 is missing")
    world.routes().write(world.spec(), PINNED)
    assert world.requests == ["create upstreams.gloo.solo.io"]
    assert world.clones() == {"echo-v1": {"app": "echo", "version": "v1"}}
    seen = world.routes().see(world.spec(), PINNED)
    assert (seen.in_form, seen.problem) == (False, "")
    assert seen.waits_for == f"Upstream {world.namespace}/echo-v1"
    world.routes().write(world.spec(), PINNED)
    assert world.action() == {"single": {"upstream": {"name": "echo"}}}

    world.report("echo-v1")
    seen = world.routes().see(world.spec(), PINNED)
    assert (seen.in_form, seen.waits_for, seen.unpinned) == (False, "", True)
    world.routes().write(world.spec(), PINNED)
    assert world.action() == {"single": own("v1")}
    seen = world.routes().see(world.spec(), PINNED)
    assert (seen.in_form, seen.waits_for, seen.version, seen.shape) == (True, "", "v1", "v1")


def test_one_that_gloo_rejects_is_not_named_and_its_words_are_given(world: World) -> None:
    world.routes().write(world.spec(), PINNED)
    world.report("echo-v1", "Rejected", "no such service")
    world.routes().write(world.spec(), PINNED)
    assert world.action() == {"single": {"upstream": {"name": "echo"}}}
    seen = world.routes().see(world.spec(), PINNED)
    assert seen.acceptance is Acceptance.REJECTED
    assert seen.acceptance_reason == f"Upstream {world.namespace}/echo-v1: no such service"


def test_a_version_is_prepared_while_the_routes_stay_as_they_are(world: World) -> None:
    world.adopt("v1")
    accepted = {"statuses": {"gloo-system": {"state": "Accepted"}}}
    world.other.patch(VIRTUAL_SERVICES, world.namespace, "web", {"status": accepted})
    seen = world.routes().see(world.spec(), PREPARED)
    assert (seen.in_form, seen.waits_for) == (False, "")
    assert seen.shape == f"v1; Upstream {world.namespace}/echo-v2 is missing"
    world.routes().write(world.spec(), PREPARED)
    assert world.requests == ["create upstreams.gloo.solo.io"]
    seen = world.routes().see(world.spec(), PREPARED)
    assert (seen.in_form, seen.acceptance) == (True, Acceptance.PENDING)
    assert seen.acceptance_reason == f"Upstream {world.namespace}/echo-v2: Pending"
    world.report("echo-v2")
    world.routes().write(world.spec(), QUARTER)
    assert world.action()["multi"]["destinations"] == [
        {"destination": own("v1"), "weight": 75},
        {"destination": own("v2"), "weight": 25},
    ]
    assert world.routes().see(world.spec(), QUARTER).weight == 25


def test_what_need_not_wait_is_not_held_up_by_what_must(world: World) -> None:
    world.adopt("v1")
    world.routes().write(world.spec(), PREPARED)
    world.add_routes("api", route({"upstream": {"name": "echo-v2"}}))
    spec = world.spec()
    both = spec.model_copy(
        update={"routes": (*spec.routes, spec.routes[0].model_copy(update={"name": "api"}))}
    )
    assert world.routes().see(spec, QUARTER).waits_for == f"Upstream {world.namespace}/echo-v2"
    assert world.routes().see(both, QUARTER).waits_for == ""
    world.routes().write(both, QUARTER)
    assert world.action() == {"single": own("v1")}
    assert world.routes().see(both, QUARTER).waits_for == f"Upstream {world.namespace}/echo-v2"


def test_what_is_as_it_should_be_takes_no_request(world: World) -> None:
    world.adopt("v1", "v2")
    routes = world.routes()
    assert routes.see(world.spec(), PREPARED).in_form
    routes.write(world.spec(), PREPARED)
    assert world.requests == []


def test_a_clone_that_somebody_deleted_comes_back(world: World) -> None:
    world.adopt("v1", "v2")
    world.delete("echo-v1")
    routes = world.routes()
    seen = routes.see(world.spec(), PINNED)
    assert (seen.in_form, seen.version, seen.waits_for) == (False, "v1", "")
    routes.write(world.spec(), PINNED)
    assert world.requests == ["create upstreams.gloo.solo.io"]
    assert world.clones()["echo-v1"] == {"app": "echo", "version": "v1"}


def test_going_back_does_not_wait_for_a_clone_that_the_routes_name_already(world: World) -> None:
    world.adopt("v1", "v2")
    world.routes().write(world.spec(), QUARTER)
    world.delete("echo-v1")
    world.routes().write(world.spec(), PINNED)
    assert world.action() == {"single": own("v1")}


@pytest.mark.parametrize("name", ["echo-v1", "echo"])
def test_a_clone_is_what_its_base_says_whoever_changes_what(world: World, name: str) -> None:
    world.adopt("v1")
    world.edit(name, servicePort=81)
    routes = world.routes()
    seen = routes.see(world.spec(), PINNED)
    assert not seen.in_form
    assert seen.shape == f"v1; Upstream {world.namespace}/echo-v1 differs from its base"
    routes.write(world.spec(), PINNED)
    assert world.requests == ["patch upstreams.gloo.solo.io"]
    port = 81 if name == "echo" else None
    assert world.upstream("echo-v1")["spec"]["kube"].get("servicePort") == port
    assert routes.see(world.spec(), PINNED).in_form


def test_a_clone_edited_in_the_meantime_is_read_again(world: World) -> None:
    world.adopt("v1")
    world.edit("echo-v1", servicePort=81)
    routes = world.routes()
    world.edit("echo-v1", servicePort=82)
    routes.write(world.spec(), PINNED)
    assert world.requests == [f"{verb} upstreams.gloo.solo.io" for verb in ("patch", "get", "patch")]
    assert "servicePort" not in world.upstream("echo-v1")["spec"]["kube"]


def test_a_clone_deleted_in_the_meantime_is_made_anew(world: World) -> None:
    world.adopt("v1")
    world.edit("echo-v1", servicePort=81)
    routes = world.routes()
    world.delete("echo-v1")
    routes.write(world.spec(), PINNED)
    assert world.requests == [f"{verb} upstreams.gloo.solo.io" for verb in ("patch", "get", "create")]
    assert set(world.clones()) == {"echo-v1"}


def test_a_clone_made_in_the_meantime_is_taken(world: World) -> None:
    world.adopt("v1")
    routes = world.routes()
    world.routes().write(world.spec(), PREPARED)
    world.requests.clear()
    routes.write(world.spec(), PREPARED)
    assert world.requests == ["create upstreams.gloo.solo.io", "get upstreams.gloo.solo.io"]


def test_a_clone_that_keeps_changing_is_a_conflict_and_the_routes_go_on(world: World) -> None:
    world.adopt("v1", "v2")
    world.routes().write(world.spec(), QUARTER)
    world.edit("echo-v1", servicePort=81)
    routes, ports = world.routes(), iter(range(82, 99))

    def meddle(what: str) -> None:
        if what == "patch upstreams":
            world.edit("echo-v1", servicePort=next(ports))

    world.ours.before = meddle
    with pytest.raises(Conflict):
        routes.write(world.spec(), PINNED)
    assert next(ports) == 84, "there should have been two attempts"
    assert world.action() == {"single": own("v1")}


def test_a_name_that_is_taken_is_a_problem_and_nothing_is_overwritten(world: World) -> None:
    world.add_upstream("echo-v1", {"serviceName": "foreign"})
    words = f"Upstream {world.namespace}/echo-v1 is needed for version v1, but is not Crossfade's clone"
    assert world.routes().see(world.spec(), PINNED).problem.startswith(words)
    with pytest.raises(Refused, match=words):
        world.routes().write(world.spec(), PINNED)
    assert world.upstream("echo-v1")["spec"] == {"kube": {"serviceName": "foreign"}}
    assert world.action() == {"single": {"upstream": {"name": "echo"}}}


def test_a_name_that_is_taken_does_not_keep_others_from_being_put_right(world: World) -> None:
    world.adopt("v1")
    world.add_upstream("echo-v2", {"serviceName": "foreign"})
    world.delete("echo-v1")
    routes = world.routes()
    seen = routes.see(world.spec(), PREPARED)
    assert seen.lacking == f"Upstream {world.namespace}/echo-v1 is missing"
    assert f"Upstream {world.namespace}/echo-v2 is needed" in seen.problem
    for form in (PREPARED, Form("v2", prepared="v1")):
        with pytest.raises(Refused, match="echo-v2 is needed for version v2"):
            routes.write(world.spec(), form)
        assert set(world.clones()) == {"echo-v1"}
        world.delete("echo-v1")
        routes = world.routes()


def test_two_versions_with_one_name_are_a_problem(world: World) -> None:
    form = Form("v1.0", prepared="v1-0")
    words = f"versions v1.0 and v1-0 would share Upstream {world.namespace}/echo-v1-0"
    assert words in world.routes().see(world.spec(), form).problem
    with pytest.raises(Refused, match="would share Upstream"):
        world.routes().write(world.spec(), form)
    assert set(world.clones()) == {"echo-v1-0"}


def test_a_base_that_is_gone_is_named_and_does_not_stop_the_way_back(world: World) -> None:
    world.adopt("v1", "v2")
    world.routes().write(world.spec(), QUARTER)
    world.delete("echo")
    words = f"spec.upstream: Upstream {world.namespace}/echo not found"
    assert world.routes().see(world.spec(), QUARTER).problem == words
    with pytest.raises(NotFound, match="not found"):
        world.routes().write(world.spec(), PINNED)
    assert world.action() == {"single": own("v1")}


def test_a_base_that_is_not_made_of_pods_is_no_base(world: World) -> None:
    world.other.patch(UPSTREAMS, world.namespace, "echo", [{"op": "remove", "path": "/spec/kube"}])
    words = "spec has nothing, but only an Upstream of pods"
    assert words in world.routes().see(world.spec(), PINNED).problem
    with pytest.raises(Refused, match=words):
        world.routes().write(world.spec(), PINNED)


def test_what_no_version_needs_and_no_route_names_is_deleted(world: World) -> None:
    world.adopt("v1", "v2")
    routes = world.routes()
    assert routes.see(world.spec(), PREPARED).leftover == frozenset()
    assert routes.see(world.spec(), None).leftover == frozenset()
    assert routes.see(world.spec(), PINNED).leftover == {"echo-v2"}
    routes.remove(world.spec(), PREPARED)
    assert world.requests == []
    routes.remove(world.spec(), PINNED)
    assert world.requests == ["delete upstreams.gloo.solo.io"]
    assert set(world.clones()) == {"echo-v1"}
    routes.remove(world.spec(), PINNED)
    assert set(world.clones()) == {"echo-v1"}


def test_what_somebody_elses_route_names_is_kept(world: World) -> None:
    world.adopt("v1", "v2")
    world.add_routes("other", route({"upstream": {"name": "echo-v2", "namespace": world.namespace}}))
    routes = world.routes()
    assert routes.see(world.spec(), PINNED).leftover == frozenset()
    routes.remove(world.spec(), PINNED)
    assert world.requests == []


@pytest.mark.parametrize("unread", [VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS])
def test_nothing_is_deleted_while_it_is_not_known_what_leads_where(world: World, unread: Resource) -> None:
    world.adopt("v1", "v2")
    assert world.routes(unread).see(world.spec(), PINNED).leftover == frozenset()


def test_an_upstream_of_others_is_never_deleted(world: World) -> None:
    world.adopt("v1")
    world.add_upstream("echo-v9", KUBE)
    world.add_upstream("echo-v8", KUBE, labels={"app.kubernetes.io/managed-by": "crossfade"})
    assert world.routes().see(world.spec(), PINNED).leftover == frozenset()


def test_back_to_subsets_the_routes_go_first_and_the_clones_after(world: World) -> None:
    world.adopt("v1", "v2")
    subsets = world.spec("Subsets")
    routes = world.routes()
    seen = routes.see(subsets, PINNED)
    assert (seen.in_form, seen.version, seen.shape) == (False, "v1", "v1; by an Upstream each")
    assert seen.leftover == {"echo-v2"}
    routes.write(subsets, PINNED)
    assert world.requests == ["patch virtualservices.gateway.solo.io"]
    subset = {"subset": {"values": {"version": "v1"}}}
    assert world.action() == {"single": {"upstream": {"name": "echo"}, **subset}}
    seen = routes.see(subsets, PINNED)
    assert seen.in_form
    assert seen.leftover == {"echo-v1", "echo-v2"}
    routes.remove(subsets, PINNED)
    assert world.clones() == {}
    assert routes.see(subsets, PINNED).problem == ""


def test_to_upstreams_it_is_told_how_the_routes_name_versions_now(world: World) -> None:
    world.routes().write(world.spec("Subsets"), PINNED)
    world.routes().write(world.spec(), PINNED)
    world.report("echo-v1")
    seen = world.routes().see(world.spec(), PINNED)
    assert (seen.in_form, seen.version, seen.shape) == (False, "v1", "v1; by subsets")


def test_subsets_are_needed_only_where_versions_are_subsets(world: World) -> None:
    world.other.patch(UPSTREAMS, world.namespace, "echo", [{"op": "remove", "path": "/spec/kube/subsetSpec"}])
    world.adopt("v1")
    assert world.routes().see(world.spec(), PINNED).problem == ""
    assert "subsetSpec" in world.routes().see(world.spec("Subsets"), PINNED).problem
