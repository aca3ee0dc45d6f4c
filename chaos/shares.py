"""What Gloo's objects say about who gets which version, read without any of the product's code.

A route leads to versions of an application through destinations: the application's Upstream with a
subset, or an Upstream that Crossfade made for one version. `Addresses` knows both kinds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol


Document = Mapping[str, Any]

VIRTUAL_SERVICES = "virtualservices.gateway.solo.io"
ROUTE_TABLES = "routetables.gateway.solo.io"
UPSTREAM_GROUPS = "upstreamgroups.gloo.solo.io"
HOLDERS = frozenset({VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS})
"""What may hold routes to an application."""
UPSTREAMS = "upstreams.gloo.solo.io"
BASE, VERSION = "crossfade.dev/upstream", "crossfade.dev/version"
"""Annotations of an Upstream that Crossfade made: what it is a copy of, and for which version."""

ALL = ""
"""In place of a version: whoever is in the Upstream."""


@dataclass(frozen=True, slots=True)
class Part:
    """A weighted destination."""

    version: str | None
    """None: it leads elsewhere."""
    weight: int
    text: str
    """The destination as canonical JSON."""


@dataclass(frozen=True, slots=True)
class Lead:
    """Where one route leads."""

    skeleton: str
    """The route as canonical JSON, without what Crossfade may change in it."""
    conditional: bool
    """Only requests with some header, parameter or method take it."""
    single: bool
    parts: tuple[Part, ...]
    empty: bool = False
    """It should lead somewhere, and has no destination."""
    copied: str = ""
    """The option that copies requests, as canonical JSON."""

    @property
    def leads(self) -> bool:
        """It leads to the application at all."""
        return any(part.version is not None for part in self.parts)

    @property
    def total(self) -> int:
        """Sum of all weights; Gloo takes them relative to it."""
        return sum(part.weight for part in self.parts)

    def share(self, version: str) -> Fraction:
        """Give the part of the application's requests that a version gets by this route, 0 to 1."""
        ours = sum(part.weight for part in self.parts if part.version is not None)
        got = sum(part.weight for part in self.parts if part.version in {version, ALL})
        return Fraction(got, ours) if ours else Fraction(0)

    def elsewhere(self) -> dict[str, Fraction]:
        """Give the share of everything that every other destination gets."""
        total = self.total
        return {
            part.text: Fraction(part.weight, total) for part in self.parts if part.version is None and total
        }


@dataclass
class Addresses:
    """Which destinations lead to which version of one application; learnt as objects are seen."""

    namespace: str = ""
    upstream: str = ""
    label: str = "version"
    clones: dict[tuple[str, str], str] = field(default_factory=dict)

    def learn(self, upstream: Document) -> None:
        """Take note of an Upstream that is a copy of ours."""
        metadata = upstream["metadata"]
        notes = metadata.get("annotations") or {}
        if (metadata.get("namespace"), notes.get(BASE)) == (self.namespace, self.upstream):
            self.clones[metadata["namespace"], metadata["name"]] = str(notes.get(VERSION, ""))

    def version(self, destination: Document, home: str) -> str | None:
        """Give the version that a destination leads to, `ALL` for all; None if it leads elsewhere."""
        upstream = destination.get("upstream") or {}
        address = str(upstream.get("namespace") or home), str(upstream.get("name"))
        if address in self.clones:
            return self.clones[address]
        values = (destination.get("subset") or {}).get("values") or {}
        if address != (self.namespace, self.upstream) or not values.keys() <= {self.label}:
            return None
        return str(values.get(self.label, ALL))


class Directory(Protocol):
    """Whatever knows which version a destination leads to."""

    def version(self, destination: Document, home: str) -> str | None:
        """Give the version, `ALL` for all; None if it leads elsewhere."""
        ...


def leads(document: Document, addresses: Directory) -> list[Lead]:
    """Say where each route of an object leads; an UpstreamGroup is one route."""
    home = str(document["metadata"].get("namespace") or "")
    return [_lead(route, addresses, home) for route in routes_of(document)]


def routes_of(document: Document) -> list[Document]:
    """Give the routes of an object."""
    spec = document.get("spec") or {}
    match document.get("kind"):
        case "UpstreamGroup":
            return [{"routeAction": {"multi": {"destinations": spec.get("destinations") or []}}}]
        case "RouteTable":
            return list(spec.get("routes") or [])
        case _:
            return list((spec.get("virtualHost") or {}).get("routes") or [])


def outside_of_routes(document: Document) -> str:
    """Give all of an object but its routes and what the API server and Gloo write, as canonical JSON."""
    metadata = {
        key: value
        for key, value in document["metadata"].items()
        if key not in {"resourceVersion", "generation", "managedFields"}
    }
    spec = dict(document.get("spec") or {})
    match document.get("kind"):
        case "UpstreamGroup":
            spec.pop("destinations", None)
        case "RouteTable":
            spec.pop("routes", None)
        case _:
            host = spec.pop("virtualHost", None) or {}
            spec["virtualHost"] = {key: value for key, value in host.items() if key != "routes"}
    return text({"metadata": metadata, "spec": spec})


def largest(found: Sequence[Lead], version: str) -> Fraction:
    """Give the largest share that a version gets by any route without conditions."""
    shares = (lead.share(version) for lead in found if lead.leads and not lead.conditional)
    return max(shares, default=Fraction(0))


def versions(found: Sequence[Lead]) -> set[str]:
    """Name all versions that routes without conditions lead to."""
    return {
        part.version
        for lead in found
        if not lead.conditional
        for part in lead.parts
        if part.version is not None and part.weight
    }


def text(value: object) -> str:
    """Write JSON in the one canonical way."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _lead(route: Document, addresses: Directory, home: str) -> Lead:
    action = route.get("routeAction") or {}
    parts = tuple(
        Part(
            addresses.version(entry.get("destination") or {}, home),
            int(entry.get("weight") or 0),
            text(entry.get("destination")),
        )
        for entry in _entries(action)
    )
    rest = {key: value for key, value in route.items() if key not in {"routeAction", "options"}}
    options = {key: value for key, value in (route.get("options") or {}).items() if key != "shadowing"}
    others = {key: value for key, value in action.items() if key not in {"single", "multi"}}
    skeleton = {**rest, "options": options, "action": others, "led": bool(parts)}
    if not any(part.version is not None for part in parts):
        skeleton |= {"options": route.get("options"), "action": route.get("routeAction")}
    copied = (route.get("options") or {}).get("shadowing")
    return Lead(
        text(skeleton),
        _conditional(route),
        "single" in action,
        parts,
        empty="routeAction" in route and not parts and not others,
        copied=text(copied) if copied else "",
    )


def _entries(action: Document) -> Iterator[Document]:
    if action.get("single"):
        yield {"destination": action["single"], "weight": 100}
    else:
        yield from (action.get("multi") or {}).get("destinations") or ()


def _conditional(route: Document) -> bool:
    matchers = route.get("matchers") or ()
    fields = ("headers", "queryParameters", "methods")
    return bool(matchers) and all(any(each.get(name) for name in fields) for each in matchers)
