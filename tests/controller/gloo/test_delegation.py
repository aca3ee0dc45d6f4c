"""Which documents hold routes of a Canary, and which of their routes."""

from typing import Any

import pytest

from config import canary
from config.routes import RouteRef
from controller.gloo.delegation import Place, places
from controller.gloo.documents import name_of
from controller.gloo.scope import ALL, Choice
from estates import Estate, Shelf
from gateway import TARGET


MATCH = canary.TestingMatch.model_validate({"methods": ["GET"]})
WEB = "VirtualService edge/web"
Json = dict[str, Any]


def ref(words: str, **chosen: Any) -> RouteRef:
    kind, address = words.split(" ")
    namespace, name = address.split("/")
    return RouteRef.model_validate({"kind": kind, "namespace": namespace, "name": name, **chosen})


def delegate(action: Json, **matcher: Any) -> Json:
    return {"matchers": [{"prefix": "/", **matcher}], "delegateAction": action}


def to(name: str, namespace: str = "teams") -> Json:
    return {"ref": {"name": name, "namespace": namespace}}


def group(name: str) -> Json:
    return {"routeAction": {"upstreamGroup": {"name": name, "namespace": "edge"}}}


def estate(**routes: list[Json]) -> Estate:
    """Make the VirtualService `web` and RouteTables of the namespace teams."""
    found: Estate = {}
    for name, given in routes.items():
        key = ("VirtualService", "edge", name) if name == "web" else ("RouteTable", "teams", name)
        spec: Json = {"virtualHost": {"routes": given}} if name == "web" else {"routes": given}
        metadata = {"namespace": key[1], "name": name, "labels": {"table": name}}
        found[key] = {"kind": key[0], "metadata": metadata, "spec": spec}
    return found


def groups(**destinations: str) -> Estate:
    found: Estate = {}
    for name, upstream in destinations.items():
        entry = {"destination": {"upstream": {"name": upstream, "namespace": "gloo-system"}}, "weight": 1}
        metadata = {"namespace": "edge", "name": name}
        spec = {"destinations": [entry]}
        found["UpstreamGroup", "edge", name] = {"kind": "UpstreamGroup", "metadata": metadata, "spec": spec}
    return found


def reached(found: Estate, *refs: RouteRef) -> dict[str, Place]:
    every = places(refs or (ref(WEB),), TARGET, Shelf(found))
    return {name_of(place.document): place for place in every}


@pytest.mark.parametrize(
    ("action", "tables"),
    [
        pytest.param(to("a"), ["a"], id="by reference"),
        pytest.param({"name": "a", "namespace": "teams"}, ["a"], id="as older versions name it"),
        pytest.param({"name": "a", "namespace": "teams", **to("b")}, ["a"], id="the older way wins"),
        pytest.param({"ref": {"name": "a"}}, [], id="a reference without a namespace"),
        pytest.param({"name": "a"}, [], id="the older way without a namespace"),
        pytest.param(to("gone"), [], id="a table that is not there"),
        pytest.param({"selector": {"namespaces": ["*"], "labels": {"table": "b"}}}, ["b"], id="by selector"),
        pytest.param({"selector": {"namespaces": ["*"]}}, ["a", "b"], id="by selector, several"),
        pytest.param({"selector": {}}, [], id="by selector, where it stands"),
        pytest.param({"unknown": 1}, [], id="in a way unknown"),
    ],
)
def test_tables_are_found(action: Json, tables: list[str]) -> None:
    found = reached(estate(web=[delegate(action), {}], a=[], b=[]))
    assert list(found) == [WEB, *(f"RouteTable teams/{each}" for each in tables)]
    assert [place.named for place in found.values()] == [True] + [False] * len(tables)


def test_a_selector_in_a_table_begins_in_its_namespace() -> None:
    found = reached(
        estate(web=[delegate(to("a"))], a=[delegate({"selector": {"labels": {"table": "b"}}})], b=[])
    )
    assert list(found) == [WEB, "RouteTable teams/a", "RouteTable teams/b"]


def test_a_circle_ends() -> None:
    circle = estate(
        web=[delegate(to("a"))],
        a=[delegate(to("b"), methods=["GET"])],
        b=[delegate(to("a"), headers=[{"name": "x"}]), delegate(to("b"))],
    )
    found = reached(circle)
    assert list(found) == [WEB, "RouteTable teams/a", "RouteTable teams/b"]
    assert all(len(found[f"RouteTable teams/{each}"].scope.above) == 2 for each in "ab")


def test_a_table_that_is_reached_twice_is_one_place() -> None:
    found = reached(
        estate(web=[delegate(to("a")), delegate(to("b"))], a=[delegate(to("b"))], b=[]),
        ref("RouteTable teams/b", names=["web"]),
        ref(WEB, prefixes=["/x"]),
    )
    table = found["RouteTable teams/b"]
    assert (table.refs, table.named) == ((0, 1), True)
    assert table.scope.choices == (Choice(names=frozenset({"web"})), Choice(prefixes=frozenset({"/x"})))
    assert found["RouteTable teams/a"].refs == (1,)


def test_what_is_named_comes_first_in_order() -> None:
    refs = ref(WEB), ref("RouteTable teams/gone"), ref("UpstreamGroup edge/g")
    found = reached(estate(web=[delegate(to("a"))], a=[]) | groups(g="echo"), *refs)
    assert list(found) == [WEB, "UpstreamGroup edge/g", "RouteTable teams/a"]
    assert [place.refs for place in found.values()] == [(0,), (2,), (0,)]


def test_conditions_on_the_way_are_kept_with_the_table() -> None:
    narrow = {"methods": ["GET"]}
    found = reached(
        estate(
            web=[delegate(to("a"), **narrow), delegate(to("a")), delegate(to("a"), headers=[{"name": "x"}])],
            a=[delegate(to("b"))],
            b=[],
        )
    )
    above = ({"prefix": "/", **narrow}, {"prefix": "/", "headers": [{"name": "x"}]})
    assert found[WEB].scope.above == ()
    assert found["RouteTable teams/a"].scope.above == found["RouteTable teams/b"].scope.above == above
    assert found["RouteTable teams/b"].scope.objections(MATCH) == ("methods",)


def test_tables_of_one_weight_are_mixed_and_so_is_what_is_below_them() -> None:
    some = {"key": "table", "operator": "In", "values": ["a", "b", "c"]}
    every = {"selector": {"namespaces": ["*"], "expressions": [some]}}
    world = estate(web=[delegate(every)], a=[delegate(to("d"))], b=[], c=[], d=[])
    world["RouteTable", "teams", "c"]["spec"]["weight"] = 1
    found = reached(world)
    mixed = {name.rpartition("/")[2] for name, place in found.items() if place.scope.mixed}
    assert mixed == {"a", "b", "d"}
    assert found["RouteTable teams/d"].scope.objections(MATCH) == ("methods",)


def test_a_table_that_was_first_seen_alone_may_turn_out_to_be_mixed() -> None:
    world = estate(web=[delegate(to("a")), delegate({"selector": {"namespaces": ["*"]}})], a=[], b=[])
    assert reached(world)["RouteTable teams/a"].scope.mixed


def test_groups_that_lead_to_the_upstream_are_managed_if_they_are_named() -> None:
    world = estate(web=[group("g"), group("h"), group("other"), group("gone"), {}]) | groups(
        g="echo", h="echo", other="cart"
    )
    found = reached(world, ref(WEB), ref("UpstreamGroup edge/g"), ref("UpstreamGroup edge/other"))
    scope = found[WEB].scope
    assert scope.groups == {
        ("edge", "g"): {"upstream": {"name": "echo", "namespace": "gloo-system"}},
    }
    assert scope.unnamed == {("edge", "h")}
    assert scope.choices == (ALL,)


def test_a_group_has_no_default_for_a_namespace() -> None:
    entry: Json = {"destination": {"upstream": {"name": "echo"}}, "weight": 1}
    metadata = {"namespace": "gloo-system", "name": "g"}
    leading: Json = {"kind": "UpstreamGroup", "metadata": metadata, "spec": {"destinations": [entry]}}
    route = {"routeAction": {"upstreamGroup": metadata}}
    world = estate(web=[route]) | {("UpstreamGroup", "gloo-system", "g"): leading}
    assert reached(world)[WEB].scope.unnamed == frozenset()
    entry["destination"]["upstream"]["namespace"] = "gloo-system"
    assert reached(world)[WEB].scope.unnamed == {("gloo-system", "g")}


@pytest.mark.parametrize(
    ("match", "matcher", "objections"),
    [
        pytest.param({"methods": ["GET"]}, {"methods": ["GET", "PUT"]}, ("methods",), id="methods"),
        pytest.param(
            {"headers": [{"name": "Stage", "value": "x"}]},
            {"headers": [{"name": "stage"}]},
            ("headers",),
            id="one header, in any case",
        ),
        pytest.param(
            {"headers": [{"name": "stage", "value": "x"}]},
            {"headers": [{"name": "y"}]},
            (),
            id="other headers",
        ),
        pytest.param(
            {"queryParameters": [{"name": "v", "present": True}], "methods": ["GET"]},
            {"queryParameters": [{"name": "v"}], "methods": ["GET"]},
            ("methods", "queryParameters"),
            id="several",
        ),
        pytest.param(
            {"headers": [{"name": "v", "value": "x"}]},
            {"queryParameters": [{"name": "v"}]},
            (),
            id="not of a kind",
        ),
        pytest.param({"headers": [{"name": "v", "value": "x"}]}, {"methods": ["GET"]}, (), id="a header"),
    ],
)
def test_a_condition_of_a_parent_cannot_be_narrowed(
    match: Json, matcher: Json, objections: tuple[str, ...]
) -> None:
    scope = reached(estate(web=[delegate(to("a"), **matcher)], a=[]))["RouteTable teams/a"].scope
    assert scope.objections(canary.TestingMatch.model_validate(match)) == objections
