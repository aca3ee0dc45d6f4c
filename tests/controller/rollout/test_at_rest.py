"""Between rollouts: adopting, noticing, retiring."""

from dataclasses import replace
from typing import Any

import pytest

from config.status import (
    Held,
    HeldReason,
    HistoryEntry,
    Outcome,
    Phase,
    Retirement,
    Revision,
    Status,
    Verdict,
)
from controller.rollout.decide import decide
from controller.rollout.moves import DeleteDeployment, Form, ScaleToZero, SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance, Routes, Workload
from situations import (
    ADRIFT,
    HARMFUL,
    IN_FORM,
    MINUTE,
    SECOND,
    SOON,
    T0,
    V1,
    V2,
    V3,
    running,
    seen,
    shifting,
    spec,
    status,
    tick,
)


AT_REST = [Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK]
UNPINNED = Routes(unpinned=True, acceptance=Acceptance.ACCEPTED, shape="all versions")
PINNED = replace(IN_FORM, in_form=False)
"""Nobody knows yet what form they should have."""


class TestAdopting:
    @pytest.mark.parametrize(
        ("routes", "workloads", "stable"),
        [
            pytest.param(PINNED, (V1, V2), None, id="the pinned version, whatever else runs"),
            pytest.param(UNPINNED, (V1,), None, id="the only version behind an unpinned route"),
            pytest.param(UNPINNED, (V1, V2), "v1", id="the version that the spec names"),
            pytest.param(ADRIFT, (V1, V2), "v1", id="the version that the spec names, on a divided route"),
            pytest.param(PINNED, (V1, V2), "v2", id="the pinned version rather than the spec's"),
        ],
    )
    def test_finds_the_version_that_serves(
        self, routes: Routes, workloads: tuple[Revision, ...], stable: str | None
    ) -> None:
        workload = (
            {"selector": {"app": "echo"}, "stable": stable} if stable else {"selector": {"app": "echo"}}
        )
        got = tick(
            Status(),
            spec(workload=workload),
            routes=routes,
            workloads=tuple(running(revision) for revision in workloads),
        )
        assert got.status.stable == V1
        assert got.status.phase is Phase.PREPARING
        assert got.status.candidate is None
        assert got.move == (None if routes.version == "v1" else WriteRoutes(Form("v1")))
        assert got.because.startswith("adopting v1 as stable")

    @pytest.mark.parametrize(
        ("observed", "reason", "words"),
        [
            pytest.param(
                {"routes": UNPINNED},
                HeldReason.STALLED,
                "spec.workload.stable: the routes lead to all versions, running: v1, v2; "
                "say which one serves today, for example stable: v1",
                id="several versions behind an unpinned route",
            ),
            pytest.param(
                {"routes": ADRIFT, "workloads": (running(V2),)},
                HeldReason.STALLED,
                "spec.workload.stable: the routes lead to v1 30, v2 70, running: v2; say",
                id="a divided route, although only one version runs",
            ),
            pytest.param(
                {"routes": UNPINNED, "workloads": ()},
                HeldReason.STALLED,
                "spec.workload.selector: no Deployment with pods labelled app=echo and a label version",
                id="nothing runs",
            ),
            pytest.param(
                {"routes": UNPINNED, "workloads": (running(V1, wanted=0),)},
                HeldReason.STALLED,
                "spec.workload.selector: no Deployment",
                id="everything is scaled to 0",
            ),
            pytest.param(
                {"routes": replace(PINNED, version="v9")},
                HeldReason.NOT_READY,
                "stable should be v9, but no Deployment runs v9",
                id="pinned to a version that does not run",
            ),
            pytest.param(
                {"routes": PINNED, "workloads": (running(V1, ready=0),)},
                HeldReason.NOT_READY,
                "echo-v1: 0 of 2 pods ready",
                id="no pod is ready",
            ),
            pytest.param(
                {"routes": replace(PINNED, problem="no such VirtualService")},
                HeldReason.STALLED,
                "no such VirtualService",
                id="the routes cannot be managed",
            ),
            pytest.param(
                {"routes": PINNED, "problem": "spec.routes: wrong"},
                HeldReason.STALLED,
                "spec.routes: wrong",
                id="the spec is wrong",
            ),
        ],
    )
    def test_touches_nothing_while_it_cannot_tell(
        self, observed: dict[str, Any], reason: HeldReason, words: str
    ) -> None:
        got = tick(Status(), **observed)
        assert got.status.stable is None
        assert got.move is None
        assert got.status.held is not None
        assert got.status.held.reason is reason
        assert words in got.because

    def test_is_done_when_gloo_has_accepted_the_pinned_routes(self) -> None:
        adopted = Status(stable=V1, intended_at=T0 - SECOND)
        assert tick(adopted, workloads=(running(V1),)).status.phase is Phase.IDLE

    def test_waits_for_a_late_objection(self) -> None:
        adopted = Status(stable=V1, intended_at=T0 - SECOND / 2)
        got = tick(adopted, workloads=(running(V1),))
        assert got.status.phase is Phase.PREPARING
        assert got.status.held is None
        assert got.because == "pinned to v1: giving Gloo a moment to object"
        assert got.wake_at == T0 + SOON

    @pytest.mark.parametrize("answer", [Acceptance.PENDING, Acceptance.REJECTED, Acceptance.WARNING])
    def test_waits_for_the_answer(self, answer: Acceptance) -> None:
        adopted = Status(stable=V1, intended_at=T0 - 9 * SECOND)
        routes = replace(IN_FORM, acceptance=answer, acceptance_reason="no such upstream")
        got = tick(adopted, workloads=(running(V1),), routes=routes)
        assert got.status.phase is Phase.PREPARING
        assert got.status.held == Held(HeldReason.NOT_ACCEPTED, got.because, T0)
        assert "no such upstream" in got.because


class TestNoticing:
    @pytest.mark.parametrize("phase", AT_REST)
    def test_begins_with_a_new_version(self, phase: Phase) -> None:
        got = tick(status(phase, candidate=None), finalizer=False)
        assert got.status.phase is Phase.PREPARING
        assert got.status.candidate == V2
        assert got.status.started_at == T0
        assert got.move is None
        assert got.because == "found v2 in echo-v2; v1 is stable"

    def test_takes_the_newest_version(self) -> None:
        workloads = (running(V3), running(V1), running(V2))
        assert tick(status(Phase.IDLE), workloads=workloads, finalizer=False).status.candidate == V3

    def test_takes_the_version_that_the_spec_names(self) -> None:
        named = spec(workload={"selector": {"app": "echo"}, "version": "v2"})
        workloads = (running(V3), running(V1), running(V2))
        got = tick(status(Phase.IDLE), named, workloads=workloads, finalizer=False)
        assert got.status.candidate == V2

    def test_forgets_everything_about_the_rollout_before(self) -> None:
        old = status(
            Phase.ROLLED_BACK,
            candidate=V3,
            verdict=Verdict.HARMFUL,
            metrics=HARMFUL.memory.metrics,
            weighed=HARMFUL.memory.weighed,
            surveyed_at=T0 - MINUTE,
            blind_since=T0 - MINUTE,
            would_have="would have rolled back",
            windows=({"number": 1},),
            requests=7,
            bad=3,
            excess=2.5,
            highest_weight=50,
            ready_when_raised=2,
            approved=True,
            reasserted=2,
            evaluated_at=T0,
            retiring=(Retirement("echo-v2", "ScaleToZero", T0 + MINUTE, V2.hash),),
        )
        got = tick(old, finalizer=False).status
        fresh = status(Phase.PREPARING, started_at=T0, step_started_at=None, reason=got.reason)
        assert got == replace(fresh, observed_generation=1)

    @pytest.mark.parametrize("phase", AT_REST)
    @pytest.mark.parametrize(
        ("workloads", "version"),
        [
            pytest.param((running(V1),), None, id="only stable runs"),
            pytest.param((running(V1), running(V2, wanted=0)), None, id="the other one is scaled to 0"),
            pytest.param((running(V1), running(V2)), "v1", id="the spec names stable"),
        ],
    )
    def test_stays_with_stable(
        self, phase: Phase, workloads: tuple[Workload, ...], version: str | None
    ) -> None:
        workload = {"selector": {"app": "echo"}, **({"version": version} if version else {})}
        before = status(phase, held=Held(HeldReason.PAUSED, "paused", T0))
        got = tick(before, spec(workload=workload), workloads=workloads, finalizer=False)
        assert got.status.phase is phase
        assert got.status.held is None
        assert got.move is None
        assert got.because == "v1 serves everybody"

    def test_an_older_version_that_still_runs_is_not_released(self) -> None:
        got = tick(status(Phase.IDLE, stable=V2), routes=replace(IN_FORM, version="v2"), finalizer=False)
        assert got.because == "v2 serves everybody"

    @pytest.mark.parametrize(
        ("version", "workloads", "words"),
        [
            pytest.param(
                "v9",
                (running(V1),),
                "spec.workload.version: no Deployment runs v9; v1 serves everybody",
                id="missing",
            ),
            pytest.param(
                "v2",
                (running(V1), running(V2, wanted=0)),
                "v2 is wanted, but echo-v2 is scaled to 0",
                id="without replicas",
            ),
        ],
    )
    def test_a_named_version_that_does_not_run_is_waited_for(
        self, version: str, workloads: tuple[Workload, ...], words: str
    ) -> None:
        named = spec(workload={"selector": {"app": "echo"}, "version": version})
        got = tick(status(Phase.IDLE), named, workloads=workloads, finalizer=False)
        assert got.status.phase is Phase.IDLE
        assert got.status.held == Held(HeldReason.NOT_READY, words, T0)

    def test_a_rejected_revision_waits_for_a_change(self) -> None:
        entry = HistoryEntry(V2, Outcome.ROLLED_BACK, "harmful: 5% bad", "crossfade", T0, T0, 10)
        before = status(Phase.ROLLED_BACK, rejected=(V2,), history=(entry,))
        got = tick(before, finalizer=False)
        assert got.status.phase is Phase.ROLLED_BACK
        assert got.because == "v2 was rolled back: harmful: 5% bad; it waits for a change or for retry"

    def test_a_rejected_revision_that_history_forgot_waits_as_well(self) -> None:
        got = tick(status(Phase.ROLLED_BACK, rejected=(V2,)), finalizer=False)
        assert got.because == "v2 was rolled back; it waits for a change or for retry"

    def test_a_rejected_revision_does_not_hide_that_stable_is_gone(self) -> None:
        got = tick(status(Phase.ROLLED_BACK, rejected=(V2,)), workloads=(running(V2),), finalizer=False)
        assert got.because == "stable is v1, but no Deployment runs v1"
        assert got.status.held is not None
        assert got.status.held.needs_human

    def test_a_changed_revision_of_a_rejected_version_is_tried(self) -> None:
        fixed = replace(V2, hash="fixed")
        before = status(Phase.ROLLED_BACK, rejected=(V2,))
        got = tick(before, workloads=(running(V1), running(fixed)), finalizer=False)
        assert got.status.candidate == fixed

    def test_two_deployments_of_one_version_are_refused(self) -> None:
        twin = replace(V2, deployment="echo-v2b")
        got = tick(status(Phase.IDLE), workloads=(running(V1), running(V2), running(twin)), finalizer=False)
        assert got.status.phase is Phase.IDLE
        assert got.status.held is not None
        assert got.status.held.reason is HeldReason.STALLED
        assert "Deployments echo-v2 and echo-v2b carry the same version v2" in got.because

    @pytest.mark.parametrize(
        ("before", "about"),
        [
            pytest.param(status(Phase.IDLE, paused=True), spec(), id="by command"),
            pytest.param(status(Phase.IDLE), spec(paused=True), id="by spec"),
        ],
    )
    def test_a_pause_keeps_new_versions_waiting(self, before: Status, about: Any) -> None:
        got = tick(before, about, finalizer=False)
        assert got.status.phase is Phase.IDLE
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.PAUSED, True)

    def test_a_problem_keeps_new_versions_waiting(self) -> None:
        got = tick(status(Phase.IDLE), problem="spec.shifting.steps: wrong", finalizer=False)
        assert got.status.phase is Phase.IDLE
        assert got.because == "spec.shifting.steps: wrong"

    @pytest.mark.parametrize("workloads", [(), (running(V1, ready=0),)], ids=["gone", "not ready"])
    def test_stable_without_ready_pods_is_reported(self, workloads: tuple[Workload, ...]) -> None:
        got = tick(status(Phase.IDLE), workloads=workloads, finalizer=False)
        assert got.status.held is not None
        assert (got.status.held.reason, got.status.held.needs_human) == (HeldReason.NOT_READY, True)

    def test_stable_that_was_changed_in_place_is_followed(self) -> None:
        now = replace(V1, hash="patched")
        got = tick(status(Phase.IDLE), workloads=(running(now),), finalizer=False)
        assert got.status.stable == now


class TestCreatedAgain:
    """An old version that somebody creates again, as GitOps does with what was deleted."""

    AGAIN = replace(running(V1), created_at=T0)

    def test_is_not_released_again_by_itself(self) -> None:
        before = status(Phase.PROMOTED, stable=V2, replaced=(V1,))
        got = tick(before, workloads=(self.AGAIN, running(V2)), finalizer=False)
        assert (got.status.phase, got.because) == (Phase.PROMOTED, "v2 serves everybody")

    def test_is_released_when_it_is_named(self) -> None:
        before = status(Phase.PROMOTED, stable=V2, replaced=(V1,))
        named = spec(workload={"selector": {"app": "echo"}, "version": "v1"})
        got = tick(before, named, workloads=(self.AGAIN, running(V2)), finalizer=False)
        assert got.status.candidate == V1

    def test_does_not_take_the_place_of_a_newer_candidate(self) -> None:
        before = shifting(50, stable=V2, candidate=V3, replaced=(V1,))
        got = tick(before, workloads=(self.AGAIN, running(V2), running(V3)))
        assert got.status.phase is Phase.SHIFTING


class TestRetiring:
    DUE = Retirement("echo-v0", "ScaleToZero", T0, "hash-v0")
    OLD = Revision("v0", "hash-v0", "echo-v0")

    def at_rest(self, retirement: Retirement = DUE, **fields: Any) -> Status:
        return status(Phase.PROMOTED, retiring=(retirement,), **fields)

    @pytest.mark.parametrize(
        ("action", "move"),
        [
            pytest.param("ScaleToZero", ScaleToZero("echo-v0", "hash-v0"), id="scale to zero"),
            pytest.param("Delete", DeleteDeployment("echo-v0", "hash-v0"), id="delete"),
        ],
    )
    def test_carries_out_what_is_due(self, action: str, move: object) -> None:
        retirement = replace(self.DUE, action=action)
        workloads = (running(V1), running(self.OLD))
        got = tick(self.at_rest(retirement), workloads=workloads, finalizer=False)
        assert got.move == move
        assert got.status.retiring == (retirement,)
        assert got.wake_at == T0 + SOON

    @pytest.mark.parametrize(
        ("retirement", "workloads"),
        [
            pytest.param(DUE, (running(V1),), id="gone"),
            pytest.param(DUE, (running(V1), running(OLD, wanted=0)), id="scaled down"),
            pytest.param(DUE, (running(V1), running(replace(OLD, hash="new"))), id="runs something else"),
            pytest.param(
                Retirement("echo-v1", "ScaleToZero", T0, "hash-v1"), (running(V1),), id="is stable again"
            ),
        ],
    )
    def test_strikes_off_what_needs_no_retirement(
        self, retirement: Retirement, workloads: tuple[Workload, ...]
    ) -> None:
        got = tick(self.at_rest(retirement), workloads=workloads, finalizer=False)
        assert got.status.retiring == ()
        assert got.move is None

    def test_deletes_even_what_is_scaled_down_already(self) -> None:
        retirement = replace(self.DUE, action="Delete")
        workloads = (running(V1), running(self.OLD, wanted=0))
        got = tick(self.at_rest(retirement), workloads=workloads, finalizer=False)
        assert got.move == DeleteDeployment("echo-v0", "hash-v0")

    def test_waits_until_it_is_due(self) -> None:
        later = replace(self.DUE, due_at=T0 + MINUTE)
        got = decide(
            spec(),
            replace(self.at_rest(later), reason="v1 serves everybody", observed_generation=1),
            seen(workloads=(running(V1), running(self.OLD)), finalizer=False),
        )
        assert got.move is None
        assert got.wake_at == T0 + MINUTE

    def test_waits_until_gloo_has_accepted_the_routes(self) -> None:
        got = tick(
            self.at_rest(intended_at=T0 - SECOND / 10),
            workloads=(running(V1), running(self.OLD)),
            finalizer=False,
        )
        assert got.move is None
        assert got.wake_at == T0 + SOON

    def test_keeps_what_a_route_of_the_users_own_needs(self) -> None:
        routes = replace(IN_FORM, kept=frozenset({"v0"}))
        workloads = (running(V1), running(self.OLD))
        got = tick(self.at_rest(), workloads=workloads, finalizer=False, routes=routes)
        assert got.move is None
        assert got.because == (
            "v1 serves everybody; echo-v0 is kept, a route of your own is fixed to its version"
        )
        assert got.status.retiring == (self.DUE,)

    def test_goes_on_with_releases_while_it_keeps_something(self) -> None:
        routes = replace(IN_FORM, kept=frozenset({"v0"}))
        workloads = (running(V1), running(V2), running(self.OLD))
        got = tick(self.at_rest(), workloads=workloads, finalizer=False, routes=routes)
        assert got.status.candidate == V2

    def test_comes_before_the_next_release(self) -> None:
        workloads = (running(V1), running(V2), running(self.OLD))
        assert tick(self.at_rest(), workloads=workloads, finalizer=False).move == ScaleToZero(
            "echo-v0", "hash-v0"
        )


@pytest.mark.parametrize("phase", AT_REST)
def test_the_canary_is_let_go_when_nothing_is_divided(phase: Phase) -> None:
    got = tick(status(phase), finalizer=True)
    assert got.move == SetFinalizer(present=False)
    assert got.because == "as before"


def test_nothing_to_do_changes_nothing_and_wakes_nobody() -> None:
    before = status(Phase.IDLE, observed_generation=1, reason="v1 serves everybody")
    got = tick(before, workloads=(running(V1),), finalizer=False)
    assert got.status == before
    assert got.wake_at is None


def test_what_changed_is_looked_at_again_soon() -> None:
    got = tick(status(Phase.IDLE), workloads=(running(V1),), finalizer=False)
    assert got.wake_at == T0 + SOON
