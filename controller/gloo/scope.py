"""Which part of a document belongs to a rollout: what people chose, and what stands around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.canary import TestingMatch
from controller.gloo.matchers import Matcher, matchers_of


Route = Mapping[str, Any]
Address = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Routes by their name, or by the prefix of one of their matchers; all of them if it names none."""

    names: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()

    def takes(self, route: Route) -> bool:
        """Tell whether a route is chosen."""
        if not self.names and not self.prefixes:
            return True
        return name_of_route(route) in self.names or not self.prefixes.isdisjoint(prefixes_of(route))


ALL = Choice()


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be managed in one document."""

    choices: tuple[Choice, ...] = (ALL,)
    """A route belongs to the rollout if any of these takes it."""
    groups: Mapping[Address, Mapping[str, Any]] = field(default_factory=dict)
    """UpstreamGroups that are managed, each with its destination that leads to the Upstream."""
    unnamed: frozenset[Address] = frozenset()
    """UpstreamGroups that lead to the Upstream, but are not managed."""
    above: tuple[Matcher, ...] = ()
    """Matchers of the routes that delegate to this document, and of those above them."""
    mixed: bool = False
    """It is one of several RouteTables of one weight, whose routes Gloo sorts: by methods, then by path."""

    def takes(self, route: Route) -> bool:
        """Tell whether a route was chosen."""
        return any(choice.takes(route) for choice in self.choices)

    def destination(self, route: Route) -> Mapping[str, Any] | None:
        """Give where the managed UpstreamGroup of a route leads; None if the route has none."""
        address = group_of(route)
        return self.groups.get(address) if address else None

    def objections(self, match: TestingMatch) -> tuple[str, ...]:
        """Name the fields of a match by which a testing route could not be told from its main route here.

        A delegating route may have conditions of its own. Gloo appends inherited methods to the
        route's own, so that a narrower list would widen again and send everybody to the candidate;
        and it drops a route that asks something else of a header or query parameter than its parent.
        Where it sorts, a route with fewer methods comes after one with more, and is never reached.
        """
        found = {field for matcher in self.above for field in clashes(match, matcher)}
        if self.mixed and match.methods:
            found.add("methods")
        return tuple(sorted(found))


WHOLE = Scope()


def clashes(match: TestingMatch, matcher: Matcher) -> tuple[str, ...]:
    """Name the fields of a match that a delegating route's matcher has conditions on as well."""
    fields = {
        "headers": bool(_named(matcher, "headers") & {each.name.lower() for each in match.headers}),
        "queryParameters": bool(
            _named(matcher, "queryParameters") & {each.name.lower() for each in match.query_parameters}
        ),
        "methods": bool(matcher.get("methods") and match.methods),
    }
    return tuple(name for name, clash in fields.items() if clash)


def name_of_route(route: Route) -> str:
    """Give the name that people gave a route; empty if none."""
    return str(route.get("name") or "")


def prefixes_of(route: Route) -> tuple[str, ...]:
    """Give the path prefixes of a route's matchers."""
    return tuple(str(matcher["prefix"]) for matcher in matchers_of(route) if matcher.get("prefix"))


def group_of(route: Route) -> Address | None:
    """Give the UpstreamGroup that a route leads to; Gloo has no default for its namespace."""
    found = (route.get("routeAction") or {}).get("upstreamGroup")
    return (str(found.get("namespace") or ""), str(found.get("name") or "")) if found else None


def _named(matcher: Matcher, conditions: str) -> set[str]:
    return {str(each.get("name", "")).lower() for each in matcher.get(conditions) or ()}
