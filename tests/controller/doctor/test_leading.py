"""Which routes a rollout would move, and which it would leave behind."""

from typing import Any

import pytest

from clinic import Clinic, canary, gloo, pinned, unpinned, virtual_service
from controller.doctor.finding import Severity
from controller.kube.resources import CANARIES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES


TABLE = {"name": "table", "namespace": "gloo-system"}
GROUP = {"name": "group", "namespace": "gloo-system"}
OTHER = {"name": "new", "namespace": "gloo-system"}
STAGE = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}]}


def route_table(*routes: dict[str, Any]) -> dict[str, Any]:
    document = gloo(ROUTE_TABLES, "RouteTable", "table", {"routes": list(routes)})
    return {**document, "metadata": {**document["metadata"], "labels": {"app": "echo"}}}


def delegating(action: dict[str, Any]) -> dict[str, Any]:
    return virtual_service("echo", {"matchers": [{"prefix": "/"}], "delegateAction": action})


def found(clinic: Clinic, check: str) -> list[tuple[Severity, str]]:
    return [(each.severity, each.sentence) for each in clinic.findings() if each.check == check]


@pytest.mark.parametrize(
    "action",
    [
        {"ref": TABLE},
        TABLE,
        {"selector": {"labels": {"app": "echo"}}},
        {"selector": {"labels": {"app": "echo"}, "namespaces": ["*"]}},
    ],
    ids=["ref", "name", "selector", "everywhere"],
)
def test_what_a_named_object_delegates_to_is_managed(action: dict[str, Any]) -> None:
    clinic = Clinic().put(VIRTUAL_SERVICES, delegating(action)).put(ROUTE_TABLES, route_table(pinned("v1")))
    assert [severity for severity, _ in found(clinic, "unmanaged")] == [Severity.OK]
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", pinned("v1")))
    ((severity, words),) = found(clinic, "unmanaged")
    assert severity is Severity.WARNING
    assert words.startswith("RouteTable gloo-system/table: spec.routes[0] is fixed to v1")


def test_a_route_of_ones_own_in_a_managed_object_is_left_alone() -> None:
    old = {**pinned("v0"), "matchers": [{"prefix": "/", "headers": [{"name": "old"}]}]}
    clinic = Clinic().put(VIRTUAL_SERVICES, virtual_service("echo", old, pinned("v1")))
    assert [severity for severity, _ in found(clinic, "unmanaged")] == [Severity.OK]


def test_a_group_that_no_route_uses_leaks_nothing_and_a_named_one_is_managed() -> None:
    weighted = {"destination": pinned("v1")["routeAction"]["single"], "weight": 1}
    group = gloo(UPSTREAM_GROUPS, "UpstreamGroup", "group", {"destinations": [weighted]})
    clinic = Clinic().put(UPSTREAM_GROUPS, group)
    assert [severity for severity, _ in found(clinic, "unmanaged")] == [Severity.OK]
    action = {"matchers": [{"prefix": "/"}], "routeAction": {"upstreamGroup": GROUP}}
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", action))
    ref = {"name": "echo", "namespace": "gloo-system"}
    clinic.put(CANARIES, canary(routes=[ref, {"kind": "UpstreamGroup", **GROUP}], testing=STAGE))
    assert [severity for severity, _ in found(clinic, "unmanaged")] == [Severity.OK]
    assert [severity for severity, _ in found(clinic, "testing-match")] == [Severity.OK]


def test_the_clones_of_an_upstream_are_not_another_way_to_it() -> None:
    metadata = {
        "name": "echo-v1",
        "namespace": "gloo-system",
        "labels": {"app.kubernetes.io/managed-by": "crossfade"},
        "annotations": {"crossfade.dev/upstream": "echo", "crossfade.dev/version": "v1"},
    }
    kube = {"serviceName": "echo", "serviceNamespace": "shop", "selector": {"app": "echo", "version": "v1"}}
    clone = {**gloo(UPSTREAMS, "Upstream", "echo-v1", {"kube": kube}), "metadata": metadata}
    clinic = Clinic().put(UPSTREAMS, clone).put(CANARIES, canary(destinations="Upstreams"))
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", unpinned("echo-v1")))
    assert [severity for severity, _ in found(clinic, "unmanaged")] == [Severity.OK]
    assert found(clinic, "subset-keys") == found(clinic, "fallback") == []
    clinic.put(VIRTUAL_SERVICES, virtual_service("stays", unpinned("echo-v1")))
    ((severity, words),) = found(clinic, "unmanaged")
    assert (severity, "is fixed to v1" in words) == (Severity.WARNING, True)


@pytest.mark.parametrize(
    ("before", "severity"),
    [
        pytest.param([], Severity.OK, id="none"),
        pytest.param(
            [{**unpinned("other"), "matchers": [{"prefix": "/api"}]}], Severity.OK, id="another path"
        ),
        pytest.param(
            [{**unpinned("other"), "matchers": [{"prefix": "/", **STAGE["match"][0]}]}],
            Severity.WARNING,
            id="the same header",
        ),
        pytest.param(
            [{**pinned("v2"), "matchers": [{"prefix": "/", **STAGE["match"][0]}]}], Severity.OK, id="to us"
        ),
    ],
)
def test_testers_reach_the_candidate_unless_another_route_takes_them(
    before: list[dict[str, Any]], severity: Severity
) -> None:
    clinic = Clinic().put(CANARIES, canary(testing=STAGE))
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", *before, pinned("v1")))
    assert [each for each, _ in found(clinic, "testing-match")] == [severity]


def test_routes_without_a_main_one_are_a_problem_and_nothing_is_said_of_testers() -> None:
    clinic = Clinic().put(CANARIES, canary(testing=STAGE)).remove(VIRTUAL_SERVICES, "echo")
    assert [severity for severity, _ in found(clinic, "routes")] == [Severity.PROBLEM]
    assert found(clinic, "testing-match") == []


def test_versions_that_are_upstreams_are_each_looked_for() -> None:
    versions = {"stable": {"name": "old", "namespace": "gloo-system"}, "candidate": OTHER}
    document = canary(None, versions=versions)
    del document["spec"]["workload"], document["spec"]["upstream"]
    clinic = Clinic().put(CANARIES, document)
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", unpinned("old")))
    old = gloo(UPSTREAMS, "Upstream", "old", {"static": {"hosts": [{"addr": "10.0.0.1", "port": 80}]}})
    old["metadata"]["creationTimestamp"] = "2026-03-01T10:00:00Z"
    clinic.put(UPSTREAMS, old)
    ((severity, words),) = found(clinic, "upstream")
    assert (severity, "Upstream gloo-system/new: there is none" in words) == (Severity.PROBLEM, True)
    clinic.put(UPSTREAMS, {**old, "metadata": {**old["metadata"], **OTHER}})
    assert found(clinic, "upstream") == found(clinic, "subset-keys") == found(clinic, "fallback") == []
    assert "its versions are Upstreams: old" in found(clinic, "version-label")[0][1]
    assert [severity for severity, _ in found(clinic, "adoption")] == [Severity.OK]
    assert [severity for severity, _ in found(clinic, "unmanaged")] == [Severity.OK]
    clinic.put(VIRTUAL_SERVICES, virtual_service("stays", unpinned("old")))
    ((severity, words),) = found(clinic, "unmanaged")
    assert (severity, "is fixed to old" in words) == (Severity.NOTE, True)
