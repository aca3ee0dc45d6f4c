"""A ladder of a hundred steps, climbed rung by rung, each one earned and written exactly once."""

from collections.abc import Callable
from typing import Any

import pytest

import world
from config.status import Phase


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


def test_a_hundred_steps_are_a_hundred_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "RATE", 10_000)  # so that one percent of them comes at every tick
    analysis = {**world.SPEC["analysis"], "interval": "1s"}
    steps = {"start": 1, "increment": 1}
    here = world.adopted(testing=None, shifting={"steps": steps, "interval": "1s"}, analysis=analysis)
    written = []

    def gate(operation: str, effect: Callable[[], Any]) -> Any:
        answer = effect()
        if operation == "write":
            content = here.weather.content
            written.append((content.stable, content.candidate, content.weight))
        return answer

    here.gate = gate
    here.weather.deploy("v2")
    here.run(lambda: here.status.phase is Phase.PROMOTED, within=2000)
    assert written == [
        ("v1", "v2", 0),
        *(("v1", "v2", weight) for weight in range(1, 101)),
        ("v2", None, None),
    ]
    assert here.status.history[0].highest_weight == 100
