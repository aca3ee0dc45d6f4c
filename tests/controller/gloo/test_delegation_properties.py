"""Random estates on a random walk through the forms, judged by where requests end up."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings

from config.routes import RouteRef
from controller.gloo.delegation import places
from controller.gloo.routes import patch
from controller.rollout.moves import Form
from estates import GROUP, SERVICE, Estate, Key, Shelf, bared, ends, estates, flat, hit, routes_of, untestable
from gateway import REQUESTS, TARGET, Json, expected, rollouts, valid, weights
from sandbox.apiserver.merging import json_patch


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


REFS = tuple(
    RouteRef.model_validate({"kind": kind, "namespace": namespace, "name": name})
    for kind, namespace, name in (SERVICE, GROUP)
)
PATHS = [
    f"{path}{end}"
    for path in ("/0/", "/t/0/", "/t/n/0/", "/t/n/1/", "/t/n/", "/t/")
    for end in ("", "also", "o", "x")
]
SENT = (
    *REQUESTS,
    {"method": "POST", "headers": {"tenant": "a", "stage": "canary"}, "query": {"v": "1"}},
    {"method": "GET", "headers": {"tenant": "a", "who": "qa-1"}, "query": {}},
    {"method": "PUT", "headers": {"stage": "x"}, "query": {"v": "1"}},
)


def brought(estate: Estate, form: Form, refs: Sequence[RouteRef] = REFS) -> Estate:
    """Bring every document into the form."""
    after = dict(estate)
    for place in places(refs, TARGET, Shelf(estate)):
        metadata = place.document["metadata"]
        key = place.document["kind"], metadata["namespace"], metadata["name"]
        after[key] = json_patch(estate[key], list(patch(place.document, TARGET, form, place.scope)))
    return after


def in_form(estate: Estate, form: Form, refs: Sequence[RouteRef] = REFS) -> bool:
    found = places(refs, TARGET, Shelf(estate))
    return not any(patch(place.document, TARGET, form, place.scope) for place in found)


def told_apart(estate: Estate, form: Form, key: Key) -> Form:
    """Take away the matches that cannot be tested in a document."""
    testing = tuple(match for match in form.testing if key not in untestable(estate, match))
    return replace(form, testing=testing)


@settings(max_examples=80, deadline=None)
@given(start=estates(), forms=rollouts())
def test_any_estate_survives_any_rollout(start: Estate, forms: list[Form]) -> None:
    before, current = flat(start), start
    for form in forms:
        current = brought(current, form)
        assert in_form(current, form)
        for key, document in current.items():
            if key[0] == "UpstreamGroup":
                assert sum(each["weight"] for each in document["spec"]["destinations"]) > 0
            else:
                assert valid(routes_of(document)) == []
                assert 0 not in weights({"spec": {"virtualHost": {"routes": routes_of(document)}}})
        after = flat(current)
        for path in PATHS:
            for request in SENT:
                found = hit(before, path, request)
                told = form if found is None else told_apart(start, form, found.key)
                wanted = expected(ends(start, found), told, request)
                assert ends(current, hit(after, path, request)) == wanted, (path, request)
    assert {key: bared(each) for key, each in current.items()} == {
        key: bared(each) for key, each in start.items()
    }


CHOSEN = {"/0/", "/t/n/0/", "/t/0/"}


def is_chosen(route: Json) -> bool:
    return any(matcher.get("prefix") in CHOSEN for matcher in route.get("matchers") or [{"prefix": "/"}])


@settings(max_examples=40, deadline=None)
@given(start=estates(), forms=rollouts())
def test_routes_that_were_not_chosen_stay_as_they_are(start: Estate, forms: list[Form]) -> None:
    refs = REFS[0].model_copy(update={"prefixes": tuple(CHOSEN)}), REFS[1]
    before, current = flat(start), start
    for form in forms:
        current = brought(current, form, refs)
        assert in_form(current, form, refs)
        after = flat(current)
        for key in (key for key in start if key[0] != "UpstreamGroup"):
            left = [route for route in routes_of(current[key]) if not is_chosen(route)]
            assert left == [route for route in routes_of(start[key]) if not is_chosen(route)]
        for path, request in itertools.product(PATHS, SENT):
            found = hit(before, path, request)
            chosen = found is not None and is_chosen(found.route)
            told = told_apart(start, form, found.key) if found is not None else form
            if not chosen:
                told = replace(form, testing=())
            moves = found is not None and (chosen or "upstreamGroup" in found.route.get("routeAction", {}))
            ending = ends(start, found)
            wanted = expected(ending, told, request) if moves else ending
            assert ends(current, hit(after, path, request)) == wanted, (path, request)
