"""Two Canaries that want the same thing."""

from typing import Any

import pytest

from controller.claims import claimed_by, marks
from controller.ports import CanaryObject, Key
from situations import SECOND, T0


ROUTE = {"kind": "VirtualService", "name": "echo", "namespace": "gloo-system"}


def canary(name: str, spec: dict[str, Any], *, age: float = 0, namespace: str = "a") -> CanaryObject:
    created = T0 - age * SECOND
    return CanaryObject(
        Key(namespace, name), f"uid-{name}", "1", 1, created, {}, (), deleting=False, spec=spec, status={}
    )


def labelled(**labels: str) -> dict[str, Any]:
    return {"workload": {"selector": labels}}


@pytest.mark.parametrize(
    ("mine", "theirs", "namespace", "words"),
    [
        pytest.param(
            {"routes": [ROUTE]},
            {"routes": [{"name": "x"}, ROUTE]},
            "b",
            "route VirtualService gloo-system/echo",
            id="a route, in any namespace",
        ),
        pytest.param(
            {"routes": [{"name": "echo", "namespace": "gloo-system"}]},
            {"routes": [ROUTE]},
            "b",
            "route VirtualService gloo-system/echo",
            id="a route, the kind left out",
        ),
        pytest.param(
            labelled(app="echo"),
            labelled(app="echo"),
            "a",
            "spec.workload.selector app=echo",
            id="the same Deployments",
        ),
        pytest.param(
            labelled(app="echo", tier="web"),
            labelled(app="echo"),
            "a",
            "spec.workload.selector app=echo,tier=web",
            id="some of their Deployments",
        ),
        pytest.param(
            labelled(app="echo"),
            labelled(app="echo", tier="web"),
            "a",
            "spec.workload.selector app=echo",
            id="their Deployments among others",
        ),
        pytest.param(labelled(app="echo"), labelled(app="echo"), "b", "", id="the same labels elsewhere"),
        pytest.param(labelled(app="echo"), labelled(app="other"), "a", "", id="other Deployments"),
        pytest.param({"routes": [ROUTE]}, {"routes": [{**ROUTE, "name": "x"}]}, "a", "", id="other routes"),
    ],
)
def test_the_older_one_has_it(
    mine: dict[str, Any], theirs: dict[str, Any], namespace: str, words: str
) -> None:
    young = canary("young", mine)
    old = canary("old", theirs, age=1, namespace=namespace)
    expected = f"{words} belongs to the older Canary {namespace}/old" if words else ""
    assert claimed_by(young, [young, old]) == expected
    assert bool(marks("a", mine) & marks(namespace, theirs)) == bool(words)
    assert claimed_by(old, [young, old]) == ""


def test_of_the_same_age_exactly_one_has_it() -> None:
    left, right = canary("l", {"routes": [ROUTE]}), canary("r", {"routes": [ROUTE]})
    assert [bool(claimed_by(left, [right])), bool(claimed_by(right, [left]))] == [False, True]


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"routes": "x", "workload": "x"},
        {"routes": ["x", None], "workload": {"selector": []}},
        {"workload": {}},
        {"routes": 7},
    ],
)
def test_a_broken_spec_disturbs_nobody(junk: dict[str, Any]) -> None:
    assert claimed_by(canary("mine", {"routes": [ROUTE]}), [canary("junk", junk, age=1)]) == ""
    assert not marks("a", junk) & marks("a", {"routes": [ROUTE]})
