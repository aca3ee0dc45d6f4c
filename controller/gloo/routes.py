"""A document in, a patch out: the forms of the routes at each stage of a rollout.

A VirtualService or RouteTable may hold anything; `roles` says which of its routes are managed.
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

An UpstreamGroup is divided like a main route, and cannot have testing routes: these
go before the routes that lead to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from controller.gloo.destinations import Target, destination_of, divide, entries_of, fixed
from controller.gloo.documents import UPSTREAM_GROUP, Document, kind_of, opened, routes_at
from controller.gloo.matchers import extended, matchers_of, same
from controller.gloo.roles import Route, action_of, roles, versions_of
from controller.gloo.scope import WHOLE, Scope
from controller.gloo.shadowing import shadowed
from controller.rollout.moves import Form


Operation = dict[str, Any]


def patch(document: Document, target: Target, form: Form, scope: Scope = WHOLE) -> tuple[Operation, ...]:
    """Give the JSON Patch (RFC 6902) that brings every managed route into the form; empty if all are."""
    if kind_of(document) == UPSTREAM_GROUP:
        return _group_patch(document, target, form)
    routes, target = opened(document, target)
    plan, edits = _Plan(target, form, scope), dict[int, list[Route]]()
    for main, tests in roles(routes, target, form, scope).mains.items():
        edits |= _edits(routes, main, tests, plan)
    touched = {at: edits[at] for at in sorted(edits) if edits[at] != [routes[at]]}
    place = routes_at(document)
    guards = ({"op": "test", "path": f"{place}/{at}", "value": routes[at]} for at in touched)
    changes = (_changes(f"{place}/{at}", routes[at], touched[at]) for at in reversed(touched))
    return (*guards, *chain.from_iterable(changes))


@dataclass(frozen=True, slots=True)
class _Plan:
    target: Target
    form: Form
    scope: Scope

    @property
    def candidate(self) -> str:
        """Where testers are led; without a candidate there is nothing to test."""
        return self.form.candidate or self.form.stable

    @property
    def percent(self) -> dict[str, int]:
        if self.form.weight is None:
            return {self.form.stable: 100}
        return {self.form.stable: 100 - self.form.weight, self.candidate: self.form.weight}


def _group_patch(document: Document, target: Target, form: Form) -> tuple[Operation, ...]:
    [route], target = opened(document, target)
    if not versions_of(route, target):
        return ()
    before = list(entries_of(action_of(route)))
    divided = divide(action_of(route), target, _Plan(target, form, WHOLE).percent)
    after = [dict(entry) for entry in entries_of(divided)]
    if len(before) == len(after) == 1 and before[0].get("weight"):
        after[0]["weight"] = before[0]["weight"]  # it has all of it, whatever its weight
    if before == after:
        return ()
    place = routes_at(document)
    return ({"op": "test", "path": place, "value": before}, *_difference(place, before, after))


def _edits(routes: Sequence[Route], main: int, tests: Sequence[int], plan: _Plan) -> dict[int, list[Route]]:
    """Say what should stand in place of a main route and its testing routes: position -> routes."""
    edits: dict[int, list[Route]] = {}
    base = shadowed(routes[main], plan.target, plan.form)
    lacking = _testing_matchers(base, plan)
    for at in tests:
        there = next((each for each in lacking if same(each, matchers_of(routes[at]))), None)
        if there is None:
            edits[at] = []
        else:
            lacking.remove(there)
            edits[at] = [_divided(routes[at], plan.target, {plan.candidate: 100})]
    added = [_testing_route(base, matchers, plan) for matchers in lacking]
    if plan.scope.destination(base) is not None:
        return {**edits, main: [*added, base]}
    return {**edits, main: [*added, _divided(base, plan.target, plan.percent)]}


def _divided(route: Route, target: Target, percent: Mapping[str, int]) -> Route:
    return {**route, "routeAction": divide(action_of(route), target, percent)}


def _testing_matchers(main: Route, plan: _Plan) -> list[list[dict[str, Any]]]:
    """Give the matchers of each testing route that a main route should have, every one once."""
    wanted: list[list[dict[str, Any]]] = []
    for match in plan.form.testing if plan.form.candidate else ():
        matchers = () if plan.scope.objections(match) else extended(matchers_of(main), match)
        if matchers and not any(same(matchers, each) for each in wanted):
            wanted.append(matchers)
    return wanted


def _testing_route(main: Route, matchers: Sequence[Any], plan: _Plan) -> Route:
    action = action_of(main)
    ours = plan.scope.destination(main) or next(
        destination
        for entry in entries_of(action)
        if plan.target.version(destination := destination_of(entry)) is not None
    )
    others = {"single", "multi", "upstreamGroup"}
    rest = {key: value for key, value in action.items() if key not in others}
    inherited = {key: value for key, value in main.items() if key not in {"name", "matchers"}}
    return {
        **inherited,
        "matchers": matchers,
        "routeAction": {**rest, "single": fixed(ours, plan.target, plan.candidate)},
    }


def _changes(path: str, before: Route, after: Sequence[Route]) -> Iterator[Operation]:
    """Put `after` in place of the route at a path; the last of them is what becomes of the route."""
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
