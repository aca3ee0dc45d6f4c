"""One tick: observe, judge, decide, record the intent, make one move, and say why.

Recording before moving lets the API server's conflict check stop a stale or
second controller before it touches traffic; what a crash leaves half-done the
next tick finds as a difference between intent and routes.
"""

import contextlib
import datetime as dt
import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from config.canary import CanarySpec
from config.load import load_spec
from config.presets import Presets, presets_named_in
from config.problems import SpecError
from config.status import Held, HeldReason, Phase, Status, load_status
from controller.claims import claimed_by
from controller.errors import Conflict, EdgeError, Refused, Unavailable
from controller.measuring import Measuring
from controller.places import moved
from controller.ports import (
    ANNOTATION,
    FINALIZER,
    Archive,
    Canaries,
    CanaryObject,
    Clock,
    Events,
    Free,
    Key,
    KnownPresets,
    Line,
    NoPresets,
    RouteObjects,
    Templates,
    Tracing,
    Untraced,
    Workloads,
)
from controller.report import conditions, event
from controller.rollout.decide import decide, refuse
from controller.rollout.form import intended_form
from controller.rollout.moves import (
    ClearCommand,
    DeleteDeployment,
    Move,
    RemoveUpstreams,
    ScaleToZero,
    SetFinalizer,
    WriteRoutes,
)
from controller.rollout.observation import Command, Do, Observation
from controller.rollout.phase import AT_REST
from controller.rollout.situation import Ask, Decision
from controller.rollout.timeline import caught_up


ATTEMPTS = 3
"""How often a tick starts again because the Canary changed under it."""
RETRY = dt.timedelta(seconds=2)
LONG_RETRY = dt.timedelta(seconds=10)
"""When to look again after an edge failed: soon, then after twice the time, up to the longest."""

PATIENCE = dt.timedelta(minutes=1)
"""How long whoever does not answer is waited for before a human is asked."""

_MISTAKE = "Crossfade itself failed on this Canary, which is a bug: please report it with the log"

log = structlog.get_logger("reconcile")


@dataclass(frozen=True)
class Reconciler:
    """The tick and all that it needs; what it remembers itself are caches only."""

    canaries: Canaries
    workloads: Workloads
    routes: RouteObjects
    measuring: Measuring
    templates: Templates
    archive: Archive
    events: Events
    clock: Clock
    line: Line = field(default_factory=Free)
    platform: KnownPresets = field(default_factory=NoPresets)
    tracing: Tracing = field(default_factory=Untraced)
    _specs: dict[Key, "_Written"] = field(default_factory=dict)
    _stored: dict[Key, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    """The windows that the archive has, of those in the status."""

    def tick(self, key: Key) -> dt.datetime | None:
        """Bring one Canary one step further.

        Returns:
            When to look again at the latest; None if only a change can matter.

        Raises:
            EdgeError: the Canary could not be read or recorded, or a refused move not be taken back.

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
            except EdgeError:
                raise
            except Exception as error:
                self._say_crashed(canary, error)
                raise
        return self.clock.now() + RETRY

    def forget(self, key: Key) -> None:
        """Drop what is cached of a Canary that is gone."""
        self.measuring.forget(key)
        self._specs.pop(key, None)
        self._stored.pop(key, None)

    def _tick(self, canary: CanaryObject) -> dt.datetime | None:
        status = caught_up(load_status(canary.status), self.clock.now())
        spec, problem = self._spec(canary, status)
        if spec is None:
            self._stall(canary, status, problem)
            return None
        try:
            seen = self._observe(canary, spec, status, problem)
        except EdgeError as error:
            self._stall(canary, status, error)
            return self.clock.now() + RETRY
        decision = self._decide(spec, status, seen)
        match decision.ask:
            case Ask.SURVEY:
                with self.tracing.span("ask"):
                    survey, status = self.measuring.survey(canary.key, spec, status)
                seen = replace(self._observe(canary, spec, status, problem), survey=survey)
                decision = self._decide(spec, status, seen)
            case Ask.EVIDENCE:
                status = self._without_stored(canary.key, status)
                with self.tracing.span("ask"):
                    judgement, status = self.measuring.weigh(canary.key, spec, status)
                seen = replace(self._observe(canary, spec, status, problem), judgement=judgement)
                decision = self._decide(spec, status, seen)
            case None:
                pass
        return self._carry_out(canary, spec, seen, decision)

    def _spec(self, canary: CanaryObject, status: Status) -> tuple[CanarySpec | None, str]:
        """Read the spec; an edit that cannot be followed leaves the last one in force, and nothing rises."""
        spec, problem = self._as_written(canary, status)
        last = _last_spec(status)
        if last is None:
            return spec, problem
        if spec is None:
            return last, problem
        if place := moved(last, spec):
            version = status.candidate.version if status.candidate else ""
            return last, f"{place} cannot change while {version} is being released: undo that, or abort first"
        return spec, ""

    def _as_written(self, canary: CanaryObject, status: Status) -> tuple[CanarySpec | None, str]:
        """Read the spec; a rollout under way keeps the platform's presets that it began with."""
        known = self._specs.get(canary.key)
        templates = self.templates.of(canary.key.namespace)
        presets = {**self.platform.presets(), **(status.observed_presets or {})}
        read = (canary.generation, templates, presets)
        if known is None or (known.generation, known.templates, known.presets) != read:
            try:
                spec, problem = load_spec(canary.spec, templates, presets), ""
            except SpecError as error:
                spec, problem = None, str(error)
            known = _Written(*read, spec, problem)
            self._specs[canary.key] = known
        return known.spec, known.problem

    def _named_presets(self, canary: CanaryObject) -> dict[str, Any]:
        """Give those of the platform's presets that the spec was read with, as far as it names them."""
        known = self._specs.get(canary.key)
        presets = known.presets if known else {}
        named = presets_named_in(canary.spec)
        return {name: presets[name] for name in sorted(named & presets.keys())}

    def _observe(self, canary: CanaryObject, spec: CanarySpec, status: Status, problem: str) -> Observation:
        with self.tracing.span("observe"):
            return Observation(
                now=self.clock.now(),
                generation=canary.generation,
                workloads=self.workloads.find(canary.key.namespace, spec),
                routes=self.routes.of(canary.key.namespace).see(spec, intended_form(spec, status)),
                command=_command(canary),
                problem=problem,
                stopped=self.line.stopped(),
                claimed_by=claimed_by(canary, self.canaries.rivals(canary)),
                deleting=canary.deleting,
                finalizer=FINALIZER in canary.finalizers,
            )

    def _decide(self, spec: CanarySpec, status: Status, seen: Observation) -> Decision:
        with self.tracing.span("decide"):
            return decide(spec, status, seen)

    def _without_stored(self, key: Key, status: Status) -> Status:
        """Let go of the windows that are stored; with the next one the status is written anyway."""
        stored = self._stored.get(key, ())
        return replace(status, windows=tuple(each for each in status.windows if each not in stored))

    def _carry_out(
        self, canary: CanaryObject, spec: CanarySpec, seen: Observation, decision: Decision
    ) -> dt.datetime | None:
        before = load_status(canary.status)
        after = self._complete(canary, decision.status, spec, seen)
        recorded, wake_at = self._record(canary, before, after), decision.wake_at
        try:
            if decision.move is not None:
                self._make(recorded, spec, decision.move)
        except Conflict as error:
            log.warning("move.conflict", canary=str(canary.key), error=str(error))
            wake_at = seen.now + RETRY
        except EdgeError as error:
            log.warning("move.failed", canary=str(canary.key), error=str(error))
            after = self._taken_back(recorded, spec, seen, after, error) or self._failed(
                recorded, spec, seen, _Failure(before, after, decision.move, error)
            )
            lasted = seen.now - after.held.since if after.held else RETRY
            wake_at = seen.now + min(max(RETRY, lasted), LONG_RETRY)
        self._tell(recorded, before, after)
        self._store(recorded, before, after)
        return wake_at

    def _complete(self, canary: CanaryObject, status: Status, spec: CanarySpec, seen: Observation) -> Status:
        under_way = status.candidate is not None and status.phase is not Phase.ROLLED_BACK
        observed = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True) if under_way else None
        kept = {**(status.observed_presets or {}), **self._named_presets(canary)} if under_way else {}
        status = replace(status, observed_spec=observed, observed_presets=kept or None)
        return replace(status, conditions=conditions(status, seen.now))

    def _record(self, canary: CanaryObject, before: Status, after: Status) -> CanaryObject:
        if after == before:
            return canary
        with self.tracing.span("record"):
            return self.canaries.record(canary, after)

    def _make(self, canary: CanaryObject, spec: CanarySpec, move: Move) -> None:
        namespace = canary.key.namespace
        with self.tracing.span("move"):
            match move:
                case WriteRoutes(form):
                    self.routes.of(namespace).write(spec, form, lambda: self._stand_by(canary))
                case RemoveUpstreams(form):
                    self.routes.of(namespace).remove(spec, form)
                case ScaleToZero(deployment, template_hash):
                    self.workloads.scale_to_zero(namespace, deployment, template_hash)
                case DeleteDeployment(deployment, template_hash):
                    self.workloads.delete(namespace, deployment, template_hash)
                case ClearCommand(command_id):
                    self.canaries.clear_command(canary, command_id)
                case SetFinalizer(present):
                    self.canaries.set_finalizer(canary, present=present)

    def _stand_by(self, canary: CanaryObject) -> None:
        """Raise Conflict if the Canary has moved on since the intent was recorded."""
        now = self.canaries.refresh(canary.key)
        if now is None or now.resource_version != canary.resource_version:
            raise Conflict(f"Canary {canary.key} has changed since this was decided")

    def _taken_back(
        self, canary: CanaryObject, spec: CanarySpec, seen: Observation, intended: Status, error: EdgeError
    ) -> Status | None:
        """Take back a rise that was refused; None if that is not what happened."""
        back = refuse(spec, intended, seen, str(error)) if isinstance(error, Refused) else None
        if back is None:
            return None
        after = self._complete(canary, back.status, spec, seen)
        recorded = self.canaries.record(canary, after)
        if back.move is not None:
            self._make(recorded, spec, back.move)
        return after

    def _failed(
        self, canary: CanaryObject, spec: CanarySpec, seen: Observation, failure: "_Failure"
    ) -> Status:
        """Record that a move failed, and since when; that is no drift, and is tried again."""
        held = _stalled(failure.error, failure.before.held, seen.now)
        after = replace(failure.intended, held=held, reason=held.message)
        if isinstance(failure.move, WriteRoutes):
            counted = min(failure.before.reasserted, failure.intended.reasserted)
            after = replace(after, reasserted=counted, reasserted_at=seen.now)
        after = self._complete(canary, after, spec, seen)
        self._record(canary, failure.intended, after)
        return after

    def _store(self, canary: CanaryObject, before: Status, after: Status) -> None:
        """Store what `explain` wants to know; the rollout does not wait for it."""
        news = after.windows != before.windows or after.phase not in AT_REST
        if not news or not after.windows or after.windows == self._stored.get(canary.key):
            return
        try:
            self.archive.save(canary, after)
        except EdgeError as error:
            log.warning("windows.not_stored", canary=str(canary.key), error=str(error))
        else:
            self._stored[canary.key] = after.windows

    def _stall(self, canary: CanaryObject, before: Status, problem: str | EdgeError) -> None:
        """Say why a Canary cannot be looked after; one that releases nothing may be deleted all the same."""
        if canary.deleting and before.observed_spec is None:
            if FINALIZER in canary.finalizers:
                self.canaries.set_finalizer(canary, present=False)
            return
        now = self.clock.now()
        held = _stalled(problem, before.held, now)
        after = replace(before, held=held, reason=held.message, observed_generation=canary.generation)
        after = replace(after, conditions=conditions(after, now))
        self._record(canary, before, after)
        self._tell(canary, before, after)

    def _say_crashed(self, canary: CanaryObject, error: Exception) -> None:
        """Say on the Canary itself that looking at it ends in a mistake of ours; never its words, only where.

        Whoever made the object that led to it finds out; the words may hold anything, and are in the log.
        """
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
        with contextlib.suppress(Exception):  # whatever led to the mistake may lead to it here
            self._stall(canary, load_status(canary.status), f"{_MISTAKE} ({where}); tried again ever later")

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


@dataclass(frozen=True, slots=True)
class _Written:
    """A spec as somebody wrote it: what was read from it, or what is wrong with it."""

    generation: int
    templates: Mapping[str, Mapping[str, Any]]
    presets: Presets
    spec: CanarySpec | None
    problem: str


@dataclass(frozen=True, slots=True)
class _Failure:
    """A move that failed: what was recorded before it, what it was for, and why."""

    before: Status
    intended: Status
    move: Move | None
    error: EdgeError


def _stalled(problem: str | EdgeError, before: Held | None, now: dt.datetime) -> Held:
    """Say what is in the way; whoever does not answer for a moment is waited for without a human."""
    since = before.since if before is not None and before.reason is HeldReason.STALLED else now
    passing = isinstance(problem, Unavailable) and now < since + PATIENCE
    return Held(HeldReason.STALLED, str(problem), since, needs_human=not passing)


def _last_spec(status: Status) -> CanarySpec | None:
    """Read the spec that the rollout under way was last seen with."""
    try:
        return None if status.observed_spec is None else load_spec(status.observed_spec)
    except SpecError:
        return None


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
