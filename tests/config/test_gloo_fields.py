"""What a Canary may say about testers and copies of requests, and what is refused with which words."""

from typing import Any

import pytest

from config.load import load_spec
from config.problems import SpecError


def problem(spec: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as refused:
        load_spec(spec)
    return str(refused.value)


def with_match(minimal: dict[str, Any], **match: Any) -> dict[str, Any]:
    return {**minimal, "testing": {"match": [match]}}


@pytest.mark.parametrize("how", [{"value": "a"}, {"regex": "a|b"}, {"present": True}])
def test_any_match_of_a_header_may_be_inverted(minimal: dict[str, Any], how: dict[str, Any]) -> None:
    spec = load_spec(with_match(minimal, headers=[{"name": "bot", **how, "invert": True}]))
    assert spec.testing is not None
    assert spec.testing.match[0].headers[0].invert


def test_no_query_parameter_is_inverted(minimal: dict[str, Any]) -> None:
    fine = {"name": "preview", "present": True, "invert": False}
    found = problem(with_match(minimal, queryParameters=[fine, {**fine, "invert": True}]))
    assert found == (
        "spec.testing.match[0].queryParameters[1].invert: found true; "
        "Gloo inverts headers alone; leave invert out, or match a header"
    )


def test_invert_is_true_or_false(minimal: dict[str, Any]) -> None:
    found = problem(with_match(minimal, headers=[{"name": "bot", "present": True, "invert": "yes"}]))
    assert found == "spec.testing.match[0].headers[0].invert: found 'yes'; must be true or false"


def shadowed(minimal: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**minimal, "destinations": "Upstreams", "shadowing": fields}


@pytest.mark.parametrize("percentage", [0.0001, 33.3333, 2.5, 10, 100])
def test_copies_of_a_share_of_the_requests(minimal: dict[str, Any], percentage: float) -> None:
    spec = load_spec(shadowed(minimal, percentage=percentage))
    assert spec.shadowing is not None
    assert (spec.shadowing.percentage, spec.shadowing.duration.total_seconds()) == (percentage, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({}, "percentage: required", id="nothing"),
        pytest.param({"percentage": 0}, "percentage: found 0; must be at least 0.0001", id="none"),
        pytest.param(
            {"percentage": 33.33333},
            "percentage: found 33.33333; Envoy counts in steps of 0.0001",
            id="too fine",
        ),
        pytest.param({"percentage": 100.5}, "percentage: found 100.5; must be at most 100", id="too many"),
        pytest.param({"percentage": "10%"}, "percentage: found '10%'; a number is needed", id="text"),
        pytest.param(
            {"percentage": 10, "duration": 5},
            "duration: found 5; a duration looks like 30s, 1m30s or 2h",
            id="duration",
        ),
        pytest.param(
            {"percentage": 10, "percent": 5},
            "percent: unknown field; did you mean percentage?; allowed: duration, percentage",
            id="an unknown field",
        ),
    ],
)
def test_wrong_shadowing_is_refused(minimal: dict[str, Any], fields: dict[str, Any], words: str) -> None:
    assert problem(shadowed(minimal, **fields)) == f"spec.shadowing.{words}"


def test_no_copies_to_a_subset(minimal: dict[str, Any]) -> None:
    found = problem({**minimal, "shadowing": {"percentage": 10}})
    assert found == (
        "spec.shadowing: Gloo copies requests to an Upstream, not to a subset; "
        "shadowing needs destinations: Upstreams"
    )


def test_no_copies_of_what_only_groups_divide(minimal: dict[str, Any]) -> None:
    group = {"kind": "UpstreamGroup", "name": "echo", "namespace": "gloo-system"}
    copied = {**shadowed(minimal, percentage=10), "routes": [group], "testing": None}
    found = problem({name: value for name, value in copied.items() if value is not None})
    assert found.startswith("spec.shadowing: an UpstreamGroup has no options.shadowing; ")
    both = {**copied, "routes": [group, *minimal["routes"]]}
    assert load_spec({name: value for name, value in both.items() if value is not None}).shadowing
