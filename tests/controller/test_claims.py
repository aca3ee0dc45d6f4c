"""Two Canaries that want the same thing."""

from typing import Any

import pytest

from controller.claims import claimed_by, marks, sought
from controller.ports import CanaryObject, Key
from situations import SECOND, T0


ROUTE = {"kind": "VirtualService", "name": "echo", "namespace": "gloo-system"}
TABLE = {"kind": "RouteTable", "name": "team", "namespace": "teams"}
GROUP = {"kind": "UpstreamGroup", "name": "echo", "namespace": "gloo-system"}
OTHER = {**ROUTE, "name": "other"}


def canary(name: str, spec: dict[str, Any], *, age: float = 0, namespace: str = "a") -> CanaryObject:
    created = T0 - age * SECOND
    return CanaryObject(
        Key(namespace, name), f"uid-{name}", "1", 1, created, {}, (), deleting=False, spec=spec, status={}
    )


def leading(*routes: dict[str, Any], to: str = "echo", **fields: Any) -> dict[str, Any]:
    return {"routes": list(routes), "upstream": {"name": to, "namespace": "gloo-system"}, **fields}


def chosen(route: dict[str, Any], *names: str, prefixes: tuple[str, ...] = ()) -> dict[str, Any]:
    return {**route, "names": list(names), "prefixes": list(prefixes)}


def labelled(**labels: str) -> dict[str, Any]:
    return {"workload": {"selector": labels}}


JUNK: list[dict[str, Any]] = [
    {},
    {"routes": "x", "workload": "x"},
    {"routes": ["x", None], "workload": {"selector": []}},
    {"workload": {}},
    {"routes": 7},
    {"routes": [{"names": 7, "prefixes": "x"}], "upstream": "x"},
    {"routes": [TABLE], "upstream": {"name": "echo"}, "destinations": 7},
]
WANTED = "route VirtualService gloo-system/echo"
CHOICES = [
    pytest.param(leading(ROUTE), leading(ROUTE, to="x"), "b", "", id="one object, other Upstreams"),
    pytest.param(leading(ROUTE), {"routes": [ROUTE]}, "b", WANTED, id="one object, an Upstream unknown"),
    pytest.param(
        leading(ROUTE), leading(chosen(ROUTE, "api")), "b", WANTED, id="all routes, and one of them"
    ),
    pytest.param(
        leading(chosen(ROUTE, "web")), leading(chosen(ROUTE, "api")), "b", "", id="different routes by name"
    ),
    pytest.param(
        leading(chosen(ROUTE, "web", "api")),
        leading(chosen(ROUTE, "api")),
        "b",
        WANTED,
        id="one name in common",
    ),
    pytest.param(
        leading(chosen(ROUTE, prefixes=("/a",))),
        leading(chosen(ROUTE, prefixes=("/b",))),
        "b",
        "",
        id="different routes by prefix",
    ),
    pytest.param(
        leading(chosen(ROUTE, prefixes=("/a",))),
        leading(chosen(ROUTE, prefixes=("/b", "/a"))),
        "b",
        WANTED,
        id="one prefix in common",
    ),
    pytest.param(
        leading(chosen(ROUTE, "web")),
        leading(chosen(ROUTE, prefixes=("/b",))),
        "b",
        WANTED,
        id="a name may have that prefix",
    ),
    pytest.param(
        leading(chosen(ROUTE, "web")),
        leading(chosen(ROUTE, "api", prefixes=("/b",))),
        "b",
        WANTED,
        id="a name may have that prefix, beside another name",
    ),
    pytest.param(
        leading(ROUTE), leading(TABLE), "b", "spec.upstream gloo-system/echo", id="a table that may be below"
    ),
    pytest.param(
        leading(TABLE),
        leading(ROUTE),
        "b",
        "spec.upstream gloo-system/echo",
        id="an object that may delegate",
    ),
    pytest.param(
        leading(TABLE),
        leading({**TABLE, "name": "x"}),
        "b",
        "spec.upstream gloo-system/echo",
        id="one table may be below the other",
    ),
    pytest.param(leading(TABLE), leading(ROUTE, to="x"), "b", "", id="a table of another Upstream"),
    pytest.param(leading(TABLE), leading(GROUP), "b", "", id="a group is below nothing"),
    pytest.param(
        leading(chosen(TABLE, "web")), leading(chosen(TABLE, "api")), "b", "", id="one table, other routes"
    ),
    pytest.param(leading(ROUTE), leading(OTHER), "b", "", id="two objects of one Upstream"),
    pytest.param(
        leading(ROUTE),
        leading(OTHER, destinations="Upstreams"),
        "b",
        "spec.upstream gloo-system/echo",
        id="clones of the Upstream",
    ),
]


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
        *CHOICES,
    ],
)
def test_the_older_one_has_it(
    mine: dict[str, Any], theirs: dict[str, Any], namespace: str, words: str
) -> None:
    young = canary("young", mine)
    old = canary("old", theirs, age=1, namespace=namespace)
    expected = f"{words} belongs to the older Canary {namespace}/old" if words else ""
    assert claimed_by(young, [young, old]) == expected
    if words:
        assert sought("a", mine) & marks(namespace, theirs)
        assert sought(namespace, theirs) & marks("a", mine)
    assert claimed_by(old, [young, old]) == ""


def test_of_the_same_age_exactly_one_has_it() -> None:
    left, right = canary("l", {"routes": [ROUTE]}), canary("r", {"routes": [ROUTE]})
    assert [bool(claimed_by(left, [right])), bool(claimed_by(right, [left]))] == [False, True]


def test_a_crowd_that_shares_an_upstream_is_not_searched() -> None:
    crowd = leading(OTHER)
    assert not sought("a", leading(ROUTE)) & marks("b", crowd)
    assert sought("a", leading(ROUTE)) & marks("b", leading(TABLE))


@pytest.mark.parametrize(
    "junk",
    JUNK,
)
def test_a_broken_spec_disturbs_nobody(junk: dict[str, Any]) -> None:
    assert claimed_by(canary("mine", {"routes": [ROUTE]}), [canary("junk", junk, age=1)]) == ""
    assert not marks("a", junk) & marks("a", {"routes": [ROUTE]})
