"""NO_FALLBACK fails requests to no version and to one without pods; it is offered where there are none."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clinic import Clinic, gloo, pinned, unpinned, virtual_service, wrong
from controller.kube.resources import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES


OURS = {"name": "echo", "namespace": "gloo-system"}
HOME = {"name": "echo"}
OTHER = {"name": "other", "namespace": "gloo-system"}
SUBSETS: list[dict[str, str] | None] = [
    None,
    {},
    {"version": "v1"},
    {"version": "v2"},
    {"zone": "a"},
    {"version": "v1", "zone": "a"},
]

destinations = st.builds(
    lambda upstream, values: {
        "upstream": upstream,
        **({} if values is None else {"subset": {"values": values}}),
    },
    st.sampled_from([OURS, HOME, OTHER]),
    st.sampled_from(SUBSETS),
)
actions = st.one_of(
    destinations.map(lambda destination: {"single": destination}),
    st.lists(destinations, min_size=1, max_size=3).map(
        lambda found: {"multi": {"destinations": [{"destination": each, "weight": 1} for each in found]}}
    ),
    st.just({"upstreamGroup": {"name": "group", "namespace": "gloo-system"}}),
)
routes = st.lists(
    st.fixed_dictionaries({"matchers": st.just([{"prefix": "/"}]), "routeAction": actions}), max_size=3
)


def is_lost(destination: dict[str, Any]) -> bool:
    """Tell whether Envoy would find no pod for a request to the application: only v1 has one."""
    return destination["upstream"]["name"] == "echo" and (destination.get("subset") or {}).get("values") != {
        "version": "v1"
    }


def reached(action: dict[str, Any], group: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if "single" in action:
        return [action["single"]]
    weighted = action["multi"]["destinations"] if "multi" in action else group
    return [each["destination"] for each in weighted]


@settings(max_examples=300, deadline=None)
@given(routes, routes, st.lists(destinations, max_size=2))
def test_no_request_would_be_failed_by_what_is_offered(
    first: list[dict[str, Any]], second: list[dict[str, Any]], grouped: list[dict[str, Any]]
) -> None:
    clinic = Clinic()
    elsewhere = [{**each, "upstream": {**each["upstream"], "namespace": "gloo-system"}} for each in grouped]
    group = [{"destination": each, "weight": 1} for each in elsewhere]
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", pinned("v1"), *first))
    clinic.put(ROUTE_TABLES, gloo(ROUTE_TABLES, "RouteTable", "table", {"routes": second}))
    clinic.put(UPSTREAM_GROUPS, gloo(UPSTREAM_GROUPS, "UpstreamGroup", "group", {"destinations": group}))
    clinic.change(UPSTREAMS, "echo", {"spec": {"kube": {"subsetSpec": {"fallbackPolicy": None}}}})
    offered = [each for each in wrong(clinic.findings()) if each.check == "fallback" and each.fix is not None]
    everything = [each for route in (*first, *second) for each in reached(route["routeAction"], group)]
    assert bool(offered) is not any(map(is_lost, everything))


@settings(max_examples=200, deadline=None)
@given(routes)
def test_naming_an_object_that_was_not_managed_makes_no_new_problem(others: list[dict[str, Any]]) -> None:
    clinic = Clinic().put(VIRTUAL_SERVICES, virtual_service("other", *others))
    for finding in clinic.findings():
        if finding.check == "unmanaged" and finding.fix is not None:
            clinic.cure(finding)
    after = clinic.findings()
    assert [each for each in wrong(after) if each.check in {"routes", "spec", "adoption", "claim"}] == []
    assert [each for each in wrong(after) if each.check == "unmanaged" and each.fix is not None] == []


def test_where_it_is_set_an_open_route_is_a_problem() -> None:
    clinic = Clinic()
    assert [each for each in wrong(clinic.findings()) if each.check == "fallback"] == []
    clinic.put(VIRTUAL_SERVICES, virtual_service("echo", unpinned()))
    (finding,) = [each for each in wrong(clinic.findings()) if each.check == "fallback"]
    assert "503" in finding.words
