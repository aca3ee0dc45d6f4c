"""What a window proves: counting begins anew after every change of weight, and after blindness."""

from dataclasses import replace

import pytest

from config.canary import CanarySpec
from config.status import HeldReason, Phase, Status, Verdict
from controller.measuring import window_of
from situations import SECOND, T0, shifting, spec
from world import World, adopted


@pytest.fixture
def settling() -> CanarySpec:
    """Give a spec whose steps settle within ten seconds."""
    analysis = spec().analysis.model_copy(update={"settle": 10 * SECOND})
    return spec().model_copy(update={"analysis": analysis})


def settled(spec: CanarySpec, status: Status) -> bool:
    return window_of(spec, status, T0 + 60 * SECOND, {}, counted=True).settled


@pytest.mark.parametrize(("seconds", "expected"), [(9, False), (10, True)])
def test_a_window_has_settled_that_begins_after_the_step_has(
    settling: CanarySpec, seconds: int, *, expected: bool
) -> None:
    begun = shifting(10, step_started_at=T0, evaluated_at=T0 + seconds * SECOND)
    assert settled(settling, begun) is expected
    assert not settled(settling, replace(begun, step_started_at=None))
    assert not settled(settling, replace(begun, evaluated_at=None))


@pytest.mark.parametrize(("seconds", "expected"), [(14, False), (15, True)])
def test_after_blindness_it_settles_anew(settling: CanarySpec, seconds: int, *, expected: bool) -> None:
    begun = T0 - 600 * SECOND
    back = shifting(10, step_started_at=begun, sighted_at=T0, evaluated_at=T0 + seconds * SECOND)
    assert settled(settling, back) is expected
    assert settled(settling, replace(back, sighted_at=begun))


def test_a_clock_that_was_set_back_makes_no_window_end_before_it_began(settling: CanarySpec) -> None:
    """What is counted is counted, but nobody knows whether it came after the step had settled."""
    ahead = shifting(10, step_started_at=T0, evaluated_at=T0 + 3600 * SECOND)
    window = window_of(settling, ahead, T0, {}, counted=True)
    assert (window.since, window.until, window.settled) == (T0, T0, False)


def test_what_was_scraped_before_an_outage_does_not_show_a_wrong_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world = adopted(
        testing=None,
        shifting={"steps": [10, 50], "interval": "10s"},
        analysis={**world.document.spec["analysis"], "blind": {"after": "12s"}},
    )
    world.weather.deploy("v2")
    world.run(lambda: world.status.weight == 50 and world.status.weighed.candidate > 0)
    scraped, counters = world.weather.now, world.counters
    world.prometheus_answers = False
    world.run(lambda: world.status.weight == 10)
    world.prometheus_answers = True
    with monkeypatch.context() as back_but_not_yet_scraping:
        back_but_not_yet_scraping.setattr(world, "counters", lambda at: counters(min(at, scraped)))
        world.run(lambda: world.status.verdict is not Verdict.BLIND)
        assert world.status.sighted_at == world.status.evaluated_at
        world.advance(5 * SECOND)
        world.tick()
    reasons: set[HeldReason] = set()

    def promoted() -> bool:
        held = world.status.held
        reasons.update({held.reason} if held else set())
        return world.status.phase is Phase.PROMOTED

    world.run(promoted)
    assert HeldReason.SPLIT_MISMATCH not in reasons
