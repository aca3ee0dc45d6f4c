"""What happened to each application, from the audit alone: told once, in order, while the audit is read.

Statuses are big and there are thousands, so that only what the invariants ask for is kept of each. The
objects themselves are kept only as they are now.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chaos.pods import PODS, Pods, is_gone
from chaos.records import Document, Write, moment
from chaos.shares import HOLDERS, UPSTREAMS, Addresses, Lead, leads, text


CANARIES = "canaries.crossfade.dev"
DEPLOYMENTS = "deployments.apps"
ORDER = "crossfade.dev/command"
FINALIZER = "crossfade.dev/routes"
AT_REST = frozenset({"Idle", "Promoted", "RolledBack"})
CARRYING = frozenset({"Shadowing", "Testing", "Shifting", "Baking", "Finishing"})
Key = tuple[str, str, str]


class Revision(NamedTuple):
    """A version, and the hash of what runs under its name."""

    version: str
    hash: str
    deployment: str

    @classmethod
    def of(cls, found: Document | None) -> "Revision | None":
        """Read one from a status."""
        return None if not found else cls(found["version"], found["hash"], found["deployment"])


@dataclass(frozen=True, slots=True)
class Ended:
    """An entry of the history, as the controller wrote it."""

    revision: Revision
    outcome: str
    reason: str
    by: str
    started: float
    ended: float
    highest: int


@dataclass(frozen=True, slots=True)
class Record:
    """A status as the controller recorded it: the intent that its moves have to follow."""

    time: float
    phase: str
    weight: int
    seen: int | None
    verdict: str
    stable: Revision | None
    candidate: Revision | None
    started: float
    intended: float
    begun: float
    """When Gloo was seen to have accepted this step; 0: it was not."""
    evaluated: float
    hurry: str
    approved: bool
    paused: bool
    measured: bool
    """Every metric counted something at this step."""
    order: str
    """The id of the last order carried out."""
    ending: str
    held: str
    reason: str
    history: tuple[Ended, ...]
    spec: Document

    @property
    def under_way(self) -> bool:
        """A rollout is."""
        return self.candidate is not None and self.phase not in AT_REST

    @property
    def share(self) -> int:
        """The share that users are to be given of the candidate, in percent."""
        match self.phase:
            case "Shifting" | "Baking":
                return self.weight
            case "Finishing":
                return 100
            case _:
                return 0

    def words(self) -> str:
        """Show it as one line."""
        versions = f"{self.stable.version if self.stable else '-'} -> " + (
            self.candidate.version if self.candidate else "-"
        )
        return f"{clock(self.time)} status {self.phase} {self.weight}% {versions}: {self.reason[:160]}"


@dataclass(frozen=True, slots=True)
class Order:
    """What a human ordered."""

    time: float
    do: str
    id: str


@dataclass(frozen=True, slots=True)
class Template:
    """What a Deployment was, from some time on."""

    time: float
    version: str
    hash: str
    replicas: int
    """-1: it was deleted."""
    ours: bool


@dataclass(frozen=True, slots=True)
class Division:
    """How an object of Gloo's divided an application's requests, from some time on."""

    time: float
    key: Key
    ours: bool
    leads: tuple[Lead, ...]

    def words(self) -> str:
        """Show it as one line."""
        shown = "; ".join(_shown(lead) for lead in self.leads if lead.leads)
        return f"{clock(self.time)} {self.key[0].partition('.')[0]} {self.key[2]} by {self.who}: {shown}"

    @property
    def who(self) -> str:
        """Name its author."""
        return "crossfade" if self.ours else "somebody else"


@dataclass
class Story:
    """All that is known of one application."""

    app: str
    canary: str = ""
    spec: Document = field(default_factory=dict)
    addresses: Addresses = field(default_factory=Addresses)
    records: list[Record] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    divisions: list[Division] = field(default_factory=list)
    standing: dict[Key, Division] = field(default_factory=dict)
    """The last division of each object."""
    templates: dict[str, list[Template]] = field(default_factory=dict)

    @property
    def now(self) -> Record | None:
        """The last record."""
        return self.records[-1] if self.records else None


class Step(NamedTuple):
    """One write in its place: the object before it, and the stories as they were before it."""

    write: Write
    before: Document | None
    chronicle: "Chronicle"


Witness = Callable[[Step], None]
"""Looks at every write before it becomes part of the chronicle."""


class Chronicle:
    """All stories; `read` tells them to witnesses as it goes."""

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.objects: dict[Key, Document] = {}
        self.pods = Pods()
        self.last = 0.0
        """When the last write was made."""
        self.ours = 0
        """Writes of the controller."""

    def read(self, writes: Iterable[Write], witnesses: Iterable[Witness] = ()) -> None:
        """Read all writes, oldest first; each witness sees each before it counts."""
        told = tuple(witnesses)
        for write in writes:
            step = Step(write, self.objects.get(write.key), self)
            for witness in told:
                witness(step)
            self._take(write, step.before)

    def story_of(self, namespace: str) -> Story:
        """Give the story of an application, by its namespace."""
        return self.stories.setdefault(namespace, Story(namespace))

    def concerned(self, document: Document, before: Document | None) -> Iterator[tuple[Story, list[Lead]]]:
        """Give every application that an object leads to, or led to before, and how it does now."""
        for story in self.stories.values():
            if not story.addresses.upstream:
                continue
            found = leads(document, story.addresses)
            earlier = leads(before, story.addresses) if before else []
            if any(lead.leads for lead in (*found, *earlier)):
                yield story, found

    def _take(self, write: Write, before: Document | None) -> None:
        self.last = write.time
        self.ours += write.ours
        match write.resource:
            case "canaries.crossfade.dev":
                self._canary(write, before)
            case "deployments.apps":
                self._deployment(write)
            case "pods":
                self.pods.see(write)
            case resource if resource == UPSTREAMS:
                for story in self.stories.values():
                    story.addresses.learn(write.object)
            case resource if resource in HOLDERS:
                self._division(write)
            case _:
                pass
        if is_gone(write):
            self.objects.pop(write.key, None)
        elif write.resource not in {"events", "configmaps", PODS}:
            self.objects[write.key] = write.object

    def _canary(self, write: Write, before: Document | None) -> None:
        story = self.story_of(write.namespace)
        spec = write.object.get("spec") or {}
        story.canary = write.name
        if not story.spec or spec != story.spec:
            story.spec = spec
            self._locate(story)
        text_of_order = (write.object["metadata"].get("annotations") or {}).get(ORDER)
        known = ((before or {}).get("metadata", {}).get("annotations") or {}).get(ORDER)
        if text_of_order and text_of_order != known:
            story.orders.append(_order(write.time, text_of_order))
        if write.ours and write.subresource == "status":
            story.records.append(_record(write, story))

    def _locate(self, story: Story) -> None:
        upstream = story.spec.get("upstream") or {}
        label = (story.spec.get("workload") or {}).get("versionLabel", "version")
        story.addresses = Addresses(upstream.get("namespace", ""), upstream.get("name", ""), label)
        for key, document in self.objects.items():
            if key[0] == UPSTREAMS:
                story.addresses.learn(document)
            elif key[0] in HOLDERS:
                self._divided(story, key, document, 0.0, ours=False)

    def _division(self, write: Write) -> None:
        for story in self.stories.values():
            if not story.addresses.upstream:
                continue
            if is_gone(write):
                self._divided(story, write.key, {**write.object, "spec": {}}, write.time, ours=write.ours)
            else:
                self._divided(story, write.key, write.object, write.time, ours=write.ours)

    def _divided(self, story: Story, key: Key, document: Document, time: float, *, ours: bool) -> None:
        found = tuple(leads(document, story.addresses))
        last = story.standing.get(key)
        known = last is not None and last.leads == found
        if not known and (last is not None or any(lead.leads for lead in found)):
            story.standing[key] = Division(time, key, ours, found)
            story.divisions.append(story.standing[key])

    def _deployment(self, write: Write) -> None:
        spec = write.object["spec"]
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        story = self.story_of(write.namespace)
        replicas = -1 if is_gone(write) else spec.get("replicas", 1)
        version = str(labels.get(story.addresses.label, ""))
        now = Template(write.time, version, hash_of(spec["template"]), replicas, write.ours)
        known = story.templates.setdefault(write.name, [])
        if not known or (known[-1].hash, known[-1].replicas) != (now.hash, now.replicas):
            known.append(now)


def hash_of(template: object) -> str:
    """Name a pod template as the documentation says: a part of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(text(template).encode()).hexdigest()[:16]


def clock(time: float) -> str:
    """Show a time of day, in UTC."""
    return f"{dt.datetime.fromtimestamp(time, dt.UTC):%H:%M:%S.%f}"[:-3]


def _record(write: Write, story: Story) -> Record:
    status: Mapping[str, Any] = write.object.get("status") or {}
    known = story.records[-1].history if story.records else ()
    history = tuple(map(_ended, status.get("history") or ()))
    return Record(
        time=write.time,
        phase=status.get("phase", "Preparing"),
        weight=status.get("weight", 0),
        seen=status.get("weightSeen"),
        verdict=status.get("verdict") or "",
        stable=Revision.of(status.get("stable")),
        candidate=Revision.of(status.get("candidate")),
        started=_time(status, "startedAt"),
        intended=_time(status, "intendedAt"),
        begun=_time(status, "stepStartedAt"),
        evaluated=_time(status, "evaluatedAt"),
        hurry=status.get("hurry", "No"),
        approved=bool(status.get("approved")),
        paused=bool(status.get("paused")),
        measured=all(map(_measured, status.get("metrics") or ())),
        order=status.get("lastCommand", ""),
        ending=(status.get("ending") or {}).get("outcome", ""),
        held=(status.get("held") or {}).get("reason", ""),
        reason=status.get("reason", ""),
        history=known if history == known else history,
        spec=story.spec,
    )


def _measured(metric: Document) -> bool:
    return bool(metric.get("dryRun") or metric.get("requests") or metric.get("passes"))


def _ended(entry: Document) -> Ended:
    revision = Revision.of(entry["revision"]) or Revision("", "", "")
    return Ended(
        revision=revision,
        outcome=entry["outcome"],
        reason=entry["reason"],
        by=entry["by"],
        started=moment(entry["startedAt"]),
        ended=moment(entry["endedAt"]),
        highest=entry["highestWeight"],
    )


def _order(time: float, found: str) -> Order:
    try:
        order = json.loads(found)
        return Order(time, str(order["do"]), str(order["id"]))
    except (ValueError, LookupError, TypeError):
        return Order(time, "unreadable", "")


def _time(status: Document, name: str) -> float:
    found = status.get(name)
    return moment(found) if found else 0.0


def _shown(lead: Lead) -> str:
    parts = ", ".join(
        f"{'elsewhere' if part.version is None else part.version or 'all versions'} {part.weight}"
        for part in lead.parts
    )
    return f"testers {parts}" if lead.conditional else parts
