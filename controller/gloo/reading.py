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
from controller.gloo.roles import Route, action_of, roles, versions_of
from controller.gloo.routes import Document, opened
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


def read(document: Document, target: Target, form: Form | None) -> Reading:
    """Say what the routes look like, in view of a form if there is one."""
    routes, target = opened(document, target)
    found = roles(routes, target, form)
    if not found.mains:
        return Reading(missing=f"{name_of(document)}: {_missing(routes, target, form)}")
    divisions = [shares(action_of(routes[at]), target) for at in found.mains]
    versions = sorted({version for division in divisions for version in division})
    unpinned = EVERY_VERSION in versions
    tested = chain.from_iterable(versions_of(routes[at], target) for at in chain(*found.mains.values()))
    kept = [version for at in found.own for version in versions_of(routes[at], target)]
    shape = [
        *map(_words, divisions),
        *(f"testing {_name(each)}" for each in tested),
        *(f"fixed {version}" for version in kept),
    ]
    return Reading(
        version=versions[0] if len(versions) == 1 and not unpinned else None,
        unpinned=unpinned,
        weight=_weight(divisions, form) if not unpinned else None,
        kept=frozenset(kept),
        shape="; ".join(dict.fromkeys(shape)),
        problem=_mixed(document, routes, target),
    )


def name_of(document: Document) -> str:
    """Name an object as people do: `VirtualService gloo-system/echo`."""
    metadata = document.get("metadata") or {}
    return f"{document.get('kind', 'VirtualService')} {metadata.get('namespace')}/{metadata.get('name')}"


def _weight(divisions: Sequence[Mapping[str, Fraction]], form: Form | None) -> int | None:
    if form is None or form.candidate is None:
        return None
    return max(math.ceil(division.get(form.candidate, 0) * 100) for division in divisions)


def _words(division: Mapping[str, Fraction]) -> str:
    if len(division) == 1:
        return _name(*division)
    return ", ".join(f"{_name(version)} {float(share * 100):.4g}" for version, share in division.items())


def _name(version: str) -> str:
    return version or "all versions"


def _missing(routes: Sequence[Route], target: Target, form: Form | None) -> str:
    found = sorted({version for route in routes for version in versions_of(route, target)})
    if found and form:
        wanted = form.stable
        return (
            f"its routes to Upstream {target} are fixed to {' and '.join(found)}, none to {wanted}; "
            f"fix those that should follow the rollout to {wanted}"
        )
    subsets = _other_subsets(routes, target)
    if subsets:
        return (
            f"its routes lead to Upstream {target} by the labels {', '.join(subsets[0])}; "
            f"a managed route has no subset, or {target.version_label} alone"
        )
    elsewhere = sorted({each for route in routes for each in _leads_to(route, target)})
    words = f"its routes lead to {', '.join(elsewhere)}" if elsewhere else "it has no routes to any Upstream"
    return f"no route leads to Upstream {target}; {words}"


def _mixed(document: Document, routes: Sequence[Route], target: Target) -> str:
    subsets = [labels for labels in _other_subsets(routes, target) if target.version_label not in labels]
    if not subsets:
        return ""
    return (
        f"{name_of(document)}: a route leads to Upstream {target} by the labels {', '.join(subsets[0])}, "
        f"and so to every version at once; its subset should be {target.version_label} alone"
    )


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
    if action.get("upstreamGroup"):
        found.append(
            f"UpstreamGroup {_reference(action['upstreamGroup'], target)} (not supported in spec.routes)"
        )
    if delegate:
        reference = delegate.get("ref") or delegate
        table = _reference(reference, target) if "name" in reference else "by selector"
        found.append(f"RouteTable {table} (not supported in spec.routes)")
    return found


def _upstreams(action: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = (destination_of(entry).get("upstream") for entry in entries_of(action))
    return [upstream for upstream in found if upstream]


def _reference(reference: Mapping[str, Any], target: Target) -> str:
    return f"{reference.get('namespace') or target.home}/{reference.get('name')}"
