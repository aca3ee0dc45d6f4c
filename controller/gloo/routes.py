"""A document in, a patch out: the forms of the routes at each stage of a rollout.

A VirtualService may hold anything; `roles` says which of its routes are managed.
A patch touches those alone, keeps what it does not have to change, and begins
with a `test` of every route that it is about: if somebody changed one of them,
or moved it, the whole patch fails. Gloo's status writes, and edits of other
routes that stay in place, do not matter.

What a form asks for:

====================  =========================================  =======================
form                  main route                                 testing routes
====================  =========================================  =======================
`Form(v1)`            single, fixed to v1                        none
`Form(v1, v2)`        single, fixed to v1                        one per match, before it
`Form(v1, v2, 25)`    multi: v1 75, v2 25 (also at 0 and 100)    one per match, before it
====================  =========================================  =======================

A main route that also leads to other destinations stays `multi`, their
proportions as they were. A testing route starts as a copy of its main route,
fixed to the candidate, without its name; afterwards only its destination is ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from controller.gloo.destinations import Target, destination_of, divide, entries_of, fixed
from controller.gloo.matchers import extended, matchers_of, same
from controller.gloo.roles import Route, action_of, roles
from controller.rollout.moves import Form


Document = Mapping[str, Any]
Operation = dict[str, Any]

_ROUTES = "/spec/virtualHost/routes"


def patch(document: Document, target: Target, form: Form) -> tuple[Operation, ...]:
    """Give the JSON Patch (RFC 6902) that brings every managed route into the form; empty if all are."""
    routes, target = opened(document, target)
    edits: dict[int, list[Route]] = {}
    for main, tests in roles(routes, target, form).mains.items():
        edits |= _edits(routes, main, tests, target, form)
    touched = {at: edits[at] for at in sorted(edits) if edits[at] != [routes[at]]}
    guards = ({"op": "test", "path": f"{_ROUTES}/{at}", "value": routes[at]} for at in touched)
    changes = (_changes(at, routes[at], touched[at]) for at in reversed(touched))
    return (*guards, *chain.from_iterable(changes))


def opened(document: Document, target: Target) -> tuple[list[Route], Target]:
    """Give a document's routes, and the target as references of this document name it."""
    namespace = (document.get("metadata") or {}).get("namespace", "")
    host = (document.get("spec") or {}).get("virtualHost") or {}
    return list(host.get("routes") or ()), replace(target, home=namespace)


def _edits(
    routes: Sequence[Route], main: int, tests: Sequence[int], target: Target, form: Form
) -> dict[int, list[Route]]:
    """Say what should stand in place of a main route and its testing routes: position -> routes."""
    candidate = form.candidate or form.stable  # without a candidate there is nothing to test
    edits: dict[int, list[Route]] = {}
    lacking = _testing_matchers(routes[main], form)
    for at in tests:
        there = next((each for each in lacking if same(each, matchers_of(routes[at]))), None)
        if there is None:
            edits[at] = []
        else:
            lacking.remove(there)
            edits[at] = [_divided(routes[at], target, {candidate: 100})]
    added = [_testing_route(routes[main], matchers, target, candidate) for matchers in lacking]
    percent = {form.stable: 100}
    if form.weight is not None:
        percent = {form.stable: 100 - form.weight, candidate: form.weight}
    return {**edits, main: [*added, _divided(routes[main], target, percent)]}


def _divided(route: Route, target: Target, percent: Mapping[str, int]) -> Route:
    return {**route, "routeAction": divide(action_of(route), target, percent)}


def _testing_matchers(main: Route, form: Form) -> list[list[dict[str, Any]]]:
    """Give the matchers of each testing route that a main route should have, every one once."""
    wanted: list[list[dict[str, Any]]] = []
    for match in form.testing if form.candidate else ():
        matchers = extended(matchers_of(main), match)
        if matchers and not any(same(matchers, each) for each in wanted):
            wanted.append(matchers)
    return wanted


def _testing_route(main: Route, matchers: Sequence[Any], target: Target, candidate: str) -> Route:
    action = action_of(main)
    ours = next(
        destination
        for entry in entries_of(action)
        if target.version(destination := destination_of(entry)) is not None
    )
    rest = {key: value for key, value in action.items() if key not in {"single", "multi"}}
    inherited = {key: value for key, value in main.items() if key not in {"name", "matchers"}}
    return {
        **inherited,
        "matchers": matchers,
        "routeAction": {**rest, "single": fixed(ours, target, candidate)},
    }


def _changes(at: int, before: Route, after: Sequence[Route]) -> Iterator[Operation]:
    """Put `after` in place of the route at a position; the last of them is what becomes of the route."""
    path = f"{_ROUTES}/{at}"
    if not after:
        yield {"op": "remove", "path": path}
        return
    yield from _difference(path, before, after[-1])
    for route in reversed(after[:-1]):
        yield {"op": "add", "path": path, "value": route}


def _difference(path: str, before: Any, after: Any) -> Iterator[Operation]:  # noqa: ANN401  # any JSON
    """Turn one value into the other with the smallest replacements."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from ({"op": "remove", "path": _below(path, key)} for key in before if key not in after)
        for key, new in after.items():
            if key in before:
                yield from _difference(_below(path, key), before[key], new)
            else:
                yield {"op": "add", "path": _below(path, key), "value": new}
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _difference(f"{path}/{at}", old, new)
    else:
        yield {"op": "replace", "path": path, "value": after}


def _below(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
