"""Gloo, people and a second controller at work on the same objects, between any two of our calls."""

import copy
import datetime as dt
import functools
import itertools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from analysis.verdict import Judgement
from config.status import Phase, Status, dump_status, load_status
from controller.errors import Conflict
from controller.gloo import client
from controller.gloo.client import GlooRoutes
from controller.gloo.destinations import Target
from controller.gloo.objects import RouteHolders
from controller.gloo.routes import patch
from controller.kube.resources import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES, Resource
from controller.kube.watch import Watched
from controller.ports import FINALIZER, CanaryObject, Key
from controller.reconcile import Reconciler
from controller.rollout.form import intended_form
from controller.rollout.observation import Workload
from interleaving import Actor, Pause, orders
from sandbox.apiserver.merging import PatchError, json_patch
from situations import HARMFUL, MINUTE, SAFE, SECOND, T0, TOO_FEW, V1, V2, running, shifting, spec, status


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


Json = dict[str, Any]
Edit = Callable[[Json], None]

KEY = Key("echo", "echo")
ACCEPTED = {"gloo-system": {"state": "Accepted"}}
TARGET = Target("echo", "gloo-system", "version")
ASKED = spec(promotion={"decommission": "Keep"})
SPEC = ASKED.model_dump(mode="json", by_alias=True, exclude_defaults=True)


SHOP = {
    "destinations": [
        {"destination": {"upstream": {"name": name}}, "weight": weight}
        for name, weight in (("a", 30), ("b", 70))
    ]
}


def leading(version: str | None) -> Json:
    subset = {"subset": {"values": {"version": version}}} if version else {}
    return {"upstream": {"name": "echo", "namespace": "gloo-system"}, **subset}


def virtual_service(before: Status) -> Json:
    """Give the VirtualService as it was when this status was recorded, with routes of others around ours."""
    routes: list[Json] = [
        {"name": "first", "matchers": [{"exact": "/a"}], "redirectAction": {"hostRedirect": "example.org"}},
        {"matchers": [{"prefix": "/"}], "routeAction": {"single": leading(None)}, "x-new": [1]},
        {"name": "shop", "matchers": [{"prefix": "/shop"}], "routeAction": {"multi": SHOP}},
        {"name": "last", "matchers": [{"prefix": "/"}], "directResponseAction": {"status": 404}},
    ]
    document = {
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "gloo-system"},
        "spec": {"virtualHost": {"domains": ["*"], "routes": routes}},
        "status": {"statuses": ACCEPTED},
    }
    for form in (intended_form(ASKED, status(Phase.IDLE)), intended_form(ASKED, before)):
        assert form is not None
        document = json_patch(document, list(patch(document, TARGET, form)))
    return document


def is_testing(route: Json) -> bool:
    return "headers" in route["matchers"][0]


def main_of(document: Json) -> Json:
    routes: list[Json] = document["spec"]["virtualHost"]["routes"]
    return next(route for route in routes if "x-new" in route and not is_testing(route))


def division(document: Json) -> dict[str, float]:
    """Say where users go: version -> percent; nobody else's destinations are on this route."""
    action = main_of(document)["routeAction"]
    entries = action.get("multi", {}).get("destinations") or [{"destination": action["single"], "weight": 1}]
    total = sum(entry["weight"] for entry in entries)
    assert total > 0, "a total weight of zero"
    named = [
        (entry["destination"].get("subset", {}).get("values", {}).get("version", "all"), entry)
        for entry in entries
    ]
    return {version: 100 * entry["weight"] / total for version, entry in named if entry["weight"]}


def foreign(document: Json) -> Json:
    """Take away what a rollout may change: our destinations, testing routes, and Gloo's reports."""
    left = copy.deepcopy({"metadata": document["metadata"], "spec": document["spec"]})
    for counter in ("resourceVersion", "generation"):
        left["metadata"].pop(counter, None)
    routes = left["spec"]["virtualHost"]["routes"]
    left["spec"]["virtualHost"]["routes"] = [route for route in routes if not is_testing(route)]
    main_of(left)["routeAction"] = "ours"
    return left


# What others do to the VirtualService.


def adds_a_timeout(document: Json) -> None:
    main_of(document)["options"] = {"timeout": "9s"}


def puts_a_route_first(document: Json) -> None:
    own = {"name": "own", "matchers": [{"exact": "/own"}], "directResponseAction": {"status": 200}}
    document["spec"]["virtualHost"]["routes"].insert(0, own)


def removes_a_route(document: Json) -> None:
    routes = document["spec"]["virtualHost"]["routes"]
    routes[:] = [route for route in routes if route.get("name") != "first"]


def changes_the_order(document: Json) -> None:
    """Take the first of the others to just before the last."""
    routes = document["spec"]["virtualHost"]["routes"]
    moved = [route for route in routes if route.get("name") == "first"]
    routes[:] = [route for route in routes if route.get("name") != "first"]
    routes[-1:-1] = moved


def sends_half_of_the_users(document: Json) -> None:
    action = main_of(document)["routeAction"]
    action.pop("single", None)
    halves = [{"destination": leading(version), "weight": 50} for version in ("v1", "v2")]
    action["multi"] = {"destinations": halves}


def applies_the_manifest(document: Json) -> None:
    """Write the routes as they are in Git; what others have added to the list is gone."""
    routes = virtual_service(status(Phase.IDLE))["spec"]["virtualHost"]["routes"]
    main_of({"spec": {"virtualHost": {"routes": routes}}})["routeAction"] = {"single": leading(None)}
    document["spec"]["virtualHost"]["routes"] = routes


EDITS = (
    adds_a_timeout,
    puts_a_route_first,
    removes_a_route,
    changes_the_order,
    sends_half_of_the_users,
    applies_the_manifest,
)


@dataclass
class Server:
    """A Canary and a VirtualService, each with a resourceVersion, and the account of who changed what."""

    canary: CanaryObject
    document: Json
    version: int = 1
    alone: Json = field(default_factory=dict)
    """The VirtualService as it would be without any controller."""
    recorded: list[tuple[str, Status]] = field(default_factory=list)
    realized: int = -1
    """Which record the routes were last brought to."""
    allowed: list[dict[str, float]] = field(default_factory=list)
    """Divisions that somebody decided."""

    @classmethod
    def of(cls, before: Status) -> "Server":
        document = virtual_service(before)
        document["metadata"] |= {"resourceVersion": "1", "generation": 1}
        stored = json.loads(json.dumps(dump_status(replace(before, observed_spec=SPEC))))
        canary = CanaryObject(
            KEY, "uid-1", "1", 1, T0, {}, (FINALIZER,), deleting=False, spec=SPEC, status=stored
        )
        return cls(canary, document, alone=document, allowed=[division(document)])

    def record(self, who: str, canary: CanaryObject, after: Status) -> CanaryObject:
        if canary.resource_version != self.canary.resource_version:
            raise Conflict("the Canary has changed")
        stored = json.loads(json.dumps(dump_status(after)))
        version = str(int(canary.resource_version) + 1)
        self.canary = replace(canary, resource_version=version, status=stored)
        form = intended_form(ASKED, after)
        assert form is not None
        wanted = json_patch(self.document, list(patch(self.document, TARGET, form)))
        self.allowed.append(division(wanted))
        self.recorded.append((who, after))
        return self.canary

    def change(self, document: Json) -> Json:
        self.version += 1
        self.document = copy.deepcopy(document)
        self.document["metadata"] |= {"resourceVersion": str(self.version), "generation": self.version}
        assert division(self.document) in self.allowed, "a weight that nobody decided"
        return self.document

    def accept(self) -> None:
        """Let Gloo accept what there is."""
        if self.document["status"].get("statuses") != ACCEPTED:
            self.change({**self.document, "status": {"statuses": ACCEPTED}})

    def edit(self, change: Edit) -> None:
        """Let somebody else's change happen, here and where there is no controller."""
        mine, theirs = copy.deepcopy(self.document), copy.deepcopy(self.alone)
        change(mine)
        change(theirs)
        self.alone = theirs
        self.allowed.append(division(mine))
        self.change(mine)

    def patch(self, who: str, operations: Sequence[Json]) -> Json:
        try:
            after = json_patch(self.document, list(operations))
        except PatchError as error:
            raise Conflict(f"changed in the meantime: {error}") from error
        latest = max((at for at, (author, _) in enumerate(self.recorded) if author == who), default=-1)
        assert latest >= self.realized, "a newer decision was undone"
        self.realized = latest
        assert foreign(after) == foreign(self.document), "somebody else's edit was lost"
        return self.change(after)


@dataclass
class Controller:
    """A process with caches of its own, as old as its beginning."""

    name: str
    server: Server
    judgement: Judgement
    workloads: tuple[Workload, ...] = (running(V1), running(V2))
    now: dt.datetime = T0 + 9 * SECOND
    pause: Pause = lambda _about: None

    def __post_init__(self) -> None:
        self.canary = self.server.canary
        self.services = self._cache(VIRTUAL_SERVICES, self.server.document)
        kube = {"subsetSpec": {"selectors": [{"keys": ["version"]}]}}
        upstream = {
            "metadata": {"name": "echo", "namespace": "gloo-system", "resourceVersion": "1"},
            "spec": {"kube": kube},
        }
        others = self._cache(ROUTE_TABLES), self._cache(UPSTREAM_GROUPS)
        holders = RouteHolders(cast("Any", self), self.services, *others)
        self.reconciler = Reconciler(
            canaries=cast("Any", self),
            workloads=cast("Any", SimpleNamespace(find=lambda *_: self.workloads)),
            routes=GlooRoutes(cast("Any", self), holders, self._cache(UPSTREAMS, upstream)),
            measuring=cast("Any", SimpleNamespace(weigh=self._weigh, forget=lambda _: None)),
            templates=cast("Any", SimpleNamespace(of=lambda _: {})),
            archive=cast("Any", SimpleNamespace(save=lambda *_: None)),
            events=cast("Any", SimpleNamespace(publish=lambda *_: None)),
            clock=cast("Any", SimpleNamespace(now=lambda: self.now)),
        )

    def __call__(self, pause: Pause) -> None:
        """Run one tick."""
        self.pause = pause
        self.reconciler.tick(KEY)

    def follow(self) -> None:
        """Learn what the server has now, and run ticks until nothing happens any more."""
        self.pause = lambda _about: None
        self.judgement = TOO_FEW
        self.now = max(self.now, T0 + MINUTE)
        for _ in range(12):
            self.server.accept()
            self.canary, before = self.server.canary, self.server.version
            self.services.put(self.server.document)
            self.now += 11 * SECOND
            self.reconciler.tick(KEY)
            if (self.server.canary, self.server.version) == (self.canary, before):
                return
        raise AssertionError(f"no rest: {self.server.canary.status}")

    def _weigh(self, _key: Key, _spec: object, before: Status) -> tuple[Judgement, Status]:
        return replace(self.judgement, at=self.now), before

    def _cache(self, resource: Resource, *documents: Json) -> Watched:
        cache = Watched(cast("Any", self), resource)
        for document in documents:
            cache.put(copy.deepcopy(document))
        cache._listed.set()
        return cache

    # The Canary, as ports.Canaries.

    def get(self, _key: Key) -> CanaryObject:
        return self.canary

    def rivals(self, _canary: CanaryObject) -> Sequence[CanaryObject]:
        return ()

    def refresh(self, _key: Key) -> CanaryObject:
        self.pause("canary")
        self.canary = self.server.canary
        return self.canary

    def record(self, canary: CanaryObject, after: Status) -> CanaryObject:
        self.pause("canary")
        self.canary = self.server.record(self.name, canary, after)
        return self.canary

    def set_finalizer(self, canary: CanaryObject, *, present: bool) -> CanaryObject:
        self.server.canary = replace(canary, finalizers=(FINALIZER,) if present else ())
        return self.server.canary

    # The VirtualService, as kube.client.Cluster.

    def patch(self, _resource: object, _namespace: str, _name: str, operations: Sequence[Json]) -> Json:
        self.pause("routes")
        return self.server.patch(self.name, operations)

    def read(self, _resource: object, _namespace: str, _name: str) -> Json:
        self.pause("routes")
        return copy.deepcopy(self.server.document)


def person(server: Server, change: Edit) -> Actor:
    """Change it at once, as `kubectl patch` and `kubectl apply` do."""

    def actor(pause: Pause) -> None:
        pause("routes")
        server.edit(change)

    return actor


def editor(server: Server, change: Edit) -> Actor:
    """Read it, change it, and write it as a whole if nobody was faster, as `kubectl edit` does and Gloo."""

    def actor(pause: Pause) -> None:
        for _ in range(3):
            pause("routes")
            read = server.document["metadata"]["resourceVersion"]
            pause("routes")
            if server.document["metadata"]["resourceVersion"] == read:
                server.edit(change)
                return

    return actor


def gloo_reports(document: Json) -> None:
    document["status"] = {"statuses": {"gloo-system": {"state": "Accepted", "reason": "anew"}}}


RISING = pytest.param(shifting(10), SAFE, id="rising")
ENDING = pytest.param(shifting(100), SAFE, id="promoting")
GOING_BACK = pytest.param(shifting(50), HARMFUL, id="going back")
ROLLOUTS = pytest.mark.parametrize(("before", "judgement"), [RISING, ENDING, GOING_BACK])


def judged(server: Server, controllers: Sequence[Controller], order: str) -> None:
    """Let everybody calm down, and look at what is left."""
    for controller in controllers:
        controller.follow()
    form = intended_form(ASKED, load_status(server.canary.status))
    assert form is not None
    assert patch(server.document, TARGET, form) == (), f"{order}: not as it is recorded"
    assert foreign(server.document) == foreign(server.alone), f"{order}: somebody else's edit was lost"


Setting = tuple[Sequence[Actor], Callable[[str], None]]


def one_controller(
    before: Status, judgement: Judgement, others: Sequence[Callable[[Server], Actor]]
) -> Setting:
    server = Server.of(before)
    controller = Controller("A", server, judgement)
    actors: list[Actor] = [controller, *(other(server) for other in others)]
    return actors, functools.partial(judged, server, [controller])


def two_controllers(before: Status, others: Sequence[Callable[[Server], Actor]]) -> Setting:
    """One finds the candidate good, the other one sees that it has crashed."""
    server = Server.of(before)
    crashed = (running(V1), running(V2, ready=0))
    controllers = [Controller("A", server, SAFE), Controller("B", server, SAFE, crashed)]
    actors: list[Actor] = [*controllers, *(other(server) for other in others)]
    return actors, functools.partial(judged, server, controllers)


def one_that_was_frozen(others: Sequence[Callable[[Server], Actor]] = ()) -> Setting:
    """One has found the candidate ready; another one takes over wherever that one stands, and goes back.

    Then the routes are as they were when the first one decided.
    """
    server = Server.of(status(Phase.PREPARING, surveyed_at=T0))
    frozen, successor = Controller("A", server, SAFE), Controller("B", server, SAFE)

    def takes_over(pause: Pause) -> None:
        for ready in (1, 0, 0):
            server.accept()
            successor.workloads = (running(V1), running(V2, ready=ready))
            successor.canary = server.canary
            successor.services.put(server.document)
            successor.now += MINUTE
            successor(pause)

    actors: list[Actor] = [frozen, takes_over, *(other(server) for other in others)]
    return actors, functools.partial(judged, server, [successor])


@pytest.fixture(autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@ROLLOUTS
@pytest.mark.parametrize("by", [person, editor])
@pytest.mark.parametrize("change", EDITS)
def test_an_edit_between_any_two_calls(
    before: Status, judgement: Judgement, by: Callable[..., Actor], change: Edit
) -> None:
    other = functools.partial(by, change=change)
    assert orders(lambda: one_controller(before, judgement, [other])) >= 2


@ROLLOUTS
@pytest.mark.parametrize("change", EDITS)
def test_an_edit_and_a_report_of_gloo(before: Status, judgement: Judgement, change: Edit) -> None:
    human, gloo = functools.partial(person, change=change), functools.partial(editor, change=gloo_reports)
    assert orders(lambda: one_controller(before, judgement, [human, gloo])) >= 8


@pytest.mark.parametrize("edits", list(itertools.combinations(EDITS, 2)))
def test_two_edits_and_a_report_of_gloo(edits: Sequence[Edit]) -> None:
    others = [functools.partial(person, change=change) for change in (*edits, gloo_reports)]
    assert orders(lambda: one_controller(shifting(10), SAFE, others)) >= 24


@pytest.mark.parametrize("before", [shifting(10), shifting(100)])
def test_two_controllers_that_disagree(before: Status) -> None:
    assert orders(lambda: two_controllers(before, [])) >= 3


@pytest.mark.parametrize("change", EDITS)
def test_two_controllers_that_disagree_and_an_edit(change: Edit) -> None:
    other = functools.partial(person, change=change)
    assert orders(lambda: two_controllers(shifting(10), [other])) >= 12


def test_one_that_was_frozen_between_its_decision_and_its_patch() -> None:
    assert orders(one_that_was_frozen) >= 3


def test_one_that_was_frozen_and_an_edit() -> None:
    human = functools.partial(person, change=adds_a_timeout)
    assert orders(lambda: one_that_was_frozen([human])) >= 12


def test_a_rise_that_does_not_name_the_object_it_was_decided_on_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "unchanged", lambda _document: ())
    with pytest.raises(AssertionError, match="a newer decision was undone"):
        orders(one_that_was_frozen)


def test_a_second_patch_without_a_look_at_the_canary_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Reconciler, "_stand_by", lambda *_: None)
    with pytest.raises(AssertionError, match="a newer decision was undone"):
        orders(lambda: two_controllers(shifting(10), []))


@pytest.mark.parametrize("change", [removes_a_route, changes_the_order])
def test_a_patch_without_tests_would_be_noticed(monkeypatch: pytest.MonkeyPatch, change: Edit) -> None:
    def careless(*given: Any) -> tuple[Json, ...]:
        return tuple(each for each in patch(*given) if each["op"] != "test")

    monkeypatch.setattr(client, "patch", careless)
    monkeypatch.setattr(client, "unchanged", lambda _document: ())
    other = functools.partial(person, change=change)
    with pytest.raises(AssertionError, match="somebody else's edit was lost"):
        orders(lambda: one_controller(shifting(10), SAFE, [other]))
