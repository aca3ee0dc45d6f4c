"""What cannot be done: refused, forbidden, unavailable, interrupted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from config.status import HeldReason, Outcome, Phase
from controller.errors import Conflict, EdgeError, Forbidden, Refused, Unavailable
from controller.rollout.observation import Do
from situations import MINUTE, SECOND
from weather import Content
from world import Killed, World, adopted


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


T = TypeVar("T")
MOVES = {"write", "scale", "set_finalizer", "clear_command", "delete"}


@dataclass
class Barrier:
    """Lets chosen operations fail."""

    operation: str
    error: EdgeError
    weights: frozenset[int | None] | None = None
    attempts: int = 0

    def fence(self, world: World) -> None:
        """Stand in the world's way."""
        write = world.weather.write

        def gate(operation: str, effect: Callable[[], T]) -> T:
            if operation != self.operation:
                return effect()
            if self.weights is None:
                self.attempts += 1
                raise self.error
            return effect()

        def picky(form: Any) -> None:
            if self.weights is not None and form.weight in self.weights:
                self.attempts += 1
                raise self.error
            write(form)

        world.gate = gate
        world.weather.write = picky  # type: ignore[method-assign]  # the server looks at the content


def shifted(**spec: Any) -> World:
    world = adopted(testing=None, **spec)
    world.weather.deploy("v2")
    world.run(lambda: world.weather.content.weight == 20)
    return world


def pass_time(world: World, ticks: int) -> None:
    for _ in range(ticks):
        wake = world.tick() or world.weather.now + MINUTE
        world.advance(max(wake - world.weather.now, SECOND / 10))


class TestRefused:
    def test_a_refused_rise_is_taken_back_and_waits_for_a_human(self) -> None:
        world = shifted()
        barrier = Barrier("write", Refused("denied by policy"), frozenset({100}))
        barrier.fence(world)
        pass_time(world, 40)
        assert barrier.attempts == 1
        assert (world.status.weight, world.weather.content.weight) == (20, 20)
        assert world.status.held is not None
        assert world.status.held.reason is HeldReason.NOT_ACCEPTED
        assert world.status.held.message == "v2 at 20%; more was not accepted: denied by policy"
        barrier.weights = frozenset()
        world.order(Do.RESUME)
        world.run(lambda: world.status.phase is Phase.PROMOTED)

    def test_a_refused_first_step_ends_where_it_began(self) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        Barrier("write", Refused("denied by policy"), frozenset({0})).fence(world)
        pass_time(world, 20)
        assert (world.status.phase, world.weather.content) == (Phase.PREPARING, Content("v1"))
        assert "denied by policy" in world.status.reason

    def test_harm_goes_back_although_a_rise_was_refused(self) -> None:
        world = shifted()
        Barrier("write", Refused("denied by policy"), frozenset({100})).fence(world)
        pass_time(world, 20)
        world.error_rates["v2"] = 0.5
        world.run(lambda: world.status.phase is Phase.ROLLED_BACK)
        assert world.weather.content == Content("v1")

    def test_a_refused_way_back_is_tried_until_it_is_open(self) -> None:
        world = shifted()
        barrier = Barrier("write", Refused("denied by policy"), frozenset({None}))
        barrier.fence(world)
        world.order(Do.ABORT)
        pass_time(world, 40)
        assert world.status.phase is Phase.ROLLING_BACK
        assert world.status.reason == "denied by policy"
        assert barrier.attempts > 10
        barrier.weights = frozenset()
        world.run(lambda: world.status.phase is Phase.ROLLED_BACK)

    def test_what_cannot_be_taken_back_is_somebody_elses_to_report(self) -> None:
        world = shifted()
        barrier = Barrier("write", Refused("denied by policy"), frozenset({20, 100}))
        barrier.fence(world)
        with pytest.raises(Refused):
            pass_time(world, 40)
        assert world.status.weight == 20


class TestFailing:
    @pytest.mark.parametrize(
        ("error", "at_once"),
        [(Forbidden("may not patch virtualservices"), True), (Unavailable("timed out"), False)],
        ids=["refused for good", "not answered"],
    )
    def test_a_rise_that_fails_says_so_and_is_tried_again(self, error: EdgeError, *, at_once: bool) -> None:
        world = shifted()
        barrier = Barrier("write", error, frozenset({100}))
        barrier.fence(world)
        world.run(lambda: world.status.weight == 100)
        assert world.weather.content.weight == 20
        assert world.status.held is not None
        assert (world.status.held.reason, world.status.reason) == (HeldReason.STALLED, str(error))
        since = world.status.held.since
        assert world.status.held.needs_human is at_once
        pass_time(world, 20)
        assert world.weather.now >= since + MINUTE
        assert (world.status.held.since, world.status.held.needs_human) == (since, True)
        assert world.status.reasserted == 0
        barrier.weights = frozenset()
        world.run(lambda: world.status.phase is Phase.PROMOTED)

    def test_a_lasting_failure_is_tried_ever_more_rarely(self) -> None:
        world = shifted()
        barrier = Barrier("write", Forbidden("may not patch virtualservices"), frozenset({100}))
        barrier.fence(world)
        world.run(lambda: barrier.attempts == 1)
        began, published = world.weather.now, len(world.published)
        while world.weather.now < began + 5 * MINUTE:
            pass_time(world, 1)
        assert 25 <= barrier.attempts <= 40
        assert len(world.published) <= published + 1

    def test_failing_in_vain_does_not_wake_itself(self) -> None:
        world = shifted()
        Barrier("write", Forbidden("may not patch virtualservices"), frozenset({100})).fence(world)
        world.run(lambda: world.status.weight == 100)
        world.tick()
        world.operations.clear()
        for _ in range(5):
            world.tick()
        assert not world.operations

    def test_a_failing_way_back_is_tried_again_soon(self) -> None:
        world = shifted()
        barrier = Barrier("write", Unavailable("timed out"), frozenset({None}))
        barrier.fence(world)
        world.order(Do.ABORT)
        world.run(lambda: barrier.attempts == 3)
        began = world.weather.now
        barrier.weights = frozenset()
        world.run(lambda: world.weather.content == Content("v1"))
        assert world.weather.now - began <= 10 * SECOND

    @pytest.mark.parametrize("operation", sorted(MOVES - {"write", "delete"}))
    def test_any_other_move_that_fails_is_tried_again(self, operation: str) -> None:
        world = adopted(testing=None)
        barrier = Barrier(operation, Forbidden("may not"))
        barrier.fence(world)
        world.weather.deploy("v2")
        world.order(Do.RESUME)
        world.run(lambda: barrier.attempts == 3)
        assert world.status.held is not None
        assert (world.status.held.reason, world.status.held.message) == (HeldReason.STALLED, "may not")
        barrier.operation = "none"
        world.run(lambda: world.weather.deployments["echo-v1"].wanted == 0)
        world.rest()
        assert not world.document.annotations
        assert not world.document.finalizers

    def test_a_conflict_on_the_routes_is_looked_at_again(self) -> None:
        world = shifted()
        barrier = Barrier("write", Conflict("somebody was faster"), frozenset({100}))
        barrier.fence(world)
        world.run(lambda: barrier.attempts == 1)
        assert "Advanced" in world.reasons
        barrier.weights = frozenset()
        world.run(lambda: world.weather.content.weight == 100)

    def test_a_status_that_cannot_be_recorded_moves_nothing(self) -> None:
        world = shifted()
        Barrier("record", Unavailable("timed out")).fence(world)
        world.error_rates["v2"] = 0.5
        world.advance(20 * SECOND)
        with pytest.raises(Unavailable):
            world.tick()
        assert world.weather.content.weight == 20

    def test_a_cluster_that_cannot_be_read_is_reported_and_nothing_is_let_go(self) -> None:
        world = shifted()
        world.unlisted = "deployments.apps: not listed yet"
        world.change(deleting=True)
        assert world.tick() is not None
        assert world.status.reason == "deployments.apps: not listed yet"
        assert (world.status.weight, world.weather.content.weight) == (20, 20)
        assert world.document.finalizers
        world.unlisted = ""
        world.rest()
        assert world.weather.content == Content("v1")
        assert not world.document.finalizers

    def test_a_lost_answer_does_not_count_twice(self) -> None:
        world = shifted(shifting={"steps": [20], "interval": "5m"})
        world.advance(5 * SECOND)
        world.tick()
        before = world.status.requests

        def lost(operation: str, effect: Callable[[], T]) -> T:
            answer = effect()
            if operation == "record":
                raise Unavailable("timed out")
            return answer

        world.advance(5 * SECOND)
        world.gate = lost
        with pytest.raises(Unavailable):
            world.tick()
        world.gate = lambda _operation, effect: effect()
        world.advance(5 * SECOND)
        world.tick()
        assert world.status.requests == before + 200


@dataclass
class Interruption:
    """Ends the process, or loses an answer, at one request."""

    at: int
    how: str
    passed: int = 0

    def gate(self, _operation: str, effect: Callable[[], T]) -> T:
        self.passed += 1
        if self.passed != self.at:
            return effect()
        if self.how == "killed before it":
            raise Killed
        effect()
        raise Killed if self.how == "killed after it" else Unavailable("the answer was lost")


def good_release(world: World) -> None:
    world.weather.deploy("v2")


def bad_release(world: World) -> None:
    world.weather.deploy("v2")
    world.error_rates["v2"] = 0.5


def aborted_release(world: World) -> None:
    world.weather.deploy("v2")
    world.order(Do.PROMOTE)


def play(story: Callable[[World], None], interruption: Interruption | None = None) -> tuple[World, int]:
    """Run a release to its end; a process that dies is followed by a fresh one."""
    world = adopted()
    passed = Interruption(0, "never") if interruption is None else interruption
    world.gate = passed.gate
    story(world)
    for _ in range(200):
        if story is aborted_release and world.status.weight == 20 and world.status.last_command != "2":
            world.order(Do.ABORT, "2")
        try:
            wake = world.tick()
        except Killed:
            world.reconciler = world.started()
            wake = world.weather.now + SECOND
        except Unavailable:
            wake = world.weather.now + SECOND
        if wake is None and world.status.phase in {Phase.PROMOTED, Phase.ROLLED_BACK}:
            return world, passed.passed
        world.advance(max((wake or world.weather.now) - world.weather.now, SECOND / 10))
    raise AssertionError(world.status.reason)


def ending(world: World) -> tuple[Any, ...]:
    status = world.status
    return (
        status.phase,
        status.stable,
        status.rejected,
        status.retiring,
        world.weather.content,
        {name: workload.wanted for name, workload in world.weather.deployments.items()},
        world.document.finalizers,
        dict(world.document.annotations),
        [(entry.revision, entry.outcome, entry.by) for entry in status.history],
    )


@pytest.mark.parametrize("how", ["killed before it", "killed after it", "answer lost"])
@pytest.mark.parametrize(
    ("story", "outcome"),
    [
        pytest.param(good_release, Outcome.PROMOTED, id="good"),
        pytest.param(bad_release, Outcome.ROLLED_BACK, id="bad"),
        pytest.param(aborted_release, Outcome.ROLLED_BACK, id="aborted"),
    ],
)
def test_an_interruption_at_any_request_changes_nothing_about_the_end(
    story: Callable[[World], None], outcome: Outcome, how: str
) -> None:
    whole, requests = play(story)
    assert whole.status.history[0].outcome is outcome
    assert requests > 15
    for at in range(1, requests + 1):
        interrupted, _ = play(story, Interruption(at, how))
        assert ending(interrupted) == ending(whole), f"request {at}"


class TestAMistakeOfOurs:
    def test_is_told_by_the_canary_and_forgotten_once_it_is_over(self) -> None:
        world = shifted()
        before, see = world.status, world.weather.routes

        def crash(*_: object) -> None:
            raise ZeroDivisionError("s3cret")

        world.weather.routes = crash  # type: ignore[assignment, method-assign]
        records = world.operations["record"]
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                world.tick()
        assert world.operations["record"] == records + 1
        held = world.status.held
        assert held is not None
        assert (held.reason, held.needs_human) == (HeldReason.STALLED, True)
        assert "ZeroDivisionError in test_reconcile_failures.py:" in held.message
        assert "s3cret" not in str(world.document.status)
        assert (world.status.weight, world.weather.content.weight) == (20, 20)
        world.weather.routes = see  # type: ignore[method-assign]
        world.run(lambda: world.status.held is None)
        assert world.status.stable == before.stable

    def test_that_cannot_even_be_told_is_still_the_first_one(self) -> None:
        world = shifted()

        def crash(*_: object) -> None:
            raise ZeroDivisionError

        world.weather.routes = crash  # type: ignore[assignment, method-assign]
        Barrier("record", Unavailable("gone")).fence(world)
        with pytest.raises(ZeroDivisionError):
            world.tick()
