"""What the managed routes of one document look like, for the machine and for people."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

from controller.gloo.destinations import (
    EVERY_VERSION,
    Target,
    destination_of,
    entries_of,
    shares,
    subset_of,
)
from controller.gloo.documents import Document, name_of, opened
from controller.gloo.roles import Roles, Route, action_of, roles, versions_of
from controller.gloo.scope import WHOLE, Address, Scope, group_of, name_of_route, prefixes_of
from controller.gloo.shadowing import copies, own_shadowing
from controller.rollout.moves import Form


@dataclass(frozen=True, slots=True)
class Reading:
    """The managed routes of one document, taken together."""

    version: str | None = None
    """The one version that all main routes lead to, and to no other, if so."""
    unpinned: bool = False
    """A main route balances over all versions."""
    weight: int | None = None
    """The candidate's largest share in percent, rounded up; None without one, or while unpinned."""
    kept: frozenset[str] = frozenset()
    """Versions that the user's own routes are fixed to."""
    shape: str = ""
    """`v1 75, v2 25; testing v2`."""
    missing: str = ""
    """Why there is nothing to manage here, and what would be right."""
    problem: str = ""
    """Why some traffic cannot be told apart by version, although there is something to manage."""
    own_shadowing: str = ""
    """Which main route has a shadowing that is not ours, and what would be right; empty if none has."""
    by_group: bool = False
    """Nothing is divided here: the main routes lead to managed UpstreamGroups."""
    elsewhere: bool = False
    """No route leads to the Upstream, or none that was chosen; that is `missing` only if it was expected."""


def read(document: Document, target: Target, form: Form | None, scope: Scope = WHOLE) -> Reading:
    """Say what the routes look like, in view of a form if there is one."""
    routes, target = opened(document, target)
    found = roles(routes, target, form, scope)
    kept = [version for at in found.own for version in versions_of(routes[at], target)]
    problem = _problem(document, (routes, found), target, scope)
    if not found.mains:
        why = _missing(routes, target, form, scope)
        lost = any(scope.takes(route) and _leads(route, target, scope) for route in routes)
        return Reading(
            kept=frozenset(filter(None, kept)),
            missing=f"{name_of(document)}: {why}",
            problem="" if lost else problem,
            elsewhere=not lost,
        )
    divided = [at for at in found.mains if scope.destination(routes[at]) is None]
    divisions = [shares(action_of(routes[at]), target) for at in divided]
    versions = sorted({version for division in divisions for version in division})
    unpinned = EVERY_VERSION in versions
    tested = chain.from_iterable(versions_of(routes[at], target) for at in chain(*found.mains.values()))
    shape = [
        *map(_words, divisions),
        *copies(routes, found.mains, target),
        *(f"testing {_name(each)}" for each in tested),
        *(f"fixed {_name(version)}" for version in kept),
    ]
    own = own_shadowing(routes, found.mains, target, form)
    return Reading(
        version=versions[0] if len(versions) == 1 and not unpinned else None,
        unpinned=unpinned,
        weight=_weight(divisions, form) if not unpinned else None,
        kept=frozenset(filter(None, kept)),
        shape="; ".join(dict.fromkeys(shape)),
        problem=problem,
        own_shadowing=f"{name_of(document)}: {own}" if own else "",
        by_group=not divided,
    )


def _weight(divisions: Sequence[Mapping[str, Fraction]], form: Form | None) -> int | None:
    if form is None or form.candidate is None or not divisions:
        return None
    return max(math.ceil(division.get(form.candidate, 0) * 100) for division in divisions)


def _words(division: Mapping[str, Fraction]) -> str:
    if len(division) == 1:
        return _name(*division)
    return ", ".join(f"{_name(version)} {float(share * 100):.4g}" for version, share in division.items())


def _name(version: str) -> str:
    return version or "all versions"


def _missing(routes: Sequence[Route], target: Target, form: Form | None, scope: Scope) -> str:
    taken = [route for route in routes if scope.takes(route)]
    found = sorted({version for route in taken for version in versions_of(route, target)})
    if found and form:
        wanted = form.stable
        return (
            f"its routes to Upstream {target} are fixed to {' and '.join(map(_name, found))}, "
            f"none to {wanted}; fix those that should follow the rollout to {wanted}"
        )
    subsets = _other_subsets(taken, target)
    if subsets:
        return (
            f"its routes lead to Upstream {target} by the labels {', '.join(subsets[0])}; "
            f"a managed route has no subset, or {target.version_label} alone"
        )
    if unnamed := sorted(scope.unnamed & {group_of(route) for route in taken}):
        return _unnamed(unnamed[0], target)
    elsewhere = sorted({each for route in routes for each in _leads_to(route, target)})
    words = f"its routes lead to {', '.join(elsewhere)}" if elsewhere else "it has no routes to any Upstream"
    return f"no route leads to Upstream {target}; {words}"


def _leads(route: Route, target: Target, scope: Scope) -> bool:
    """Tell whether a route leads to the Upstream in any way, also in one that cannot be managed."""
    return bool(
        versions_of(route, target) or _other_subsets((route,), target) or group_of(route) in scope.unnamed
    )


def _problem(document: Document, found: tuple[Sequence[Route], Roles], target: Target, scope: Scope) -> str:
    """Say which traffic is not told apart by version; empty if all is."""
    routes, positions = found
    open_routes = (routes[at] for at in positions.own if EVERY_VERSION in versions_of(routes[at], target))
    if unchosen := next(open_routes, None):
        return (
            f"{name_of(document)}: the route {_route(unchosen)} leads to every version of Upstream {target}, "
            "but is not chosen in spec.routes; choose it, or fix it to a version"
        )
    subsets = [labels for labels in _other_subsets(routes, target) if target.version_label not in labels]
    if subsets:
        return (
            f"{name_of(document)}: a route leads to Upstream {target} by the labels {', '.join(subsets[0])}, "
            f"and so to every version at once; its subset should be {target.version_label} alone"
        )
    if unnamed := sorted(scope.unnamed & {group_of(route) for route in routes}):
        return f"{name_of(document)}: {_unnamed(unnamed[0], target)}"
    return ""


def _unnamed(group: Address, target: Target) -> str:
    namespace, name = group
    return (
        f"a route leads to Upstream {target} through UpstreamGroup {namespace}/{name}; name the group in "
        f"spec.routes: {{kind: UpstreamGroup, name: {name}, namespace: {namespace}}}"
    )


def _route(route: Route) -> str:
    """Name a route as people find it: by its name, else by its path."""
    return name_of_route(route) or " ".join(prefixes_of(route)) or "without a name"


def _other_subsets(routes: Sequence[Route], target: Target) -> list[list[str]]:
    destinations = (destination_of(entry) for route in routes for entry in entries_of(action_of(route)))
    return [
        sorted(subset_of(each))
        for each in destinations
        if target.is_upstream(each) and target.version(each) is None
    ]


def _leads_to(route: Route, target: Target) -> list[str]:
    action, delegate = action_of(route), route.get("delegateAction")
    found = [f"Upstream {_reference(upstream, target)}" for upstream in _upstreams(action)]
    if group := group_of(route):
        found.append(f"UpstreamGroup {'/'.join(group)}")
    if delegate:
        found.append(
            "RouteTables by selector" if _by_selector(delegate) else f"RouteTable {_table(delegate)}"
        )
    return found


def _by_selector(delegate: Mapping[str, Any]) -> bool:
    return not (delegate.get("name") or delegate.get("namespace") or delegate.get("ref"))


def _table(delegate: Mapping[str, Any]) -> str:
    reference = delegate if delegate.get("name") or delegate.get("namespace") else delegate["ref"]
    return f"{reference.get('namespace') or ''}/{reference.get('name')}"


def _upstreams(action: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = (destination_of(entry).get("upstream") for entry in entries_of(action))
    return [upstream for upstream in found if upstream]


def _reference(reference: Mapping[str, Any], target: Target) -> str:
    return f"{reference.get('namespace') or target.home}/{reference.get('name')}"
