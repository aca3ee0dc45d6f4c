"""Whole rollouts, told by what becomes of the world."""

from dataclasses import replace
from typing import Any

import pytest

from config.status import HeldReason, Outcome, Phase, Verdict
from controller.ports import ANNOTATION, FINALIZER, CanaryObject, Key
from controller.rollout.observation import Do
from situations import MINUTE, SECOND, T0, V1, V2, V3
from weather import Content
from world import KEY, SPEC, World, adopted


def in_phase(world: World, *phases: Phase) -> Any:
    return lambda: world.status.phase in phases


def at(world: World, weight: int) -> Any:
    return lambda: world.status.weight == weight and world.weather.content.weight == weight


def held(world: World, reason: HeldReason) -> Any:
    return lambda: world.status.held is not None and world.status.held.reason is reason


def test_a_good_release() -> None:
    world = adopted()
    world.weather.deploy("v2", ready=1)
    world.run(held(world, HeldReason.NOT_READY))
    world.weather.deploy("v2", ready=2)
    world.run(in_phase(world, Phase.TESTING))
    assert FINALIZER in world.document.finalizers
    world.run(in_phase(world, Phase.PROMOTED))
    world.rest()
    assert world.weather.content == Content("v2")
    assert world.weather.deployments["echo-v1"].wanted == 0
    assert world.status.stable == V2
    assert FINALIZER not in world.document.finalizers
    assert world.status.history[0].outcome is Outcome.PROMOTED
    assert world.status.history[0].requests > 1000
    wanted = [
        "NewRevision",
        "NotReady",
        "Testing",
        "Shifting",
        "Advanced",
        "Advanced",
        "Finishing",
        "Promoted",
    ]
    assert [reason for reason in world.reasons if reason in wanted] == wanted


def test_a_bad_release_is_gone_within_one_evaluation_of_the_proof() -> None:
    world = adopted(testing=None)
    world.weather.deploy("v2")
    world.run(at(world, 20))
    world.error_rates["v2"] = 0.2
    broken_at = world.weather.now
    world.run(in_phase(world, Phase.ROLLING_BACK))
    assert world.weather.content == Content("v1")
    assert world.weather.now - broken_at <= 2 * 5 * SECOND + SECOND
    world.rest()
    assert world.status.phase is Phase.ROLLED_BACK
    assert world.status.rejected == (V2,)
    entry = world.status.history[0]
    assert (entry.outcome, entry.highest_weight) == (Outcome.ROLLED_BACK, 20)
    assert entry.reason.startswith("harmful: errors: 19% bad (19 of 100 requests), stable 0% (0 of 490)")
    assert world.weather.deployments["echo-v2"].wanted == 2
    assert entry.reason in world.status.reason


def test_a_rejected_revision_comes_back_changed_or_by_retry() -> None:
    world = adopted(testing=None)
    world.weather.deploy("v2")
    world.error_rates["v2"] = 0.5
    world.run(in_phase(world, Phase.ROLLED_BACK))
    world.rest()
    world.error_rates.clear()
    world.order(Do.RETRY)
    world.run(in_phase(world, Phase.PROMOTED))
    assert ANNOTATION not in world.document.annotations


class TestCosts:
    def test_an_idle_canary_costs_nothing(self) -> None:
        world = adopted()
        for _ in range(3):
            world.advance(MINUTE)
            assert world.tick() is None
        assert not world.operations

    def test_a_rollout_that_waits_costs_nothing_but_its_evaluations(self) -> None:
        world = adopted(testing=None)
        world.edit(paused=True)
        world.weather.deploy("v2")
        world.rest()
        world.operations.clear()
        assert world.tick() is None
        assert not world.operations

    def test_no_tick_reads_and_its_writes_and_questions_are_few(self) -> None:
        """A status, the routes, the windows and an event; only the survey of stable asks more than once."""
        world = adopted()
        world.weather.deploy("v2")
        costs, asked = [], []
        while world.status.phase is not Phase.PROMOTED:
            world.operations.clear()
            wake = world.tick()
            costs.append((world.reads, world.writes))
            asked.append(world.operations["ask"])
            world.advance((wake or world.weather.now) - world.weather.now)
        assert max(costs) <= (0, 4)
        assert sorted(asked)[-2:] == [1, 3]
        assert len(costs) < 80


class TestConflicts:
    def test_somebody_else_changed_the_canary(self) -> None:
        """The tick looks again and decides again; nothing is moved on the strength of the old look."""
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world.run(at(world, 20))

        def meddle(operation: str, effect: Any) -> Any:
            if operation == "record" and not world.document.deleting:
                world.change(deleting=True)
            return effect()

        world.gate = meddle
        world.run(lambda: world.document.deleting)
        assert world.reads == 1
        assert world.status.phase is Phase.ROLLING_BACK
        assert world.weather.content == Content("v1")
        world.rest()
        assert world.document.finalizers == ()

    def test_a_stale_controller_cannot_move_traffic(self) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world.run(at(world, 20))
        stale = world.document
        world.order(Do.ABORT)
        world.run(in_phase(world, Phase.ROLLED_BACK))
        world.advance(MINUTE)
        written = world.operations["write"]
        fresh, world.document = world.document, stale

        def behind(operation: str, effect: Any) -> Any:
            world.document = fresh
            return effect()

        world.gate = behind
        world.tick()
        assert world.operations["write"] == written
        assert world.weather.content == Content("v1")
        assert world.status.phase is Phase.ROLLED_BACK

    def test_a_canary_that_never_stands_still_is_left_for_later(self) -> None:
        world = adopted()
        world.weather.deploy("v2")

        def busy(operation: str, effect: Any) -> Any:
            if operation == "record":
                world.change()
            return effect()

        world.gate = busy
        assert world.tick() == world.weather.now + 2 * SECOND
        assert world.operations["record"] == 3

    def test_a_canary_that_is_gone_is_forgotten(self) -> None:
        world = adopted()
        assert world.reconciler.tick(Key("echo", "other")) is None


class TestEdits:
    def test_a_broken_edit_raises_nothing_and_still_goes_back(self) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world.run(at(world, 20))
        world.edit(shifting={"steps": [50, 20]})
        world.run(held(world, HeldReason.STALLED))
        assert "spec.shifting.steps[1]: found 20 after 50; weights must rise" in world.status.reason
        world.advance(10 * MINUTE)
        world.tick()
        assert world.status.weight == 20
        world.error_rates["v2"] = 0.5
        world.run(in_phase(world, Phase.ROLLING_BACK))
        assert world.weather.content == Content("v1")

    def test_a_repaired_edit_goes_on(self) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world.run(at(world, 20))
        world.edit(upstream={})
        world.run(held(world, HeldReason.STALLED))
        world.edit(upstream=SPEC["upstream"])
        world.run(in_phase(world, Phase.PROMOTED))

    @pytest.mark.parametrize(
        ("edit", "words"),
        [
            pytest.param(
                {"routes": [{"name": "other", "namespace": "gloo-system"}]},
                "spec.routes cannot change",
                id="routes",
            ),
            pytest.param(
                {"upstream": {"name": "other", "namespace": "gloo-system"}}, "spec.upstream", id="upstream"
            ),
            pytest.param({"workload": {"selector": {"app": "x"}}}, "spec.workload.selector", id="selector"),
            pytest.param(
                {"workload": {"selector": {"app": "echo"}, "versionLabel": "v"}},
                "spec.workload.versionLabel",
                id="version label",
            ),
        ],
    )
    def test_what_is_managed_stays_until_the_release_is_over(self, edit: dict[str, Any], words: str) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world.run(at(world, 20))
        world.edit(**edit)
        world.run(held(world, HeldReason.STALLED))
        assert words in world.status.reason
        assert "while v2 is being released: undo that, or abort first" in world.status.reason
        world.order(Do.ABORT)
        world.run(in_phase(world, Phase.ROLLED_BACK))
        assert world.weather.content == Content("v1")

    def test_a_spec_that_was_never_valid_is_reported_once(self) -> None:
        world = World()
        world.edit(upstream={})
        assert world.tick() is None
        assert world.status.held is not None
        assert world.status.held.reason is HeldReason.STALLED
        assert "spec.upstream.name" in world.status.reason
        world.operations.clear()
        world.advance(MINUTE)
        world.tick()
        assert not world.operations

    @pytest.mark.parametrize("finalizers", [(FINALIZER, "others/too"), ("others/too",)])
    def test_a_spec_that_was_never_valid_can_be_deleted(self, finalizers: tuple[str, ...]) -> None:
        world = World()
        world.edit(upstream={})
        world.change(deleting=True, finalizers=finalizers)
        world.tick()
        assert world.document.finalizers == ("others/too",)

    def test_a_remembered_spec_of_another_age_is_not_trusted(self) -> None:
        world = adopted()
        world.weather.deploy("v2")
        world.run(in_phase(world, Phase.TESTING))
        world.change(status={**world.document.status, "observedSpec": {"upstream": "junk"}})
        world.run(in_phase(world, Phase.PROMOTED))


class TestClaims:
    def other(self, **fields: Any) -> CanaryObject:
        return replace(adopted().document, key=Key("echo", "older"), uid="uid-0", **fields)

    def test_the_older_canary_wins(self) -> None:
        world = World(others=(self.other(),))
        world.rest()
        assert world.status.stable is None
        reason = "route VirtualService gloo-system/echo belongs to the older Canary echo/older"
        assert world.status.reason == reason

    def test_the_older_canary_does_not_mind_the_younger(self) -> None:
        world = World(others=(self.other(created_at=T0 + SECOND),))
        world.rest()
        assert world.status.stable == V1


class TestPrometheus:
    def test_nothing_moves_while_it_is_away(self) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world.prometheus_answers = False
        world.run(held(world, HeldReason.BLIND))
        assert world.status.weight == 0
        world.prometheus_answers = True
        world.run(at(world, 20))
        world.prometheus_answers = False
        world.run(held(world, HeldReason.BLIND))
        assert (world.status.weight, world.status.verdict) == (20, Verdict.BLIND)
        world.prometheus_answers = True
        world.run(in_phase(world, Phase.PROMOTED))

    def test_no_traffic_is_no_evidence(self) -> None:
        world = adopted(testing=None)
        world.weather.deploy("v2")
        world._rates = dict  # type: ignore[method-assign]  # nobody calls
        world.run(held(world, HeldReason.TOO_FEW_REQUESTS))
        world.advance(60 * MINUTE)
        world.tick()
        assert world.status.weight == 20
        assert world.status.held is not None
        assert world.status.held.needs_human

    def test_a_fresh_process_asks_for_the_counters_that_the_last_one_had(self) -> None:
        world = adopted(testing=None, shifting={"steps": [20], "interval": "5m"})
        world.weather.deploy("v2")
        world.run(at(world, 20))
        world.advance(5 * SECOND)
        world.tick()
        requests = world.status.requests
        world.reconciler = world.started()
        world.advance(5 * SECOND)
        asked = world.operations["ask"]
        world.tick()
        assert world.operations["ask"] == asked + 2
        assert world.status.requests == requests + 100

    def test_a_second_rollout_does_not_count_what_happened_between(self) -> None:
        world = adopted(testing=None, shifting={"steps": [20], "interval": "5m"})
        world.weather.deploy("v2")
        world.run(at(world, 20))
        world.order(Do.ABORT)
        world.run(in_phase(world, Phase.ROLLED_BACK))
        world.advance(60 * MINUTE)
        world.order(Do.RETRY, "2")
        world.run(at(world, 20))
        assert world.status.requests == 0


def test_a_newer_version_replaces_the_candidate_after_its_rollback() -> None:
    world = adopted()
    world.weather.deploy("v2")
    world.run(at(world, 20))
    world.weather.deploy("v3")
    world.run(in_phase(world, Phase.PROMOTED))
    assert world.status.stable == V3
    assert [entry.outcome for entry in world.status.history] == [Outcome.PROMOTED, Outcome.SUPERSEDED]


def test_an_unreadable_command_is_passed_over() -> None:
    world = adopted()
    for text in ("{", "[]", '{"do": "dance", "id": "1"}', '{"do": "pause"}'):
        world.change(annotations={ANNOTATION: text})
        world.tick()
        assert not world.status.paused


def test_a_decommissioned_version_may_be_deleted() -> None:
    world = adopted(promotion={"decommission": "Delete"})
    world.weather.deploy("v2")
    world.run(in_phase(world, Phase.PROMOTED))
    world.rest()
    assert set(world.weather.deployments) == {"echo-v2"}


def test_key_reads_like_a_name() -> None:
    assert str(KEY) == "echo/echo"
