from typing import Any

import pytest

from config import canary
from controller.gloo.destinations import Target
from controller.gloo.reading import Reading, read
from controller.rollout.moves import Form


TARGET = Target("echo", "gloo-system", "version")
STAGE = {"name": "stage", "value": "canary"}
TESTING = (canary.TestingMatch.model_validate({"headers": [STAGE]}),)
ROLLOUT = Form("v1", "v2", 25, TESTING)


def document(*routes: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "VirtualService",
        "metadata": {"namespace": "gloo-system", "name": "web"},
        "spec": {"virtualHost": {"routes": list(routes)}},
    }


def echo(**labels: str) -> dict[str, Any]:
    subset = {"subset": {"values": labels}} if labels else {}
    return {"upstream": {"name": "echo", "namespace": "gloo-system"}, **subset}


def single(destination: dict[str, Any], path: str = "/") -> dict[str, Any]:
    return {"matchers": [{"prefix": path}], "routeAction": {"single": destination}}


def multi(v1: int, v2: int, path: str = "/") -> dict[str, Any]:
    entries = [
        {"destination": echo(version="v1"), "weight": v1},
        {"destination": echo(version="v2"), "weight": v2},
    ]
    return {"matchers": [{"prefix": path}], "routeAction": {"multi": {"destinations": entries}}}


TESTED = {"matchers": [{"prefix": "/", "headers": [STAGE]}], "routeAction": {"single": echo(version="v2")}}


@pytest.mark.parametrize(
    ("routes", "form", "reading"),
    [
        pytest.param([single(echo())], None, Reading(unpinned=True, shape="all versions"), id="unpinned"),
        pytest.param(
            [single(echo())], ROLLOUT, Reading(unpinned=True, shape="all versions"), id="no share told"
        ),
        pytest.param([single(echo(version="v1"))], None, Reading("v1", shape="v1"), id="pinned"),
        pytest.param(
            [single(echo(version="v1"))], ROLLOUT, Reading("v1", weight=0, shape="v1"), id="no share"
        ),
        pytest.param(
            [single(echo(version="v2"))], ROLLOUT, Reading("v2", weight=100, shape="v2"), id="all of it"
        ),
        pytest.param([multi(75, 25)], None, Reading(shape="v1 75, v2 25"), id="divided"),
        pytest.param(
            [TESTED, multi(3, 1)],
            ROLLOUT,
            Reading(weight=25, shape="v1 75, v2 25; testing v2"),
            id="divided, by other numbers",
        ),
        pytest.param([multi(999, 1)], ROLLOUT, Reading(weight=1, shape="v1 99.9, v2 0.1"), id="rounded up"),
        pytest.param(
            [multi(90, 10, "/a"), multi(75, 25)],
            ROLLOUT,
            Reading(weight=25, shape="v1 90, v2 10; v1 75, v2 25"),
            id="the largest share counts",
        ),
        pytest.param(
            [single(echo(version="v0"), "/old"), single(echo(version="v1"))],
            ROLLOUT,
            Reading("v1", weight=0, kept=frozenset({"v0"}), shape="v1; fixed v0"),
            id="the user's own route is shown",
        ),
        pytest.param(
            [single(echo(version="v0"), "/old"), single(echo(version="v1"))],
            None,
            Reading(shape="v0; v1"),
            id="two versions are no one version",
        ),
        pytest.param(
            [single(echo(version="v1"), "/a"), single(echo())],
            None,
            Reading(unpinned=True, shape="v1; all versions"),
            id="one pinned, one not",
        ),
        pytest.param(
            [single(echo(version="v1", zone="a"), "/a"), single(echo(version="v1"))],
            None,
            Reading("v1", shape="v1"),
            id="a version in a zone is left alone",
        ),
    ],
)
def test_routes_are_read(routes: list[dict[str, Any]], form: Form | None, reading: Reading) -> None:
    assert read(document(*routes), TARGET, form) == reading


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        pytest.param(
            [], "no route leads to Upstream gloo-system/echo; it has no routes to any Upstream", id="none"
        ),
        pytest.param([{"redirectAction": {}}], "it has no routes to any Upstream", id="a redirect"),
        pytest.param(
            [{"routeAction": {"clusterHeader": "x"}}], "no routes to any Upstream", id="a header decides"
        ),
        pytest.param(
            [
                single({"upstream": {"name": "cart"}}),
                single({"upstream": {"name": "cart", "namespace": "shop"}}),
            ],
            "its routes lead to Upstream gloo-system/cart, Upstream shop/cart",
            id="other Upstreams",
        ),
        pytest.param(
            [{"delegateAction": {"ref": {"name": "web", "namespace": "shop"}}}],
            "lead to RouteTable shop/web",
            id="a RouteTable",
        ),
        pytest.param(
            [{"delegateAction": {"name": "web", "namespace": "shop"}}],
            "lead to RouteTable shop/web",
            id="a RouteTable, as older versions name it",
        ),
        pytest.param(
            [{"delegateAction": {"selector": {"labels": {"a": "b"}}}}],
            "lead to RouteTables by selector",
            id="RouteTables by selector",
        ),
        pytest.param(
            [{"routeAction": {"upstreamGroup": {"name": "echo", "namespace": "gloo-system"}}}],
            "lead to UpstreamGroup gloo-system/echo",
            id="an UpstreamGroup",
        ),
        pytest.param(
            [single(echo(version="v1", zone="a"))],
            "its routes lead to Upstream gloo-system/echo by the labels version, zone; "
            "a managed route has no subset, or version alone",
            id="a subset by two labels",
        ),
    ],
)
def test_routes_that_lead_elsewhere_are_named(routes: list[dict[str, Any]], words: str) -> None:
    reading = read(document(*routes), TARGET, ROLLOUT)
    assert reading.missing.startswith("VirtualService gloo-system/web: ")
    assert words in reading.missing
    by_labels = "by the labels" in words
    assert reading == Reading(missing=reading.missing, elsewhere=not by_labels)


def test_versions_that_nobody_can_choose_among_are_named() -> None:
    routes = [single(echo(version="v0"), "/old"), single(echo(version="v1"))]
    assert read(document(*routes), TARGET, Form("v2")).missing == (
        "VirtualService gloo-system/web: its routes to Upstream gloo-system/echo are fixed to v0 and v1, "
        "none to v2; fix those that should follow the rollout to v2"
    )


def test_a_route_that_mixes_versions_by_another_label_is_a_problem() -> None:
    routes = [single(echo(zone="a"), "/a"), single(echo(version="v1"))]
    assert read(document(*routes), TARGET, ROLLOUT) == Reading(
        "v1",
        weight=0,
        shape="v1",
        problem=(
            "VirtualService gloo-system/web: a route leads to Upstream gloo-system/echo by the labels zone, "
            "and so to every version at once; its subset should be version alone"
        ),
    )
