"""Which routes follow a rollout. Each table row is a list of routes, written as `matcher -> destination`."""

from typing import Any

import pytest

from config import canary
from controller.gloo.destinations import Target
from controller.gloo.roles import roles
from controller.gloo.scope import Choice, Scope
from controller.rollout.moves import Form


TARGET = Target("echo", "gloo-system", "version", home="gloo-system")
STAGE = canary.TestingMatch.model_validate({"headers": [{"name": "stage", "value": "canary"}]})
DEBUG = canary.TestingMatch.model_validate({"headers": [{"name": "debug", "present": True}]})
V1, V1V2 = Form("v1"), Form("v1", "v2", None, (STAGE,))


def route(words: str) -> dict[str, Any]:
    """Read `/path [header] -> version`: `*` every version, `a|b` several, `-` elsewhere, `@` by a group."""
    where, to = words.split(" -> ")
    path, _, header = where.partition(" ")
    headers = {"stage": {"name": "stage", "value": "canary"}, "debug": {"name": "debug"}, "x": {"name": "x"}}
    matcher = {"prefix": path} | ({"headers": [headers[header]]} if header else {})
    if to == "-":
        return {"matchers": [matcher], "redirectAction": {"hostRedirect": "example.org"}}
    if to == "@":
        return {"matchers": [matcher], "routeAction": {"upstreamGroup": {"name": "g", "namespace": "edge"}}}
    found = [
        {"upstream": {"name": "echo"}} | ({} if each == "*" else {"subset": {"values": {"version": each}}})
        for each in to.split("|")
    ]
    if len(found) == 1:
        return {"matchers": [matcher], "routeAction": {"single": found[0]}}
    weighted = [{"destination": each, "weight": 50} for each in found]
    return {"matchers": [matcher], "routeAction": {"multi": {"destinations": weighted}}}


@pytest.mark.parametrize(
    ("routes", "form", "mains", "own"),
    [
        pytest.param(["/ -> *"], None, {0: ()}, (), id="adoption: unpinned"),
        pytest.param(["/ -> v1"], None, {0: ()}, (), id="adoption: pinned"),
        pytest.param(
            ["/ x -> v0", "/ -> v1"], None, {1: ()}, (0,), id="adoption: a fixed header route is not it"
        ),
        pytest.param(
            ["/ stage -> v2", "/ -> v1"], None, {1: ()}, (0,), id="adoption: nor one to the candidate"
        ),
        pytest.param(
            ["/a -> v0", "/ -> v1"], None, {0: (), 1: ()}, (), id="adoption: two versions, nobody knows"
        ),
        pytest.param(["/ -> *"], V1, {0: ()}, (), id="unpinned"),
        pytest.param(["/ -> v1"], V1, {0: ()}, (), id="pinned to stable"),
        pytest.param(["/ -> v1|v2"], V1, {0: ()}, (), id="divided"),
        pytest.param(["/ -> v8|v9"], V1, {0: ()}, (), id="divided among unknown versions"),
        pytest.param(["/ -> -", "/ -> v1"], V1, {1: ()}, (), id="elsewhere is nothing to us"),
        pytest.param(["/ x -> v0", "/ -> v1"], V1, {1: ()}, (0,), id="fixed to another version by a header"),
        pytest.param(["/old -> v0", "/ -> v1"], V1, {1: ()}, (0,), id="fixed to another version by path"),
        pytest.param(["/old -> v0", "/ -> v1|v2"], V1, {1: ()}, (0,), id="the same while dividing"),
        pytest.param(["/ x -> v1", "/ -> v1"], V1, {0: (), 1: ()}, (), id="fixed to stable follows stable"),
        pytest.param(["/ x -> *", "/ -> v1"], V1, {0: (), 1: ()}, (), id="an unpinned special case"),
        pytest.param(["/ x -> v2", "/ -> v1"], V1V2, {1: ()}, (0,), id="the user's own way to the candidate"),
        pytest.param(["/ -> v2"], V1V2, {0: ()}, (), id="drifted to the candidate"),
        pytest.param(
            ["/a -> v2", "/ -> v1"], V1V2, {0: (), 1: ()}, (), id="one path drifted to the candidate"
        ),
        pytest.param(["/old -> v0", "/ -> v2"], V1V2, {1: ()}, (0,), id="the same beside an old path"),
        pytest.param(
            ["/ -> v1", "/ x -> v2"], V1V2, {0: (), 1: ()}, (), id="narrower, but too late to matter"
        ),
        pytest.param(["/ -> v1"], Form("v2"), {0: ()}, (), id="an old manifest was applied"),
        pytest.param(
            ["/a -> v1", "/ -> v1"], Form("v2"), {0: (), 1: ()}, (), id="an old manifest, two paths"
        ),
        pytest.param(
            ["/ x -> v1", "/ -> v1"], Form("v2"), {0: (), 1: ()}, (), id="an old manifest with a special case"
        ),
        pytest.param(
            ["/ x -> v2", "/ -> v1"], Form("v2"), {1: ()}, (0,), id="an old manifest with a way to v2 in it"
        ),
        pytest.param(
            ["/old -> v0", "/ -> v1"], Form("v2"), {}, (0, 1), id="an old manifest, and nobody knows"
        ),
        pytest.param(["/ stage -> v2", "/ -> v1"], V1V2, {1: (0,)}, (), id="a testing route"),
        pytest.param(
            ["/ stage -> v9", "/ -> v1"], V1V2, {1: (0,)}, (), id="a testing route to a former candidate"
        ),
        pytest.param(
            ["/ stage -> *", "/ -> v1"], V1V2, {1: (0,)}, (), id="a testing route without a version"
        ),
        pytest.param(
            ["/ stage -> v2", "/ -> v2"],
            Form("v2", retired=(STAGE,)),
            {1: (0,)},
            (),
            id="a retired testing route",
        ),
        pytest.param(["/ debug -> v2", "/ -> v1"], V1V2, {1: ()}, (0,), id="a match that we do not know"),
        pytest.param(
            ["/ stage -> v2", "/ debug -> v2", "/ -> v1"],
            Form("v1", "v2", None, (STAGE,), (DEBUG,)),
            {2: (0, 1)},
            (),
            id="one that is wanted, one that is retired",
        ),
        pytest.param(["/ -> v1", "/ stage -> v1"], V1V2, {0: (), 1: ()}, (), id="too late to test anything"),
        pytest.param(
            ["/ stage -> v2", "/a -> v1", "/ -> v1"],
            V1V2,
            {1: (), 2: (0,)},
            (),
            id="not directly before its main",
        ),
        pytest.param(
            ["/a stage -> v2", "/a -> v1", "/ stage -> v2", "/ -> v1"],
            V1V2,
            {1: (0,), 3: (2,)},
            (),
            id="to each its own",
        ),
        pytest.param(
            ["/ stage -> v2", "/ -> v1", "/ stage -> v2", "/ -> v1"],
            V1V2,
            {1: (0,), 3: (2,)},
            (),
            id="the nearest of two alike",
        ),
        pytest.param(
            ["/a stage -> v0", "/a -> v0", "/ -> v1"], V1V2, {2: ()}, (0, 1), id="of a route not ours"
        ),
        pytest.param(
            ["/ stage -> v1|v2", "/ -> v1"], V1V2, {0: (), 1: ()}, (), id="a testing route is single"
        ),
        pytest.param([], V1, {}, (), id="no routes"),
    ],
)
def test_roles(
    routes: list[str], form: Form | None, mains: dict[int, tuple[int, ...]], own: tuple[int, ...]
) -> None:
    found = roles([route(words) for words in routes], TARGET, form)
    assert (dict(found.mains), found.own) == (mains, own)


BY_GROUP = Scope(groups={("edge", "g"): {"upstream": {"name": "echo", "namespace": "gloo-system"}}})


def prefixes(*given: str) -> Scope:
    return Scope((Choice(prefixes=frozenset(given)),))


@pytest.mark.parametrize(
    ("routes", "form", "scope", "mains", "own"),
    [
        pytest.param(["/ -> @"], None, BY_GROUP, {0: ()}, (), id="a group"),
        pytest.param(["/ -> @"], V1, Scope(), {}, (), id="a group that is not managed"),
        pytest.param(["/ -> @", "/b -> v0"], V1, BY_GROUP, {0: (), 1: ()}, (), id="a group says no version"),
        pytest.param(
            ["/ -> @", "/a -> v8", "/b -> v9"],
            V1,
            BY_GROUP,
            {0: ()},
            (1, 2),
            id="nobody knows",
        ),
        pytest.param(["/ x -> v2", "/ -> @"], V1V2, BY_GROUP, {1: ()}, (0,), id="a way to v2 before a group"),
        pytest.param(["/ x -> v0", "/ -> @"], None, BY_GROUP, {1: ()}, (0,), id="a way to v0 before a group"),
        pytest.param(["/ stage -> v2", "/ -> @"], V1V2, BY_GROUP, {1: (0,)}, (), id="testers of a group"),
        pytest.param(["/a -> v1", "/ -> v1"], V1, prefixes("/a"), {0: ()}, (1,), id="one of two"),
        pytest.param(["/a -> v1|v2", "/ -> *"], V1V2, prefixes("/a"), {0: ()}, (1,), id="others are theirs"),
        pytest.param(["/a -> v0", "/ -> v1"], V1, prefixes("/a"), {0: ()}, (1,), id="it alone has gone"),
        pytest.param(
            ["/ x -> v2", "/a -> v1"],
            V1V2,
            prefixes("/"),
            {0: ()},
            (1,),
            id="special, but chosen",
        ),
        pytest.param(
            ["/a stage -> v2", "/ stage -> v2", "/a -> v1", "/ -> v1"],
            V1V2,
            prefixes("/a"),
            {2: (0,)},
            (1, 3),
            id="testing routes of what is chosen",
        ),
        pytest.param(
            ["/ stage -> v2", "/ -> v1"],
            V1V2,
            Scope((Choice(names=frozenset({"x"})),)),
            {},
            (0, 1),
            id="nothing chosen",
        ),
        pytest.param(
            ["/a -> v1", "/b -> v1", "/ -> v1"],
            V1,
            Scope((Choice(prefixes=frozenset({"/a"})), Choice(prefixes=frozenset({"/b", "/c"})))),
            {0: (), 1: ()},
            (2,),
            id="chosen twice",
        ),
    ],
)
def test_roles_in_a_scope(
    routes: list[str],
    form: Form | None,
    scope: Scope,
    mains: dict[int, tuple[int, ...]],
    own: tuple[int, ...],
) -> None:
    found = roles([route(words) for words in routes], TARGET, form, scope)
    assert (dict(found.mains), found.own) == (mains, own)


def test_a_route_is_chosen_by_its_name_or_any_of_its_prefixes() -> None:
    choice = Choice(frozenset({"web"}), frozenset({"/api"}))
    chosen: list[dict[str, Any]] = [
        {"name": "web", "matchers": [{"prefix": "/x"}]},
        {"matchers": [{"exact": "/x"}, {"prefix": "/api"}]},
    ]
    others: list[dict[str, Any]] = [
        {"name": "webs"},
        {"matchers": [{"prefix": "/api/v1"}]},
        {"matchers": [{"exact": "/api"}]},
        {},
    ]
    assert [choice.takes(each) for each in (*chosen, *others)] == [True] * 2 + [False] * 4
    assert Choice(prefixes=frozenset({"/"})).takes({})


def test_testing_routes_belong_to_what_is_chosen_even_if_another_route_alike_is_nearer() -> None:
    routes = [route("/ stage -> v2"), route("/ -> v1"), {**route("/ -> v1"), "name": "web"}]
    found = roles(routes, TARGET, V1V2, Scope((Choice(names=frozenset({"web"})),)))
    assert (dict(found.mains), found.own) == ({2: (0,)}, (1,))
