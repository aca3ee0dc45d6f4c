"""The platform's presets change while rollouts are under way, which keep what they began with."""

from dataclasses import replace
from typing import Any

import pytest

from config.presets import Presets
from config.status import HeldReason, Phase
from controller.live import Live
from situations import SECOND
from world import World


STRICT: dict[str, Any] = {
    "ratio": {"bad": 'bad{version="{{ version }}"}', "total": 'total{version="{{ version }}"}'},
    "max": "1%",
}
LAX = {**STRICT, "max": "50%", "tolerate": 900}
SHIFTING = {"steps": [20, 50, 100], "interval": "10s"}
ANALYSIS: dict[str, Any] = {"interval": "5s", "minRequests": 20, "metrics": [{"preset": "errors"}]}


def named(world: World, live: Live) -> None:
    """Start the process anew with these presets; it remembers nothing."""
    world.reconciler = replace(world.started(), platform=live)


@pytest.fixture
def live() -> Live:
    return Live({"errors": STRICT, "others": LAX})


@pytest.fixture
def world(live: Live) -> World:
    world = World()
    named(world, live)
    world.edit(analysis=ANALYSIS, shifting=SHIFTING, testing=None)
    world.rest()
    return world


def limit(world: World) -> str:
    return world.status.metrics[0].limit


def under_way(world: World) -> None:
    world.weather.deploy("v2")
    world.run(lambda: world.status.weight == 20 and bool(world.status.metrics))


def test_a_rollout_is_judged_by_a_preset_of_the_platform(world: World) -> None:
    world.error_rates["v2"] = 0.3
    world.weather.deploy("v2")
    world.run(lambda: world.status.phase is Phase.ROLLED_BACK)
    assert "errors" in world.status.history[0].reason


@pytest.mark.parametrize("restarted", [False, True], ids=["it goes on", "it starts anew"])
@pytest.mark.parametrize("after", [{"errors": LAX}, {}], ids=["changed", "taken away"])
def test_a_rollout_under_way_keeps_what_it_began_with(
    world: World, live: Live, after: Presets, *, restarted: bool
) -> None:
    under_way(world)
    assert world.status.observed_presets == {"errors": STRICT}
    live.replace(after)
    if restarted:
        named(world, live)
    world.error_rates["v2"] = 0.3
    world.run(lambda: world.status.phase is Phase.ROLLED_BACK)
    assert "errors" in world.status.history[0].reason


def test_an_edit_of_the_canary_does_not_bring_the_new_one_in(world: World, live: Live) -> None:
    under_way(world)
    live.replace({"errors": LAX})
    world.edit(analysis={**ANALYSIS, "metrics": [{"preset": "errors", "name": "failures"}]})
    world.run(lambda: [metric.name for metric in world.status.metrics] == ["failures"])
    assert limit(world).startswith("<= 1%")


def test_a_preset_that_an_edit_names_and_takes_back_is_still_the_old_one(world: World, live: Live) -> None:
    under_way(world)
    live.replace({"errors": LAX, "others": STRICT})
    world.edit(analysis={**ANALYSIS, "metrics": [{"preset": "others"}]})
    world.run(lambda: [metric.name for metric in world.status.metrics] == ["others"])
    world.edit(analysis=ANALYSIS)
    world.run(lambda: [metric.name for metric in world.status.metrics] == ["errors"])
    assert limit(world).startswith("<= 1%")
    assert world.status.observed_presets == {"errors": STRICT, "others": STRICT}


def test_the_next_rollout_begins_with_the_new_one(world: World, live: Live) -> None:
    under_way(world)
    live.replace({"errors": LAX})
    world.run(lambda: world.status.phase is Phase.PROMOTED)
    world.rest()
    assert world.status.observed_presets is None
    world.weather.deploy("v3")
    world.run(lambda: world.status.weight == 20 and bool(world.status.metrics))
    assert limit(world).startswith("<= 50%")


def test_a_preset_that_is_gone_is_told_and_nothing_begins_until_it_is_back(world: World, live: Live) -> None:
    live.replace({})
    world.weather.deploy("v2")
    world.run(lambda: world.status.held is not None)
    assert world.status.held is not None
    assert world.status.held.reason is HeldReason.STALLED
    assert 'no preset "errors"' in world.status.reason
    live.replace({"errors": STRICT})
    world.run(lambda: world.status.weight == 20)


@pytest.mark.parametrize("junk", [5, {"query": 5}, None])
def test_junk_in_the_status_stops_no_rollback(world: World, junk: object) -> None:
    under_way(world)
    world.error_rates["v2"] = 0.3
    world.change(status={**world.document.status, "observedPresets": {"errors": junk}})
    world.run(lambda: world.status.phase is Phase.ROLLED_BACK)


def test_what_is_built_in_is_not_remembered(world: World) -> None:
    world.edit(analysis={**ANALYSIS, "metrics": [{"preset": "http-errors"}, *ANALYSIS["metrics"]]})
    world.weather.deploy("v2")
    world.advance(SECOND)
    world.run(lambda: world.status.observed_spec is not None)
    assert world.status.observed_presets == {"errors": STRICT}
