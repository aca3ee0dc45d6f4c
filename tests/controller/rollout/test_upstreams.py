"""One Upstream per version: made before it is needed, waited for, and taken away when nobody needs it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.status import Held, HeldReason, Phase, Retirement, Status
from controller.rollout.decide import decide
from controller.rollout.form import intended_form
from controller.rollout.moves import Form, RemoveUpstreams, SetFinalizer, WriteRoutes
from controller.rollout.observation import Acceptance
from controller.rollout.situation import Decision
from mutants import Mutant, planted
from situations import (
    ADRIFT,
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
)


Decide = Callable[..., Decision]
SPEC = spec(destinations="Upstreams")
PREPARED = Form("v1", prepared="v2")
LEFT = replace(IN_FORM, leftover=frozenset({"echo-v3", "echo-v2"}))
REMOVING = "removing Upstream echo-v2, echo-v3: no route names it"
WAITING = replace(ADRIFT, shape="v1", waits_for="Upstream gloo-system/echo-v1")
REMOVAL_FAILED = Held(HeldReason.STALLED, "delete upstreams: refused", T0 - MINUTE)


def of(run: Decide, before: Status, **observed: Any) -> Decision:
    return run(SPEC, before, seen(**observed))


def idle(**fields: Any) -> Status:
    return status(Phase.IDLE, **fields)


def a_new_version_gets_its_upstream_first(run: Decide) -> None:
    got = of(run, idle(intended_at=T0 - 90 * SECOND), finalizer=False)
    assert got.move == WriteRoutes(PREPARED)
    assert (got.status.phase, got.status.intended_at) == (Phase.PREPARING, T0)


def with_subsets_there_is_nothing_to_write_yet(run: Decide) -> None:
    got = run(spec(), idle(), seen(finalizer=False))
    assert (got.move, got.status.phase) == (None, Phase.PREPARING)
    assert got.status.intended_at == idle().intended_at


def nothing_opens_before_gloo_knows_it(run: Decide) -> None:
    pending = replace(IN_FORM, acceptance=Acceptance.PENDING, acceptance_reason="Upstream echo-v2: Pending")
    got = of(run, status(Phase.PREPARING), routes=pending)
    assert (got.move, got.status.phase) == (None, Phase.PREPARING)
    assert got.status.held is not None
    assert got.status.held.reason is HeldReason.NOT_ACCEPTED


def one_that_is_missing_is_put_back(run: Decide) -> None:
    missing = replace(ADRIFT, shape="v1; Upstream gloo-system/echo-v2 is missing")
    assert of(run, status(Phase.PREPARING), routes=missing).move == WriteRoutes(PREPARED)
    assert of(run, shifting(50), routes=missing).move == WriteRoutes(
        Form("v1", "v2", 50, SPEC.testing.match if SPEC.testing else ())
    )


def what_gloo_does_not_know_yet_is_waited_for(run: Decide) -> None:
    """However often: it is no drift."""
    for reasserted in (0, 3):
        got = of(run, idle(reasserted=reasserted), routes=WAITING)
        assert (got.move, got.status.reasserted) == (None, reasserted)
        assert got.status.held is not None
        assert got.status.held.reason is HeldReason.NOT_ACCEPTED
        assert got.because == (
            "waiting for Gloo to accept Upstream gloo-system/echo-v1, which the routes are to lead to"
        )


def what_gloo_has_only_just_accepted_gets_a_moment(run: Decide) -> None:
    waited = Held(HeldReason.NOT_ACCEPTED, "waiting for Gloo", T0)
    got = of(run, idle(held=waited, intended_at=T0), routes=ADRIFT)
    assert (got.move, got.status.held, got.wake_at) == (None, waited, T0 + SOON)
    again = of(run, replace(got.status, observed_generation=1), routes=ADRIFT)
    assert (again.move, again.wake_at) == (None, T0 + SECOND)
    assert of(run, idle(held=waited, intended_at=T0 - SECOND), routes=ADRIFT).move == WriteRoutes(Form("v1"))
    back = status(Phase.ROLLING_BACK, held=waited, intended_at=T0)
    assert of(run, back, routes=ADRIFT).move == WriteRoutes(Form("v1"))
    assert of(run, idle(intended_at=T0), routes=ADRIFT).move == WriteRoutes(Form("v1"))


def a_problem_is_said_before_anything_is_waited_for(run: Decide) -> None:
    got = of(run, idle(), routes=replace(WAITING, problem="Upstream echo-v1 is not Crossfade's"))
    assert got.because == "Upstream echo-v1 is not Crossfade's"


def what_is_missing_is_put_right_whatever_else_is_wrong(run: Decide) -> None:
    wrong = replace(ADRIFT, problem="another route balances over all versions")
    got = of(run, idle(), routes=wrong)
    assert (got.move, got.because) == (None, wrong.problem)
    got = of(run, idle(), routes=replace(wrong, lacking="Upstream gloo-system/echo-v1 is missing"))
    assert got.move == WriteRoutes(Form("v1"))


def what_is_missing_is_put_right_however_often(run: Decide) -> None:
    gone = replace(ADRIFT, lacking="Upstream gloo-system/echo-v1 is missing")
    before = idle(reasserted=7, reasserted_at=T0 - 10 * SECOND)
    assert of(run, before, routes=gone).move == WriteRoutes(Form("v1"))
    assert of(run, replace(before, reasserted_at=T0), routes=gone).move is None
    assert of(run, before, routes=ADRIFT).move is None


def leftovers_go_when_all_is_quiet(run: Decide) -> None:
    for phase in (Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK):
        got = of(run, status(phase), routes=LEFT, workloads=(running(V1),), finalizer=False)
        assert (got.move, got.because) == (RemoveUpstreams(Form("v1")), REMOVING)


def leftovers_go_although_a_rejected_version_waits(run: Decide) -> None:
    before = status(Phase.ROLLED_BACK, rejected=(V2,))
    assert of(run, before, routes=LEFT, finalizer=False).move == RemoveUpstreams(Form("v1"))


def leftovers_go_although_releases_are_paused(run: Decide) -> None:
    before = idle(paused=True)
    assert of(run, before, routes=LEFT, finalizer=False).move == RemoveUpstreams(Form("v1"))


def a_new_version_does_not_wait_for_leftovers(run: Decide) -> None:
    got = of(run, idle(held=REMOVAL_FAILED), routes=LEFT, finalizer=False)
    assert (got.move, got.status.phase) == (WriteRoutes(PREPARED), Phase.PREPARING)


def leftovers_stay_as_long_as_the_old_version(run: Decide) -> None:
    old = Retirement("echo-v2", "ScaleToZero", T0 + SECOND, V2.hash)
    before = idle(retiring=(old,), replaced=(V2,))
    got = of(run, before, routes=LEFT, finalizer=False)
    assert (got.move, got.because) == (None, "v1 serves everybody")
    due = replace(old, due_at=T0)
    got = of(run, idle(retiring=(due,), replaced=(V2,)), routes=LEFT, finalizer=False)
    assert got.because == "scaling echo-v2 to 0"


def leftovers_stay_until_gloo_has_accepted_the_routes(run: Decide) -> None:
    for routes in (replace(LEFT, acceptance=Acceptance.PENDING), replace(LEFT, in_form=False)):
        got = of(run, idle(), routes=routes, workloads=(running(V1),), finalizer=False)
        assert not isinstance(got.move, RemoveUpstreams)
    fresh = idle(intended_at=T0)
    got = of(run, fresh, routes=LEFT, workloads=(running(V1),), finalizer=False)
    assert got.move is None


def leftovers_stay_during_a_rollout(run: Decide) -> None:
    for before in (status(Phase.PREPARING), shifting(50), status(Phase.BAKING), status(Phase.FINISHING)):
        got = of(run, before, routes=LEFT, workloads=(running(V1), running(V2), running(V3, wanted=0)))
        assert not isinstance(got.move, RemoveUpstreams)


def a_deleted_canary_takes_its_leftovers_along(run: Decide) -> None:
    before = status(Phase.ROLLED_BACK)
    got = of(run, before, routes=LEFT, deleting=True)
    assert got.move == RemoveUpstreams(Form("v1"))
    assert of(run, before, deleting=True).move == SetFinalizer(present=False)


def a_removal_that_failed_just_now_is_tried_again(run: Decide) -> None:
    failed = replace(REMOVAL_FAILED, since=T0 - 59 * SECOND)
    got = of(run, status(Phase.ROLLED_BACK, held=failed), routes=LEFT, deleting=True)
    assert got.move == RemoveUpstreams(Form("v1"))


def a_deleted_canary_is_not_held_by_what_cannot_be_removed(run: Decide) -> None:
    before = status(Phase.ROLLED_BACK, held=REMOVAL_FAILED)
    assert of(run, before, routes=LEFT, deleting=True).move == SetFinalizer(present=False)
    gone = of(run, status(Phase.ROLLED_BACK), routes=LEFT, deleting=True, finalizer=False)
    assert gone.move is None


SCENARIOS = (
    a_new_version_gets_its_upstream_first,
    with_subsets_there_is_nothing_to_write_yet,
    nothing_opens_before_gloo_knows_it,
    one_that_is_missing_is_put_back,
    what_gloo_does_not_know_yet_is_waited_for,
    what_gloo_has_only_just_accepted_gets_a_moment,
    a_problem_is_said_before_anything_is_waited_for,
    what_is_missing_is_put_right_whatever_else_is_wrong,
    what_is_missing_is_put_right_however_often,
    leftovers_go_when_all_is_quiet,
    leftovers_go_although_a_rejected_version_waits,
    leftovers_go_although_releases_are_paused,
    a_new_version_does_not_wait_for_leftovers,
    leftovers_stay_as_long_as_the_old_version,
    leftovers_stay_until_gloo_has_accepted_the_routes,
    leftovers_stay_during_a_rollout,
    a_deleted_canary_takes_its_leftovers_along,
    a_removal_that_failed_just_now_is_tried_again,
    a_deleted_canary_is_not_held_by_what_cannot_be_removed,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_upstreams(scenario: Callable[[Decide], None]) -> None:
    scenario(decide)


def test_a_version_is_prepared_from_the_beginning_and_only_then() -> None:
    assert intended_form(SPEC, status(Phase.PREPARING)) == PREPARED
    assert intended_form(spec(), status(Phase.PREPARING)) == Form("v1")
    for phase in set(Phase) - {Phase.PREPARING, Phase.SHADOWING}:
        form = intended_form(SPEC, status(phase))
        assert form is not None
        assert form.prepared is None


MUTANTS = {
    "subsets are prepared": Mutant(
        "form", 'case Phase.PREPARING if spec.destinations == "Upstreams":', "case Phase.PREPARING:"
    ),
    "nothing is prepared": Mutant(
        "form",
        'case Phase.PREPARING if spec.destinations == "Upstreams":',
        "case Phase.PREPARING if not spec:",
    ),
    "an old acceptance will do": Mutant(
        "at_rest", "replace(begun, intended_at=at.seen.now), WriteRoutes(form)", "begun, WriteRoutes(form)"
    ),
    "waiting is a drift": Mutant("decide", "    if routes.waits_for:\n", "    if False:\n"),
    "a problem stops the repair": Mutant("decide", "and not routes.lacking and", "and"),
    "a repair is given up": Mutant(
        "decide", "not (routes.lacking or _must_stay_back(at))", "not _must_stay_back(at)"
    ),
    "no moment is given": Mutant("decide", "    if _has_waited(status) and", "    if False and"),
    "the way back waits": Mutant(
        "decide", "return waited and status.phase is not Phase.ROLLING_BACK", "return waited"
    ),
    "every drift waits": Mutant(
        "decide", "    waited = status.held is not None and", "    waited = status.held is None or"
    ),
    "leftovers go before the new version": Mutant(
        "at_rest",
        "    return remove_leftovers(at) or begun or _serving(at)",
        "    return begun or remove_leftovers(at) or _serving(at)",
    ),
    "a failing removal stops releases": Mutant(
        "at_rest",
        "    if begun is not None and (begun.move is not None or begun.status.phase is Phase.PREPARING):\n",
        "    if False:\n",
    ),
    "leftovers are all there is": Mutant(
        "at_rest",
        "if form is None or not names or at.status.retiring",
        "if form is None or at.status.retiring",
    ),
    "leftovers go with the old version still there": Mutant(
        "at_rest", "not names or at.status.retiring or not at.settled", "not names or not at.settled"
    ),
    "leftovers go before Gloo has followed": Mutant(
        "at_rest", "not names or at.status.retiring or not at.settled", "not names or at.status.retiring"
    ),
    "a deleted Canary leaves them": Mutant(
        "decide", "_may_tidy(at) and (removing :=", "False and (removing :="
    ),
    "a deleted Canary is held by them": Mutant(
        "decide", "if at.seen.finalizer and _may_tidy(at) and", "if at.seen.finalizer and"
    ),
    "a removal is tried once": Mutant(
        "decide", "held is None or at.seen.now < held.since + ANSWER", "held is None"
    ),
    "a Canary that is let go already is held up": Mutant(
        "decide", "if at.seen.finalizer and _may_tidy(at) and", "if _may_tidy(at) and"
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_mistake_is_noticed(name: str, tmp_path: Path) -> None:
    with planted(MUTANTS[name], tmp_path) as broken:
        caught = []
        for scenario in SCENARIOS:
            try:
                scenario(broken.core.decide)
            except AssertionError:
                caught.append(scenario.__name__)
    assert caught
