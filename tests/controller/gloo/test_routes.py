"""Documents through the whole workflow, patched by an independent implementation of JSON Patch."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from config import canary
from controller.gloo.destinations import Target
from controller.gloo.routes import patch
from controller.gloo.scope import Scope
from controller.rollout.moves import Form
from sandbox.apiserver.merging import PatchError, json_patch


TARGET = Target("echo", "gloo-system", "version")
STAGE = {"name": "stage", "value": "canary"}
DEBUG = {"name": "debug"}
BY_STAGE = canary.TestingMatch.model_validate({"headers": [STAGE]})
BY_DEBUG = canary.TestingMatch.model_validate({"headers": [{"name": "debug", "present": True}]})
TESTING = (BY_STAGE,)


def document(*routes: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "gloo-system", "resourceVersion": "7"},
        "spec": {"virtualHost": {"domains": ["*"], "routes": list(routes)}},
        "status": {"statuses": {"gloo-system": {"state": "Accepted"}}},
    }


def echo(version: str | None = None) -> dict[str, Any]:
    subset = {"subset": {"values": {"version": version}}} if version else {}
    return {"upstream": {"name": "echo", "namespace": "gloo-system"}, **subset}


def single(version: str | None, *headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    matcher = {"prefix": "/"} | ({"headers": list(headers)} if headers else {})
    return {"matchers": [matcher], "routeAction": {"single": echo(version)}, **fields}


def multi(v1: int, v2: int, **fields: Any) -> dict[str, Any]:  # any field of a route
    destinations = [{"destination": echo("v1"), "weight": v1}, {"destination": echo("v2"), "weight": v2}]
    return {"matchers": [{"prefix": "/"}], "routeAction": {"multi": {"destinations": destinations}}, **fields}


def patched(before: dict[str, Any], form: Form) -> dict[str, Any]:
    after: dict[str, Any] = json_patch(before, list(patch(before, TARGET, form)))
    assert patch(after, TARGET, form) == (), "a form that is reached must stay reached"
    return after


WORKFLOW = {
    "before": (None, document(single(None))),
    "pinned": (Form("v1", retired=TESTING), document(single("v1"))),
    "testing": (Form("v1", "v2", None, TESTING), document(single("v2", STAGE), single("v1"))),
    "nobody yet": (Form("v1", "v2", 0, TESTING), document(single("v2", STAGE), multi(100, 0))),
    "half": (Form("v1", "v2", 50, TESTING), document(single("v2", STAGE), multi(50, 50))),
    "everybody": (Form("v1", "v2", 100, TESTING), document(single("v2", STAGE), multi(0, 100))),
    "finished": (Form("v2", retired=TESTING), document(single("v2"))),
}


def test_every_stage_of_the_workflow_follows_from_the_one_before() -> None:
    _, current = WORKFLOW["before"]
    for form, expected in list(WORKFLOW.values())[1:]:
        assert form
        current = patched(current, form)
        assert current == expected


@pytest.mark.parametrize("stage", list(WORKFLOW))
def test_from_every_stage_one_patch_goes_back_to_stable(stage: str) -> None:
    _, current = WORKFLOW[stage]
    assert patched(current, Form("v1", retired=TESTING)) == document(single("v1"))


@pytest.mark.parametrize("origin", list(WORKFLOW))
@pytest.mark.parametrize("stage", list(WORKFLOW)[1:])
def test_a_form_does_not_depend_on_where_it_is_reached_from(origin: str, stage: str) -> None:
    form, expected = WORKFLOW[stage]
    assert form
    _, current = WORKFLOW[origin]
    assert patched(current, form) == expected


def test_raising_a_weight_replaces_two_numbers_under_a_test_of_the_route() -> None:
    before = document(single("v2", STAGE), multi(95, 5))
    weights = "/spec/virtualHost/routes/1/routeAction/multi/destinations"
    assert patch(before, TARGET, Form("v1", "v2", 10, TESTING)) == (
        {"op": "test", "path": "/spec/virtualHost/routes/1", "value": multi(95, 5)},
        {"op": "replace", "path": f"{weights}/0/weight", "value": 90},
        {"op": "replace", "path": f"{weights}/1/weight", "value": 10},
    )


def test_a_label_with_a_slash_is_escaped_where_it_is_part_of_a_path() -> None:
    target = Target("echo", "gloo-system", "example.org/version~x")
    before = document(single(None))
    before["spec"]["virtualHost"]["routes"][0]["routeAction"]["single"]["subset"] = {
        "values": {"example.org/version~x": "v1"}
    }
    operations = patch(before, target, Form("v2"))
    assert operations[-1]["path"].endswith("/values/example.org~1version~0x")
    after = json_patch(before, list(operations))
    assert patch(after, target, Form("v2")) == ()


def test_a_testing_route_inherits_all_but_the_name() -> None:
    options = {
        "options": {"timeout": "5s", "prefixRewrite": "/x"},
        "optionsConfigRefs": {"delegateOptions": []},
    }
    main = multi(100, 0, name="web", **options)
    main["routeAction"]["x-later"] = True
    after = patched(document(main), Form("v1", "v2", 0, TESTING))
    assert after["spec"]["virtualHost"]["routes"] == [
        {
            "matchers": [{"prefix": "/", "headers": [STAGE]}],
            "routeAction": {"single": echo("v2"), "x-later": True},
            **options,
        },
        main,
    ]


def test_alternatives_become_routes_in_order_and_each_is_there_once() -> None:
    form = Form("v1", "v2", None, (BY_STAGE, BY_DEBUG, BY_STAGE))
    expected = document(single("v2", STAGE), single("v2", DEBUG), single("v1"))
    assert patched(document(single("v1")), form) == expected
    twice = document(single("v2", STAGE), single("v2", STAGE), single("v2", DEBUG), single("v1"))
    assert patched(twice, form) == expected


def test_a_match_that_no_request_to_a_route_can_fit_needs_no_route() -> None:
    main = single("v1")
    main["matchers"][0]["methods"] = ["GET"]
    by_method = canary.TestingMatch.model_validate({"methods": ["PUT"]})
    assert patch(document(main), TARGET, Form("v1", "v2", None, (by_method,))) == ()


def test_a_testing_route_stays_where_it_stands_and_keeps_what_the_user_gave_it() -> None:
    slow = single("v9", STAGE, options={"timeout": "60s"}, name="testers")
    between = {"matchers": [{"prefix": "/old"}], "redirectAction": {"hostRedirect": "example.org"}}
    after = patched(document(slow, between, single("v1")), Form("v1", "v2", None, TESTING))
    expected = document(
        single("v2", STAGE, options={"timeout": "60s"}, name="testers"), between, single("v1")
    )
    assert after == expected


def test_a_changed_match_replaces_its_testing_route() -> None:
    before = document(single("v2", STAGE), single("v1"))
    form = Form("v1", "v2", None, (BY_DEBUG,), retired=(BY_STAGE,))
    assert patched(before, form) == document(single("v2", DEBUG), single("v1"))


def test_several_main_routes_move_together() -> None:
    other_path = [{"prefix": "/api"}, {"exact": "/rpc"}]
    before = document({**single(None), "matchers": other_path}, single(None))
    after = patched(before, Form("v1", "v2", 25, TESTING))
    tested = [{**each, "headers": [STAGE]} for each in other_path]
    assert after == document(
        {**single("v2"), "matchers": tested},
        {**multi(75, 25), "matchers": other_path},
        single("v2", STAGE),
        multi(75, 25),
    )
    assert patched(after, Form("v2", retired=TESTING)) == document(
        {**single("v2"), "matchers": other_path}, single("v2")
    )


@pytest.mark.parametrize("form", [form for form, _ in WORKFLOW.values() if form])
def test_a_document_without_routes_to_the_upstream_is_left_alone(form: Form) -> None:
    assert patch(document({"matchers": [], "redirectAction": {}}), TARGET, form) == ()
    assert patch({"metadata": {}, "spec": {}}, TARGET, form) == ()


def table(*routes: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "RouteTable",
        "metadata": {"name": "echo", "namespace": "teams"},
        "spec": {"routes": list(routes), "weight": 3},
    }


def test_a_table_is_patched_where_its_routes_are() -> None:
    form = Form("v1", "v2", 10, TESTING)
    assert patch(table(single("v2", STAGE), multi(95, 5)), TARGET, form) == (
        {"op": "test", "path": "/spec/routes/1", "value": multi(95, 5)},
        {"op": "replace", "path": "/spec/routes/1/routeAction/multi/destinations/0/weight", "value": 90},
        {"op": "replace", "path": "/spec/routes/1/routeAction/multi/destinations/1/weight", "value": 10},
    )


@pytest.mark.parametrize("stage", list(WORKFLOW)[1:])
def test_a_table_goes_through_the_same_forms(stage: str) -> None:
    form, expected = WORKFLOW[stage]
    assert form
    after = json_patch(table(single(None)), list(patch(table(single(None)), TARGET, form)))
    assert after == table(*expected["spec"]["virtualHost"]["routes"])


def group(*weights: int, **others: int) -> dict[str, Any]:
    """Make a group of v1, v2 and other Upstreams; without weights it balances over all versions."""
    versions = zip(("v1", "v2"), weights, strict=False)
    entries: list[dict[str, Any]] = [
        {"destination": echo(version), "weight": weight} for version, weight in versions
    ]
    if not weights:
        entries = [{"destination": echo(), "weight": 7}]
    for name, weight in others.items():
        entries.append(
            {"destination": {"upstream": {"name": name, "namespace": "gloo-system"}}, "weight": weight}
        )
    return {
        "kind": "UpstreamGroup",
        "metadata": {"name": "echo", "namespace": "edge"},
        "spec": {"destinations": entries, "x-new": 1},
    }


@pytest.mark.parametrize(
    ("before", "form", "after"),
    [
        pytest.param(group(), Form("v1"), group(7), id="pinned, by the weight that it had"),
        pytest.param(group(0), Form("v1"), group(100), id="pinned, by no weight"),
        pytest.param(group(3), Form("v1"), group(3), id="pinned already"),
        pytest.param(group(3), Form("v1", "v2", None, TESTING), group(3), id="testing divides nothing"),
        pytest.param(group(3), Form("v1", "v2", 0), group(100, 0), id="nobody yet"),
        pytest.param(group(75, 25), Form("v1", "v2", 60), group(40, 60), id="more"),
        pytest.param(group(40, 60), Form("v1"), group(100), id="back"),
        pytest.param(group(50, 50, cart=100), Form("v1"), group(50, cart=50), id="back, beside another"),
        pytest.param(group(30, cart=10), Form("v1", "v2", 50), group(3, 3, cart=2), id="half of a part"),
        pytest.param(group(3, cart=1), Form("v1"), group(3, cart=1), id="pinned beside another"),
    ],
)
def test_a_group_is_divided(before: dict[str, Any], form: Form, after: dict[str, Any]) -> None:
    assert patched(before, form) == after
    if before == after:
        assert patch(before, TARGET, form) == ()


def test_an_edit_of_a_group_makes_the_patch_fail_as_a_whole() -> None:
    operations = list(patch(group(75, 25), TARGET, Form("v1")))
    with pytest.raises(PatchError):
        json_patch(group(74, 26), operations)
    assert json_patch({**group(75, 25), "status": {}}, operations) == {**group(100), "status": {}}


def test_a_group_that_leads_elsewhere_is_left_alone() -> None:
    assert patch(group(0, cart=1) | {"spec": {"destinations": []}}, TARGET, Form("v1")) == ()
    other = {"destination": {"upstream": {"name": "cart", "namespace": "gloo-system"}}, "weight": 1}
    assert patch(group() | {"spec": {"destinations": [other]}}, TARGET, Form("v1")) == ()


def test_testers_of_a_group_are_led_past_it() -> None:
    reference = {"name": "echo", "namespace": "edge"}
    main = {
        "name": "web",
        "matchers": [{"prefix": "/"}],
        "routeAction": {"upstreamGroup": reference, "x-later": 1},
        "options": {"timeout": "9s"},
    }
    model = {**echo("v1"), "destinationSpec": {"rest": {}}}
    scope = Scope(groups={("edge", "echo"): model})
    form = Form("v1", "v2", 40, TESTING)
    after = json_patch(document(main), list(patch(document(main), TARGET, form, scope)))
    assert after == document(
        {
            "matchers": [{"prefix": "/", "headers": [STAGE]}],
            "routeAction": {"single": {**echo("v2"), "destinationSpec": {"rest": {}}}, "x-later": 1},
            "options": {"timeout": "9s"},
        },
        main,
    )
    assert patch(after, TARGET, form, scope) == ()
    pinned = Form("v1", retired=TESTING)
    assert json_patch(after, list(patch(after, TARGET, pinned, scope))) == document(main)


def test_a_testing_route_that_would_not_be_what_it_says_is_not_written_and_not_left() -> None:
    by_method = canary.TestingMatch.model_validate({"methods": ["GET"]})
    form = Form("v1", "v2", None, (by_method, BY_STAGE))
    scope = Scope(above=({"prefix": "/", "methods": ["GET", "PUT"]},))
    wide = {**single("v2"), "matchers": [{"prefix": "/", "methods": ["GET"]}]}
    for before in (document(single("v1")), document(wide, single("v1"))):
        after = json_patch(before, list(patch(before, TARGET, form, scope)))
        assert after == document(single("v2", STAGE), single("v1"))


Edit = Callable[[dict[str, Any]], Any]


def routes_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = found["spec"]["virtualHost"]["routes"]
    return routes


OURS: dict[str, Edit] = {
    "the weights": lambda d: routes_of(d)[2]["routeAction"]["multi"]["destinations"][0].update(weight=1),
    "a destination": lambda d: routes_of(d)[2]["routeAction"]["multi"]["destinations"].pop(),
    "the action": lambda d: routes_of(d)[2].update(routeAction={"single": echo("v1")}),
    "the options": lambda d: routes_of(d)[2].update(options={"timeout": "1s"}),
    "the matchers": lambda d: routes_of(d)[2]["matchers"][0].update(prefix="/x"),
    "the testing route": lambda d: routes_of(d)[1].update(options={"timeout": "1s"}),
    "the order": lambda d: routes_of(d).reverse(),
    "a new route before it": lambda d: routes_of(d).insert(0, {"redirectAction": {}}),
    "a route before it gone": lambda d: routes_of(d).pop(0),
    "the route gone": lambda d: routes_of(d).pop(2),
}
NOT_OURS: dict[str, Edit] = {
    "the status": lambda d: d["status"]["statuses"]["gloo-system"].update(state="Rejected"),
    "the resourceVersion": lambda d: d["metadata"].update(resourceVersion="8", generation=4),
    "another route in its place": lambda d: routes_of(d)[0].update(
        redirectAction={"hostRedirect": "b.example"}
    ),
    "a new route after it": lambda d: routes_of(d).append({"redirectAction": {}}),
    "the domains": lambda d: d["spec"]["virtualHost"].update(domains=["example.org"]),
    "nothing": lambda d: None,
}


def under_way() -> dict[str, Any]:
    redirect = {"matchers": [{"prefix": "/old"}], "redirectAction": {"hostRedirect": "a.example"}}
    return document(redirect, single("v2", STAGE), multi(75, 25))


@pytest.mark.parametrize("edit", OURS.values(), ids=OURS.keys())
def test_an_edit_of_a_route_that_a_patch_is_about_makes_it_fail_as_a_whole(edit: Edit) -> None:
    operations = patch(under_way(), TARGET, Form("v1", retired=TESTING))
    edited = under_way()
    edit(edited)
    with pytest.raises(PatchError):
        json_patch(edited, list(operations))


@pytest.mark.parametrize("edit", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_an_edit_of_anything_else_survives_a_patch(edit: Edit) -> None:
    operations = patch(under_way(), TARGET, Form("v1", retired=TESTING))
    edited = under_way()
    edit(edited)
    expected = copy.deepcopy(edited)
    routes_of(expected)[1:3] = [single("v1")]
    assert json_patch(edited, list(operations)) == expected
