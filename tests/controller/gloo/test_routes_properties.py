"""Random VirtualServices on a random walk through the forms, judged by where requests end up."""

from hypothesis import given, settings

from controller.gloo.routes import patch
from controller.rollout.moves import Form
from gateway import (
    REQUESTS,
    TARGET,
    Json,
    documents,
    expected,
    rollouts,
    stripped,
    traffic,
    valid,
    weights,
)
from sandbox.apiserver.merging import json_patch


@settings(max_examples=150, deadline=None)
@given(start=documents(), forms=rollouts())
def test_any_document_survives_any_rollout(start: Json, forms: list[Form]) -> None:
    paths = [f"/{at}/{end}" for at in range(4) for end in ("", "also", "x")] + ["/"]
    current = start
    for form in forms:
        current = json_patch(current, list(patch(current, TARGET, form)))
        assert patch(current, TARGET, form) == ()
        assert valid(current["spec"]["virtualHost"]["routes"]) == []
        assert 0 not in weights(current)
        for path in paths:
            for request in REQUESTS:
                wanted = expected(traffic(start, path, request), form, request)
                assert traffic(current, path, request) == wanted, (path, request)
    assert stripped(current) == stripped(start)
