import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.gloo.destinations import EVERY_VERSION, Target, divide, shares


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
