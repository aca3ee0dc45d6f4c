"""Ends a process, or loses an answer, at every single request of a story, and lets a fresh process finish.

A server in memory is all that outlives a process. So whatever can be gone on with is a state of
that server, and states that differ in nothing that matters go on alike: a way that meets a known
one is known to end well.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from analysis.survey import Survey
from analysis.verdict import Judgement
from config.canary import CanarySpec
from config.status import Phase, Status
from controller.errors import EdgeError, Unavailable
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.named import VersionsInUse
from controller.gloo.objects import RouteHolders
from controller.kube.canaries import KubeCanaries, wanted_by
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
)
from controller.kube.watch import Watched, by_namespace
from controller.kube.workloads import KubeWorkloads
from controller.reconcile import Reconciler
from memory import CANARY, KEY, Server
from promises import shares, watch
from situations import SECOND
from weather import AWAY, GOOD, HARM, Opinion


T = TypeVar("T")
TAKES_OVER = 2 * SECOND
"""From the end of a process to the first tick of the next one."""
TRIES_AGAIN = SECOND
"""From a tick that failed to the next one."""
LONGEST = 250
"""Ticks of a story; more of them are a story without an end."""
HOWS = ("killed before it", "killed after it", "refused", "answer lost", "answer lost, watch late")
"""What becomes of a request: the last two take effect, and the process does not know."""
_INDEX = {CANARIES: wanted_by, UPSTREAMS: bases}
_KINDS = (CANARIES, DEPLOYMENTS, VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_FOR_PEOPLE = {
    "conditions",
    "excess",
    "highestWeight",
    "lastCommand",
    "reason",
    "nextEvaluationAt",
    "weightSeen",
}
"""Parts of the status that no decision depends on, or that follow from the others."""


class Killed(BaseException):
    """The process is gone."""


class Process:
    """A controller with real adapters and caches of its own, which knows what there was when it began."""

    def __init__(self, server: Server) -> None:
        self.server = server
        cluster = cast("Any", server)
        self._caches = {kind: Watched(cluster, kind, index=_INDEX.get(kind, by_namespace)) for kind in _KINDS}
        self._known = -1
        caches = self._caches
        holders = (caches[kind] for kind in (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS))
        self.reconciler = Reconciler(
            canaries=KubeCanaries(cluster, caches[CANARIES]),
            workloads=VersionsInUse(KubeWorkloads(cluster, caches[DEPLOYMENTS]), caches[UPSTREAMS]),
            routes=GlooRoutes(cluster, RouteHolders(cluster, *holders), caches[UPSTREAMS]),
            measuring=cast("Any", Oracle(server)),
            templates=cast("Any", SimpleNamespace(of=lambda _: {})),
            archive=cast("Any", SimpleNamespace(save=lambda *_: None)),
            events=cast("Any", SimpleNamespace(publish=lambda *_: None)),
            clock=cast("Any", SimpleNamespace(now=lambda: server.now)),
            line=cast("Any", SimpleNamespace(stopped=lambda: server.stopped)),
        )

    def learn(self) -> None:
        """Take in what the watches tell."""
        if self._known != self.server.version:
            for cache in self._caches.values():
                cache._list()
            self._known = self.server.version

    def tick(self) -> dt.datetime | None:
        """Run one tick; give when the next one is due."""
        try:
            return self.reconciler.tick(KEY)
        except EdgeError:
            return self.server.now + TRIES_AGAIN


@dataclass(frozen=True)
class Oracle:
    """Stands in for `controller.measuring.Measuring`: knows what is wrong with a version."""

    server: Server

    def survey(self, _key: object, spec: CanarySpec, before: Status) -> tuple[Survey, Status]:
        return self._asked(GOOD).survey(self._place(spec, before)), before

    def weigh(self, _key: object, spec: CanarySpec, before: Status) -> tuple[Judgement, Status]:
        assert before.candidate is not None
        harm = before.candidate.version in self.server.harmful
        return self._asked(HARM if harm else GOOD).judgement(self._place(spec, before)), before

    def forget(self, _key: object) -> None: ...

    def _asked(self, found: Opinion) -> Opinion:
        def effect() -> Opinion:
            self.server.asked_at = self.server.now
            return found if self.server.prometheus_answers else AWAY

        try:
            return self.server.request("ask", effect)
        except Unavailable:
            return AWAY

    def _place(self, spec: CanarySpec, before: Status) -> Any:  # as much of a Weather as an opinion needs
        return SimpleNamespace(spec=spec, status=before, now=self.server.now)


@dataclass
class Interruption:
    """What happens to one request; counts them all."""

    at: int = 0
    how: str = ""
    passed: list[str] = field(default_factory=list)

    def gate(self, operation: str, effect: Callable[[], T]) -> T:
        self.passed.append(operation)
        if len(self.passed) != self.at:
            return effect()
        if self.how == "killed before it":
            raise Killed
        if self.how != "refused":
            effect()
        raise Killed if self.how.startswith("killed") else Unavailable(self.how)


@dataclass(frozen=True)
class Scene:
    """Something that happens in a story, once it is time for it."""

    when: Callable[[Server], bool]
    happens: Callable[[Server], None]


Story = Sequence[Scene]


@dataclass
class Life:
    """A server, and the process that works on it at the moment."""

    server: Server
    story: Story
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.process = Process(self.server)

    def tick(self, interruption: Interruption) -> bool:
        """Let happen what is due, and run a tick up to the next moment; False if there is none."""
        server = self.server
        while server.told < len(self.story) and self.story[server.told].when(server):
            server.told += 1
            self.story[server.told - 1].happens(server)
        late = len(interruption.passed) >= interruption.at > 0 and interruption.how.endswith("late")
        if not late:
            self.process.learn()
        server.gate, server.watchdog = interruption.gate, watch
        try:
            wake = self.process.tick()
        except Killed:
            self.process = Process(server)
            wake = server.now + TAKES_OVER
        moments = [moment for moment in (wake, server.next_report) if moment is not None]
        if moments:
            server.pass_time(min(moments))
        return bool(moments)


@dataclass
class Walk:
    """All ways through a story with one interruption, or two; every state is gone on from once."""

    beginning: Server
    story: Story
    hows: Sequence[str] = HOWS
    first: int = LONGEST
    """How many ticks are interrupted; the rest is known from another story."""
    ticks: int = 0
    ways: int = 0
    known: set[Hashable] = field(default_factory=set)
    end: object = None

    def whole(self) -> Iterator[tuple[Server, list[str]]]:
        """Run the story without an interruption: each moment before a tick, and the requests of the tick."""
        life = Life(self.beginning.copy(), self.story)
        for _ in range(LONGEST):
            moment, requests = life.server.copy(), Interruption()
            self.known.add(state(moment))
            goes_on = life.tick(requests)
            self.ticks += 1
            yield moment, requests.passed
            if not goes_on:
                assert life.server.told == len(self.story), told(life.server)
                self.end = ending(life.server)
                return
        raise AssertionError(f"no end: {told(life.server)}")

    def walk(self, depth: int = 1) -> "Walk":
        """Interrupt every request; with a depth of 2 also every one on the ways that begin there."""
        for moment, requests in list(self.whole())[: self.first]:
            self._interrupt(moment, requests, "", depth)
        return self

    def _interrupt(self, moment: Server, requests: Sequence[str], before: str, depth: int) -> None:
        for at, request in enumerate(requests, 1):
            for how in self.hows:
                where = f"{before}{told(moment)}: {request} {how}\n"
                for later, more in self._branch(moment, Interruption(at, how), where) if depth else ():
                    self._interrupt(later, more, where, depth - 1)

    def _branch(
        self, moment: Server, interruption: Interruption, where: str
    ) -> Sequence[tuple[Server, Sequence[str]]]:
        """Go on from one interruption to where the way is known; give what was passed on the way."""
        life, passed = Life(moment.copy(), self.story), list[tuple[Server, Sequence[str]]]()
        late = interruption.how.endswith("late")
        self.ways += 1
        try:
            goes_on, number = life.tick(interruption), 1
            while goes_on and not (state(life.server) in self.known and not (late and number == 1)):
                assert number < LONGEST, "no end"
                here = life.server.copy()
                requests = interruption if late and number == 1 else Interruption()
                goes_on, number = life.tick(requests), number + 1
                passed.append((here, requests.passed if requests is not interruption else ()))
            self.ticks += number
            if not goes_on:
                assert ending(life.server) == self.end
        except AssertionError as error:
            raise AssertionError(f"{where}{told(life.server)}\n{error}") from error
        self.known.update(state(each) for each, _ in passed)
        return passed


def told(server: Server) -> str:
    """Say where a story is, for a failure's message."""
    status = server.status
    return f"{server.now:%H:%M:%S.%f} {status.phase} {status.weight}%: {status.reason}"


def ending(server: Server) -> object:
    """Say all that matters when a story is over."""
    status = server.status
    return {
        "status": (
            status.phase,
            status.stable,
            status.candidate,
            status.weight,
            status.rejected,
            status.replaced,
            status.retiring,
            status.testing,
            status.shadowed,
            status.held and (status.held.reason, status.held.message),
            [(entry.revision, entry.outcome, entry.by, entry.reason) for entry in status.history],
        ),
        "shares": shares(server.documents),
        "documents": {
            address: (
                each.get("spec"),
                each["metadata"].get("finalizers"),
                each["metadata"].get("annotations"),
            )
            for address, each in server.documents.items()
        },
    }


def state(server: Server) -> Hashable:
    """Say all that matters for what comes next, with times as they are from now."""
    documents = [
        (address, _canary(server, each) if address == CANARY else _text(each))
        for address, each in sorted(server.documents.items())
    ]
    pending = {address: due - server.now for address, due in server.unreported.items()}
    world = (
        server.told,
        sorted(server.harmful),
        server.prometheus_answers,
        server.stopped,
        sorted((address, str(left)) for address, left in pending.items()),
    )
    return json.dumps([documents, world], sort_keys=True, default=str)


_TEXTS: dict[int, tuple[Any, str]] = {}
"""Documents that were written out already; they are never changed in place."""


def _text(document: Any) -> str:  # JSON
    if id(document) not in _TEXTS:
        if len(_TEXTS) > 2000:
            _TEXTS.clear()
        _TEXTS[id(document)] = document, json.dumps(_plain(document), sort_keys=True)
    return _TEXTS[id(document)][1]


def _plain(document: Any) -> Any:  # JSON
    metadata = {
        name: value
        for name, value in document["metadata"].items()
        if name not in {"resourceVersion", "generation", "uid", "creationTimestamp", "deletionTimestamp"}
    }
    metadata["deleting"] = "deletionTimestamp" in document["metadata"]
    status = {
        name: value for name, value in (document.get("status") or {}).items() if "Generation" not in name
    }
    return [metadata, document.get("spec"), status]


def _canary(server: Server, document: Any) -> Any:  # JSON
    status = document.get("status") or {}
    left = {name: value for name, value in status.items() if name not in _FOR_PEOPLE}
    if left.get("phase") != Phase.PREPARING:
        left.pop("startedAt", None)
    if left.get("phase") != Phase.TESTING:
        left.pop("requests", None)
        left.pop("bad", None)
    left["metrics"] = left["weighed"] = None
    left["history"] = [
        (each["revision"], each["outcome"], each["by"], each["reason"]) for each in left.get("history", ())
    ]
    metadata, spec, _ = _plain(document)
    text = json.dumps([metadata, spec, left], sort_keys=True)
    return _TIME.sub(lambda found: str(dt.datetime.fromisoformat(found[0]) - server.now), text)
