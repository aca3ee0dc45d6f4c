"""One tick: observe, judge, decide, record the intent, make one move, and say why.

Recording before moving lets the API server's conflict check stop a stale or
second controller before it touches traffic; what a crash leaves half-done the
next tick finds as a difference between intent and routes.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from analysis.counters import Baseline
from analysis.judge import judge
from analysis.queries import Query, Subject, queries_for
from analysis.readings import count
from analysis.verdict import Judgement
from config.canary import CanarySpec
from config.load import load_spec
from config.problems import SpecError
from config.status import Held, HeldReason, Phase, Status, load_status
from controller.errors import Conflict, EdgeError, Refused
from controller.ports import (
    ANNOTATION,
    FINALIZER,
    Canaries,
    CanaryObject,
    Clock,
    Events,
    Evidence,
    Key,
    RouteObjects,
    Workloads,
)
from controller.report import conditions, event
from controller.rollout.decide import decide, refuse
from controller.rollout.form import intended_form
from controller.rollout.moves import (
    ClearCommand,
    DeleteDeployment,
    Move,
    ScaleToZero,
    SetFinalizer,
    WriteRoutes,
)
from controller.rollout.observation import Command, Do, Observation
from controller.rollout.situation import Decision


ATTEMPTS = 3
"""How often a tick starts again because the Canary changed under it."""
RETRY = dt.timedelta(seconds=2)
"""When to look again after an edge failed."""
LONGEST_WINDOW = dt.timedelta(minutes=5)
"""Of `{{ window }}`, so that an old step does not dilute a new failure."""

log = structlog.get_logger("reconcile")


@dataclass(frozen=True)
class Reconciler:
    """The tick and all that it needs; what it remembers itself are caches only."""

    canaries: Canaries
    workloads: Workloads
    routes: RouteObjects
    evidence: Evidence
    events: Events
    clock: Clock
    _baselines: dict[Key, Baseline] = field(default_factory=dict)
    _specs: dict[Key, tuple[int, CanarySpec]] = field(default_factory=dict)

    def tick(self, key: Key) -> dt.datetime | None:
        """Bring one Canary one step further.

        Returns:
            When to look again at the latest; None if only a change can matter.

        Raises:
            EdgeError: the Canary itself could not be read or recorded.

        """
        canary = self.canaries.get(key)
        for _ in range(ATTEMPTS):
            if canary is None:
                self.forget(key)
                return None
            try:
                return self._tick(canary)
            except Conflict:
                canary = self.canaries.refresh(key)
        return self.clock.now() + RETRY

    def forget(self, key: Key) -> None:
        """Drop what is cached of a Canary that is gone."""
        self._baselines.pop(key, None)
        self._specs.pop(key, None)

    def _tick(self, canary: CanaryObject) -> dt.datetime | None:
        status = load_status(canary.status)
        spec, problem = self._spec(canary, status)
        if spec is None:
            return self._stall(canary, status, problem)
        seen = self._observe(canary, spec, status, problem)
        decision = decide(spec, status, seen)
        if decision.ask:
            judgement, baseline = self._weigh(canary.key, spec, status)
            seen = replace(self._observe(canary, spec, status, problem), judgement=judgement)
            decision = decide(spec, status, seen)
            woken = self._carry_out(canary, spec, seen, decision)
            self._baselines[canary.key] = baseline
            return woken
        return self._carry_out(canary, spec, seen, decision)

    def _spec(self, canary: CanaryObject, status: Status) -> tuple[CanarySpec | None, str]:
        """Read the spec; a broken edit leaves the last valid one in force, and nothing rises."""
        known = self._specs.get(canary.key)
        if known is not None and known[0] == canary.generation:
            return known[1], ""
        try:
            spec = load_spec(canary.spec)
        except SpecError as error:
            last = status.observed_spec
            return (load_spec(last) if last is not None else None), str(error)
        self._specs[canary.key] = (canary.generation, spec)
        return spec, ""

    def _observe(self, canary: CanaryObject, spec: CanarySpec, status: Status, problem: str) -> Observation:
        return Observation(
            now=self.clock.now(),
            generation=canary.generation,
            workloads=self.workloads.find(canary.key.namespace, spec),
            routes=self.routes.see(spec, intended_form(spec, status)),
            command=_command(canary),
            problem=problem,
            claimed_by=_claimed_by(canary, self.canaries.all()),
            deleting=canary.deleting,
            finalizer=FINALIZER in canary.finalizers,
        )

    def _weigh(self, key: Key, spec: CanarySpec, status: Status) -> tuple[Judgement, Baseline]:
        now = self.clock.now()
        queries = queries_for(spec.analysis, _subject(key, spec, status, now))
        before = self._baseline(key, queries, status)
        baseline, readings = count(spec.analysis, before, queries, self.evidence.ask(queries, now))
        return judge(spec.analysis, status.metrics, readings, now), baseline

    def _baseline(self, key: Key, queries: tuple[Query, ...], status: Status) -> Baseline | None:
        """Give the counters of the last evaluation; if another process made it, Prometheus still knows them."""
        if status.evaluated_at is None:
            return None
        return self._baselines.get(key) or Baseline.of(self.evidence.ask(queries, status.evaluated_at))

    def _carry_out(
        self, canary: CanaryObject, spec: CanarySpec, seen: Observation, decision: Decision
    ) -> dt.datetime | None:
        before = load_status(canary.status)
        after = _complete(decision.status, spec, seen)
        recorded = self._record(canary, before, after)
        try:
            if decision.move is not None:
                self._make(recorded, spec, decision.move)
        except Conflict as error:
            log.warning("move.conflict", canary=str(canary.key), error=str(error))
            return seen.now + RETRY
        except EdgeError as error:
            after = self._failed(recorded, spec, seen, after, error)
            self._tell(recorded, before, after)
            return seen.now + RETRY
        self._tell(recorded, before, after)
        return seen.now if decision.move is not None else decision.wake_at

    def _record(self, canary: CanaryObject, before: Status, after: Status) -> CanaryObject:
        return canary if after == before else self.canaries.record(canary, after)

    def _make(self, canary: CanaryObject, spec: CanarySpec, move: Move) -> None:
        namespace = canary.key.namespace
        match move:
            case WriteRoutes(form):
                self.routes.write(spec, form)
            case ScaleToZero(deployment, template_hash):
                self.workloads.scale_to_zero(namespace, deployment, template_hash)
            case DeleteDeployment(deployment, template_hash):
                self.workloads.delete(namespace, deployment, template_hash)
            case ClearCommand(command_id):
                self.canaries.clear_command(canary, command_id)
            case SetFinalizer(present):
                self.canaries.set_finalizer(canary, present=present)

    def _failed(
        self, canary: CanaryObject, spec: CanarySpec, seen: Observation, intended: Status, error: EdgeError
    ) -> Status:
        """Record that a move failed: take back what was refused, else say so and try again."""
        log.warning("move.failed", canary=str(canary.key), error=str(error))
        if isinstance(error, Refused) and (back := refuse(spec, intended, seen, str(error))) is not None:
            after = _complete(back.status, spec, seen)
            recorded = self.canaries.record(canary, after)
            if back.move is not None:
                self._make(recorded, spec, back.move)
            return after
        held = Held(HeldReason.STALLED, str(error), seen.now, needs_human=True)
        retried = max(0, intended.reasserted - 1)
        after = _complete(replace(intended, held=held, reason=str(error), reasserted=retried), spec, seen)
        self._record(canary, intended, after)
        return after

    def _stall(self, canary: CanaryObject, before: Status, problem: str) -> None:
        """Say what is wrong with a Canary whose spec was never valid; there is nothing to go back from."""
        now = self.clock.now()
        since = before.held.since if before.held else now
        held = Held(HeldReason.STALLED, problem, since, needs_human=True)
        after = replace(before, held=held, reason=problem, observed_generation=canary.generation)
        after = replace(after, conditions=conditions(after, now))
        self._record(canary, before, after)
        self._tell(canary, before, after)

    def _tell(self, canary: CanaryObject, before: Status, after: Status) -> None:
        if after.reason != before.reason:
            log.info(
                "tick",
                canary=str(canary.key),
                phase=str(after.phase),
                weight=after.weight,
                because=after.reason,
            )
        if (news := event(before, after)) is not None:
            self.events.publish(canary, news)


def _complete(status: Status, spec: CanarySpec, seen: Observation) -> Status:
    under_way = status.candidate is not None and status.phase is not Phase.ROLLED_BACK
    observed = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True) if under_way else None
    status = replace(status, observed_spec=observed)
    return replace(status, conditions=conditions(status, seen.now))


def _subject(key: Key, spec: CanarySpec, status: Status, now: dt.datetime) -> Subject:
    begun = status.step_started_at or now
    window = min(max(now - begun, spec.analysis.interval), LONGEST_WINDOW)
    return Subject(
        name=key.name,
        namespace=key.namespace,
        upstream=spec.upstream.name,
        stable=status.stable,
        candidate=status.candidate,
        window=window,
    )


def _command(canary: CanaryObject) -> Command | None:
    text = canary.annotations.get(ANNOTATION)
    if text is None:
        return None
    try:
        order = json.loads(text)
        return Command(
            Do(order["do"]),
            str(order["id"]),
            str(order.get("by") or "unknown")[:128],
            str(order.get("reason") or "")[:256],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("command.unreadable", canary=str(canary.key), annotation=text[:200])
        return None


def _claimed_by(canary: CanaryObject, others: tuple[CanaryObject, ...]) -> str:
    """Find an older Canary with the same routes, or with Deployments in common."""
    mine = (canary.created_at, canary.uid)
    for other in others:
        if other.key == canary.key or (other.created_at, other.uid) > mine:
            continue
        if shared := _shared(
            canary.spec, other.spec, same_namespace=other.key.namespace == canary.key.namespace
        ):
            return f"{shared} belongs to the older Canary {other.key}"
    return ""


def _shared(mine: Mapping[str, Any], others: Mapping[str, Any], *, same_namespace: bool) -> str:
    theirs = [_route(route) for route in others.get("routes") or ()]
    for route in mine.get("routes") or ():
        if _route(route) in theirs:
            return "route {} {}/{}".format(*_route(route))
    if not same_namespace:
        return ""
    left, right = _selector(mine), _selector(others)
    if left and right and (left <= right or right <= left):
        return "spec.workload.selector " + ",".join(f"{key}={value}" for key, value in sorted(left))
    return ""


def _route(route: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(route.get("kind", "VirtualService")), str(route.get("namespace")), str(route.get("name"))


def _selector(spec: Mapping[str, Any]) -> set[tuple[str, str]]:
    selector = (spec.get("workload") or {}).get("selector") or {}
    return {(str(key), str(value)) for key, value in selector.items()}
