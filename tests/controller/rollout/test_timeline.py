"""Nothing that is remembered lies in the future, whatever somebody does to the clock."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from config.status import Held, HeldReason, Status
from controller.rollout.timeline import caught_up
from situations import HOUR, T0, shifting
from world import adopted


MOMENTS = [
    "started_at",
    "intended_at",
    "step_started_at",
    "surveyed_at",
    "blind_since",
    "sighted_at",
    "reasserted_at",
]
KEPT = {"evaluated_at", "next_evaluation_at"}
"""By the one its counters are known; the other one is made anew by each decision."""


def test_every_moment_of_the_status_is_thought_of() -> None:
    found = {each.name for each in dataclasses.fields(Status) if "datetime" in str(each.type)}
    assert found == {*MOMENTS, *KEPT}


@pytest.mark.parametrize("name", MOMENTS)
def test_what_lies_ahead_happened_just_now(name: str) -> None:
    for moment, expected in ((T0 + HOUR, T0), (T0, T0), (T0 - HOUR, T0 - HOUR)):
        fields: dict[str, Any] = {name: moment}
        noted = dataclasses.replace(shifting(10), **fields)
        assert getattr(caught_up(noted, T0), name) == expected


def test_so_did_the_beginning_of_a_hold() -> None:
    held = Held(HeldReason.BLIND, "blind", T0 + HOUR, needs_human=True)
    after = caught_up(dataclasses.replace(shifting(10), held=held), T0)
    assert after.held == dataclasses.replace(held, since=T0)


def test_a_calm_clock_changes_nothing() -> None:
    status = shifting(10, evaluated_at=T0 + HOUR)
    assert caught_up(status, T0 + HOUR) is status
    assert caught_up(Status(), T0) == Status()


def test_routes_are_put_back_at_once_although_the_clock_was_set_back() -> None:
    world = adopted(testing=None)
    world.weather.deploy("v2")
    world.run(lambda: world.weather.content.weight == 20 and world.status.step_started_at is not None)
    meant = world.weather.content
    world.weather.now -= HOUR
    world.weather.content = dataclasses.replace(meant, weight=70)
    begun = world.weather.now
    world.run(lambda: world.weather.content == meant)
    assert world.weather.now - begun < dt.timedelta(seconds=5)
