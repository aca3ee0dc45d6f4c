"""Which routes of a document a rollout is about, and which are none of its business.

Of the routes that lead to the Upstream, by no subset or by the version label alone:

*Testing route*: a single destination, matchers equal to those of a later main
route under the conditions of one known match. Whoever wrote it.

*Main route*: all requests for it belong to the rollout. It balances over all
versions, or divides among some, or is fixed to the stable version; or to the
candidate, unless it only narrows a later route to the Upstream by further
conditions.

*The user's own*: fixed to another version, or a narrower route to the
candidate. It stays as it is.

If no general route (one that narrows no other) is main by that rule, the
document as a whole has gone to another version, by adoption or because somebody
applied an old manifest. Then the version that the general routes agree on is
taken for what stable was. If they do not agree, there is no main route.

Where people chose among the routes, the others are theirs. A route that leads to a
managed UpstreamGroup is a main route too: the group divides, the route is tested.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.canary import TestingMatch
from controller.gloo.destinations import EVERY_VERSION, Target, destination_of, entries_of
from controller.gloo.matchers import extended, matchers_of, narrows, same
from controller.gloo.scope import WHOLE, Scope
from controller.rollout.moves import Form


Route = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Roles:
    """Positions in the list of routes, in order."""

    mains: Mapping[int, tuple[int, ...]]
    """Main route -> its testing routes."""
    own: tuple[int, ...]
    """Fixed to a version by the user."""


def roles(routes: Sequence[Route], target: Target, form: Form | None, scope: Scope = WHOLE) -> Roles:
    """Tell the roles of the routes that lead to the Upstream; without a form there are no testing routes."""
    known = (*form.testing, *form.retired) if form else ()
    grouped = {at for at, route in enumerate(routes) if scope.destination(route) is not None}
    leading = {at: route for at, route in enumerate(routes) if at in grouped or versions_of(route, target)}
    owners: dict[int, int | None] = {}
    for at in reversed(leading):
        free = (later for later in reversed(owners) if owners[later] is None and scope.takes(routes[later]))
        owners[at] = next((later for later in free if _tests(routes[at], routes[later], known)), None)
    chosen = {at: route for at, route in leading.items() if owners[at] is None and scope.takes(route)}
    mains = _mains(chosen, grouped, target, form)
    tests = {main: tuple(at for at in leading if owners[at] == main) for main in mains}
    managed = {*mains, *(at for group in tests.values() for at in group)}
    return Roles(tests, tuple(at for at in leading if at not in managed))


def versions_of(route: Route, target: Target) -> list[str]:
    """Give the versions of the Upstream that a route leads to; empty if it leads elsewhere."""
    found = (target.version(destination_of(entry)) for entry in entries_of(action_of(route)))
    return [version for version in found if version is not None]


def action_of(route: Route) -> Mapping[str, Any]:
    """Give the `routeAction`; empty where the route redirects, answers or delegates."""
    return route.get("routeAction") or {}


def _tests(route: Route, main: Route, known: Sequence[TestingMatch]) -> bool:
    matchers, base = matchers_of(route), matchers_of(main)
    return "single" in action_of(route) and any(same(matchers, extended(base, match)) for match in known)


def _mains(
    routes: Mapping[int, Route], grouped: Collection[int], target: Target, form: Form | None
) -> tuple[int, ...]:
    fixed = {
        at: version
        for at, route in routes.items()
        if at not in grouped and (version := _fixed_to(route, target))
    }
    general = {at for at in routes if not _is_special(at, routes)}
    serving = {fixed.get(at, EVERY_VERSION) for at in general.difference(grouped)}
    stable, candidate = (form.stable, form.candidate) if form else (None, None)
    if not serving or serving & {EVERY_VERSION, stable, candidate}:
        followed = {stable} if form else serving
    elif form is None or len(serving) == 1:
        followed = serving
    else:
        return tuple(at for at in routes if at in grouped)
    return tuple(
        at
        for at in routes
        if at not in fixed or fixed[at] in followed or (fixed[at] == candidate and at in general)
    )


def _fixed_to(route: Route, target: Target) -> str:
    """Give the version that a single destination is fixed to; EVERY_VERSION for all that is not."""
    return versions_of(route, target)[0] if "single" in action_of(route) else EVERY_VERSION


def _is_special(at: int, routes: Mapping[int, Route]) -> bool:
    matchers = matchers_of(routes[at])
    return any(later > at and narrows(matchers, matchers_of(route)) for later, route in routes.items())
