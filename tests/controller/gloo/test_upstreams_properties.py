"""Whatever is in a document, and however its versions are named: requests end up where they should."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.gloo.routes import patch
from controller.rollout.moves import Form
from gateway import (
    REQUESTS,
    TARGET,
    Json,
    documents,
    expected,
    leading,
    rollouts,
    stripped,
    traffic,
    valid,
    weights,
)
from sandbox.apiserver.merging import json_patch


CLONES = {("gloo-system", f"echo-v{number}"): f"v{number}" for number in range(1, 6)}
WAYS = (replace(TARGET, upstreams=CLONES), replace(TARGET, upstreams=CLONES, by_upstream=True))
"""By subsets, while clones are there, and by Upstreams."""


@settings(max_examples=100, deadline=None)
@given(start=documents(), forms=rollouts(), switches=st.lists(st.booleans(), min_size=30, max_size=30))
def test_any_document_survives_any_rollout_and_any_switch(
    start: Json, forms: list[Form], switches: list[bool]
) -> None:
    paths = [f"/{at}/{end}" for at in range(4) for end in ("", "also")] + ["/"]
    current = start
    for form, by_upstream in zip(forms, switches, strict=False):
        target = WAYS[by_upstream]
        current = json_patch(current, list(patch(current, target, form)))
        assert patch(current, target, form) == ()
        assert valid(current["spec"]["virtualHost"]["routes"]) == []
        assert 0 not in weights(current)
        read = by_subsets(current)
        for path in paths:
            for request in REQUESTS:
                wanted = expected(traffic(start, path, request), form, request)
                assert traffic(read, path, request) == wanted, (path, request)
        ways = {"subset" in each for each in destinations(current) if version_of(each)}
        assert ways <= {not by_upstream}
    assert stripped(by_subsets(current)) == stripped(start)


def by_subsets(document: Json) -> Json:
    """Write every destination that is a clone as the subset that it stands for."""
    read = copy.deepcopy(document)
    for destination in destinations(read):
        name = destination["upstream"]["name"]
        if ("gloo-system", name) in CLONES:
            destination.update(leading("echo", name.removeprefix("echo-")))
    return read


def version_of(destination: Json) -> str:
    """Give the version that a rollout fixed a destination to; v0 is the user's own."""
    own = CLONES.get(("gloo-system", destination["upstream"]["name"]), "")
    version = str(destination.get("subset", {}).get("values", {}).get("version", own))
    return "" if version == "v0" or destination["upstream"].get("namespace") == "elsewhere" else version


def destinations(document: Json) -> Iterator[Any]:
    for route in document["spec"]["virtualHost"]["routes"]:
        action = route.get("routeAction", {})
        if "single" in action:
            yield action["single"]
        yield from (entry["destination"] for entry in action.get("multi", {}).get("destinations", []))
