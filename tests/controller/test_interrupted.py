"""A process that ends, or loses an answer, at any request of any story: the end is the same."""

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from config.status import HeldReason, Outcome, Phase
from controller import reconcile
from controller.gloo import client
from controller.gloo.client import GlooRoutes
from controller.gloo.upstreams import OwnUpstreams
from controller.reconcile import Reconciler
from controller.rollout.decide import decide
from controller.rollout.moves import ScaleToZero
from controller.rollout.observation import Do
from controller.rollout.situation import Decision
from interrupted import Scene, Story, Walk
from memory import CANARY, Server
from mutants import Mutant, planted
from stories import (
    ENDINGS,
    GLOO,
    NAMED,
    SEVERAL,
    SHADOWED,
    SPEC,
    at,
    cluster,
    deployed,
    held,
    in_order,
    ordered,
    resting,
    turns_harmful,
)


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


KILLED_OR_LOST = ("killed after it", "answer lost, watch late")
"""The two that tell most: the request took effect, and nobody knows."""
RELEASED = Scene(resting, deployed("v2"))
BLIND: dict[str, Any] = {"after": "10s", "then": "Rollback"}
COURSES: dict[str, dict[str, Any]] = {
    "subsets": {},
    "upstreams": {"destinations": "Upstreams"},
    "shadowed": SHADOWED,
    "several": SEVERAL,
    "several upstreams": {**SEVERAL, "destinations": "Upstreams"},
    "named": NAMED,
    "deleted in the end": {"promotion": {"decommission": "Delete", "after": "2s"}},
    "approved": {"shifting": {"steps": [{"weight": 50, "approval": "Manual"}, 100], "interval": "5s"}},
    "frozen": {"schedule": {"freeze": [{"from": "2026-03-01T12:00", "to": "2026-03-01T12:01"}]}},
    "back when blind": {"analysis": {**SPEC["analysis"], "blind": BLIND}},
    "scaled down": {"rollback": {"scaleDown": "ScaleToZero", "after": "2s"}},
}
PLACES = {
    "preparing": at(Phase.PREPARING),
    "shadowing": at(Phase.SHADOWING),
    "testing": at(Phase.TESTING),
    "at 0": at(Phase.SHIFTING, 0),
    "at 50": at(Phase.SHIFTING, 50),
    "at 100": at(Phase.SHIFTING, 100),
    "baking": at(Phase.BAKING),
    "finishing": at(Phase.FINISHING),
}


@pytest.fixture(autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@functools.cache
def adopted(course: str) -> Server:
    """Give a cluster in which v1 is adopted and at rest; with named Upstreams, just set up."""
    begun = cluster(**COURSES[course])
    return begun if course == "named" else [moment for moment, _ in Walk(begun, ()).whole()][-1]


@functools.cache
def moment(course: str, place: str) -> Server:
    """Give the first moment of a release at which it has got there."""
    begun = adopted(course)
    story = () if course == "named" else (RELEASED,)
    found = (
        server
        for server, _ in Walk(begun, story).whole()
        if server.status.candidate is not None and PLACES[place](server)
    )
    return replace(next(found), told=0)


def history(walk: Walk) -> list[Outcome]:
    assert isinstance(walk.end, dict)
    entries: list[Any] = walk.end["status"][-1]
    return [outcome for _, outcome, _, _ in entries]


@pytest.mark.parametrize("course", ["subsets", "upstreams", "several", "several upstreams"])
def test_an_adoption(course: str) -> None:
    walk = Walk(cluster(**COURSES[course]), (), hows=KILLED_OR_LOST).walk(depth=2)
    assert walk.ways > 15


@pytest.mark.parametrize(
    "course",
    ["subsets", "upstreams", "shadowed", "several", "named", "deleted in the end", "approved", "frozen"],
)
def test_a_good_release(course: str) -> None:
    story: Story = () if course == "named" else (RELEASED,)
    if course == "approved":
        story = (*story, Scene(held(HeldReason.AWAITING_APPROVAL), ordered(Do.APPROVE)))
    walk = Walk(adopted(course), story)
    if course != "subsets":
        walk.hows = KILLED_OR_LOST[-1:]
    assert history(walk.walk()) == [Outcome.PROMOTED]
    assert walk.ways > 30


LONG = {"superseded", "changed", "drifted", "hurried"}
"""What a whole release follows upon: interrupted in two places only."""


@pytest.mark.parametrize(
    ("happening", "place"),
    [
        (happening, place)
        for happening in ENDINGS
        for place in PLACES
        if place in {"at 50", "finishing"} or (happening not in LONG and place != "shadowing")
    ],
)
def test_whatever_happens_to_a_candidate(happening: str, place: str) -> None:
    begun = moment("subsets", place).copy()
    ENDINGS[happening](begun)
    walk = Walk(begun, (), first=8 if happening in LONG else 12).walk()
    assert walk.ways > 0 or (happening, place) == ("deleted", "preparing")


@pytest.mark.parametrize(
    ("course", "place"),
    [
        ("upstreams", "at 50"),
        ("shadowed", "shadowing"),
        ("shadowed", "testing"),
        ("several", "at 50"),
        ("several upstreams", "baking"),
        ("named", "at 50"),
        ("scaled down", "at 100"),
    ],
)
@pytest.mark.parametrize("happening", ["aborted", "deleted", "harmful"])
def test_the_way_back_of_other_routes(course: str, place: str, happening: str) -> None:
    begun = moment(course, place).copy()
    ENDINGS[happening](begun)
    walk = Walk(begun, (), first=12).walk()
    assert walk.ways > 20


def test_two_interruptions_of_a_way_back() -> None:
    begun = moment("upstreams", "at 50").copy()
    ENDINGS["aborted"](begun)
    walk = Walk(begun, (), hows=KILLED_OR_LOST).walk(depth=2)
    assert history(walk) == [Outcome.ROLLED_BACK]
    assert walk.ways > 60


def answers(*, there: bool) -> Callable[[Server], None]:
    return lambda server: setattr(server, "prometheus_answers", there)


def stop(words: str) -> Callable[[Server], None]:
    return lambda server: setattr(server, "stopped", words)


def always(_server: Server) -> bool:
    return True


def needs_human(server: Server) -> bool:
    return server.status.held is not None and server.status.held.needs_human


STORIES: dict[str, tuple[str, str, Story]] = {
    "paused and resumed": (
        "subsets",
        "at 50",
        (
            Scene(always, ordered(Do.PAUSE, "1")),
            Scene(lambda server: needs_human(server) and in_order(server), ordered(Do.RESUME, "2")),
        ),
    ),
    "blind for a while": (
        "subsets",
        "at 100",
        (Scene(always, answers(there=False)), Scene(at(Phase.SHIFTING, 50), answers(there=True))),
    ),
    "blind for good": ("back when blind", "at 50", (Scene(always, answers(there=False)),)),
    "stopped and freed": (
        "subsets",
        "at 50",
        (Scene(always, stop("by ConfigMap ops/stop: disk full")), Scene(held(HeldReason.STOPPED), stop(""))),
    ),
    "tried again": (
        "subsets",
        "at 50",
        (
            Scene(always, turns_harmful),
            Scene(at(Phase.ROLLED_BACK), lambda server: setattr(server, "harmful", frozenset())),
            Scene(always, ordered(Do.RETRY)),
        ),
    ),
    "a broken spec, and back": (
        "subsets",
        "at 50",
        (
            Scene(always, lambda server: server.respec(shifting={"steps": ["x"]})),
            Scene(always, ordered(Do.ABORT)),
        ),
    ),
    "other steps": (
        "subsets",
        "at 50",
        (Scene(always, lambda server: server.respec(shifting={"steps": [20, 100], "interval": "5s"})),),
    ),
    "somebody deletes the candidate's Upstream": (
        "upstreams",
        "at 50",
        (Scene(always, lambda server: server.drop(("upstreams", GLOO, "echo-v2"))),),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_people_and_prometheus_do_meanwhile(name: str) -> None:
    course, place, story = STORIES[name]
    walk = Walk(moment(course, place).copy(), story, first=18, hows=KILLED_OR_LOST).walk()
    assert walk.ways > 10


@pytest.mark.parametrize(("before", "after"), [("subsets", "Upstreams"), ("upstreams", "Subsets")])
def test_an_adopted_application_is_switched(before: str, after: str) -> None:
    switched = Scene(resting, lambda server: server.respec(destinations=after))
    walk = Walk(adopted(before), (switched,)).walk()
    assert walk.ways >= 20


# What a mistake looks like from here.


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Mutant], None]]:
    """Give a function that lets the tick decide by a copy with a mistake in it."""
    open_copies: list[Any] = []

    def put(mutant: Mutant) -> None:
        copy = planted(mutant, tmp_path)
        core = copy.__enter__().core
        open_copies.append(copy)
        monkeypatch.setattr(reconcile, "decide", core.decide)
        monkeypatch.setattr(reconcile, "refuse", core.refuse)
        monkeypatch.setattr(reconcile, "intended_form", core.intended_form)
        monkeypatch.setattr(reconcile, "Ask", sys.modules[core.decide.__module__].Ask)

    yield put
    for copy in open_copies:
        copy.__exit__(None, None, None)


def interrupt(course: str, place: str, happening: str) -> None:
    begun = moment(course, place).copy()
    ENDINGS[happening](begun)
    Walk(begun, (), first=12).walk()


def test_a_copy_without_a_mistake_passes(plant: Callable[[Mutant], None]) -> None:
    plant(Mutant("decide", "do nothing.", "do nothing."))
    interrupt("upstreams", "at 50", "deleted")


@pytest.mark.parametrize(
    ("mutant", "course", "happening", "words"),
    [
        (Mutant("decide", "        or at.in_flight\n", ""), "subsets", "deleted", "without the finalizer"),
        (Mutant("decide", "REASSERTIONS = 3", "REASSERTIONS = 0"), "subsets", "hurried", ""),
        (
            Mutant("decide", "held is None or at.seen.now < held.since + ANSWER", "held is None"),
            "upstreams",
            "deleted",
            "delete upstreams",
        ),
        (Mutant("going_back", "    if not at.settled:", "    if False:"), "subsets", "aborted", "RolledBack"),
        (Mutant("form", "retired=status.testing, ", ""), "subsets", "aborted", ""),
    ],
    ids=["the finalizer goes early", "nothing is put back", "tidied once", "back unseen", "tests stay"],
)
def test_a_wrong_decision_is_noticed(
    mutant: Mutant, course: str, happening: str, words: str, plant: Callable[[Mutant], None]
) -> None:
    moment(course, "at 50")
    plant(mutant)
    with pytest.raises(AssertionError, match=words or None):
        interrupt(course, "at 50", happening)


def test_moving_before_recording_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = moment("subsets", "at 50")
    carry_out = Reconciler._carry_out

    def hasty(self: Reconciler, canary: Any, spec: Any, seen: Any, decision: Decision) -> Any:
        if decision.move is not None:
            self._make(canary, spec, decision.move)
        return carry_out(self, canary, spec, seen, decision)

    monkeypatch.setattr(Reconciler, "_carry_out", hasty)
    with pytest.raises(AssertionError, match="is recorded"):
        Walk(begun.copy(), ()).walk()


def test_stopping_stable_while_the_candidate_bakes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = moment("subsets", "at 100")

    def careless(*given: Any) -> Decision:
        decision = decide(*given)
        stable = decision.status.stable
        if decision.status.phase is Phase.BAKING and decision.move is None and stable is not None:
            return replace(decision, move=ScaleToZero(stable.deployment, stable.hash))
        return decision

    monkeypatch.setattr(reconcile, "decide", careless)
    with pytest.raises(AssertionError, match="decommissioned in Baking"):
        Walk(begun.copy(), ()).walk()


def test_an_upstream_that_goes_before_the_routes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    moment("upstreams", "at 50")
    write = GlooRoutes.write

    def tidy(self: GlooRoutes, spec: Any, form: Any, *more: Any) -> None:
        self.remove(spec, form)
        write(self, spec, form, *more)

    monkeypatch.setattr(OwnUpstreams, "_is_named", lambda *_: False)
    monkeypatch.setattr(GlooRoutes, "write", tidy)
    with pytest.raises(AssertionError, match="is named, but not there"):
        interrupt("upstreams", "at 50", "aborted")


def test_an_upstream_that_is_named_before_gloo_knows_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "blocked", lambda *_: ())
    with pytest.raises(AssertionError, match="not known to Gloo yet"):
        Walk(cluster(**COURSES["upstreams"]), ()).walk()


def test_a_canary_that_is_let_go_unpinned_is_noticed() -> None:
    begun = moment("subsets", "at 50").copy()
    begun.edit(CANARY, lambda canary: canary["metadata"].update(finalizers=[]))
    with pytest.raises(AssertionError, match="without the finalizer"):
        Walk(begun, ()).walk()
