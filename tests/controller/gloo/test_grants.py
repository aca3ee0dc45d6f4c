"""What a Canary may move: its own, what the settings allow, and in strict tenancy what owners grant."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from config.canary import CanarySpec
from config.status import HeldReason, Phase
from controller.errors import Conflict, EdgeError, Refused
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.grants import ANNOTATION, ANYTHING, Grants, Tenancy
from controller.gloo.objects import RouteHolders
from controller.kube.resources import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES, Resource
from controller.kube.watch import Watched, by_namespace
from controller.rollout.moves import Form
from interrupted import LONGEST, Process
from memory import CANARY, Documents, Server, Watchdog, unwatched
from promises import watch
from stories import cluster, deployed, resting, turns_harmful


Json = dict[str, Any]
HOME = "echo"
GLOO = "gloo-system"
SHOP = "shop"
OWNED = Tenancy(frozenset({GLOO}))
STRICT = Tenancy(frozenset({GLOO}), strict=True)
PINNED, QUARTER, HALF = Form("v1"), Form("v1", "v2", 25), Form("v1", "v2", 50)
SERVICE = ("virtualservices", GLOO, "echo")
UPSTREAM = ("upstreams", GLOO, "echo")
_KINDS = (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)
_NAMES = {VIRTUAL_SERVICES: "VirtualService", ROUTE_TABLES: "RouteTable", UPSTREAM_GROUPS: "UpstreamGroup"}


@pytest.fixture(autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def echo(version: str | None = None) -> Json:
    subset = {"subset": {"values": {"version": version}}} if version else {}
    return {"upstream": {"name": "echo", "namespace": GLOO}, **subset}


def single(version: str | None = None) -> Json:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": echo(version)}}


def multi(**weights: int) -> Json:
    entries = [{"destination": echo(version), "weight": weight} for version, weight in weights.items()]
    return {"matchers": [{"prefix": "/"}], "routeAction": {"multi": {"destinations": entries}}}


def delegating(namespace: str, name: str = "echo") -> Json:
    ref = {"name": name, "namespace": namespace}
    return {"matchers": [{"prefix": "/more"}], "delegateAction": {"ref": ref}}


def put(
    server: Server, resource: Resource, address: tuple[str, str], body: Any, to: str | None = None
) -> None:
    """Store an object of Gloo's: its routes or destinations, and whom it is granted to."""
    namespace, name = address
    spec = {
        VIRTUAL_SERVICES: {"virtualHost": {"routes": body}},
        ROUTE_TABLES: {"routes": body},
        UPSTREAM_GROUPS: {"destinations": body},
        UPSTREAMS: {
            "kube": {"selector": {"app": "echo"}, "subsetSpec": {"selectors": [{"keys": ["version"]}]}}
        },
    }[resource]
    metadata = {"namespace": namespace, "name": name, "annotations": {} if to is None else {ANNOTATION: to}}
    kind = _NAMES.get(resource, "Upstream")
    server.put(
        resource, {"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "spec": spec}
    )


def stocked(*routes: Json, to: str | None = None, of_upstream: str | None = None) -> Server:
    """Give a cluster with VirtualService and Upstream gloo-system/echo."""
    server = Server()
    put(server, UPSTREAMS, (GLOO, "echo"), None, of_upstream)
    put(server, VIRTUAL_SERVICES, (GLOO, "echo"), list(routes) or [single()], to)
    return server


def routes_of(server: Server, tenancy: Tenancy, home: str = HOME) -> GlooRoutes:
    """Build a client that knows everything up to now."""
    connection = cast("Any", server)
    caches = {
        kind: Watched(connection, kind, index=bases if kind is UPSTREAMS else by_namespace) for kind in _KINDS
    }
    for cache in caches.values():
        cache._list()
    *holders, upstreams = caches.values()
    shelf = RouteHolders(connection, *holders)
    return GlooRoutes(connection, shelf, upstreams, Grants(tenancy=tenancy)).of(home)


def spec(*refs: Json, **fields: Any) -> CanarySpec:
    return CanarySpec.model_validate(
        {
            "workload": {"selector": {"app": "echo"}},
            "upstream": {"name": "echo", "namespace": GLOO},
            "routes": list(refs) or [{"name": "echo", "namespace": GLOO}],
            "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
            **fields,
        }
    )


def problem(server: Server, asked: CanarySpec, tenancy: Tenancy) -> str:
    return routes_of(server, tenancy).see(asked, PINNED).problem


ONLY = (
    "but a Canary of echo may only use echo and gloo-system; the controller's allowedNamespaces "
    "would have to name it"
)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (spec(), ""),
        (spec({"name": "echo", "namespace": SHOP}), f"spec.routes[0].namespace: found shop, {ONLY}"),
        (
            spec({"name": "echo", "namespace": GLOO}, {"name": "web", "namespace": SHOP}),
            f"spec.routes[1].namespace: found shop, {ONLY}",
        ),
        (
            spec(upstream={"name": "echo", "namespace": SHOP}),
            f"spec.upstream.namespace: found shop, {ONLY}",
        ),
        (
            spec(
                workload=None,
                upstream=None,
                versions={
                    "stable": {"name": "echo", "namespace": GLOO},
                    "candidate": {"name": "new", "namespace": SHOP},
                },
            ),
            f"spec.versions.candidate.namespace: found shop, {ONLY}",
        ),
    ],
)
def test_what_is_neither_its_own_nor_allowed_is_refused_by_its_field(asked: CanarySpec, said: str) -> None:
    assert problem(stocked(), asked, OWNED) == said


def test_its_own_namespace_needs_no_permission() -> None:
    server = stocked()
    put(server, VIRTUAL_SERVICES, (HOME, "echo"), [single()])
    put(server, UPSTREAMS, (HOME, "echo"), None)
    own = spec({"name": "echo", "namespace": HOME}, upstream={"name": "echo", "namespace": HOME})
    for strict in (False, True):
        assert "may only use" not in problem(server, own, Tenancy(frozenset(), strict=strict))
        assert "annotation" not in problem(server, own, Tenancy(frozenset(), strict=strict))


def test_a_star_allows_every_namespace() -> None:
    server = stocked()
    put(server, VIRTUAL_SERVICES, (SHOP, "web"), [single()])
    assert problem(server, spec({"name": "web", "namespace": SHOP}), ANYTHING) == ""


def test_nothing_is_told_of_what_may_not_be_used() -> None:
    server = stocked()
    put(server, VIRTUAL_SERVICES, (SHOP, "web"), [single("secret")])
    here, absent = (
        problem(server, spec({"name": each, "namespace": SHOP}), OWNED) for each in ("web", "not")
    )
    assert here == absent


def test_what_is_reached_by_delegation_is_refused_if_it_leads_to_the_upstream() -> None:
    server = stocked(single(), delegating(SHOP), delegating(SHOP, "till"))
    put(server, ROUTE_TABLES, (SHOP, "echo"), [single()])
    put(server, ROUTE_TABLES, (SHOP, "till"), [{"redirectAction": {"hostRedirect": "example.org"}}])
    assert problem(server, spec(), OWNED) == f"spec.routes[0]: leads to RouteTable shop/echo, {ONLY}"


UNGRANTED = "VirtualService gloo-system/echo does not allow Canaries of namespace echo"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("echo", ""),
        ("*", ""),
        ("shop, echo ,cart", ""),
        (None, f"{UNGRANTED}, found no annotation {ANNOTATION}; its owner can set it to echo"),
        ("", f"{UNGRANTED}, found no annotation {ANNOTATION}; its owner can set it to echo"),
        ("shop", f"{UNGRANTED}, found {ANNOTATION}: 'shop'; its owner can set it to shop,echo"),
        (
            "ech, echo2",
            f"{UNGRANTED}, found {ANNOTATION}: 'ech, echo2'; its owner can set it to ech,echo2,echo",
        ),
    ],
)
def test_in_strict_tenancy_owners_grant_it(to: str | None, said: str) -> None:
    found = problem(stocked(to=to, of_upstream="echo"), spec(), STRICT)
    assert found == (said and f"spec.routes[0]: {said}")
    assert problem(stocked(to=to), spec(), OWNED) == ""


def test_in_strict_tenancy_the_upstream_is_granted_too() -> None:
    found = problem(stocked(to="echo", of_upstream="shop"), spec(), STRICT)
    assert found == (
        "spec.upstream: Upstream gloo-system/echo does not allow Canaries of namespace echo, found "
        f"{ANNOTATION}: 'shop'; its owner can set it to shop,echo"
    )


def test_a_field_is_named_by_the_object_and_not_by_who_delegates_to_it() -> None:
    server = stocked(delegating(GLOO), to="*", of_upstream="*")
    put(server, ROUTE_TABLES, (GLOO, "echo"), [single()])
    both = spec(
        {"name": "echo", "namespace": GLOO}, {"kind": "RouteTable", "name": "echo", "namespace": GLOO}
    )
    assert problem(server, both, STRICT).startswith("spec.routes[1]: RouteTable gloo-system/echo does not")


def written(server: Server, tenancy: Tenancy, asked: CanarySpec, form: Form) -> tuple[Documents, str]:
    """Write a form; give what there was before, and why it failed."""
    before = dict(server.documents)
    try:
        routes_of(server, tenancy).write(asked, form)
    except EdgeError as error:
        return before, str(error)
    return before, ""


@pytest.mark.parametrize("form", [PINNED, QUARTER, replace(PINNED, prepared="v2")])
@pytest.mark.parametrize("fields", [{}, {"destinations": "Upstreams"}])
def test_what_was_never_granted_is_not_touched(form: Form, fields: Json) -> None:
    server = stocked()
    before, _ = written(server, STRICT, spec(**fields), form)
    assert server.documents == before
    seen = routes_of(server, STRICT).see(spec(**fields), form)
    assert (seen.lacking, seen.leftover) == ("", frozenset())


def test_what_is_no_longer_granted_never_rises_but_is_led_back() -> None:
    server = stocked(multi(v1=75, v2=25), of_upstream="echo")
    before, refused = written(server, STRICT, spec(), HALF)
    assert server.documents == before
    assert refused.startswith(f"spec.routes[0]: {UNGRANTED}")
    assert written(server, STRICT, spec(), Form("v1", "v2", 10))[1].startswith("spec.routes[0]")
    assert shares(server) == {"v1": 90, "v2": 10}
    assert written(server, STRICT, spec(), PINNED)[1] == ""
    assert shares(server) == {"v1": 100}


def test_what_its_owner_has_taken_back_is_left_alone_and_no_rollback_waits_for_it() -> None:
    server = stocked({**single(), "name": "main"}, of_upstream="echo")
    for ref in ({}, {"names": ["main"]}):
        asked = spec({"name": "echo", "namespace": GLOO, **ref})
        before, refused = written(server, STRICT, asked, PINNED)
        assert (server.documents, refused) == (before, "")
        seen = routes_of(server, STRICT).see(asked, PINNED)
        assert seen.in_form
        assert seen.problem.startswith(f"spec.routes[0]: {UNGRANTED}")


def test_a_candidate_without_a_way_to_it_is_no_way_back() -> None:
    server = stocked(single("v1"), of_upstream="echo")
    _, refused = written(server, STRICT, spec(destinations="Upstreams"), replace(PINNED, prepared="v2"))
    assert refused.startswith(f"spec.routes[0]: {UNGRANTED}")


def test_clones_are_not_removed_once_the_upstream_is_no_longer_granted() -> None:
    server = stocked(single(), to="echo", of_upstream="echo")
    asked = spec(destinations="Upstreams")
    routes_of(server, STRICT).write(asked, Form("v1", prepared="v2"))
    assert routes_of(server, STRICT).see(asked, PINNED).leftover == {"echo-v2"}
    put(server, UPSTREAMS, (GLOO, "echo"), None)
    assert routes_of(server, STRICT).see(asked, PINNED).leftover == frozenset()
    before = dict(server.documents)
    with pytest.raises(Refused, match=r"spec\.upstream: Upstream gloo-system/echo does not allow"):
        routes_of(server, STRICT).remove(asked, PINNED)
    assert server.documents == before


def test_a_clone_that_the_way_back_needs_is_made_again() -> None:
    server = stocked(single(), to="echo", of_upstream="echo")
    asked = spec(destinations="Upstreams")
    routes_of(server, STRICT).write(asked, Form("v1", prepared="v2"))
    server.drop(("upstreams", GLOO, "echo-v1"))
    put(server, UPSTREAMS, (GLOO, "echo"), None)
    routes_of(server, STRICT).write(asked, PINNED)
    assert ("upstreams", GLOO, "echo-v1") in server.documents


def test_a_grant_that_is_withdrawn_under_a_rise_stops_it() -> None:
    server = stocked(multi(v1=75, v2=25), to="echo", of_upstream="echo")
    late = routes_of(server, STRICT)
    put(server, VIRTUAL_SERVICES, (GLOO, "echo"), [multi(v1=75, v2=25)])
    server.documents[SERVICE]["metadata"]["generation"] = 1  # annotations do not count in it
    before = dict(server.documents)
    with pytest.raises(Refused, match="Canaries of echo may not move it any more"):
        late.write(spec(), HALF)
    assert server.documents == before


def test_a_grant_for_others_that_changes_under_a_rise_only_costs_a_second_look() -> None:
    server = stocked(multi(v1=75, v2=25), to="echo", of_upstream="echo")
    late = routes_of(server, STRICT)
    put(server, VIRTUAL_SERVICES, (GLOO, "echo"), [multi(v1=75, v2=25)], "echo,shop")
    late.write(spec(), HALF)
    assert shares(server) == {"v1": 50, "v2": 50}


def shares(server: Server, address: tuple[str, str, str] = SERVICE) -> dict[str, int]:
    """Give the weights of an object's first route by version; empty name: all versions."""
    (route, *_) = [each for each in listed(server.documents[address]) if "routeAction" in each]
    action = route["routeAction"]
    entries = action.get("multi", {}).get("destinations") or [
        {"destination": action["single"], "weight": 100}
    ]
    return {
        each["destination"].get("subset", {}).get("values", {}).get("version", ""): each["weight"]
        for each in entries
    }


def listed(document: Mapping[str, Any]) -> list[Json]:
    body = document["spec"]
    found: list[Json] = body.get("routes") or body.get("virtualHost", {}).get("routes") or []
    return found


# Releases.


class Tenant(Process):
    """A controller in strict tenancy."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.watchdog: Watchdog = watch
        own = cast("Any", self.reconciler.routes)
        grants = Grants(tenancy=STRICT)
        routes = GlooRoutes(own._cluster, own._holders, own._upstreams, grants)
        self.reconciler = replace(self.reconciler, routes=routes)

    def run(self, until: Any = lambda _server: False) -> None:
        """Tick until something is so, or nothing is due for long."""
        server = self.server
        for _ in range(LONGEST):
            if until(server):
                return
            self.learn()
            server.watchdog = self.watchdog
            wake = self.tick()
            moments = [moment for moment in (wake, server.next_report) if moment is not None]
            if not moments:
                return
            server.pass_time(min(moments))


def grant(server: Server, to: str | None = "echo") -> None:
    def change(document: Json) -> None:
        document["metadata"]["annotations"] = {} if to is None else {ANNOTATION: to}

    for address in (SERVICE, UPSTREAM):
        server.edit(address, change)


def at_half() -> tuple[Server, Tenant]:
    server = cluster(baking={"duration": "0s"})
    grant(server)
    tenant = Tenant(server)
    tenant.run(resting)
    deployed("v2")(server)
    tenant.run(lambda each: each.status.weight == 50)
    return server, tenant


def held(server: Server) -> tuple[HeldReason, str] | None:
    now = server.status.held
    return (now.reason, now.message.partition(" does not allow")[0]) if now else None


WITHDRAWN = (HeldReason.STALLED, "spec.upstream: Upstream gloo-system/echo")


def test_an_application_that_is_not_granted_is_not_adopted_until_it_is() -> None:
    server = cluster()
    before = {address: server.documents[address] for address in (SERVICE, UPSTREAM)}
    tenant = Tenant(server)
    tenant.run()
    assert held(server) == WITHDRAWN
    assert {address: server.documents[address] for address in before} == before
    grant(server)
    tenant.run(resting)
    assert (server.status.phase, server.status.held) == (Phase.IDLE, None)


def test_a_release_whose_grant_is_withdrawn_stays_and_goes_on_once_it_is_back() -> None:
    server, tenant = at_half()
    grant(server, None)
    ticks = iter(range(60))
    tenant.run(lambda _server: next(ticks) == 59)
    assert (server.status.weight, held(server)) == (50, WITHDRAWN)
    grant(server)
    tenant.run()
    assert (server.status.phase, server.status.held) == (Phase.PROMOTED, None)


@pytest.mark.parametrize(
    "ends", [turns_harmful, lambda server: server.crash("v2"), lambda server: server.drop(CANARY)]
)
def test_a_release_whose_grant_is_withdrawn_still_goes_back(ends: Any) -> None:
    server, tenant = at_half()
    grant(server, None)
    ends(server)
    tenant.run(lambda each: CANARY not in each.documents or each.status.phase is Phase.ROLLED_BACK)
    assert CANARY not in server.documents or server.status.phase is Phase.ROLLED_BACK
    main = [each for each in listed(server.documents[SERVICE]) if "routeAction" in each]
    assert [each["routeAction"]["single"] for each in main] == [echo("v1")]


def test_what_its_owner_takes_back_in_mid_release_stays_as_the_owner_has_it() -> None:
    server, tenant = at_half()
    tenant.watchdog = unwatched  # these routes are not what anybody promised
    grant(server, None)

    def take_back(document: Json) -> None:
        document["spec"]["virtualHost"]["routes"] = [single()]

    server.edit(SERVICE, take_back)
    turns_harmful(server)
    tenant.run(lambda each: each.status.phase is Phase.ROLLED_BACK)
    assert server.status.phase is Phase.ROLLED_BACK
    assert listed(server.documents[SERVICE]) == [single()]


# Whatever there is, and whatever is asked for.


NAMESPACES = st.sampled_from([HOME, GLOO, SHOP])
BODIES = st.sampled_from([[single()], [single("v1")], [multi(v1=75, v2=25)], [multi(v1=0, v2=100)], []])
GRANTED = st.sampled_from([None, "echo", "shop", "*", "shop,echo", ""])
FORMS = st.sampled_from(
    [PINNED, Form("v2"), Form("v1", "v2"), QUARTER, HALF, Form("v1", prepared="v2"), Form("v1", "v2", 0)]
)
TENANCIES = st.builds(
    Tenancy,
    st.sampled_from([frozenset(), frozenset({GLOO}), frozenset({SHOP}), frozenset({"*"})]),
    st.booleans(),
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Server, CanarySpec]:
    server, refs = Server(), list[Json]()
    for namespace in (HOME, GLOO, SHOP):
        put(server, UPSTREAMS, (namespace, "echo"), None, draw(GRANTED))
        below = [delegating(draw(NAMESPACES))] if draw(st.booleans()) else []
        put(server, VIRTUAL_SERVICES, (namespace, "echo"), [*below, *draw(BODIES)], draw(GRANTED))
        put(server, ROUTE_TABLES, (namespace, "echo"), draw(BODIES), draw(GRANTED))
        put(
            server,
            UPSTREAM_GROUPS,
            (namespace, "echo"),
            [{"destination": echo(), "weight": 1}],
            draw(GRANTED),
        )
        refs += [
            {"kind": kind, "name": "echo", "namespace": namespace}
            for kind in _NAMES.values()
            if draw(st.integers(0, 3)) == 0
        ]
    first = refs or [{"name": "echo", "namespace": draw(NAMESPACES)}]
    destinations = draw(st.sampled_from(["Subsets", "Upstreams"]))
    base = draw(st.sampled_from([GLOO, GLOO, SHOP]))
    return server, spec(*first, destinations=destinations, upstream={"name": "echo", "namespace": base})


def may_be_moved(document: Mapping[str, Any], tenancy: Tenancy) -> bool:
    """Say it in other words than the code does."""
    namespace = document["metadata"]["namespace"]
    if namespace == HOME:
        return True
    if "*" not in tenancy.allowed and namespace not in tenancy.allowed:
        return False
    granted = document["metadata"].get("annotations", {}).get(ANNOTATION) or ""
    return not tenancy.strict or granted in {"*", "echo", "shop,echo"}


def changed(before: Documents, after: Documents) -> Iterator[tuple[str, str, str]]:
    return (each for each in before.keys() | after.keys() if before.get(each) is not after.get(each))


@pytest.mark.no_cover
@settings(max_examples=150, deadline=None)
@given(world=worlds(), tenancy=TENANCIES, forms=st.lists(FORMS, min_size=1, max_size=3))
def test_nothing_is_written_that_is_neither_own_nor_allowed_nor_granted(
    world: tuple[Server, CanarySpec], tenancy: Tenancy, forms: list[Form]
) -> None:
    server, asked = world
    for form in forms:
        before, _ = written(server, tenancy, asked, form)
        with_base = before["upstreams", asked.upstream.namespace, "echo"]
        for address in changed(before, server.documents):
            if address[0] == "upstreams":
                assert may_be_moved(with_base, tenancy), address
            elif not may_be_moved(before[address], tenancy):
                told_apart = shares(Server(dict(before)), address)
                assert "" not in told_apart, f"{address} was never ours"
                now = shares(server, address)
                assert now.get(form.stable, 0) >= told_apart.get(form.stable, 0), address
        before = dict(server.documents)
        try:
            routes_of(server, tenancy).remove(asked, form)
        except (Refused, Conflict):
            assert server.documents == before
        assert may_be_moved(with_base, tenancy) or server.documents == before
