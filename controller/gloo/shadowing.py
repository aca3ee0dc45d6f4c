"""Copies of a route's requests for the candidate: Gloo's `shadowing`, given and taken away again.

The option stands once in a route's `options`. One that leads elsewhere is
somebody else's: it is never touched, and told, so that nobody waits for copies
that do not come. Ours is taken away with all that came with it, an `options`
that is empty then included.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from controller.gloo.destinations import Ref, Target
from controller.rollout.moves import Form


Route = Mapping[str, Any]


def shadowed(route: Route, target: Target, form: Form) -> Route:
    """Give a main route the shadowing of this form, or none; equal to it if it is so already."""
    options = route.get("options") or {}
    there = options.get("shadowing")
    if there is not None and not _is_ours(there, target, form):
        return route
    wanted = _wanted(target, form)
    if there == wanted:
        return route
    others = {key: value for key, value in options.items() if key != "shadowing"}
    if wanted is not None:
        return {**route, "options": {**others, "shadowing": wanted}}
    if others:
        return {**route, "options": others}
    return {key: value for key, value in route.items() if key != "options"}


def own_shadowing(routes: Sequence[Route], mains: Iterable[int], target: Target, form: Form | None) -> str:
    """Say which main route has a shadowing that is not ours, and what would be right; empty if none has."""
    for at, there in _shadowings(routes, mains):
        if form is None or not _is_ours(there, target, form):
            named = routes[at].get("name") or f"route {at}"
            return (
                f"{named} has options.shadowing of its own, to Upstream {'/'.join(_ref(there, target))}; "
                "take it away, or leave out spec.shadowing"
            )
    return ""


def copies(routes: Sequence[Route], mains: Iterable[int], target: Target) -> list[str]:
    """Say where copies of the main routes' requests go, whoever wants them: `10% copied to v2`."""
    found = [there for _, there in _shadowings(routes, mains)]
    where = (target.version(there) or "/".join(_ref(there, target)) for there in found)
    return [
        f"{there.get('percentage') or 0:g}% copied to {to}" for there, to in zip(found, where, strict=True)
    ]


def _shadowings(routes: Sequence[Route], mains: Iterable[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for at in mains:
        there = (routes[at].get("options") or {}).get("shadowing")
        if there is not None:
            yield at, there


def _wanted(target: Target, form: Form) -> dict[str, Any] | None:
    """Give the option; none as long as the candidate has no Upstream of its own."""
    address = _address(target, form)
    if form.shadowing is None or address is None:
        return None
    namespace, name = address
    whole = form.shadowing.is_integer()
    return {
        "upstream": {"name": name, "namespace": namespace},
        "percentage": int(form.shadowing) if whole else form.shadowing,
    }


def _is_ours(there: Mapping[str, Any], target: Target, form: Form) -> bool:
    ref = _ref(there, target)
    return "/".join(ref) in form.unshadowed or (form.shadowing is not None and ref == _address(target, form))


def _address(target: Target, form: Form) -> Ref | None:
    """Give the candidate's own Upstream; None if it has none, since stable would get the copies then."""
    if form.candidate is None or form.candidate not in target.upstreams.values() or not target.by_upstream:
        return None
    return target.upstream_of(form.candidate)


def _ref(there: Mapping[str, Any], target: Target) -> Ref:
    upstream = there.get("upstream") or {}
    return str(upstream.get("namespace") or target.home), str(upstream.get("name"))
