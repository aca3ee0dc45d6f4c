"""A VirtualService's routes, delegated ones included, as Envoy routes in the order in which they match."""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.gloo.actions import envoy_action
from sandbox.gloo.matchers import EVERYTHING, Misplaced, Parent, delegated, route_match, specificity
from sandbox.gloo.world import Refusal, World, not_found, ref_key, spec_of
from sandbox.kube import Document, Key


@dataclass(frozen=True, slots=True)
class Found:
    """One Gloo route with its full matchers, and the route tables it was reached through."""

    route: Document
    matchers: tuple[Document, ...]
    via: tuple[Key, ...] = ()


class Nothing(Exception):  # noqa: N818  # a warning, as in Gloo
    """A delegation selects no route table: the message is the reason of a Warning."""


def envoy_routes(world: World, found: list[Found], name: str) -> list[Document]:
    """Return Envoy's routes for what `resolve` found; unnamed ones are called `NAME-route-N`.

    Raises:
        Refusal: see `envoy_action` and `route_match`.
    """
    routes = []
    for number, item in enumerate(found):
        action = envoy_action(world, item.route)
        label = item.route.get("name") or f"{name}-route-{number}"
        routes += [{"name": label, "match": route_match(m), **action} for m in item.matchers]
    return routes


def resolve(world: World, owner: Key, routes: list[Document], warnings: list[str]) -> list[Found]:
    """Follow delegations; tables that cannot be found by a selector are told in `warnings`.

    Raises:
        Refusal: a dangling reference, a cycle, or a path outside of its parent's prefix.
    """
    found: list[Found] = []
    for route in routes:
        matchers = tuple(route.get("matchers") or (EVERYTHING,))
        if "delegateAction" not in route:
            found.append(Found(route, matchers))
            continue
        try:
            found += _delegate(world, (owner, ()), route, matchers, warnings)
        except Nothing as warning:
            warnings.append(str(warning))
    return found


def _delegate(
    world: World,
    place: tuple[Key, tuple[Key, ...]],
    route: Document,
    matchers: tuple[Document, ...],
    warnings: list[str],
) -> list[Found]:
    if len(matchers) != 1 or "prefix" not in matchers[0]:
        raise Refusal("invalid route: routes with delegate actions must use one prefix matcher")
    parent = Parent(
        matchers[0], bool(route.get("inheritableMatchers")), bool(route.get("inheritablePathMatchers"))
    )
    owner, via = place
    groups: list[list[Found]] = []
    weights: list[int] = []
    for key, table in _tables(world, owner, route["delegateAction"]):
        if key in via:
            raise Refusal(f"invalid route: delegation cycle through route table {'.'.join(key)}")
        below = list(_below(world, (key, (*via, key)), table, parent, warnings))
        weight = spec_of(table).get("weight") or 0
        if weights and weights[-1] == weight:  # tables of one weight mix, the most specific path first
            groups[-1] = sorted(groups[-1] + below, key=lambda item: specificity(item.matchers[0]))
        else:
            groups.append(below)
            weights.append(weight)
    return [item for group in groups for item in group]


def _below(
    world: World,
    place: tuple[Key, tuple[Key, ...]],
    table: Document,
    parent: Parent,
    warnings: list[str],
) -> Iterator[Found]:
    for route in spec_of(table).get("routes") or []:
        inherit = bool(route.get("inheritableMatchers", parent.inherit))
        inherit_path = bool(route.get("inheritablePathMatchers", parent.inherit_path))
        handed = Parent(parent.matcher, inherit, inherit_path)
        try:
            full = tuple(delegated(handed, child) for child in route.get("matchers") or [{}])
            if "delegateAction" in route:
                flags = {"inheritableMatchers": inherit, "inheritablePathMatchers": inherit_path}
                yield from _delegate(world, place, {**route, **flags}, full, warnings)
            else:
                yield Found(route, full, via=place[1])
        except (Nothing, Misplaced) as warning:
            warnings.append(str(warning))


def _tables(world: World, owner: Key, action: Document) -> list[tuple[Key, Document]]:
    ref = action.get("ref") or (action if "name" in action else None)
    if ref:
        key = ref_key(ref)
        if key not in world.route_tables:
            raise not_found("RouteTable", key)
        return [(key, world.route_tables[key])]
    selector = action.get("selector") or {}
    places = selector.get("namespaces") or [owner[0]]
    chosen = [
        (key, table)
        for key, table in sorted(world.route_tables.items())
        if ("*" in places or key[0] in places) and _selected(selector, table["metadata"].get("labels") or {})
    ]
    if not chosen:
        raise Nothing(f"no route table matches the selector {selector}")
    return sorted(chosen, key=lambda item: spec_of(item[1]).get("weight") or 0)


def _selected(selector: Document, labels: Document) -> bool:
    wanted = selector.get("labels") or {}
    return wanted.items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("expressions") or []
    )


def _holds(expression: Document, labels: Document) -> bool:
    name, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In" | "Equals" | "DoubleEquals":
            return labels.get(name) in values
        case "NotIn" | "NotEquals":
            return labels.get(name) not in values
        case "Exists":
            return name in labels
        case "DoesNotExist":
            return name not in labels
        case other:
            raise Refusal(f"route table selector: operator {other} is not known to the sandbox")
