"""A cluster, a Prometheus and a clock in memory, behind the ports of a tick.

Every request passes one gate, where it is counted, and where a test may let it
fail, lose its answer, or kill the process.
"""

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from analysis.queries import Query
from analysis.samples import Answer, Failure, History, Moment, Sample
from config.canary import CanarySpec
from config.status import Status, dump_status, load_status
from controller.errors import Conflict, Unavailable
from controller.measuring import Measuring
from controller.ports import ANNOTATION, FINALIZER, CanaryObject, Key
from controller.reconcile import Reconciler
from controller.report import Event
from controller.rollout.form import intended_form
from controller.rollout.moves import Form
from controller.rollout.observation import Do, Routes, Workload
from situations import MATCH, SECOND, T0, V1
from weather import Weather


T = TypeVar("T")
KEY = Key("echo", "echo")
RATE = 100
"""Requests per second of all users; testers send a tenth."""
SCRAPE = 1.0
"""Seconds between two scrapes."""
PAST = {"v1": (1_000_000, 0)}
"""Requests and bad ones by version, of the time before a test."""
READS = {"refresh"}
SELECTED = re.compile(r'^(bad|total)\{version="([^"]*)"\}$')
SPEC: dict[str, Any] = {
    "workload": {"selector": {"app": "echo"}},
    "upstream": {"name": "echo", "namespace": "gloo-system"},
    "routes": [{"kind": "VirtualService", "name": "echo", "namespace": "gloo-system"}],
    "testing": {"match": [MATCH.model_dump(mode="json", by_alias=True, exclude_defaults=True)]},
    "shifting": {"steps": [20, 100], "interval": "10s"},
    "analysis": {
        "interval": "5s",
        "minRequests": 20,
        "metrics": [
            {
                "name": "errors",
                "ratio": {
                    "bad": 'bad{version="{{ version }}"}',
                    "total": 'total{version="{{ version }}"}',
                },
                "max": "1%",
            }
        ],
    },
}


class Killed(BaseException):
    """The process is gone."""


def pass_on(_operation: str, effect: Callable[[], T]) -> T:
    """Let a request do what it should."""
    return effect()


@dataclass
class World:
    """One Canary `echo/echo`, adopted at v1 unless said otherwise, and everything around it."""

    weather: Weather = field(default_factory=Weather)
    document: CanaryObject = field(
        default_factory=lambda: CanaryObject(
            KEY, "uid-1", "1", 1, T0, {}, (), deleting=False, spec=SPEC, status={}
        )
    )
    others: tuple[CanaryObject, ...] = ()
    gate: Callable[[str, Callable[[], Any]], Any] = pass_on
    error_rates: dict[str, float] = field(default_factory=dict)
    prometheus_answers: bool = True
    unmeasured: frozenset[str] = frozenset()
    """Versions that Prometheus has no series of."""
    unlisted: str = ""
    """Why the Deployments are not known."""
    stored: list[dict[str, Any]] = field(default_factory=list)
    """Windows in the archive."""
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    published: list[Event] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)
    asked_at: dt.datetime | None = None
    wake_at: dt.datetime | None = None
    _history: list[tuple[dt.datetime, dict[str, tuple[int, int]]]] = field(
        default_factory=lambda: [(T0, PAST)]
    )

    def __post_init__(self) -> None:
        """Let v1 run."""
        self.weather.deploy("v1")
        self.reconciler = self.started()

    def started(self) -> Reconciler:
        """Start a process that remembers nothing."""
        return Reconciler(
            canaries=CanaryPort(self),
            workloads=WorkloadPort(self),
            routes=RoutePort(self),
            measuring=Measuring(EvidencePort(self), ClockPort(self)),
            templates=TemplatePort(self),
            archive=ArchivePort(self),
            events=EventPort(self),
            clock=ClockPort(self),
        )

    @property
    def status(self) -> Status:
        """What is recorded."""
        return load_status(self.document.status)

    @property
    def reasons(self) -> list[str]:
        """The events so far, by reason."""
        return [event.reason for event in self.published]

    @property
    def writes(self) -> int:
        """How many requests have changed something."""
        return sum(count for name, count in self.operations.items() if name not in {*READS, "ask"})

    @property
    def reads(self) -> int:
        """How many requests have read something from the API server."""
        return sum(self.operations[name] for name in READS)

    def edit(self, **spec: Any) -> None:
        """Apply the Canary with these fields of its spec changed."""
        self.change(spec={**self.document.spec, **spec}, generation=self.document.generation + 1)

    def order(self, do: Do, order_id: str = "1") -> None:
        """Write a command into the annotation."""
        text = json.dumps({"do": do, "id": order_id, "by": "ada", "reason": "because"})
        self.change(annotations={ANNOTATION: text})

    def change(self, **fields: Any) -> None:
        """Change the object as anybody may, at a new resourceVersion."""
        version = str(int(self.document.resource_version) + 1)
        self.document = replace(self.document, resource_version=version, **fields)

    def tick(self) -> dt.datetime | None:
        """Run one tick now."""
        self.wake_at = self.reconciler.tick(KEY)
        return self.wake_at

    def advance(self, pause: dt.timedelta) -> None:
        """Let time pass, and users send requests."""
        counters = dict(self._history[-1][1])
        for version, rate in self._rates().items():
            total, bad = counters.get(version, (0, 0))
            more = int(rate * pause.total_seconds())
            counters[version] = total + more, bad + round(more * self.error_rates.get(version, 0))
        self.weather.now += pause
        self._history.append((self.weather.now, counters))

    def run(self, until: Callable[[], bool], within: int = 120) -> None:
        """Tick whenever it is due until something is so; a minute apart is the slowest."""
        for _ in range(within):
            if until():
                return
            self.tick()
            now = self.weather.now
            wake = self.wake_at if self.wake_at is not None else now + 60 * SECOND
            self.advance(max(wake - now, SECOND / 10))
        raise AssertionError(f"{self.status.phase} {self.status.weight}: {self.status.reason}")

    def rest(self) -> None:
        """Tick until nothing is written any more and nothing is due."""
        for _ in range(60):
            written = self.writes
            self.tick()
            if self.writes == written and self.wake_at is None:
                return
            self.advance(max((self.wake_at or self.weather.now) - self.weather.now, SECOND / 10))
        raise AssertionError(f"no rest: {self.status.phase} {self.status.reason}")

    def counters(self, at: dt.datetime) -> dict[str, tuple[int, int]]:
        """Give requests and bad ones by version at some time."""
        known = [counters for time, counters in self._history if time <= at]
        if known:
            return known[-1]
        since = round(RATE * (T0 - at).total_seconds())
        return {version: (total - since, bad) for version, (total, bad) in PAST.items()}

    def request(self, operation: str, effect: Callable[[], T]) -> T:
        """Send a request through the gate."""
        self.operations[operation] += 1
        answer: T = self.gate(operation, effect)
        return answer

    def _rates(self) -> dict[str, float]:
        content = self.weather.content
        share = (content.weight or 0) / 100
        rates: dict[str, float] = {version: RATE / 10 for _, version in content.testers}
        for version, part in ((content.stable or V1.version, 1 - share), (content.candidate, share)):
            if version is not None:
                rates[version] = rates.get(version, 0) + RATE * part
        return {version: rate for version, rate in rates.items() if rate}


@dataclass(frozen=True)
class CanaryPort:
    """Implements `controller.ports.Canaries`."""

    world: World

    def get(self, key: Key) -> CanaryObject | None:
        return self.world.document if key == KEY else None

    def all(self) -> Sequence[CanaryObject]:
        return (self.world.document, *self.world.others)

    def rivals(self, canary: CanaryObject) -> Sequence[CanaryObject]:
        return self.all()

    def refresh(self, key: Key) -> CanaryObject | None:
        return self.world.request("refresh", lambda: self.get(key))

    def record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        return self.world.request("record", lambda: self._record(canary, status))

    def _record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        if canary.resource_version != self.world.document.resource_version:
            raise Conflict("the Canary has changed")
        self._check_rise(self.world.status, status)
        stored = json.loads(json.dumps(dump_status(status)))
        self.world.change(status=stored)
        return self.world.document

    def _check_rise(self, before: Status, after: Status) -> None:
        hurried = (
            str(before.hurry) != "No" or str(after.hurry) != "No" or before.last_command != after.last_command
        )
        if after.weight > before.weight and not hurried:
            assert self.world.asked_at == self.world.weather.now, "a rise without having asked"

    def clear_command(self, canary: CanaryObject, command_id: str) -> None:
        def effect() -> None:
            text = self.world.document.annotations.get(ANNOTATION)
            if text is not None and json.loads(text)["id"] == command_id:
                self.world.change(annotations={})

        self.world.request("clear_command", effect)

    def set_finalizer(self, canary: CanaryObject, *, present: bool) -> CanaryObject:
        def effect() -> CanaryObject:
            others = tuple(name for name in self.world.document.finalizers if name != FINALIZER)
            self.world.change(finalizers=(*others, FINALIZER) if present else others)
            return self.world.document

        return self.world.request("set_finalizer", effect)


@dataclass(frozen=True)
class WorkloadPort:
    """Implements `controller.ports.Workloads`."""

    world: World

    def find(self, namespace: str, spec: CanarySpec) -> tuple[Workload, ...]:
        if self.world.unlisted:
            raise Unavailable(self.world.unlisted)
        return tuple(self.world.weather.deployments.values())

    def scale_to_zero(self, namespace: str, name: str, template_hash: str) -> None:
        def effect() -> None:
            deployments = self.world.weather.deployments
            if deployments[name].hash == template_hash:
                deployments[name] = replace(deployments[name], wanted=0, ready=0)

        self.world.request("scale", effect)

    def delete(self, namespace: str, name: str, template_hash: str) -> None:
        self.world.request("delete", lambda: self.world.weather.deployments.pop(name, None))


@dataclass(frozen=True)
class RoutePort:
    """Implements `controller.ports.RouteObjects`."""

    world: World

    def of(self, namespace: str) -> "RoutePort":
        assert namespace == KEY.namespace
        return self

    def see(self, spec: CanarySpec, form: Form | None) -> Routes:
        return self.world.weather.routes(form)

    def write(self, spec: CanarySpec, form: Form, still_meant: Callable[[], None] = lambda: None) -> None:
        assert form == intended_form(spec, self.world.status), "moved before it was recorded"
        self.world.request("write", lambda: self.world.weather.write(form))

    def remove(self, spec: CanarySpec, form: Form) -> None:
        raise AssertionError("subsets leave no Upstream behind")


@dataclass(frozen=True)
class EvidencePort:
    """Implements `controller.ports.Evidence`: counters of the requests that the world has seen."""

    world: World

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        now = self.world.weather.now
        return now, self.ask(queries, now)

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        return self.world.request("ask", lambda: self._answers(queries, at))

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        return self.world.request("ask", lambda: self._histories(queries, start, end, step))

    def _histories(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> dict[str, History]:
        if not self.world.prometheus_answers:
            return {query.id: Failure("connection refused") for query in queries}
        times = [start + number * step for number in range((end - start) // step + 1)]
        return {
            query.id: tuple(Moment(at, self._series(query.expression, at)) for at in times)
            for query in queries
        }

    def _answers(self, queries: Sequence[Query], at: dt.datetime) -> dict[str, Answer]:
        self.world.asked_at = self.world.weather.now
        if not self.world.prometheus_answers:
            return {query.id: Failure("connection refused") for query in queries}
        return {query.id: self._series(query.expression, at) for query in queries}

    def _series(self, expression: str, at: dt.datetime) -> tuple[Sample, ...]:
        if "timestamp(" in expression:
            return (Sample({}, SCRAPE),)
        if expression.startswith("count"):
            return ()  # what `diagnose` suspects: there is nothing of the kind
        found = SELECTED.match(expression)
        assert found is not None, expression
        kind, version = found.groups()
        counters = self.world.counters(at)
        if version not in counters or version in self.world.unmeasured:
            return ()
        total, bad = counters[version]
        value = float(total if kind == "total" else bad)
        return (Sample({"version": version, "pod": f"echo-{version}-0"}, value),)


@dataclass(frozen=True)
class TemplatePort:
    """Implements `controller.ports.Templates`."""

    world: World

    def of(self, namespace: str) -> Mapping[str, Mapping[str, Any]]:
        return self.world.templates


@dataclass(frozen=True)
class ArchivePort:
    """Implements `controller.ports.Archive`."""

    world: World

    def save(self, canary: CanaryObject, status: Status) -> None:
        def effect() -> None:
            self.world.stored.extend(each for each in status.windows if each not in self.world.stored)

        self.world.request("save", effect)


@dataclass(frozen=True)
class EventPort:
    """Implements `controller.ports.Events`."""

    world: World

    def publish(self, canary: CanaryObject, event: Event) -> None:
        self.world.request("publish", lambda: self.world.published.append(event))


@dataclass(frozen=True)
class ClockPort:
    """Implements `controller.ports.Clock`."""

    world: World

    def now(self) -> dt.datetime:
        return self.world.weather.now


def adopted(**spec: Any) -> World:
    """Give a world in which v1 is adopted and at rest."""
    world = World()
    world.edit(**spec)
    world.rest()
    assert world.status.stable == V1
    world.published.clear()
    world.operations.clear()
    return world
