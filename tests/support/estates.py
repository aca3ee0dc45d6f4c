"""Random VirtualServices with RouteTables below them and UpstreamGroups beside them, as Gloo sees them."""

import copy
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from config.canary import TestingMatch
from gateway import (
    DRESS,
    MAIN,
    Json,
    Traffic,
    block,
    destinations,
    fits,
    leading,
    stripped,
    weighted,
)


Key = tuple[str, str, str]
"""Kind, namespace, name."""
Estate = dict[Key, Json]

SERVICE = ("VirtualService", "gloo-system", "web")
TEAM = ("RouteTable", "teams", "team")
LEAVES = (("RouteTable", "leaves", "a"), ("RouteTable", "leaves", "b"))
GROUP = ("UpstreamGroup", "gloo-system", "web")
OTHERS = ("UpstreamGroup", "gloo-system", "others")


@dataclass(frozen=True)
class Shelf:
    """Implements `controller.gloo.delegation.Shelf`."""

    estate: Estate

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        return self.estate.get((kind, namespace, name))

    def tables(self, namespaces: Collection[str] | None) -> list[Json]:
        return [
            document
            for (kind, namespace, _), document in self.estate.items()
            if kind == "RouteTable" and (namespaces is None or namespace in namespaces)
        ]


# Gloo's view: all routes of the VirtualService in the order in which they match.


@dataclass(frozen=True)
class Parent:
    """What a delegating route hands down."""

    matcher: Json
    inherit: bool
    inherit_path: bool


@dataclass(frozen=True)
class Flat:
    """A route with its full matchers, and the document that it stands in."""

    route: Json
    matchers: list[Json]
    key: Key


def flat(estate: Estate) -> list[Flat]:
    routes = estate[SERVICE]["spec"]["virtualHost"]["routes"]
    return list(_visit(estate, SERVICE, routes, None))


def _visit(estate: Estate, key: Key, routes: Sequence[Json], parent: Parent | None) -> Iterator[Flat]:
    for route in routes:
        matchers = copy.deepcopy(route.get("matchers") or [])
        inherit, inherit_path = route.get("inheritableMatchers"), route.get("inheritablePathMatchers")
        if parent is not None:
            inherit = parent.inherit if inherit is None else inherit
            inherit_path = parent.inherit_path if inherit_path is None else inherit_path
            matchers = _merged(matchers, parent, inherit=inherit, inherit_path=inherit_path)
            if not all(_is_below(parent.matcher, matcher) for matcher in matchers):
                continue  # Gloo drops it, with a warning
        matchers = matchers or [{"prefix": "/"}]
        if "delegateAction" not in route:
            yield Flat(route, matchers, key)
            continue
        below = Parent(matchers[0], bool(inherit), bool(inherit_path))
        yield from _tables(estate, route["delegateAction"], below)


def _merged(matchers: list[Json], parent: Parent, *, inherit: bool, inherit_path: bool) -> list[Json]:
    if inherit_path:
        matchers = [
            {key: value for key, value in matcher.items() if key not in {"prefix", "exact"}}
            | {"prefix": parent.matcher["prefix"]}
            for matcher in matchers or [{}]
        ]
    matchers = matchers or [{"prefix": "/"}]
    for field in ("headers", "queryParameters", "methods") if inherit else ():
        for matcher in matchers:
            matcher[field] = [*parent.matcher.get(field, []), *matcher.get(field, [])]
    return [{key: value for key, value in matcher.items() if value} for matcher in matchers]


def _is_below(parent: Json, matcher: Json) -> bool:
    path = matcher.get("prefix") or matcher.get("exact") or ""
    for field in ("headers", "queryParameters"):
        found = {each["name"]: each for each in matcher.get(field, [])}
        if any(found.get(each["name"]) != each for each in parent.get(field, [])):
            return False
    return path.startswith(parent["prefix"]) and set(parent.get("methods", [])) <= set(
        matcher.get("methods", [])
    )


def _tables(estate: Estate, action: Json, parent: Parent) -> Iterator[Flat]:
    ref = action.get("ref") or (action if "name" in action else None)
    if ref is not None:
        keys = [key for key in estate if key == ("RouteTable", ref["namespace"], ref["name"])]
    else:
        keys = [key for key in estate if "echo" in estate[key]["metadata"].get("labels", {}).values()]
    weights = sorted({_weight(estate[key]) for key in keys})
    for weight in weights:
        alike = [key for key in keys if _weight(estate[key]) == weight]
        found = [each for key in alike for each in _visit(estate, key, estate[key]["spec"]["routes"], parent)]
        yield from sorted(found, key=_order) if len(alike) > 1 else found


def _weight(table: Json) -> int:
    weight: int = table["spec"].get("weight", 0)
    return weight


def _order(found: Flat) -> tuple[int, int, list[int]]:
    """Sort by the first matcher in this order: more methods, exact before prefix, greater paths."""
    return min(
        (
            -len(matcher.get("methods", [])),
            0 if "exact" in matcher else 1,
            [-ord(each) for each in matcher.get("exact") or matcher["prefix"]] + [1],
        )
        for matcher in found.matchers
    )


def hit(routes: Sequence[Flat], path: str, request: Json) -> Flat | None:
    return next(
        (each for each in routes if any(fits(matcher, path, request) for matcher in each.matchers)), None
    )


def ends(estate: Estate, found: Flat | None) -> Traffic | str:
    """Give (upstream, version) -> share; for a route without destinations its whole text."""
    if found is None:
        return "not found"
    group = found.route.get("routeAction", {}).get("upstreamGroup")
    if group is None:
        return destinations(found.route) or json.dumps(found.route, sort_keys=True)
    document = estate["UpstreamGroup", group["namespace"], group["name"]]
    return destinations({"routeAction": {"multi": document["spec"]}})


def untestable(estate: Estate, match: TestingMatch) -> set[Key]:
    """Give the documents where a testing route for a match would not be what it should be."""
    found: set[Key] = set()
    mixed = {key for key in LEAVES if _weight(estate[LEAVES[0]]) == _weight(estate[LEAVES[1]])}
    edges = {
        key: [
            (matcher, below)
            for route in routes_of(estate[key])
            for matcher in route.get("matchers", [])
            if "delegateAction" in route
            for below in (LEAVES if "selector" in route["delegateAction"] else (TEAM,))
        ]
        for key in (SERVICE, TEAM)
    }
    for matcher, below in (*edges[SERVICE], *edges[TEAM]):
        if _clash(match, matcher):
            found |= {below} if below in LEAVES else {below, *(leaf for _, leaf in edges[TEAM])}
    return found | (mixed if match.methods and edges[TEAM] else set())


def _clash(match: TestingMatch, matcher: Json) -> bool:
    return bool(
        (match.methods and "methods" in matcher)
        or {each.name for each in match.headers} & {each["name"] for each in matcher.get("headers", [])}
        or {each.name for each in match.query_parameters}
        & {each["name"] for each in matcher.get("queryParameters", [])}
    )


def routes_of(document: Json) -> list[Json]:
    spec = document["spec"]
    routes: list[Json] = spec["routes"] if document["kind"] == "RouteTable" else spec["virtualHost"]["routes"]
    return routes


def bared(document: Json) -> Json:
    """Take away what a rollout may change: our destinations and all weights."""
    if document["kind"] == "UpstreamGroup":
        route = {"routeAction": {"multi": {"destinations": document["spec"]["destinations"]}}}
        rest = {key: value for key, value in document["spec"].items() if key != "destinations"}
        wrapped = {"spec": {"virtualHost": {"routes": [route]}}}
        return {**document, "spec": {**rest, "divided": stripped(wrapped)}}
    spec = {key: value for key, value in document["spec"].items() if key not in {"routes", "virtualHost"}}
    host = document["spec"].get("virtualHost", {})
    wrapped = {"spec": {"virtualHost": {**host, "routes": routes_of(document)}}}
    return {**document, "spec": {**spec, "routed": stripped(wrapped)}}


# Documents.


CONDITIONS: st.SearchStrategy[Json] = st.sampled_from(
    [
        {},
        {"headers": [{"name": "tenant", "value": "a"}]},
        {"headers": [{"name": "stage"}]},
        {"methods": ["GET", "POST", "PUT"]},
        {"queryParameters": [{"name": "v"}]},
    ]
)
FLAGS = st.fixed_dictionaries({}, optional={"inheritableMatchers": st.booleans()})
BY_GROUP = {"upstreamGroup": {"name": "web", "namespace": "gloo-system"}}
TO_OTHERS = {"routeAction": {"upstreamGroup": {"name": "others", "namespace": "gloo-system"}}}


@st.composite
def lane(draw: st.DrawFn, path: str, conditions: Json) -> list[Json]:
    """Give the managed routes of one path; at times with all conditions of the parent, as Gloo wants it."""
    routes = draw(block(path, managed=True))
    if draw(st.booleans()):
        routes[-1]["routeAction"] = copy.deepcopy(BY_GROUP)
    if draw(st.integers(0, 3)) == 0:
        routes.append({"matchers": [{"prefix": path + "o"}], **TO_OTHERS})
    if draw(st.booleans()):
        for matcher in (matcher for route in routes for matcher in route["matchers"]):
            for field, values in conditions.items():
                there = matcher.get(field, [])
                matcher[field] = [*(each for each in values if each not in there), *there]
    return routes


@st.composite
def delegating(draw: st.DrawFn, prefix: str, action: Json, conditions: Json) -> Json:
    matcher = {"prefix": prefix, **conditions}
    return {"matchers": [matcher], "delegateAction": action, **draw(FLAGS), **draw(DRESS)}


@st.composite
def estates(draw: st.DrawFn) -> Estate:
    conditions, below = draw(CONDITIONS), draw(CONDITIONS)
    team_ref = {"name": "team", "namespace": "teams"}
    by_ref: Json = draw(st.sampled_from([{"ref": team_ref}, team_ref]))
    routes = [*draw(lane("/0/", {})), draw(delegating("/t/", by_ref, conditions))]
    if draw(st.booleans()):
        routes.insert(0, draw(delegating("/t/n/", {"ref": team_ref}, draw(CONDITIONS))))
    team = draw(lane("/t/0/", conditions))
    leaves: Json = {"selector": {"namespaces": ["*"], "labels": {"app": "echo"}}}
    if draw(st.booleans()):
        team.append(draw(delegating("/t/n/", leaves, {**conditions, **below})))
    if draw(st.booleans()):
        action = {"routeAction": draw(MAIN)}
        team.append({"inheritablePathMatchers": True, **action, **draw(DRESS)})
    estate = {
        SERVICE: _document(SERVICE, {"virtualHost": {"domains": ["*"], "routes": routes}, "x-new": 1}),
        TEAM: _document(TEAM, {"routes": team}),
        GROUP: _document(GROUP, draw(weighted())["multi"]),
        OTHERS: _document(OTHERS, {"destinations": [{"destination": leading("cart", None), "weight": 1}]}),
    }
    for at, key in enumerate(LEAVES):
        lanes = draw(lane(f"/t/n/{at}/", {**conditions, **below}))
        spec = {"routes": lanes, "weight": draw(st.integers(0, 1))}
        estate[key] = _document(key, spec, labels={"app": "echo"})
    return estate


def _document(key: Key, spec: Json, **metadata: Any) -> Json:
    kind, namespace, name = key
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
        "status": {"statuses": {}},
    }
