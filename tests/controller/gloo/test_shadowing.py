"""Copies of requests, given and taken away: nothing else of a route changes, and nobody else's is touched."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import canary
from controller.gloo.delegation import Place
from controller.gloo.destinations import Target
from controller.gloo.overview import overview
from controller.gloo.reading import read
from controller.gloo.routes import patch
from controller.gloo.scope import WHOLE, Scope
from controller.rollout.moves import Form
from sandbox.apiserver.merging import PatchError, json_patch


Json = dict[str, Any]

TARGET = Target(
    "echo",
    "gloo-system",
    "version",
    upstreams={("gloo-system", f"echo-{version}"): version for version in ("v1", "v2", "v3")},
    by_upstream=True,
)
TO_V2 = "gloo-system/echo-v2"
TESTING = (canary.TestingMatch.model_validate({"headers": [{"name": "stage", "value": "canary"}]}),)
SPEC = canary.CanarySpec.model_validate(
    {
        "workload": {"selector": {"app": "echo"}},
        "upstream": {"name": "echo", "namespace": "gloo-system"},
        "destinations": "Upstreams",
        "routes": [{"name": "echo", "namespace": "gloo-system"}],
        "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
    }
)
COPIED = Form("v1", "v2", shadowing=10.0)
ENDED = Form("v1", unshadowed=(TO_V2,))


def upstream(name: str, namespace: str = "gloo-system") -> Json:
    return {"upstream": {"name": name, "namespace": namespace}}


def route(version: str = "v1", **fields: Any) -> Json:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": upstream(f"echo-{version}")}, **fields}


def document(*routes: Json) -> Json:
    return {
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "gloo-system"},
        "spec": {"virtualHost": {"domains": ["*"], "routes": list(routes)}},
    }


def patched(before: Json, form: Form, target: Target = TARGET) -> Json:
    after: Json = json_patch(before, list(patch(before, target, form)))
    assert patch(after, target, form) == (), "a form that is reached must stay reached"
    return after


def to_v2(percentage: float) -> Json:
    return {"shadowing": {**upstream("echo-v2"), "percentage": percentage}}


def test_a_main_route_is_copied_and_nothing_else_changes() -> None:
    before = document(route(options={"timeout": "1s", "x-new": 1}, name="main"), route("v9", x=1))
    assert patched(before, COPIED) == document(
        route(options={"timeout": "1s", "x-new": 1, **to_v2(10)}, name="main"), route("v9", x=1)
    )


def test_the_patch_adds_the_option_alone_and_only_to_the_route_that_was_read() -> None:
    before = document(route(options={"timeout": "1s"}))
    place = "/spec/virtualHost/routes/0"
    assert patch(before, TARGET, COPIED) == (
        {"op": "test", "path": place, "value": route(options={"timeout": "1s"})},
        {"op": "add", "path": f"{place}/options/shadowing", "value": to_v2(10)["shadowing"]},
    )
    assert patch(document(route(options={**to_v2(10), "timeout": "1s"})), TARGET, ENDED)[1:] == (
        {"op": "remove", "path": f"{place}/options/shadowing"},
    )
    changed = document(route(options={"timeout": "2s"}))
    with pytest.raises(PatchError):
        json_patch(changed, list(patch(before, TARGET, COPIED)))


@pytest.mark.parametrize(("percentage", "written"), [(10.0, "10"), (100.0, "100"), (0.25, "0.25")])
def test_whole_numbers_are_written_whole(percentage: float, written: str) -> None:
    after = patched(document(route()), Form("v1", "v2", shadowing=percentage))
    assert repr(after["spec"]["virtualHost"]["routes"][0]["options"]["shadowing"]["percentage"]) == written


def test_another_percentage_is_followed() -> None:
    before = document(route(options=to_v2(10)))
    assert patched(before, Form("v1", "v2", shadowing=20.0)) == document(route(options=to_v2(20)))


def test_what_somebody_added_to_ours_is_taken_away() -> None:
    edited = {"shadowing": {**to_v2(10)["shadowing"], "hostRewriteLiteral": "x"}}
    assert patched(document(route(options=edited)), COPIED) == document(route(options=to_v2(10)))


def test_it_is_taken_away_with_the_options_that_came_with_it() -> None:
    assert patched(document(route(options=to_v2(10))), ENDED) == document(route())
    assert patched(document(route(options={**to_v2(10), "x": 1})), ENDED) == document(route(options={"x": 1}))


def test_a_route_to_a_managed_group_is_copied_too() -> None:
    group = {"upstreamGroup": {"name": "echo", "namespace": "gloo-system"}}
    scope = Scope(groups={("gloo-system", "echo"): upstream("echo-v1")})
    before = document({"matchers": [{"prefix": "/"}], "routeAction": group})
    after = json_patch(before, list(patch(before, TARGET, COPIED, scope)))
    (found,) = after["spec"]["virtualHost"]["routes"]
    assert found == {"matchers": [{"prefix": "/"}], "routeAction": group, "options": to_v2(10)}
    assert json_patch(after, list(patch(after, TARGET, ENDED, scope))) == before


def test_testers_are_never_copied() -> None:
    testing = Form("v1", "v2", testing=TESTING, unshadowed=(TO_V2,))
    tester, main = patched(document(route(options={**to_v2(10), "timeout": "1s"})), testing)["spec"][
        "virtualHost"
    ]["routes"]
    assert tester["matchers"] != main["matchers"]
    assert tester["options"] == main["options"] == {"timeout": "1s"}


@pytest.mark.parametrize("form", [COPIED, ENDED, Form("v1"), Form("v1", "v2", 50, unshadowed=(TO_V2,))])
@pytest.mark.parametrize(
    "own",
    [
        pytest.param({**upstream("other"), "percentage": 5}, id="elsewhere"),
        pytest.param({**upstream("echo-v2", "elsewhere"), "percentage": 5}, id="another namespace"),
        pytest.param({**upstream("echo"), "percentage": 5}, id="all versions"),
        pytest.param({}, id="nowhere"),
    ],
)
def test_what_others_copy_is_never_touched(own: Json, form: Form) -> None:
    after = patched(document(route(options={"shadowing": own})), form)
    assert [each["options"]["shadowing"] for each in after["spec"]["virtualHost"]["routes"]] == [own]


def test_copies_to_a_version_that_we_never_wrote_are_somebody_elses() -> None:
    theirs = document(route(options=to_v2(5)))
    assert patch(theirs, TARGET, Form("v1", unshadowed=("gloo-system/echo-v3",))) == ()
    assert patch(theirs, TARGET, Form("v1")) == ()
    testing = patched(theirs, Form("v1", "v2", testing=TESTING))
    assert [each["options"] for each in testing["spec"]["virtualHost"]["routes"]] == [to_v2(5), to_v2(5)]


def test_options_that_say_nothing_stay_where_nothing_is_copied() -> None:
    assert patch(document(route(options={})), TARGET, Form("v1")) == ()
    assert patch(document(route(options={})), TARGET, ENDED) == ()


def test_the_upstream_is_named_with_its_own_namespace() -> None:
    shop = Target("echo", "shop", "version", upstreams={("shop", "echo-v2"): "v2"}, by_upstream=True)
    led: Json = {"matchers": [{"prefix": "/"}], "routeAction": {"single": upstream("echo", "shop")}}
    (after,) = patched(document(led), Form("v2", "v2", shadowing=10.0), shop)["spec"]["virtualHost"]["routes"]
    assert after["options"] == {"shadowing": {**upstream("echo-v2", "shop"), "percentage": 10}}


def test_a_reference_without_a_namespace_is_to_the_routes_namespace() -> None:
    short = {"shadowing": {"upstream": {"name": "echo-v2"}, "percentage": 10}}
    assert patched(document(route(options=short)), ENDED) == document(route())


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({}, id="there is none"),
        pytest.param({"upstreams": TARGET.upstreams}, id="it is not used any more"),
        pytest.param({"upstreams": {("gloo-system", "echo-v1"): "v1"}, "by_upstream": True}, id="not yet"),
    ],
)
def test_a_version_without_an_upstream_of_its_own_is_not_copied_to(known: Json) -> None:
    """All versions share the Upstream then: stable would get the copies."""
    subsets = Target("echo", "gloo-system", "version", **known)
    pinned: Json = {"matchers": [{"prefix": "/"}], "routeAction": {"single": upstream("echo")}}
    pinned["routeAction"]["single"]["subset"] = {"values": {"version": "v1"}}
    changes = patch(document(pinned), subsets, COPIED)
    assert not any("options" in each["path"] for each in changes)


class TestWords:
    def test_copies_are_part_of_the_shape(self) -> None:
        assert read(document(route(options=to_v2(2.5))), TARGET, COPIED).shape == "v1; 2.5% copied to v2"
        theirs = {"shadowing": {**upstream("other", "shop")}}
        assert read(document(route(options=theirs)), TARGET, None).shape == "v1; 0% copied to shop/other"

    @pytest.mark.parametrize(
        ("fields", "named"), [pytest.param({"name": "main"}, "main"), pytest.param({}, "route 1")]
    )
    def test_a_shadowing_of_somebody_else_is_told(self, fields: Json, named: str) -> None:
        own = {"shadowing": {**upstream("other", "shop"), "percentage": 5}}
        found = document(route("v9"), route(options=own, **fields))
        for form in (None, Form("v1"), COPIED, ENDED):
            words = read(found, TARGET, form).own_shadowing
            assert words == (
                f"VirtualService gloo-system/echo: {named} has options.shadowing of its own, to Upstream "
                "shop/other; take it away, or leave out spec.shadowing"
            )

    def test_those_of_all_documents_are_told(self) -> None:
        own = {"shadowing": {**upstream("other", "shop"), "percentage": 5}}
        found = [document(route(name=name, options=own)) for name in ("first", "second")]
        fine = document(route())
        places = [Place(each, (0,), named=True, scope=WHOLE) for each in (*found, fine)]
        words = overview(SPEC, places, TARGET, COPIED).own_shadowing
        assert [part.split(" has ")[0] for part in words.split("; VirtualService ")] == [
            "VirtualService gloo-system/echo: first",
            "gloo-system/echo: second",
        ]

    @pytest.mark.parametrize("form", [COPIED, ENDED])
    def test_ours_is_not(self, form: Form) -> None:
        assert read(document(route(options=to_v2(10))), TARGET, form).own_shadowing == ""
        assert read(document(route()), TARGET, form).own_shadowing == ""


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.just("1s"),
        "x-new": st.integers(),
        "shadowing": st.fixed_dictionaries(
            {"percentage": st.integers(0, 100)}, optional={"upstream": st.just(upstream("other")["upstream"])}
        ),
    },
)
ROUTES = st.lists(
    st.builds(
        lambda at, fields: {**route(**fields), "matchers": [{"prefix": f"/{at}"}]},
        st.integers(0, 9),
        st.fixed_dictionaries({}, optional={"options": OPTIONS, "name": st.text(max_size=3)}),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each["matchers"][0]["prefix"],
)
PERCENTAGES = st.floats(0.01, 100) | st.integers(1, 100).map(float)


@st.composite
def rollouts(draw: st.DrawFn) -> list[Form]:
    """Give forms as rollouts with copies go through them; each ends pinned."""
    forms, stable = [Form("v1")], "v1"
    for candidate in draw(st.sampled_from([["v2"], ["v2", "v3"]])):
        forms += [Form(stable, candidate, shadowing=each) for each in draw(st.lists(PERCENTAGES, max_size=3))]
        after = (f"gloo-system/echo-{candidate}",)
        if draw(st.booleans()):
            forms.append(Form(stable, candidate, testing=TESTING, unshadowed=after))
            forms.append(Form(stable, candidate, draw(st.integers(0, 100)), TESTING, unshadowed=after))
        if draw(st.booleans()):
            stable = candidate
        forms.append(Form(stable, retired=TESTING, unshadowed=after))
    return forms


@settings(max_examples=200, deadline=None)
@given(routes=ROUTES, forms=rollouts())
def test_every_route_gets_its_options_back(routes: list[Json], forms: list[Form]) -> None:
    start = document(*routes)
    current = copy.deepcopy(start)
    for form in forms:
        current = patched(current, form)
        for each in current["spec"]["virtualHost"]["routes"]:
            before = next(
                old for old in routes if old["matchers"][0]["prefix"] == each["matchers"][0]["prefix"]
            )
            was, now = dict(before.get("options") or {}), dict(each.get("options") or {})
            if form.shadowing is not None and "shadowing" not in was:
                assert now.pop("shadowing") == {
                    **upstream("echo-v2" if form.candidate == "v2" else "echo-v3"),
                    "percentage": form.shadowing,
                }
            assert now == was
    for before, after in zip(routes, current["spec"]["virtualHost"]["routes"], strict=True):
        assert without_action(after) == without_action(before)


def without_action(given_route: Json) -> Json:
    """Take away where it leads; to say `options: {}` is to say nothing."""
    left = {key: value for key, value in given_route.items() if key != "routeAction"}
    return {key: value for key, value in left.items() if key != "options" or value}
