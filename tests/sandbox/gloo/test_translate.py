"""Gloo's rules, from objects to what Envoy is told."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.gloo.translate import Translation, translate
from sandbox.gloo.world import Verdict, World
from sandbox.kube import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES


Document = dict[str, Any]
NS = "gloo-system"
ECHO = {"name": "echo", "namespace": NS}
ALL: Document = {"matchers": [{"prefix": "/"}]}


def to(version: str | None = None, upstream: str = "echo") -> Document:
    subset = {"subset": {"values": {"version": version}}} if version else {}
    return {"upstream": {"name": upstream, "namespace": NS}, **subset}


def single(version: str | None = None, upstream: str = "echo") -> Document:
    return {**ALL, "routeAction": {"single": to(version, upstream)}}


def multi(*weights: tuple[str, int | None]) -> Document:
    destinations = [{"destination": to(version), "weight": weight} for version, weight in weights]
    return {**ALL, "routeAction": {"multi": {"destinations": destinations}}}


def virtual_service(*routes: Document, domains: tuple[str, ...] = ("*",)) -> Document:
    return {"metadata": {}, "spec": {"virtualHost": {"domains": list(domains), "routes": list(routes)}}}


def table(*routes: Document, labels: Document | None = None, weight: int | None = None) -> Document:
    spec = {"routes": list(routes), **({} if weight is None else {"weight": weight})}
    return {"metadata": {"labels": labels or {}}, "spec": spec}


def world(*routes: Document, **more: Any) -> World:
    upstream = {"metadata": {}, "spec": {"kube": {"serviceName": "echo", "serviceNamespace": "echo"}}}
    service = {"metadata": {}, "spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    parts: dict[str, Any] = {
        "upstreams": {(NS, "echo"): upstream},
        "services": {("echo", "echo"): service},
        "virtual_services": {(NS, "echo"): virtual_service(*routes)},
    }
    return World(**{**parts, **more})


def host_of(translation: Translation) -> Document:
    [host] = translation.virtual_hosts.values()
    return host


def routes_of(*routes: Document, **more: Any) -> list[Document]:
    translated: list[Document] = host_of(translate(world(*routes, **more), {}))["routes"]
    return translated


def verdict_of(translation: Translation, kind: Any = VIRTUAL_SERVICES) -> Verdict:
    [verdict] = [v for (resource, _), v in translation.verdicts.items() if resource == kind]
    return verdict


def test_a_single_destination_is_one_cluster_with_its_subset() -> None:
    [route] = routes_of(single("v2"))
    assert route["match"] == {"prefix": "/"}
    assert route["route"] == {
        "cluster": "echo_gloo-system",
        "metadata_match": {"filter_metadata": {"envoy.lb": {"version": "v2"}}},
    }


def test_without_a_subset_all_pods_are_meant() -> None:
    [route] = routes_of(single())
    assert "metadata_match" not in route["route"]


def test_weights_are_passed_on_relative_to_their_sum() -> None:
    [route] = routes_of(multi(("v1", 3), ("v2", 1), ("v3", None)))
    clusters = route["route"]["weighted_clusters"]["clusters"]
    assert [
        (c["metadata_match"]["filter_metadata"]["envoy.lb"]["version"], c["weight"]) for c in clusters
    ] == [
        ("v1", 3),
        ("v2", 1),
        ("v3", 0),
    ]
    assert {c["name"] for c in clusters} == {"echo_gloo-system"}


def test_routes_keep_their_order_and_their_names() -> None:
    named = {**single("v2"), "name": "testing"}
    assert [r["name"] for r in routes_of(named, single("v1"))] == ["testing", "gloo-system.echo-route-1"]


def test_every_matcher_of_a_route_leads_to_its_action() -> None:
    both = {**single("v1"), "matchers": [{"exact": "/a"}, {"prefix": "/b"}]}
    assert [r["match"] for r in routes_of(both)] == [{"path": "/a"}, {"prefix": "/b"}]


def test_a_route_without_matchers_matches_everything() -> None:
    assert routes_of({"routeAction": {"single": to("v1")}})[0]["match"] == {"prefix": "/"}


def test_an_upstream_group_is_a_weighted_list_shared_by_routes() -> None:
    group = {"metadata": {}, "spec": {"destinations": [{"destination": to("v1"), "weight": 1}]}}
    grouped = {**ALL, "routeAction": {"upstreamGroup": {"name": "both", "namespace": NS}}}
    [route] = routes_of(grouped, upstream_groups={(NS, "both"): group})
    assert route["route"]["weighted_clusters"]["clusters"][0]["weight"] == 1


@pytest.mark.parametrize(
    ("options", "where", "expected"),
    [
        pytest.param({"timeout": "3s"}, "route", {"timeout": "3s"}, id="timeout"),
        pytest.param(
            {"retries": {"retryOn": "5xx", "numRetries": 2}},
            "route",
            {"retry_policy": {"retry_on": "5xx", "num_retries": 2}},
            id="retries",
        ),
        pytest.param({"prefixRewrite": "/x"}, "route", {"prefix_rewrite": "/x"}, id="rewrite"),
        pytest.param(
            {"shadowing": {"upstream": ECHO, "percentage": 12.5}},
            "route",
            {
                "request_mirror_policies": [
                    {
                        "cluster": "echo_gloo-system",
                        "runtime_fraction": {
                            "default_value": {"numerator": 1250, "denominator": "TEN_THOUSAND"}
                        },
                    }
                ]
            },
            id="shadowing",
        ),
        pytest.param(
            {
                "headerManipulation": {
                    "requestHeadersToAdd": [{"header": {"key": "a", "value": "b"}, "append": False}]
                }
            },
            None,
            {
                "request_headers_to_add": [
                    {"header": {"key": "a", "value": "b"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ]
            },
            id="headers",
        ),
        pytest.param({"jwt": {"disable": True}}, "route", {}, id="what it does not know is left out"),
    ],
)
def test_options_become_envoys(options: Document, where: str | None, expected: Document) -> None:
    [plain] = routes_of(single())
    [route] = routes_of({**single(), "options": options})
    target, before = (route[where], plain[where]) if where else (route, plain)
    assert {k: v for k, v in target.items() if k not in before} == expected


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        pytest.param(single(upstream="gone"), "*v1.Upstream { gloo-system.gone } not found", id="upstream"),
        pytest.param(multi(("v1", 0), ("v2", 0)), "must be greater than zero", id="zero weight"),
        pytest.param(multi(), "must be greater than zero", id="no destinations"),
        pytest.param(
            {**ALL, "routeAction": {"upstreamGroup": {"name": "gone", "namespace": NS}}},
            "*v1.UpstreamGroup { gloo-system.gone } not found",
            id="upstream group",
        ),
        pytest.param(
            {**ALL, "delegateAction": {"ref": {"name": "gone", "namespace": NS}}},
            "*v1.RouteTable { gloo-system.gone } not found",
            id="route table",
        ),
        pytest.param({**ALL}, "no action", id="no action"),
        pytest.param(
            {**single(), "options": {"shadowing": {"upstream": {"name": "gone", "namespace": NS}}}},
            "gone } not found",
            id="shadow",
        ),
        pytest.param({**single(), "matchers": [{"regex": "("}]}, "invalid regex", id="regex"),
        pytest.param({**single(), "matchers": [{"methods": ["GET"]}]}, "must have one of", id="no path"),
    ],
)
def test_what_cannot_be_served_is_rejected_with_the_reason(route: Document, reason: str) -> None:
    translation = translate(world(route), {})
    assert translation.virtual_hosts == {}
    assert verdict_of(translation).state == "Rejected"
    assert reason in verdict_of(translation).reason


def test_a_rejected_virtual_service_keeps_its_last_good_routes() -> None:
    good = translate(world(single("v1")), {})
    bad = translate(world(multi(("v1", 0))), good.virtual_hosts)
    assert bad.virtual_hosts == good.virtual_hosts
    assert verdict_of(bad).state == "Rejected"


def test_a_deleted_virtual_service_is_served_no_more() -> None:
    good = translate(world(single("v1")), {})
    assert translate(world(virtual_services={}), good.virtual_hosts).virtual_hosts == {}


def test_a_domain_of_two_virtual_services_is_refused_to_both() -> None:
    pair = {(NS, name): virtual_service(single(), domains=("a", name)) for name in ("one", "two")}
    other = {(NS, "three"): virtual_service(single(), domains=("b",))}
    translation = translate(world(virtual_services={**pair, **other}), {})
    states = {key[1]: v.state for (r, key), v in translation.verdicts.items() if r == VIRTUAL_SERVICES}
    assert states == {"one": "Rejected", "two": "Rejected", "three": "Accepted"}
    assert list(translation.virtual_hosts) == ["gloo-system_three"]


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        pytest.param({"kube": {"serviceName": "echo", "serviceNamespace": "echo"}}, "Accepted", id="kube"),
        pytest.param(
            {"kube": {"serviceName": "echo", "serviceNamespace": "echo", "servicePort": 8080}},
            "Accepted",
            id="a Service's only port is taken whatever its number",
        ),
        pytest.param({"static": {"hosts": [{"addr": "127.0.0.1", "port": 80}]}}, "Accepted", id="static"),
        pytest.param({"static": {}}, "Accepted", id="static without hosts"),
        pytest.param({"static": {"hosts": [{"addr": "localhost", "port": 80}]}}, "Rejected", id="a name"),
        pytest.param({"static": {"hosts": [{"port": 80}]}}, "Rejected", id="no address"),
        pytest.param({"static": {"hosts": [{"addr": "127.0.0.1"}]}}, "Rejected", id="no port"),
        pytest.param({"consul": {"serviceName": "echo"}}, "Rejected", id="another kind"),
        pytest.param(
            {"kube": {"serviceName": "no", "serviceNamespace": "echo"}}, "Rejected", id="no service"
        ),
    ],
)
def test_upstreams_have_a_verdict_too(spec: Document, state: str) -> None:
    upstreams = {(NS, "echo"): {"metadata": {}, "spec": spec}}
    assert verdict_of(translate(world(single(), upstreams=upstreams), {}), UPSTREAMS).state == state


def test_a_group_with_no_weight_is_rejected() -> None:
    group = {"metadata": {}, "spec": {"destinations": [{"destination": to("v1")}]}}
    translation = translate(world(single(), upstream_groups={(NS, "g"): group}), {})
    assert verdict_of(translation, UPSTREAM_GROUPS).state == "Rejected"


def delegate(**action: Any) -> Document:
    return {"matchers": [{"prefix": "/api"}], "delegateAction": action}


def test_a_reference_delegates_to_a_route_table_below_its_prefix() -> None:
    inner = {"matchers": [{"prefix": "/api/v2"}], "routeAction": {"single": to("v2")}}
    tables = {(NS, "t"): table(inner, single("v1") | {"matchers": [], "inheritablePathMatchers": True})}
    routes = routes_of(delegate(ref={"name": "t", "namespace": NS}), single(), route_tables=tables)
    assert [r["match"]["prefix"] for r in routes] == ["/api/v2", "/api", "/"]


@pytest.mark.parametrize("matchers", [[], [{"prefix": "/"}]], ids=["no path is all paths", "all paths"])
def test_a_path_outside_of_the_parents_prefix_is_left_out_with_a_warning(matchers: list[Document]) -> None:
    inner = {"matchers": [{"prefix": "/api/v2"}], "routeAction": {"single": to("v2")}}
    tables = {(NS, "t"): table({**single("v1"), "matchers": matchers}, inner)}
    translation = translate(world(delegate(ref={"name": "t", "namespace": NS}), route_tables=tables), {})
    assert verdict_of(translation).state == "Warning"
    assert "path / of the route table does not start with prefix /api" in verdict_of(translation).reason
    assert [route["match"]["prefix"] for route in host_of(translation)["routes"]] == ["/api/v2"]


PARENTS: list[Document] = [
    {"headers": [{"name": "stage", "value": "canary"}]},
    {"queryParameters": [{"name": "stage"}]},
    {"methods": ["GET"]},
]


@pytest.mark.parametrize("conditions", PARENTS, ids=[next(iter(each)) for each in PARENTS])
def test_a_route_without_the_conditions_of_its_parent_is_left_out_with_a_warning(
    conditions: Document,
) -> None:
    parent = delegate(ref={"name": "t", "namespace": NS}) | {"matchers": [{"prefix": "/api", **conditions}]}
    lacking = {"matchers": [{"prefix": "/api/a"}], "routeAction": {"single": to("v2")}}
    having = {"matchers": [{"prefix": "/api/b", **conditions}], "routeAction": {"single": to("v2")}}
    translation = translate(world(parent, route_tables={(NS, "t"): table(lacking, having)}), {})
    assert verdict_of(translation).state == "Warning"
    assert [route["match"]["prefix"] for route in host_of(translation)["routes"]] == ["/api/b"]


def test_inherited_methods_are_added_to_the_routes_own() -> None:
    parent = {
        **delegate(ref={"name": "t", "namespace": NS}),
        "matchers": [{"prefix": "/api", "methods": ["GET", "PUT"]}],
        "inheritableMatchers": True,
    }
    inner = {"matchers": [{"prefix": "/api", "methods": ["POST"]}], "routeAction": {"single": to("v2")}}
    [route] = routes_of(parent, route_tables={(NS, "t"): table(inner)})
    assert route["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|PUT|POST"


def test_a_path_is_inherited_where_a_route_above_says_so() -> None:
    outer = {**delegate(ref={"name": "t", "namespace": NS}), "inheritablePathMatchers": True}
    middle = {"delegateAction": {"ref": {"name": "u", "namespace": NS}}}
    inner = {"matchers": [{"exact": "/x", "methods": ["GET"]}], "routeAction": {"single": to("v2")}}
    [route] = routes_of(outer, route_tables={(NS, "t"): table(middle), (NS, "u"): table(inner)})
    assert route["match"]["prefix"] == "/api"


def test_a_static_upstream_has_the_addresses_that_it_names() -> None:
    hosts = [{"addr": "127.0.0.1", "port": 80}, {"addr": "nowhere", "port": 80}, {"addr": "::1", "port": 81}]
    upstream = {"metadata": {}, "spec": {"static": {"hosts": hosts}}}
    found = translate(world(single(), upstreams={(NS, "echo"): upstream}), {}).endpoints["echo_gloo-system"]
    (group,) = found["endpoints"]
    addresses = [each["endpoint"]["address"]["socket_address"] for each in group["lb_endpoints"]]
    assert addresses == [
        {"address": "127.0.0.1", "port_value": 80},
        {"address": "::1", "port_value": 81},
    ]


def test_a_tables_dangling_upstream_is_the_tables_fault_too() -> None:
    inner = {"matchers": [{"prefix": "/api"}], "routeAction": {"single": to(upstream="gone")}}
    tables = {(NS, "t"): table(inner)}
    translation = translate(world(delegate(ref={"name": "t", "namespace": NS}), route_tables=tables), {})
    assert verdict_of(translation, ROUTE_TABLES).state == "Rejected"


def test_conditions_are_inherited_when_asked_for() -> None:
    header = {"name": "stage", "value": "canary"}
    parent = {
        **delegate(ref={"name": "t", "namespace": NS}),
        "matchers": [{"prefix": "/api", "headers": [header]}],
        "inheritableMatchers": True,
    }
    tables = {(NS, "t"): table({"matchers": [{"prefix": "/api/a"}], "routeAction": {"single": to("v2")}})}
    [inherited] = routes_of(parent, route_tables=tables)
    assert inherited["match"]["headers"] == [{"name": "stage", "string_match": {"exact": "canary"}}]


SELECTORS: list[tuple[Document, list[str]]] = [
    ({"labels": {"team": "a"}}, ["/api/1"]),
    ({"labels": {"team": "a"}, "namespaces": ["*"]}, ["/api/3", "/api/1"]),
    ({"labels": {"team": "a"}, "namespaces": ["far"]}, ["/api/3"]),
    ({"expressions": [{"key": "team", "operator": "In", "values": ["b", "c"]}]}, ["/api/2"]),
    ({"expressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, ["/api/2"]),
    ({"expressions": [{"key": "team", "operator": "Exists"}]}, ["/api/1", "/api/2"]),
]


@pytest.mark.parametrize(("selector", "paths"), SELECTORS, ids=[str(s) for s, _ in SELECTORS])
def test_a_selector_delegates_to_all_tables_that_match(selector: Document, paths: list[str]) -> None:
    def leading(number: int) -> Document:
        return {"matchers": [{"prefix": f"/api/{number}"}], "routeAction": {"single": to()}}

    tables = {
        (NS, "one"): table(leading(1), labels={"team": "a"}),
        (NS, "two"): table(leading(2), labels={"team": "b"}),
        ("far", "three"): table(leading(3), labels={"team": "a"}),
    }
    routes = routes_of(delegate(selector=selector), route_tables=tables)
    assert [r["match"]["prefix"] for r in routes] == paths


def test_a_selector_that_finds_nothing_is_a_warning() -> None:
    translation = translate(world(delegate(selector={"labels": {"a": "b"}}), single()), {})
    assert verdict_of(translation).state == "Warning"
    assert len(host_of(translation)["routes"]) == 1


def test_tables_go_by_weight_and_then_by_the_length_of_the_path() -> None:
    def leading(path: str) -> Document:
        return {"matchers": [{"prefix": path}], "routeAction": {"single": to()}}

    tables = {
        (NS, "a"): table(leading("/api/a"), weight=5),
        (NS, "b"): table(leading("/api")),
        (NS, "c"): table(leading("/api/long")),
    }
    routes = routes_of(delegate(selector={}), route_tables=tables)
    assert [r["match"]["prefix"] for r in routes] == ["/api/long", "/api", "/api/a"]


def test_a_cycle_of_delegations_is_rejected() -> None:
    tables = {(NS, "t"): table(delegate(ref={"name": "t", "namespace": NS}))}
    translation = translate(world(delegate(ref={"name": "t", "namespace": NS}), route_tables=tables), {})
    assert "cycle" in verdict_of(translation).reason


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        pytest.param({"exact": "/a"}, {"path": "/a"}, id="exact"),
        pytest.param({"regex": "/a.*"}, {"safe_regex": {"regex": "/a.*"}}, id="regex"),
        pytest.param(
            {"prefix": "/", "caseSensitive": False}, {"prefix": "/", "case_sensitive": False}, id="case"
        ),
        pytest.param(
            {"prefix": "/", "headers": [{"name": "a", "value": "b", "invertMatch": True}]},
            {"prefix": "/", "headers": [{"name": "a", "string_match": {"exact": "b"}, "invert_match": True}]},
            id="inverted header",
        ),
        pytest.param(
            {"prefix": "/", "headers": [{"name": "a"}]},
            {"prefix": "/", "headers": [{"name": "a", "present_match": True}]},
            id="present header",
        ),
        pytest.param(
            {"prefix": "/", "headers": [{"name": "a", "value": "b+", "regex": True}]},
            {"prefix": "/", "headers": [{"name": "a", "string_match": {"safe_regex": {"regex": "b+"}}}]},
            id="header by regex",
        ),
        pytest.param(
            {"prefix": "/", "queryParameters": [{"name": "q", "value": "1"}]},
            {"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]},
            id="query parameter",
        ),
        pytest.param(
            {"prefix": "/", "methods": ["GET", "POST"]},
            {
                "prefix": "/",
                "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|POST"}}}],
            },
            id="methods",
        ),
    ],
)
def test_matchers_become_envoys(matcher: Document, expected: Document) -> None:
    assert routes_of({**single(), "matchers": [matcher]})[0]["match"] == expected


def with_pods(subset: Document | None, kube: Document | None = None) -> World:
    spec = {"serviceName": "echo", "serviceNamespace": "echo", **(kube or {})}
    if subset is not None:
        spec["subsetSpec"] = subset
    pods = {
        ("echo", f"p{n}"): {
            "metadata": {"labels": {"app": "echo", "version": f"v{n}"}},
            "status": {"podIP": f"127.1.1.{n}"},
        }
        for n in (1, 2, 9)
    }
    endpoints = [  # p8 is known to its Service already, and here not yet
        {"addresses": [f"{name}.echo"], "conditions": {"ready": name != "p9"}, "targetRef": {"name": name}}
        for name in ("p1", "p2", "p8", "p9")
    ]
    piece = {
        "metadata": {"labels": {"kubernetes.io/service-name": "echo"}},
        "ports": [{"name": "", "port": 8080}],
        "endpoints": endpoints,
    }
    return world(
        single(),
        upstreams={(NS, "echo"): {"metadata": {}, "spec": {"kube": spec}}},
        slices={("echo", "echo-x"): piece},
        pods=pods,
    )


def hosts_in(setting: World) -> list[tuple[str, Document]]:
    [assignment] = translate(setting, {}).endpoints.values()
    hosts = [host for locality in assignment["endpoints"] for host in locality["lb_endpoints"]]
    return [
        (
            host["endpoint"]["address"]["socket_address"]["address"],
            host.get("metadata", {}).get("filter_metadata", {}).get("envoy.lb", {}),
        )
        for host in hosts
    ]


def test_ready_pods_are_endpoints_with_the_labels_that_selectors_name() -> None:
    hosts = hosts_in(with_pods({"selectors": [{"keys": ["version"]}]}))
    assert hosts == [("127.1.1.1", {"version": "v1"}), ("127.1.1.2", {"version": "v2"})]


def test_an_upstreams_own_selector_narrows_its_pods() -> None:
    assert hosts_in(with_pods(None, {"selector": {"version": "v2"}})) == [("127.1.1.2", {})]


SUBSETS: list[tuple[str, Document, Document]] = [
    (
        "any endpoint by default",
        {"selectors": []},
        {"fallback_policy": "ANY_ENDPOINT", "subset_selectors": []},
    ),
    (
        "none when asked for",
        {"fallbackPolicy": "NO_FALLBACK", "selectors": [{"keys": ["version"]}]},
        {"fallback_policy": "NO_FALLBACK", "subset_selectors": [{"keys": ["version"]}]},
    ),
    (
        "numbers of old objects",
        {"fallbackPolicy": 2, "selectors": []},
        {"fallback_policy": "NO_FALLBACK", "subset_selectors": []},
    ),
    (
        "a default subset",
        {"fallbackPolicy": "DEFAULT_SUBSET", "defaultSubset": {"values": {"version": "v1"}}},
        {"fallback_policy": "DEFAULT_SUBSET", "subset_selectors": [], "default_subset": {"version": "v1"}},
    ),
]


@pytest.mark.parametrize(("spec", "expected"), [s[1:] for s in SUBSETS], ids=[s[0] for s in SUBSETS])
def test_subsets_are_exactly_those_that_the_upstream_declares(spec: Document, expected: Document) -> None:
    [cluster] = translate(with_pods(spec), {}).clusters.values()
    assert cluster["lb_subset_config"] == expected


def test_without_subset_spec_there_are_no_subsets() -> None:
    [cluster] = translate(with_pods(None), {}).clusters.values()
    assert "lb_subset_config" not in cluster


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda ports: ports.append({"name": "b", "port": 81}), id="a port that does not exist"),
        pytest.param(lambda ports: ports.clear(), id="no port at all"),
    ],
)
def test_without_a_port_an_upstream_has_no_endpoints(break_it: Callable[[list[Document]], None]) -> None:
    setting = with_pods(None, {"servicePort": 8080})
    break_it(setting.services["echo", "echo"]["spec"]["ports"])
    assert hosts_in(setting) == []
