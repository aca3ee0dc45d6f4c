"""A tick in a line that is stopped: it says so, moves nothing, and goes on when it is free."""

from dataclasses import dataclass, replace

from config.status import HeldReason, Phase
from controller.rollout.observation import Do
from world import World, adopted


@dataclass
class Switch:
    """Implements `controller.ports.Line`."""

    words: str = ""

    def stopped(self) -> str:
        return self.words


def stoppable() -> tuple[World, Switch]:
    world, switch = adopted(testing=None), Switch()
    world.reconciler = replace(world.reconciler, line=switch)
    world.weather.deploy("v2")
    world.run(lambda: world.status.weight == 20)
    return world, switch


def test_a_rollout_stays_says_why_and_goes_on() -> None:
    world, switch = stoppable()
    switch.words = "by ConfigMap ops/stop: disk full"
    world.run(lambda: world.status.held is not None)
    for _ in range(30):
        world.tick()
        world.advance((world.wake_at or world.weather.now) - world.weather.now)
    assert (world.status.phase, world.status.weight) == (Phase.SHIFTING, 20)
    assert world.status.held is not None
    assert world.status.held.reason is HeldReason.STOPPED
    assert "Stopped" in world.reasons
    assert world.status.reason == "v2 at 20%: all releases are stopped by ConfigMap ops/stop: disk full"
    world.order(Do.PROMOTE_FULL)
    world.tick()
    assert world.status.weight == 20
    switch.words = ""
    world.run(lambda: world.status.phase is Phase.PROMOTED)


def test_harm_is_rolled_back_all_the_same() -> None:
    world, switch = stoppable()
    switch.words = "by ConfigMap ops/stop: disk full"
    world.error_rates["v2"] = 0.5
    world.run(lambda: world.status.phase is Phase.ROLLED_BACK)
    assert world.weather.content.serving == "v1"


def test_outside_its_schedule_a_rollout_waits_for_the_window() -> None:
    world = adopted(testing=None, schedule={"allow": [{"from": "13:00", "to": "17:00"}]})
    world.weather.deploy("v2")
    world.run(lambda: world.status.held is not None)
    assert world.status.reason == "v2 at 0%: outside the schedule until Sun 13:00 UTC"
    assert (world.status.phase, world.weather.content.serving) == (Phase.PREPARING, "v1")
    world.run(lambda: world.status.phase is Phase.PROMOTED)
    assert world.weather.now.hour == 13
    assert world.reasons.count("OutsideSchedule") == 1
