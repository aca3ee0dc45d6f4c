"""Who is woken by which change."""

import datetime as dt
from typing import Any

import pytest

from controller.kube.references import concerned, links
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.ports import CanaryObject, Key


SPEC = {
    "workload": {"selector": {"app": "web"}},
    "upstream": {"name": "up", "namespace": "gloo-system"},
    "routes": [{"name": "one", "namespace": "gloo-system"}, {"name": "two", "namespace": "edge"}],
    "analysis": {"metrics": [{"preset": "http-errors"}, {"templateRef": {"name": "queue"}}]},
}


def canary(spec: Any, namespace: str = "shop") -> CanaryObject:  # JSON, perhaps junk
    created = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
    return CanaryObject(
        Key(namespace, "web"),
        "u",
        "1",
        1,
        created,
        annotations={},
        finalizers=(),
        deleting=False,
        spec=spec,
        status={},
    )


def deployment(**labels: str) -> Document:
    return {"spec": {"template": {"metadata": {"labels": labels}}}}


@pytest.mark.parametrize(
    ("resource", "address", "document", "woken"),
    [
        pytest.param(VIRTUAL_SERVICES, ("gloo-system", "one"), {}, 1, id="its route"),
        pytest.param(VIRTUAL_SERVICES, ("edge", "two"), None, 1, id="its other route is gone"),
        pytest.param(VIRTUAL_SERVICES, ("edge", "one"), {}, 0, id="a route elsewhere"),
        pytest.param(ROUTE_TABLES, ("any", "thing"), {}, 1, id="a table that its routes may delegate to"),
        pytest.param(ROUTE_TABLES, ("any", "thing"), None, 1, id="a table that is gone"),
        pytest.param(UPSTREAM_GROUPS, ("any", "thing"), {}, 1, id="a group that its routes may lead to"),
        pytest.param(UPSTREAMS, ("gloo-system", "up"), {}, 1, id="its upstream"),
        pytest.param(UPSTREAMS, ("gloo-system", "up-v1"), None, 1, id="its upstream's clone is gone"),
        pytest.param(UPSTREAMS, ("edge", "up-v1"), {}, 0, id="an upstream of such a name elsewhere"),
        pytest.param(UPSTREAMS, ("gloo-system", "upper"), {}, 0, id="an upstream that begins alike"),
        pytest.param(UPSTREAMS, ("gloo-system", "one"), {}, 0, id="another upstream"),
        pytest.param(DEPLOYMENTS, ("shop", "web-v2"), deployment(app="web", version="v2"), 1, id="its pods"),
        pytest.param(DEPLOYMENTS, ("shop", "x"), deployment(app="x"), 0, id="other pods"),
        pytest.param(DEPLOYMENTS, ("edge", "web-v2"), deployment(app="web"), 0, id="pods elsewhere"),
        pytest.param(DEPLOYMENTS, ("shop", "web-v1"), None, 1, id="a deployment is gone"),
        pytest.param(DEPLOYMENTS, ("edge", "web-v1"), None, 0, id="a deployment elsewhere is gone"),
        pytest.param(METRIC_TEMPLATES, ("shop", "queue"), {}, 1, id="its template"),
        pytest.param(METRIC_TEMPLATES, ("shop", "queue"), None, 1, id="its template is gone"),
        pytest.param(METRIC_TEMPLATES, ("shop", "other"), {}, 0, id="another template"),
        pytest.param(METRIC_TEMPLATES, ("edge", "queue"), {}, 0, id="a template elsewhere"),
        pytest.param(CANARIES, ("gloo-system", "one"), {}, 0, id="another canary"),
    ],
)
def test_only_those_who_refer_to_it_are_woken(
    resource: Resource, address: tuple[str, str], document: Document | None, woken: int
) -> None:
    assert len(list(concerned([canary(SPEC)], resource, address, document))) == woken


@pytest.mark.parametrize(
    ("resource", "address", "woken"),
    [
        pytest.param(UPSTREAM_GROUPS, ("gloo-system", "one"), 1, id="its group"),
        pytest.param(UPSTREAM_GROUPS, ("gloo-system", "two"), 0, id="another group"),
        pytest.param(ROUTE_TABLES, ("gloo-system", "one"), 0, id="a table of that name"),
        pytest.param(VIRTUAL_SERVICES, ("gloo-system", "one"), 0, id="a virtual service of that name"),
    ],
)
def test_a_group_alone_leads_nowhere_else(resource: Resource, address: tuple[str, str], woken: int) -> None:
    group = {"kind": "UpstreamGroup", "name": "one", "namespace": "gloo-system"}
    assert len(list(concerned([canary({**SPEC, "routes": [group]})], resource, address, {}))) == woken


@pytest.mark.parametrize(("name", "woken"), [("old", 1), ("new", 1), ("other", 0)])
def test_the_upstreams_that_are_the_versions_wake(name: str, woken: int) -> None:
    both = {field: {"name": field, "namespace": "gloo-system"} for field in ("old", "new")}
    versions = {"stable": both["old"], "candidate": both["new"]}
    named = canary({"versions": versions})
    assert len(list(concerned([named], UPSTREAMS, ("gloo-system", name), {}))) == woken


def holder(*destinations: str, **spec: Any) -> Document:
    routes = [{"routeAction": {"single": {"upstream": {"name": name}}}} for name in destinations]
    return {"spec": {"routes": routes, **spec}, "status": {}}


BY_GROUP = {"routes": [{"routeAction": {"upstreamGroup": {"name": "g", "namespace": "x"}}}]}


@pytest.mark.parametrize(
    ("resource", "address", "document", "woken"),
    [
        pytest.param(ROUTE_TABLES, ("a", "t"), holder("cart", "up"), 1, id="leads to its upstream"),
        pytest.param(ROUTE_TABLES, ("a", "t"), holder("up-v2"), 1, id="leads to a clone of it"),
        pytest.param(ROUTE_TABLES, ("a", "t"), holder("cart"), 0, id="leads elsewhere"),
        pytest.param(ROUTE_TABLES, ("a", "t"), {"spec": BY_GROUP}, 1, id="leads to a group"),
        pytest.param(ROUTE_TABLES, ("a", "t"), None, 0, id="is still not there"),
        pytest.param(UPSTREAM_GROUPS, ("a", "t"), holder("cart"), 0, id="a group that leads elsewhere"),
        pytest.param(VIRTUAL_SERVICES, ("edge", "two"), holder("cart"), 1, id="is named"),
    ],
)
def test_what_leads_where_it_led_before_concerns_fewer(
    resource: Resource, address: tuple[str, str], document: Document | None, woken: int
) -> None:
    assert len(list(concerned([canary(SPEC)], resource, address, document, rewired=False))) == woken
    unknown = {key: value for key, value in SPEC.items() if key != "upstream"}
    if document:
        assert list(concerned([canary(unknown)], resource, address, document, rewired=False))


def test_weights_and_statuses_are_no_links() -> None:
    before = holder("up", options={"a": 1})
    routes = [{"routeAction": {"multi": {"destinations": [{"destination": holder("up"), "weight": 1}]}}}]
    after = {"metadata": {"labels": {}}, "spec": {"routes": routes}, "status": {"state": 1}}
    assert links(before) == links(after) == {'upstream {"name": "up"}'}
    assert links(None) == links({}) == frozenset()
    assert links(holder("up", "cart")) != links(before)
    assert links({**before, "metadata": {"labels": {"app": "up"}}}) != links(before)
    delegating = holder("up", delegateAction={"ref": {"name": "x"}})
    assert links(delegating) == links(before) | {'delegateAction {"ref": {"name": "x"}}'}


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"workload": None, "upstream": None, "routes": None},
        {"workload": "web", "upstream": "up", "routes": "one"},
        {"workload": {"selector": ["app"]}, "upstream": ["up"], "routes": [None, "one", {}]},
        {"versions": ["one"]},
        {"versions": {"stable": "one", "candidate": None}},
        {"analysis": {"metrics": "one"}},
        {"analysis": ["one"]},
        {"analysis": {"metrics": [None, "one", {"templateRef": "one"}, {"templateRef": ["one"]}]}},
    ],
)
def test_specs_that_make_no_sense_are_woken_by_nothing(junk: dict[str, object]) -> None:
    changes: list[tuple[Resource, Document]] = [
        (VIRTUAL_SERVICES, {}),
        (UPSTREAMS, {}),
        (DEPLOYMENTS, deployment(app="web")),
        (METRIC_TEMPLATES, {}),
    ]
    for resource, document in changes:
        assert list(concerned([canary(junk)], resource, ("shop", "one"), document)) == []
