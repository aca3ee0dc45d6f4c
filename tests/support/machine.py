"""A state machine that releases, meddles, loses writes and lies, and watches every decision."""

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from config.canary import CanarySpec
from config.status import Status
from controller.rollout import decide as decide_module
from controller.rollout import form as form_module
from controller.rollout.moves import (
    ClearCommand,
    DeleteDeployment,
    Form,
    Move,
    ScaleToZero,
    SetFinalizer,
    WriteRoutes,
)
from controller.rollout.observation import Command, Do, Observation
from controller.rollout.situation import Decision
from oracle import Oracle
from situations import SECOND, STAGE, spec
from weather import GOOD, OPINIONS, REVISIONS, Content, Opinion, Weather, at_rest


class Core(NamedTuple):
    """The functions under test."""

    decide: Callable[[CanarySpec, Status, Observation], Decision]
    refuse: Callable[[CanarySpec, Status, Observation, str], Decision | None]
    intended_form: Callable[[CanarySpec, Status], Form | None]


LADDERS = st.sampled_from([[100], [50], [10, 60], {"start": 30, "increment": 40}])
VERSIONS = st.sampled_from(["v2", "v2", "v2", "v3", "v1"])
WEIGHTS: tuple[int | None, ...] = (None, 0, *range(1, 101))
PAUSES = st.sampled_from([SECOND / 2, 5 * SECOND, 25 * SECOND, dt.timedelta(minutes=2)])
OPINION = st.sampled_from(OPINIONS)
OTHER_STAGE = {"methods": ["PUT"]}
CONTENTS = st.sampled_from(
    [Content("v1"), Content("v2"), Content("v1", "v2", 50), Content("v1", "v2", 100), Content("v3", "v1", 10)]
)
EDITS = st.one_of(
    st.builds(lambda steps: {"shifting": {"steps": steps, "interval": "20s"}}, LADDERS),
    st.sampled_from(
        [{"testing": None}, {"testing": {"match": [STAGE]}}, {"testing": {"match": [OTHER_STAGE]}}]
    ),
    st.sampled_from(["v1", "v2", "v9", None]).map(
        lambda version: {"workload": {"selector": {"app": "echo"}, "version": version}}
    ),
)
TROUBLES: dict[str, Callable[[Weather], None]] = {
    "a problem": lambda world: setattr(world, "problem", "spec: wrong"),
    "a claim": lambda world: setattr(world, "claimed_by", "route belongs to another Canary"),
    "paused": lambda world: setattr(world, "spec", world.spec.model_copy(update={"paused": True})),
    "Gloo is silent": lambda world: setattr(world, "gloo_answers", False),
    "Gloo dislikes shares": lambda world: setattr(world, "disliked", frozenset(WEIGHTS[2:])),
    "Gloo dislikes everything": lambda world: setattr(world, "disliked", frozenset(WEIGHTS)),
    "the server refuses shares": lambda world: setattr(world, "refused", frozenset(WEIGHTS[1:])),
    "v2 is not ready": lambda world: world.deploy("v2", ready=0),
    "v2 is half ready": lambda world: world.deploy("v2", ready=1),
    "v2 is not counted": lambda world: world.deploy("v2", counted=False),
    "v1 is not ready": lambda world: world.deploy("v1", ready=0),
}
SETTLED_WITHIN = 300


class Rollouts(RuleBasedStateMachine):
    """One Canary through fair and foul weather; foul weather passes, what people did stays."""

    core = Core(decide_module.decide, decide_module.refuse, form_module.intended_form)

    @initialize(
        steps=LADDERS,
        testing=st.booleans(),
        baking=st.sampled_from(["0s", "30s"]),
        ticks=st.integers(0, 45),
    )
    def begin(self, steps: Any, testing: bool, baking: str, ticks: int) -> None:  # noqa: FBT001  # drawn
        self.ids = itertools.count(1)
        self.oracle = Oracle()
        self.fields: dict[str, Any] = {
            "shifting": {"steps": steps, "interval": "20s"},
            "testing": {"match": [STAGE], "duration": "5s", "requests": 5} if testing else None,
            "baking": {"duration": baking},
            "progressDeadline": "1m",
        }
        self.world = Weather(spec=spec(**self.fields))
        self.world.deploy("v1")
        self._run(10, GOOD)
        self.world.deploy("v2")
        self._run(ticks, GOOD)

    @rule(ticks=st.integers(1, 30))
    def run_calmly(self, ticks: int) -> None:
        self._run(ticks, GOOD)

    @rule(opinion=OPINION, pause=PAUSES)
    def tick(self, opinion: Opinion, pause: dt.timedelta) -> None:
        self.world.now += pause
        self._check_repetition(*self._tick(opinion))

    @rule(opinion=OPINION, recorded=st.booleans())
    def crashing_tick(self, opinion: Opinion, recorded: bool) -> None:  # noqa: FBT001  # drawn
        self._tick(opinion, recorded=recorded, moved=False)

    @rule(
        troubles=st.sets(st.sampled_from(sorted(TROUBLES)), min_size=1, max_size=2),
        opinion=OPINION,
        pauses=st.lists(PAUSES, min_size=1, max_size=4),
    )
    def trouble(self, troubles: set[str], opinion: Opinion, pauses: list[dt.timedelta]) -> None:
        for name in sorted(troubles):
            TROUBLES[name](self.world)
        for pause in pauses:
            self._tick(opinion)
            self.world.now += pause
        self._tick(opinion)
        self.world.clear_up()

    @rule(do=st.sampled_from(Do), opinion=OPINION, ticks=st.integers(1, 4))
    def command(self, do: Do, opinion: Opinion, ticks: int) -> None:
        self.world.command = Command(do, str(next(self.ids)), "ada")
        self._run(ticks, opinion)

    @rule(
        version=VERSIONS,
        fields=st.sampled_from(
            [{"wanted": 2, "ready": 2}, {"wanted": 0}, {"wanted": 4}, {"hash": "a"}, {"hash": "b"}, {}, None]
        ),
    )
    def people_change_a_deployment(self, version: str, fields: dict[str, Any] | None) -> None:
        if fields is None:
            self.world.deployments.pop(REVISIONS[version].deployment, None)
        else:
            self.world.deploy(version, **fields)
        self._tick(GOOD)

    @rule(content=CONTENTS, ticks=st.integers(1, 4))
    def people_edit_the_routes(self, content: Content, ticks: int) -> None:
        testers = self.world.content.testers if content.weight is not None else frozenset()
        self.world.content = replace(content, testers=testers)
        self.world.written_at = self.world.now
        self._run(ticks, GOOD)

    @rule(edit=EDITS)
    def people_edit_the_canary(self, edit: dict[str, Any]) -> None:
        self.fields.update(edit)
        self.world.spec = spec(**self.fields)
        self._tick(GOOD)

    @rule(really=st.integers(0, 5))
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
        assert (much_later.status, much_later.move, much_later.ask) == (calm, None, False)

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
        if decision.ask:
            assert decision.move is None
            seen = replace(seen, judgement=opinion.judgement(seen.now))
            decision = core.decide(world.spec, world.status, seen)
            assert not decision.ask
        self.oracle.check(world, seen, decision)
        if recorded:
            self._record(decision, seen)
            if moved and decision.move is not None:
                self._move(decision.move, seen)
        return seen, decision

    def _check_repetition(self, seen: Observation, decision: Decision) -> None:
        """Deciding again about the same world comes to rest at once: no hot loops."""
        quiet = replace(seen, judgement=None, command=None)
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
