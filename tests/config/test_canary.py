import json
from typing import Any

import pytest
from pydantic import ValidationError

from config.canary import Shifting, Step
from config.load import load_spec
from config.status import Status, dump_status, load_status


def ladder(**shifting: object) -> list[int]:
    return [step.weight for step in Shifting.model_validate(shifting).ladder()]


@pytest.mark.parametrize(
    ("steps", "weights"),
    [
        pytest.param([5, 25], [5, 25, 100], id="100 is added"),
        pytest.param([5, 100], [5, 100], id="100 is not added twice"),
        pytest.param([100], [100], id="straight to 100"),
        pytest.param({"start": 10, "increment": 20, "max": 50}, [10, 30, 50, 100], id="ramp up to max"),
        pytest.param({"start": 10, "increment": 30, "max": 50}, [10, 40, 100], id="never beyond max"),
        pytest.param({"increment": 45}, [5, 50, 95, 100], id="ramp with its defaults"),
        pytest.param({"start": 50, "increment": 50}, [50, 100], id="ramp that hits 100"),
    ],
)
def test_the_ladder_rises_to_100(steps: object, weights: list[int]) -> None:
    assert ladder(steps=steps) == weights


def test_without_steps_the_ladder_is_the_documented_one() -> None:
    assert ladder() == [5, 10, 25, 50, 100]


def test_a_step_may_be_a_number_or_say_more() -> None:
    steps = Shifting.model_validate({"steps": [5, {"weight": 50, "approval": "Manual"}]}).ladder()
    assert steps[:2] == (Step(weight=5), Step(weight=50, approval="Manual"))


@pytest.mark.parametrize("sparing", [False, True])
@pytest.mark.parametrize("share", ["1%", "0.123456%", 0.1 + 0.2])
def test_a_spec_survives_being_written_and_read(
    full: dict[str, Any],
    templates: dict[str, Any],
    share: object,
    sparing: bool,  # noqa: FBT001
) -> None:
    """What was written out of presets, templates and variables needs none of them again."""
    full["analysis"]["metrics"][0]["max"] = share
    spec = load_spec(full, templates)
    written = spec.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=sparing)
    assert load_spec(json.loads(written)) == spec


def test_a_spec_cannot_be_changed(minimal: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        load_spec(minimal).paused = True  # type: ignore[misc]  # this is the point


def test_a_status_keeps_what_is_tested(minimal: dict[str, Any]) -> None:
    testing = load_spec(minimal).testing
    assert testing is not None
    status = Status(testing=testing.match)
    assert load_status(dump_status(status)) == status
