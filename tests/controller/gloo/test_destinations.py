import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.gloo.destinations import EVERY_VERSION, Target, divide, entries_of, fixed, shares


TARGET = Target("echo", "gloo-system", "version", home="gloo-system")
UPSTREAM = {"name": "echo", "namespace": "gloo-system"}
OTHER = {"upstream": {"name": "cart", "namespace": "shop"}}


def to(version: str | None = None) -> dict[str, Any]:
    return {"upstream": UPSTREAM} | ({"subset": {"values": {"version": version}}} if version else {})


def multi(*weighted: tuple[dict[str, Any], int]) -> dict[str, Any]:
    return {"multi": {"destinations": [{"destination": each, "weight": weight} for each, weight in weighted]}}


@pytest.mark.parametrize(
    ("destination", "version"),
    [
        pytest.param(to(), EVERY_VERSION, id="no subset"),
        pytest.param({"upstream": UPSTREAM, "subset": {}}, EVERY_VERSION, id="an empty subset"),
        pytest.param(to("v1"), "v1", id="the version label alone"),
        pytest.param({"upstream": {"name": "echo"}}, EVERY_VERSION, id="the document's own namespace"),
        pytest.param({"upstream": UPSTREAM, "subset": {"values": {"zone": "a"}}}, None, id="another label"),
        pytest.param(
            {"upstream": UPSTREAM, "subset": {"values": {"version": "v1", "zone": "a"}}},
            None,
            id="two labels",
        ),
        pytest.param({"upstream": {"name": "echo", "namespace": "shop"}}, None, id="another namespace"),
        pytest.param(OTHER, None, id="another Upstream"),
        pytest.param({"kube": {"ref": UPSTREAM}}, None, id="a Service"),
    ],
)
def test_a_destination_is_ours_by_no_subset_or_by_the_version_label_alone(
    destination: dict[str, Any], version: str | None
) -> None:
    assert TARGET.version(destination) == version


@pytest.mark.parametrize(
    ("before", "percent", "after"),
    [
        pytest.param({"single": to()}, {"v1": 100}, {"single": to("v1")}, id="pinned"),
        pytest.param(
            {"single": to("v1")},
            {"v1": 75, "v2": 25},
            multi((to("v1"), 75), (to("v2"), 25)),
            id="divided",
        ),
        pytest.param(
            multi((to("v1"), 0), (to("v2"), 100)), {"v2": 100}, {"single": to("v2")}, id="back to one"
        ),
        pytest.param(
            multi((to("v1"), 3), (to("v2"), 1)),
            {"v1": 75, "v2": 25},
            multi((to("v1"), 3), (to("v2"), 1)),
            id="the right proportion in other numbers stays",
        ),
        pytest.param(
            multi((to("v2"), 10), (to("v1"), 90)),
            {"v1": 50, "v2": 50},
            multi((to("v2"), 50), (to("v1"), 50)),
            id="the order stays",
        ),
        pytest.param(
            multi((OTHER, 30), (to(), 70)),
            {"v1": 75, "v2": 25},
            multi((OTHER, 12), (to("v1"), 21), (to("v2"), 7)),
            id="another Upstream keeps its part, exactly",
        ),
        pytest.param(
            multi((OTHER, 12), (to("v1"), 21), (to("v2"), 7)),
            {"v2": 100},
            multi((OTHER, 30), (to("v2"), 70)),
            id="and gets its hundredths back",
        ),
        pytest.param(
            multi((to("v1"), 50), (OTHER, 50), (to("v3"), 0)),
            {"v1": 50, "v2": 50},
            multi((to("v1"), 25), (to("v2"), 25), (OTHER, 50)),
            id="a version that is not wanted goes",
        ),
        pytest.param(
            multi((OTHER, 5), (to(), 0)),
            {"v1": 50, "v2": 50},
            multi((OTHER, 100), (to("v1"), 0), (to("v2"), 0)),
            id="nothing divides into nothing",
        ),
        pytest.param(
            multi((OTHER, 0), (to(), 0)),
            {"v1": 100, "v2": 0},
            multi((OTHER, 0), (to("v1"), 100), (to("v2"), 0)),
            id="a list without any weight is made valid",
        ),
        pytest.param(
            {"multi": {"destinations": [{"destination": to()}]}},
            {"v1": 100},
            {"single": to("v1")},
            id="no weight",
        ),
        pytest.param(
            multi((to("v1"), 50), (to("v1"), 50)),
            {"v1": 100, "v2": 0},
            multi((to("v1"), 100), (to("v2"), 0)),
            id="a version that is named twice",
        ),
    ],
)
def test_the_upstreams_part_is_divided(
    before: dict[str, Any], percent: dict[str, int], after: dict[str, Any]
) -> None:
    assert divide(before, TARGET, percent) == after
    assert divide(after, TARGET, percent) == after


def test_all_other_fields_of_an_action_and_of_its_destinations_stay() -> None:
    rich = {**to("v1"), "destinationSpec": {"aws": {"logicalName": "x"}}}
    options = {"options": {"headerManipulation": {"requestHeadersToRemove": ["x"]}}}
    before = {
        "x-later": 1,
        "multi": {"x-more": 2, "destinations": [{"destination": rich, "weight": 1, **options}]},
    }
    divided = divide(before, TARGET, {"v1": 90, "v2": 10})
    v2 = {**rich, "subset": {"values": {"version": "v2"}}}
    assert divided == {
        "x-later": 1,
        "multi": {
            "x-more": 2,
            "destinations": [
                {"destination": rich, "weight": 90, **options},
                {"destination": v2, "weight": 10, **options},
            ],
        },
    }
    pinned = divide(divided, TARGET, {"v2": 100})
    assert pinned["multi"]["destinations"] == [{"destination": v2, "weight": 100, **options}]


WEIGHTS = st.integers(0, 100_000)


@given(others=st.lists(WEIGHTS, max_size=3), ours=WEIGHTS, percent=st.integers(0, 100))
def test_shares_are_exact_and_the_total_is_never_zero(others: list[int], ours: int, percent: int) -> None:
    before = multi(*((OTHER, weight) for weight in others), (to(), ours))
    total = sum(others) + ours
    part = Fraction(ours, total) if total else Fraction(1)
    entries = divide(before, TARGET, {"v1": 100 - percent, "v2": percent})["multi"]["destinations"]
    weights = [entry["weight"] for entry in entries]
    assert all(isinstance(weight, int) and weight >= 0 for weight in weights)
    assert sum(weights) > 0
    expected = [Fraction(weight, total or 1) for weight in others]
    expected += [part * (100 - percent) / 100, part * percent / 100]
    assert [Fraction(weight, sum(weights)) for weight in weights] == expected
    assert sum(weights) == 100 or math.gcd(*weights) == 1


def test_shares_tell_what_each_version_gets_of_the_upstreams_part() -> None:
    action = multi((OTHER, 60), (to("v1"), 30), (to("v2"), 10))
    assert shares(action, TARGET) == {"v1": Fraction(3, 4), "v2": Fraction(1, 4)}
    assert shares(multi((OTHER, 60), (to("v1"), 0)), TARGET) == {"v1": 0}
    assert shares({"single": OTHER}, TARGET) == {}
    assert shares({"clusterHeader": "x"}, TARGET) == {}


SHARE = st.integers(1, 1000)


@given(
    foreign=st.lists(st.tuples(WEIGHTS, st.booleans()), max_size=3),
    ours=SHARE,
    there=st.lists(st.integers(0, 100), max_size=20),
)
@example(foreign=[(7, True)], ours=13, there=[])
def test_a_hundred_steps_leave_others_their_exact_proportions(
    foreign: list[tuple[int, bool]], ours: int, there: list[int]
) -> None:
    """Whatever weights were gone through, no step adds what another rounded away."""
    before = [(OTHER, weight) for weight, first in foreign if first]
    after = [(OTHER, weight) for weight, first in foreign if not first]
    action: Any = multi(*before, (to(), ours), *after)
    wanted = proportions(action)
    for percent in [*range(101), *there, *range(100, -1, -1)]:
        action = divide(action, TARGET, {"v1": 100 - percent, "v2": percent})
        assert proportions(action) == wanted
        assert shares(action, TARGET) == {"v1": Fraction(100 - percent, 100), "v2": Fraction(percent, 100)}
    pinned = divide(action, TARGET, {"v1": 100})
    assert proportions(pinned) == wanted


def proportions(action: Any) -> list[Fraction]:
    """Give what each foreign destination gets of all, in order."""
    entries = [*entries_of(action)]
    total = sum(entry["weight"] for entry in entries)
    return [Fraction(entry["weight"], total) for entry in entries if entry["destination"] == OTHER]


NAMES = {("gloo-system", "echo-v1"): "v1", ("gloo-system", "echo-v2"): "v2"}
OWN = replace(TARGET, upstreams=NAMES, by_upstream=True)
"""Versions are to be named by Upstreams of their own."""
BACK = replace(TARGET, upstreams=NAMES)
"""They are there, but versions are to be named by subsets."""


def own(version: str) -> dict[str, Any]:
    return {"upstream": {"name": f"echo-{version}", "namespace": "gloo-system"}}


@pytest.mark.parametrize("target", [OWN, BACK])
@pytest.mark.parametrize(
    ("destination", "version"),
    [
        pytest.param(own("v1"), "v1", id="its own Upstream"),
        pytest.param({"upstream": {"name": "echo-v2"}}, "v2", id="in the document's own namespace"),
        pytest.param({**own("v1"), "subset": {"values": {"version": "v2"}}}, "v1", id="which has no subsets"),
        pytest.param(to("v2"), "v2", id="a subset"),
        pytest.param(to(), EVERY_VERSION, id="all"),
        pytest.param({"upstream": {"name": "echo-v3", "namespace": "gloo-system"}}, None, id="a stranger"),
        pytest.param(
            {"upstream": {"name": "echo-v1", "namespace": "shop"}}, None, id="of that name elsewhere"
        ),
    ],
)
def test_both_ways_to_name_a_version_are_read(
    target: Target, destination: dict[str, Any], version: str | None
) -> None:
    assert target.version(destination) == version


@pytest.mark.parametrize(
    ("before", "target", "after"),
    [
        pytest.param(to("v1"), OWN, own("v1"), id="from a subset to an Upstream"),
        pytest.param(own("v1"), OWN, own("v1"), id="as it is"),
        pytest.param(own("v1"), BACK, to("v1"), id="and back"),
        pytest.param({"upstream": {"name": "echo"}}, OWN, {"upstream": {"name": "echo-v1"}}, id="near"),
        pytest.param(
            {"upstream": {"name": "echo"}},
            replace(OWN, home="shop"),
            own("v1"),
            id="far",
        ),
        pytest.param(
            {**to("v1"), "destinationSpec": {"x": 1}},
            OWN,
            {**own("v1"), "destinationSpec": {"x": 1}},
            id="rest",
        ),
    ],
)
def test_a_version_is_written_the_way_that_is_asked_for(
    before: dict[str, Any], target: Target, after: dict[str, Any]
) -> None:
    assert fixed(before, target, "v1") == after
    assert fixed(after, target, "v1") == after


@given(
    others=st.lists(st.tuples(WEIGHTS, st.booleans()), max_size=3),
    ours=st.lists(
        st.tuples(st.sampled_from([to(), to("v1"), to("v2"), own("v1"), own("v2")]), WEIGHTS), min_size=1
    ),
    percent=st.integers(0, 100),
)
def test_switching_moves_no_request(
    others: list[tuple[int, bool]], ours: list[tuple[dict[str, Any], int]], percent: int
) -> None:
    entries = [(OTHER, weight) for weight, _ in others]
    division = {"v1": 100 - percent, "v2": percent}
    by_upstream = divide(multi(*entries, *ours), OWN, division)
    by_subset = divide(by_upstream, BACK, division)
    assert divide(by_subset, OWN, division) == by_upstream
    assert shares(by_upstream, OWN) == shares(by_subset, BACK)
    assert proportions(by_upstream) == proportions(by_subset)
    kinds = {
        "subset" in entry["destination"] for entry in entries_of(by_upstream) if entry["destination"] != OTHER
    }
    assert kinds == {False}
