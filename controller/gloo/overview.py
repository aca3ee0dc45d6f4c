"""All documents of a Canary taken together: what the machine and people are told of its routes. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from config.canary import CanarySpec
from config.routes import RouteRef
from controller.gloo.delegation import Place, choice_of
from controller.gloo.destinations import Target
from controller.gloo.documents import name_of, opened
from controller.gloo.reading import Reading, read
from controller.gloo.roles import versions_of
from controller.gloo.routes import patch
from controller.gloo.scope import ALL, Choice, Route, name_of_route, prefixes_of
from controller.rollout.moves import Form


@dataclass(frozen=True, slots=True)
class Overview:
    """The managed routes of all documents."""

    in_form: bool
    """All of them are, and nothing that was named is missing."""
    version: str | None
    unpinned: bool
    weight: int | None
    """The candidate's largest share in percent; None if any of them does not tell."""
    kept: frozenset[str]
    shape: str
    missing: tuple[str, ...]
    """What was named and is not there, and what would be right."""
    problems: tuple[str, ...]
    """Why some traffic cannot be told apart by version."""
    holders: tuple[Place, ...]
    """What was named, and what holds routes to the Upstream: Gloo has to accept these."""
    own_shadowing: str = ""
    """Which main routes have a shadowing that is not ours."""


def overview(spec: CanarySpec, places: Sequence[Place], target: Target, form: Form | None) -> Overview:
    """Say what the routes look like, in view of a form if there is one."""
    readings = [read(place.document, target, form, place.scope) for place in places]
    missing = tuple(dict.fromkeys(_missing(spec, places, readings, target)))
    telling = [reading for reading in readings if not reading.missing and not reading.by_group]
    versions = {reading.version for reading in telling}
    return Overview(
        in_form=form is not None
        and not missing
        and not any(patch(place.document, target, form, place.scope) for place in places),
        version=versions.pop() if len(versions) == 1 else None,
        unpinned=any(reading.unpinned for reading in telling),
        weight=_largest(telling),
        kept=frozenset().union(*(reading.kept for reading in readings)),
        shape=_shape(places, readings),
        missing=missing,
        problems=(
            *filter(None, (reading.problem for reading in readings)),
            *_untestable(spec, places, readings),
        ),
        holders=tuple(
            place
            for place, reading in zip(places, readings, strict=True)
            if place.named or not reading.elsewhere
        ),
        own_shadowing="; ".join(filter(None, (reading.own_shadowing for reading in readings))),
    )


def rises(place: Place, target: Target, form: Form) -> bool:
    """Tell whether a form gives the candidate more of a document's requests than it has, or as many."""
    reading = read(place.document, target, form, place.scope)
    if form.candidate is None:
        return False
    return reading.by_group or (reading.weight is not None and reading.weight <= (form.weight or 0))


def _missing(
    spec: CanarySpec, places: Sequence[Place], readings: Sequence[Reading], target: Target
) -> Iterator[str]:
    yield from (reading.missing for reading in readings if reading.missing and not reading.elsewhere)
    pairs = list(zip(places, readings, strict=True))
    for at, ref in enumerate(spec.routes):
        reached = [(place, reading) for place, reading in pairs if at in place.refs]
        routes = [route for place, _ in reached for route in _leading(place, target)]
        if choice_of(ref) != ALL:
            yield from _unused(f"spec.routes[{at}]", ref, routes, target)
        elif all(reading.elsewhere for _, reading in reached):
            yield from (reading.missing for place, reading in reached if place.named)


def _leading(place: Place, target: Target) -> list[Route]:
    """Give the routes of a document that lead to the Upstream, chosen or not."""
    routes, target = opened(place.document, target)
    return [
        route for route in routes if versions_of(route, target) or place.scope.destination(route) is not None
    ]


def _unused(where: str, ref: RouteRef, routes: Sequence[Route], target: Target) -> Iterator[str]:
    """Name every choice that no route answers to."""
    names = dict.fromkeys(filter(None, map(name_of_route, routes)))
    prefixes = dict.fromkeys(prefix for route in routes for prefix in prefixes_of(route))
    for field, given, there in (("names", ref.names, names), ("prefixes", ref.prefixes, prefixes)):
        one_by_one = (Choice(names=frozenset({each})) for each in given)
        if field == "prefixes":
            one_by_one = (Choice(prefixes=frozenset({each})) for each in given)
        for each, choice in zip(given, one_by_one, strict=True):
            if not any(map(choice.takes, routes)):
                found = f"there are {', '.join(there)}" if there else "there are none"
                yield f"{where}.{field}: found {each}, but no route to Upstream {target} has that; {found}"


def _untestable(spec: CanarySpec, places: Sequence[Place], readings: Sequence[Reading]) -> Iterator[str]:
    matches = spec.testing.match if spec.testing else ()
    managed = (place for place, reading in zip(places, readings, strict=True) if not reading.missing)
    for place in managed:
        for at, match in enumerate(matches):
            for field in place.scope.objections(match):
                what = f"spec.testing.match[{at}].{field}: {name_of(place.document)}"
                if place.scope.mixed and field == "methods":
                    yield (
                        f"{what} is one of several RouteTables of one weight, whose routes Gloo sorts by "
                        "methods; give each a spec.weight of its own, or test by a header"
                    )
                else:
                    yield (
                        f"{what} is reached by a route that has a condition on the same, which Gloo cannot "
                        "narrow; test by another header"
                    )


def _largest(readings: Sequence[Reading]) -> int | None:
    weights = [reading.weight for reading in readings]
    known = [weight for weight in weights if weight is not None]
    return max(known) if known and len(known) == len(weights) else None


def _shape(places: Sequence[Place], readings: Sequence[Reading]) -> str:
    pairs = list(zip(places, readings, strict=True))
    telling = {at for place, reading in pairs if reading.shape or reading.by_group for at in place.refs}
    shown = [
        (place.document["metadata"], reading.shape or "no route")
        for place, reading in pairs
        if reading.shape or (place.named and telling.isdisjoint(place.refs))
    ]
    shapes = [shape for _, shape in shown]
    if len(set(shapes)) <= 1:
        return "".join(shapes[:1])
    return "; ".join(f"{metadata['namespace']}/{metadata['name']}: {shape}" for metadata, shape in shown)
