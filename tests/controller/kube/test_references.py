"""Who is woken by which change."""

import datetime as dt
from typing import Any

import pytest

from controller.kube.references import concerned
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
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
        pytest.param(UPSTREAMS, ("gloo-system", "up"), {}, 1, id="its upstream"),
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
    "junk",
    [
        {},
        {"workload": None, "upstream": None, "routes": None},
        {"workload": "web", "upstream": "up", "routes": "one"},
        {"workload": {"selector": ["app"]}, "upstream": ["up"], "routes": [None, "one", {}]},
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
