"""What is told of all documents of a Canary together."""

from typing import Any

import pytest

from config import canary
from controller.gloo.delegation import places
from controller.gloo.documents import name_of
from controller.gloo.overview import Overview, overview, rises
from controller.rollout.moves import Form
from estates import Estate, Shelf
from gateway import TARGET


Json = dict[str, Any]
WEB = {"kind": "VirtualService", "name": "web", "namespace": "edge"}
TEAM = {"kind": "RouteTable", "name": "team", "namespace": "teams"}
GROUP = {"kind": "UpstreamGroup", "name": "group", "namespace": "edge"}
STAGE = {"headers": [{"name": "stage", "value": "canary"}]}
QUARTER = Form("v1", "v2", 25)
DELEGATE = {
    "matchers": [{"prefix": "/t/"}],
    "delegateAction": {"ref": {"name": "team", "namespace": "teams"}},
}
BY_GROUP = {"routeAction": {"upstreamGroup": {"name": "group", "namespace": "edge"}}}


def spec(*refs: Json, **fields: Any) -> canary.CanarySpec:
    return canary.CanarySpec.model_validate(
        {
            "workload": {"selector": {"app": "echo"}},
            "upstream": {"name": "echo", "namespace": "gloo-system"},
            "routes": list(refs) or [WEB],
            "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
            **fields,
        }
    )


def echo(version: str | None = None, upstream: str = "echo", **labels: str) -> Json:
    values = {**({"version": version} if version else {}), **labels}
    subset = {"subset": {"values": values}} if values else {}
    return {"upstream": {"name": upstream, "namespace": "gloo-system"}, **subset}


def single(version: str | None = None, path: str = "/", **fields: Any) -> Json:
    return {"matchers": [{"prefix": path}], "routeAction": {"single": echo(version)}, **fields}


def entries(v1: int, v2: int) -> list[Json]:
    return [{"destination": echo("v1"), "weight": v1}, {"destination": echo("v2"), "weight": v2}]


def multi(v1: int, v2: int, path: str = "/", **fields: Any) -> Json:
    action = {"multi": {"destinations": entries(v1, v2)}}
    return {"matchers": [{"prefix": path}], "routeAction": action, **fields}


def estate(*web: Json, team: list[Json] | None = None, group: list[Json] | None = None) -> Estate:
    specs: dict[tuple[str, str, str], Json] = {
        ("VirtualService", "edge", "web"): {"virtualHost": {"routes": list(web)}}
    }
    if team is not None:
        specs["RouteTable", "teams", "team"] = {"routes": team}
    if group is not None:
        specs["UpstreamGroup", "edge", "group"] = {"destinations": group}
    return {
        key: {"kind": key[0], "metadata": {"namespace": key[1], "name": key[2]}, "spec": each}
        for key, each in specs.items()
    }


def told(found: Estate, form: Form | None = None, of: canary.CanarySpec | None = None) -> Overview:
    of = of or spec()
    return overview(of, places(of.routes, TARGET, Shelf(found)), TARGET, form)


def test_routes_below_a_delegation_are_routes_of_the_canary() -> None:
    seen = told(estate(DELEGATE, team=[multi(75, 25, "/t/")]), QUARTER)
    assert (seen.in_form, seen.weight, seen.shape, seen.missing) == (True, 25, "v1 75, v2 25", ())
    assert not told(estate(DELEGATE, team=[multi(80, 20, "/t/")]), QUARTER).in_form


def test_documents_are_named_where_they_differ() -> None:
    seen = told(estate(DELEGATE, single("v1"), team=[multi(75, 25, "/t/")]), QUARTER)
    assert (seen.in_form, seen.weight, seen.version) == (False, 25, None)
    assert seen.shape == "edge/web: v1; teams/team: v1 75, v2 25"


def test_a_table_that_leads_elsewhere_says_nothing() -> None:
    other = {"matchers": [{"prefix": "/t/"}], "routeAction": {"single": echo(upstream="cart")}}
    seen = told(estate(DELEGATE, single("v1"), team=[other]))
    assert (seen.version, seen.shape, seen.missing, seen.problems) == ("v1", "v1", (), ())


def test_gloo_has_to_accept_what_was_named_and_what_leads_to_the_upstream() -> None:
    def holders(*team: Json) -> list[str]:
        seen = told(estate(DELEGATE, single("v1"), team=list(team)), QUARTER)
        return [name_of(place.document) for place in seen.holders]

    elsewhere = {"routeAction": {"single": echo(upstream="cart")}}
    assert holders(elsewhere) == ["VirtualService edge/web"]
    assert holders(single("v1", "/t/")) == ["VirtualService edge/web", "RouteTable teams/team"]
    assert told(estate(elsewhere), QUARTER).holders != ()


def test_a_table_of_versions_that_nobody_can_choose_among_is_missing() -> None:
    seen = told(estate(DELEGATE, single("v2"), team=[single("v0", "/t/a"), single("v1", "/t/")]), Form("v2"))
    [missing] = seen.missing
    assert missing.startswith(
        "RouteTable teams/team: its routes to Upstream gloo-system/echo are fixed to v0"
    )
    assert not seen.in_form


def test_nothing_below_leads_to_the_upstream() -> None:
    redirect = {"redirectAction": {"hostRedirect": "example.org"}}
    seen = told(estate(DELEGATE, redirect, team=[redirect]))
    assert seen.missing == (
        (
            "VirtualService edge/web: no route leads to Upstream gloo-system/echo; "
            "its routes lead to RouteTable teams/team"
        ),
    )


def test_a_group_is_divided_and_what_leads_to_it_is_silent() -> None:
    seen = told(estate(BY_GROUP, group=entries(75, 25)), QUARTER, spec(WEB, GROUP))
    assert (seen.in_form, seen.weight, seen.shape) == (True, 25, "v1 75, v2 25")
    pinned = told(estate(BY_GROUP, group=entries(1, 0)[:1]), None, spec(WEB, GROUP))
    assert (pinned.version, pinned.unpinned, pinned.missing) == ("v1", False, ())
    raw = [{"destination": echo(), "weight": 3}]
    assert told(estate(BY_GROUP, group=raw), None, spec(GROUP)).unpinned


def test_a_group_that_leads_elsewhere_is_missing() -> None:
    other = [{"destination": echo(upstream="cart"), "weight": 1}]
    seen = told(estate(group=other), None, spec(GROUP))
    assert seen.missing == (
        (
            "UpstreamGroup edge/group: no route leads to Upstream gloo-system/echo; "
            "its routes lead to Upstream gloo-system/cart"
        ),
    )


UNNAMED = (
    "VirtualService edge/web: a route leads to Upstream gloo-system/echo through UpstreamGroup edge/group; "
    "name the group in spec.routes: {kind: UpstreamGroup, name: group, namespace: edge}"
)


def test_a_group_that_is_not_named_is_missing_where_nothing_else_leads_to_the_upstream() -> None:
    seen = told(estate(BY_GROUP, group=entries(75, 25)), QUARTER)
    assert (seen.in_form, seen.missing, seen.problems) == (False, (UNNAMED,), ())


def test_a_group_that_is_not_named_is_a_problem_beside_other_routes() -> None:
    seen = told(estate(BY_GROUP, single("v1", "/a"), group=entries(75, 25)), Form("v1"))
    assert (seen.in_form, seen.missing, seen.problems) == (True, (), (UNNAMED,))


def test_only_what_is_chosen_moves() -> None:
    routes = multi(75, 25, name="web"), single("v1", "/api/"), single("v0", "/old/", name="old")
    by_name = told(estate(*routes), QUARTER, spec({**WEB, "names": ["web"]}))
    assert (by_name.in_form, by_name.weight, by_name.kept) == (True, 25, frozenset({"v1", "v0"}))
    assert by_name.shape == "v1 75, v2 25; fixed v1; fixed v0"
    both = told(estate(*routes), QUARTER, spec({**WEB, "names": ["web"], "prefixes": ["/api/"]}))
    assert (both.in_form, both.kept) == (False, frozenset({"v0"}))


def test_an_open_route_that_is_not_chosen_is_a_problem() -> None:
    routes = single("v1", name="web"), single(None, "/api/")
    seen = told(estate(*routes), Form("v1"), spec({**WEB, "names": ["web"]}))
    assert seen.problems == (
        (
            "VirtualService edge/web: the route /api/ leads to every version of Upstream gloo-system/echo, "
            "but is not chosen in spec.routes; choose it, or fix it to a version"
        ),
    )
    named = single("v1", name="web"), single(None, "/api/", name="api")
    [problem] = told(estate(*named), Form("v1"), spec({**WEB, "names": ["web"]})).problems
    assert "the route api leads to" in problem
    nameless = single("v1", name="web"), {"matchers": [{"exact": "/"}], "routeAction": {"single": echo()}}
    [problem] = told(estate(*nameless), Form("v1"), spec({**WEB, "names": ["web"]})).problems
    assert "the route without a name leads to" in problem


@pytest.mark.parametrize(
    ("chosen", "missing"),
    [
        pytest.param(
            {"names": ["web", "wbe"]},
            "spec.routes[0].names: found wbe, but no route to Upstream gloo-system/echo has that; "
            "there are web, api",
            id="a name",
        ),
        pytest.param(
            {"prefixes": ["/a"]},
            "spec.routes[0].prefixes: found /a, but no route to Upstream gloo-system/echo has that; "
            "there are /, /api/, /t/",
            id="a prefix",
        ),
        pytest.param(
            {"names": ["web", "elsewhere"]},
            "spec.routes[0].names: found elsewhere, but no route to Upstream gloo-system/echo has that; "
            "there are web, api",
            id="the name of a route that leads elsewhere",
        ),
        pytest.param({"names": ["web"], "prefixes": ["/t/"]}, None, id="nothing is missing"),
    ],
)
def test_a_choice_that_no_route_answers_to_is_missing(chosen: Json, missing: str | None) -> None:
    elsewhere = {"name": "elsewhere", "redirectAction": {}}
    routes = elsewhere, DELEGATE, single("v1", name="web"), single("v1", "/api/", name="api")
    seen = told(estate(*routes, team=[single("v1", "/t/")]), Form("v1"), spec({**WEB, **chosen}))
    assert seen.missing == (() if missing is None else (missing,))


def test_a_choice_among_nothing_is_missing() -> None:
    seen = told(estate(), Form("v1"), spec({**WEB, "names": ["web"]}))
    assert seen.missing == (
        "spec.routes[0].names: found web, but no route to Upstream gloo-system/echo has that; there are none",
    )


def test_a_route_to_a_managed_group_can_be_chosen() -> None:
    seen = told(
        estate({**BY_GROUP, "name": "web"}, group=entries(75, 25)),
        QUARTER,
        spec({**WEB, "names": ["web"]}, GROUP),
    )
    assert (seen.in_form, seen.missing) == (True, ())


def test_a_match_that_a_delegation_cannot_narrow_is_a_problem_before_it_is_tried() -> None:
    narrow = {**DELEGATE, "matchers": [{"prefix": "/t/", "headers": [{"name": "stage"}]}]}
    testing = {"match": [{"methods": ["GET"]}, STAGE]}
    seen = told(estate(narrow, team=[single("v1", "/t/")]), Form("v1"), spec(testing=testing))
    assert seen.in_form
    assert seen.problems == (
        (
            "spec.testing.match[1].headers: RouteTable teams/team is reached by a route that has a condition "
            "on the same, which Gloo cannot narrow; test by another header"
        ),
    )
    assert told(estate(narrow, single("v1"), team=[]), Form("v1"), spec(testing=testing)).problems == ()


def test_a_match_that_sorting_would_hide_is_a_problem() -> None:
    every = {**DELEGATE, "delegateAction": {"selector": {"namespaces": ["teams"]}}}
    world = estate(every, team=[single("v1", "/t/")])
    twin = {"kind": "RouteTable", "metadata": {"namespace": "teams", "name": "x"}, "spec": {"routes": []}}
    testing = {"match": [{"methods": ["GET"]}, STAGE]}
    seen = told({**world, ("RouteTable", "teams", "x"): twin}, Form("v1"), spec(testing=testing))
    assert seen.problems == (
        (
            "spec.testing.match[0].methods: RouteTable teams/team is one of several RouteTables of one "
            "weight, whose routes Gloo sorts by methods; give each a spec.weight of its own, "
            "or test by a header"
        ),
    )


@pytest.mark.parametrize(
    ("routes", "form", "rise"),
    [
        pytest.param([multi(75, 25)], Form("v1", "v2", 50), True, id="more"),
        pytest.param([multi(75, 25)], QUARTER, True, id="as much"),
        pytest.param([multi(75, 25)], Form("v1", "v2", 20), False, id="less"),
        pytest.param([multi(75, 25)], Form("v1", "v2"), False, id="back to testing"),
        pytest.param([single("v1")], Form("v1", "v2"), True, id="testing"),
        pytest.param([multi(75, 25)], Form("v1"), False, id="pinned"),
        pytest.param([single(None)], QUARTER, False, id="unpinned routes share already"),
        pytest.param([BY_GROUP], QUARTER, True, id="testers of a group"),
        pytest.param([BY_GROUP], Form("v1"), False, id="no more testers of a group"),
    ],
)
def test_what_raises_the_candidates_share(routes: list[Json], form: Form, rise: bool) -> None:  # noqa: FBT001
    world = Shelf(estate(*routes, group=entries(75, 25)))
    web, _ = places(spec(WEB, GROUP).routes, TARGET, world)
    assert rises(web, TARGET, form) is rise
