"""A state machine that releases, meddles, loses writes and lies, and watches every decision."""

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from config.canary import CanarySpec
from config.schedule import Schedule
from config.status import Status
from controller.rollout import decide as decide_module
from controller.rollout import form as form_module
from controller.rollout.moves import (
    ClearCommand,
    DeleteDeployment,
    Form,
    Move,
    RemoveUpstreams,
    ScaleToZero,
    SetFinalizer,
    WriteRoutes,
)
from controller.rollout.observation import Command, Do, Observation
from controller.rollout.situation import Ask, Decision
from oracle import Oracle
from situations import ANALYSIS, SECOND, STAGE, spec
from weather import AWAY, GOOD, HARM, NO_DATA, OPINIONS, REVISIONS, Content, Opinion, Weather, at_rest


class Core(NamedTuple):
    """The functions under test."""

    decide: Callable[[CanarySpec, Status, Observation], Decision]
    refuse: Callable[[CanarySpec, Status, Observation, str], Decision | None]
    intended_form: Callable[[CanarySpec, Status], Form | None]


LADDERS = st.sampled_from([[100], [50], [10, 60], {"start": 30, "increment": 40}])
VERSIONS = st.sampled_from(["v2", "v2", "v2", "v3", "v1"])
WEIGHTS: tuple[int | None, ...] = (None, 0, *range(1, 101))
PAUSES = st.sampled_from([SECOND / 2, 5 * SECOND, 25 * SECOND, dt.timedelta(minutes=2)])
OPINION = st.sampled_from((GOOD, GOOD, GOOD, *OPINIONS))
TICKS = st.integers(0, 3) | st.integers(4, 40)
WAYS = st.sampled_from(
    [
        {},
        {},
        {"advance": "Evidence"},
        {"dryRun": True},
        {"dryRun": True, "advance": "Evidence"},
        {"metrics": [{**ANALYSIS["metrics"][0], "dryRun": True}]},
    ]
)
"""How verdicts are acted upon."""
THEN = st.sampled_from(["Hold", "Retreat", "Retreat", "Rollback"])
OTHER_STAGE = {"methods": ["PUT"]}
CONTENTS = st.sampled_from(
    [Content("v1"), Content("v2"), Content("v1", "v2", 50), Content("v1", "v2", 100), Content("v3", "v1", 10)]
)
EDITS = st.one_of(
    st.builds(lambda steps: {"shifting": {"steps": steps, "interval": "20s"}}, LADDERS),
    st.sampled_from(
        [{"testing": None}, {"testing": {"match": [STAGE]}}, {"testing": {"match": [OTHER_STAGE]}}]
    ),
    st.sampled_from([{"shadowing": None}, {"shadowing": {"percentage": 5}}]),
)


def _name_version(world: Weather, version: str) -> None:
    workload = world.spec.workload.model_copy(update={"version": version})
    world.spec = world.spec.model_copy(update={"workload": workload})


def _let_nobody_be_ready(world: Weather) -> None:
    for version in (world.stable, world.newest):
        world.deploy(version, ready=0)


FROZEN = Schedule.model_validate({"freeze": [{"from": "2026-01-01T00:00", "to": "2027-01-01T00:00"}]})
"""Closed throughout, and long before."""
TROUBLES: dict[str, Callable[[Weather], None]] = {
    "a problem": lambda world: setattr(world, "problem", "spec: wrong"),
    "a claim": lambda world: setattr(world, "claimed_by", "route belongs to another Canary"),
    "a shadowing of the user's own": lambda world: setattr(world, "own_shadowing", "route 0 has its own"),
    "paused": lambda world: setattr(world, "spec", world.spec.model_copy(update={"paused": True})),
    "the line is stopped": lambda world: setattr(world, "stopped", "by ConfigMap ops/stop: disk full"),
    "the schedule is closed": lambda world: setattr(
        world, "spec", world.spec.model_copy(update={"schedule": FROZEN})
    ),
    "Gloo is silent": lambda world: setattr(world, "gloo_answers", False),
    "Gloo dislikes shares": lambda world: setattr(world, "disliked", frozenset(WEIGHTS[2:])),
    "Gloo dislikes everything": lambda world: setattr(world, "disliked", frozenset(WEIGHTS)),
    "the server refuses shares": lambda world: setattr(world, "refused", frozenset(WEIGHTS[1:])),
    "the candidate is not ready": lambda world: world.deploy(world.newest, ready=0),
    "the candidate is half ready": lambda world: world.deploy(world.newest, ready=1),
    "the candidate is not counted": lambda world: world.deploy(world.newest, counted=False),
    "stable is not ready": lambda world: world.deploy(world.stable, ready=0),
    "nobody is ready": _let_nobody_be_ready,
    "v1 is wanted": lambda world: _name_version(world, "v1"),
    "v9 is wanted": lambda world: _name_version(world, "v9"),
}
SETTLED_WITHIN = 300


class Rollouts(RuleBasedStateMachine):
    """One Canary through fair and foul weather; foul weather passes, what people did stays."""

    core = Core(decide_module.decide, decide_module.refuse, form_module.intended_form)

    @initialize(
        steps=LADDERS,
        testing=st.booleans(),
        shadowing=st.booleans(),
        baking=st.sampled_from(["0s", "30s"]),
        way=WAYS,
        then=THEN,
        ticks=st.integers(0, 45),
    )
    def begin(
        self,
        steps: Any,
        testing: bool,  # noqa: FBT001  # drawn
        shadowing: bool,  # noqa: FBT001  # drawn
        baking: str,
        way: dict[str, Any],
        then: str,
        ticks: int,
    ) -> None:
        self.ids = itertools.count(1)
        self.oracle = Oracle()
        self.fields: dict[str, Any] = {
            "shifting": {"steps": steps, "interval": "20s"},
            "destinations": "Upstreams",
            "shadowing": {"percentage": 10, "duration": "5s"} if shadowing else None,
            "testing": {"match": [STAGE], "duration": "5s", "requests": 5} if testing else None,
            "baking": {"duration": baking},
            "progressDeadline": "1m",
            "analysis": {**ANALYSIS, "blind": {"after": "8s", "then": then}, **way},
        }
        self.world = Weather(spec=spec(**self.fields))
        self.world.deploy("v1")
        self._run(10, GOOD)
        self.world.deploy("v2")
        self._run(ticks, GOOD)

    @rule(
        version=st.sampled_from(["v2", "v3"]),
        template=st.sampled_from(["a", "b", None]),
        ready=st.sampled_from([2, 2, 2, 0]),
        ticks=st.integers(0, 45),
        opinion=OPINION,
    )
    def release(self, version: str, template: str | None, ready: int, ticks: int, opinion: Opinion) -> None:
        self.world.deployments.pop(REVISIONS[version].deployment, None)
        self.world.deploy(version, hash=template or f"hash-{next(self.ids)}", ready=ready)
        self._run(ticks, opinion)

    @rule(opinion=OPINION, pause=PAUSES, ticks=TICKS)
    def tick(self, opinion: Opinion, pause: dt.timedelta, ticks: int) -> None:
        self._under_way(ticks)
        self.world.now += pause
        self._check_repetition(*self._tick(opinion))

    @rule(
        opinion=st.sampled_from([AWAY, AWAY, NO_DATA]),
        blind=st.integers(1, 12),
        besides=st.sampled_from([None, None, "hurried", "stable is not ready"]),
        ticks=TICKS,
    )
    def nothing_is_measured(self, opinion: Opinion, blind: int, besides: str | None, ticks: int) -> None:
        self._under_way(ticks)
        if besides in TROUBLES:
            TROUBLES[besides](self.world)
        self._run(blind, opinion)
        if besides == "hurried":
            self.world.command = Command(Do.PROMOTE, str(next(self.ids)), "ada")
        self._run(blind, opinion)
        self.world.clear_up()

    @rule(opinion=OPINION, recorded=st.booleans(), ticks=TICKS)
    def crashing_tick(self, opinion: Opinion, recorded: bool, ticks: int) -> None:  # noqa: FBT001  # drawn
        self._under_way(ticks)
        self._tick(opinion, recorded=recorded, moved=False)

    @rule(
        troubles=st.sets(st.sampled_from(sorted(TROUBLES)), min_size=1, max_size=2),
        opinion=OPINION,
        ticks=TICKS,
        pause=st.sampled_from([SECOND, 12 * SECOND, 45 * SECOND]),
    )
    def trouble(self, troubles: set[str], opinion: Opinion, ticks: int, pause: dt.timedelta) -> None:
        self._under_way(ticks)
        for name in sorted(troubles):
            TROUBLES[name](self.world)
        for _ in range(5):
            self._tick(opinion)
            self.world.now += pause
        self.world.clear_up()

    @rule(trouble=st.sampled_from(sorted(TROUBLES)), ticks=TICKS)
    def trouble_without_harm(self, trouble: str, ticks: int) -> None:
        self.trouble({trouble}, GOOD, ticks, 12 * SECOND)

    @rule(
        do=st.sampled_from([Do.PROMOTE, Do.PROMOTE_FULL]),
        trouble=st.sampled_from(sorted(TROUBLES)),
        ticks=TICKS,
    )
    def trouble_after_a_hurry(self, do: Do, trouble: str, ticks: int) -> None:
        self._under_way(ticks)
        self.world.command = Command(do, str(next(self.ids)), "ada")
        self._tick(GOOD)
        self.trouble({trouble}, GOOD, 0, SECOND)

    @rule(trouble=st.sampled_from(sorted(TROUBLES)), ticks=TICKS)
    def harm_in_trouble(self, trouble: str, ticks: int) -> None:
        self.trouble({trouble}, HARM, ticks, 12 * SECOND)

    @rule(
        do=st.sampled_from(Do),
        trouble=st.none() | st.sampled_from(sorted(TROUBLES)),
        opinion=OPINION,
        ticks=TICKS,
    )
    def command(self, do: Do, trouble: str | None, opinion: Opinion, ticks: int) -> None:
        self._under_way(ticks)
        if trouble is not None:
            TROUBLES[trouble](self.world)
        self.world.command = Command(do, str(next(self.ids)), "ada")
        for _ in range(4):
            self._tick(opinion)
            self.world.now += SECOND
        self.world.clear_up()

    @rule(
        version=VERSIONS,
        fields=st.sampled_from(
            [{"wanted": 2, "ready": 2}, {"wanted": 0}, {"wanted": 4}, {"hash": "a"}, {"hash": "b"}, {}, None]
        ),
        ticks=TICKS,
    )
    def people_change_a_deployment(self, version: str, fields: dict[str, Any] | None, ticks: int) -> None:
        self._under_way(ticks)
        if fields is None:
            self.world.deployments.pop(REVISIONS[version].deployment, None)
        else:
            self.world.deploy(version, **fields)
        self._tick(GOOD)

    @rule(contents=st.lists(CONTENTS, min_size=1, max_size=5), pause=PAUSES, ticks=TICKS)
    def people_edit_the_routes(self, contents: list[Content], pause: dt.timedelta, ticks: int) -> None:
        self._under_way(ticks)
        for content in contents:
            there = self.world.content
            testers = there.testers if content.weight is not None else frozenset()
            self.world.content = replace(content, testers=testers, copies=there.copies if testers else None)
            self.world.written_at = self.world.now
            self._tick(GOOD)
            self.world.now += pause

    @rule(edit=EDITS, ticks=TICKS)
    def people_edit_the_canary(self, edit: dict[str, Any], ticks: int) -> None:
        self._under_way(ticks)
        self.fields.update(edit)
        self.world.spec = spec(**self.fields)
        self._tick(GOOD)

    @rule(really=st.integers(0, 20))
    def people_delete_the_canary(self, really: int) -> None:
        self.world.deleting = self.world.deleting or really == 0

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self._settle()

    def _settle(self) -> None:
        """From anywhere, calm weather settles everything."""
        world = self.world
        world.clear_up()
        world.command = Command(Do.RESUME, str(next(self.ids)), "ada")
        for _ in range(SETTLED_WITHIN):
            before = (world.status, world.content, dict(world.deployments), world.finalizer, world.command)
            seen, decision = self._tick(GOOD)
            if decision.wake_at is None:
                break
            assert world.now < decision.wake_at
            world.now = decision.wake_at
        else:
            raise AssertionError(f"not settled: {world.status}")
        assert before == (
            world.status,
            world.content,
            dict(world.deployments),
            world.finalizer,
            world.command,
        )
        self._check_repetition(seen, decision)
        self._check_rest()

    def _check_rest(self) -> None:
        world, status = self.world, self.world.status
        assert world.command is None
        assert not world.finalizer
        if world.deleting:
            return
        assert at_rest(status.phase)
        assert status.stable is not None
        assert world.content == Content(status.stable.version)
        assert (status.approved, str(status.hurry), status.ending) == (False, "No", None)
        later = world.now + dt.timedelta(days=1)
        calm = replace(status, reasserted=0)
        seen = replace(world.see(self.core.intended_form(world.spec, calm)), now=later)
        much_later = self.core.decide(world.spec, calm, seen)
        assert (much_later.status, much_later.move, much_later.ask) == (calm, None, None)

    def _under_way(self, ticks: int) -> None:
        """Have a release going, so that whatever comes next matters."""
        if at_rest(self.world.status.phase):
            self.world.deploy(self.world.newest, hash=f"hash-{next(self.ids)}", wanted=2, ready=2)
            if self.world.newest == self.world.stable:
                self.world.deploy("v3" if self.world.stable != "v3" else "v2", created_at=self.world.now)
        self._run(ticks, GOOD)

    def _run(self, ticks: int, opinion: Opinion) -> None:
        for _ in range(ticks):
            _, decision = self._tick(opinion)
            self.world.now = decision.wake_at or self.world.now + SECOND

    def _tick(
        self, opinion: Opinion, *, recorded: bool = True, moved: bool = True
    ) -> tuple[Observation, Decision]:
        world, core = self.world, self.core
        seen = world.see(core.intended_form(world.spec, world.status))
        decision = core.decide(world.spec, world.status, seen)
        if decision.ask is not None:
            assert decision.move is None
            if decision.ask.name == Ask.SURVEY.name:  # a planted copy has an Ask of its own
                seen = replace(seen, survey=opinion.survey(world))
            else:
                seen = replace(seen, judgement=opinion.judgement(world))
            decision = core.decide(world.spec, world.status, seen)
            assert decision.ask is None
        self.oracle.check(world, seen, decision)
        if recorded:
            self._record(decision, seen)
            if moved and decision.move is not None:
                self._move(decision.move, seen)
        return seen, decision

    def _check_repetition(self, seen: Observation, decision: Decision) -> None:
        """Deciding again about the same world comes to rest at once: no hot loops."""
        quiet = replace(seen, survey=None, judgement=None, command=None)
        last = decision
        for _ in range(4):
            if last.move is not None or last.ask:
                return
            again = self.core.decide(self.world.spec, last.status, quiet)
            if again.status == last.status:
                return
            last = again
        raise AssertionError(f"never the same twice: {last.because}")

    def _record(self, decision: Decision, seen: Observation) -> None:
        before, self.world.status = self.world.status, decision.status
        self.oracle.recorded(before, decision.status, seen)

    def _move(self, move: Move, seen: Observation) -> None:
        world = self.world
        match move:
            case WriteRoutes(form):
                assert form == self.core.intended_form(world.spec, world.status)
                if form.weight in world.refused:
                    self._refused(seen)
                else:
                    world.write(form)
            case ScaleToZero(name, template):
                if world.deployments[name].hash == template:
                    world.deployments[name] = replace(world.deployments[name], wanted=0, ready=0)
            case DeleteDeployment(name, template):
                if world.deployments[name].hash == template:
                    del world.deployments[name]
            case ClearCommand(command_id):
                assert world.command is not None
                assert world.command.id == command_id == world.status.last_command
                world.command = None
            case RemoveUpstreams():
                raise AssertionError("subsets leave no Upstream behind")
            case SetFinalizer(present):
                assert present is not world.finalizer
                world.finalizer = present

    def _refused(self, seen: Observation) -> None:
        back = self.core.refuse(self.world.spec, self.world.status, seen, "the server said no")
        if back is None:
            return
        assert back.status.weight <= self.world.status.weight
        self._record(back, seen)
        if isinstance(back.move, WriteRoutes) and back.move.form.weight not in self.world.refused:
            self.world.write(back.move.form)
