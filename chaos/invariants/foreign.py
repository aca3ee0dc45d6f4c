"""What others wrote stays as they wrote it: every byte outside of what Crossfade owns.

Of Gloo's objects it owns destinations to the application, the testing routes that it put there, and the
reports that it takes away. Of the rest: replicas of a version that goes, its finalizer and its orders.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from chaos.chronicle import CANARIES, DEPLOYMENTS, FINALIZER, ORDER, Chronicle, Key, Step
from chaos.findings import Breach, Invariant
from chaos.records import Deed, Document, Part, What, Write
from chaos.shares import (
    BASE,
    HOLDERS,
    UPSTREAMS,
    Addresses,
    Lead,
    leads,
    outside_of_routes,
    text,
)
from chaos.weather import Weather


MANAGED_BY = "app.kubernetes.io/managed-by"
MACHINES = frozenset({"gloo", "kubelet", "garbage-collector"})
_FREE = frozenset({"events", "leases.coordination.k8s.io"})
_BOOKKEEPING = frozenset({"resourceVersion", "generation", "managedFields"})


@dataclass(frozen=True, slots=True)
class _Everybody:
    """The addresses of all applications as one."""

    all: tuple[Addresses, ...]

    def version(self, destination: Document, home: str) -> str | None:
        found = (each.version(destination, home) for each in self.all)
        return next((version for version in found if version is not None), None)


class Foreign:
    """A witness; `finish` looks at what is left in the end."""

    def __init__(self, weather: Weather) -> None:
        self.breaches: list[Breach] = []
        self._kills = [
            deed.began
            for deed in weather.of(What.FAULT)
            if (deed.details["part"], deed.details["kind"]) == (Part.APISERVER, "killed")
        ]
        self._seen: dict[Key, float] = {}
        """When each object was written last."""
        self._ours: dict[Key, set[str]] = {}
        """Skeletons of the testing routes that Crossfade ever put into an object."""
        self._meant: dict[Key, Document] = {}
        """What each object was after a human wrote it last."""

    def __call__(self, step: Step) -> None:
        """Look at one write."""
        write = step.write
        found = list(self._wrong(step)) if write.ours else []
        for told in () if self._may_lack_a_write(write) else found:
            self._tell(step.write.namespace, write.time, write.key, told)
        self._seen[write.key] = write.time
        if write.resource in HOLDERS and not write.ours and write.user_agent not in MACHINES:
            if write.deletes:
                self._meant.pop(write.key, None)
            else:
                self._meant[write.key] = write.object

    def finish(self, chronicle: Chronicle, deeds: Sequence[Deed]) -> None:
        """Compare what is there with what humans meant last."""
        for key, meant in self._meant.items():
            document = chronicle.objects.get(key)
            if document is None:
                self._tell("", chronicle.last, key, "is gone, and no human deleted it")
                continue
            wanted, there = (self._left(key, each, chronicle) for each in (meant, document))
            if there != wanted:
                told = f"is not as its last author left it: {_first_difference(wanted, there)}"
                self._tell("", chronicle.last, key, told)
        for deed, pointer, value in _last_meant(deeds):
            self._check(chronicle, deed, pointer, value)

    def _may_lack_a_write(self, write: Write) -> bool:
        """Tell whether an API server that was killed may have stored somebody's write and not told of it."""
        since = self._seen.get(write.key, write.time)
        return any(since <= kill <= write.time for kill in self._kills)

    def _check(self, chronicle: Chronicle, deed: Deed, pointer: str, value: object) -> None:
        kind, _, address = deed.details["object"].partition(" ")
        namespace, _, name = address.partition("/")
        found = [
            document
            for key, document in chronicle.objects.items()
            if key[1:] == (namespace, name) and document.get("kind") == kind
        ]
        if found and (there := _at(found[0], pointer)) != value:
            told = f"{pointer} should be {text(value)} since {deed.details['how']}, and is {text(there)}"
            self._tell(deed.app, chronicle.last, (kind, namespace, name), told)

    def _tell(self, app: str, time: float, key: Key, told: str) -> None:
        what = f"{key[0].partition('.')[0]} {key[1]}/{key[2]}: {told}"
        self.breaches.append(Breach(Invariant.FOREIGN, app, time, what))

    def _left(self, key: Key, document: Document, chronicle: Chronicle) -> tuple[str, ...]:
        """Give what is none of ours in an object."""
        ours = self._ours.get(key, set())
        skeletons = (lead.skeleton for lead in leads(document, _everybody(chronicle)))
        return outside_of_routes(document), *(each for each in skeletons if each not in ours)

    def _wrong(self, step: Step) -> Iterator[str]:
        write, before = step.write, step.before
        if write.resource in _FREE:
            return
        if write.resource in {UPSTREAMS, "configmaps"}:
            yield from _not_ours(write.object if before is None else before, write.resource)
        elif before is None:
            yield f"was {write.verb}d by the controller, which does not make such objects"
        elif write.resource in HOLDERS:
            yield from self._moved(step, before)
        elif write.resource == DEPLOYMENTS:
            if not write.deletes and _scaled(before) != _scaled(write.object):
                yield "more than its replicas was changed"
        elif write.resource == CANARIES:
            part = "status" if write.subresource == "status" else "metadata"
            if _canary(before, part) != _canary(write.object, part):
                yield f"more than its {part} was changed, or what humans wrote there"
        else:
            yield "is none of the controller's business"

    def _moved(self, step: Step, before: Document) -> Iterator[str]:
        write = step.write
        if write.deletes:
            yield "was deleted by the controller"
            return
        if outside_of_routes(before) != outside_of_routes(write.object):
            yield "something outside of its routes was changed"
        if not _reports(write.object).items() <= _reports(before).items():
            yield "a report of Gloo's was changed, not taken away"
        everybody = _everybody(step.chronicle)
        old, new = leads(before, everybody), leads(write.object, everybody)
        ours = self._ours.setdefault(write.key, set())
        skeletons = [each.skeleton for each in old], [each.skeleton for each in new]
        for kind, a, b, c, d in SequenceMatcher(None, *skeletons, autojunk=False).get_opcodes():
            if kind == "equal":
                continue
            yield from (
                f"a route was taken away: {each.skeleton}" for each in old[a:b] if each.skeleton not in ours
            )
            for added in new[c:d]:
                if not (added.conditional and added.single and added.leads):
                    yield f"a route was added that is no testing route: {added.skeleton}"
                ours.add(added.skeleton)
        yield from _copies(old, new, everybody.all)


def _copies(old: Sequence[Lead], new: Sequence[Lead], known: Sequence[Addresses]) -> Iterator[str]:
    """Find copies of requests that were given or taken away, and do not concern a version of ours."""
    for copied in {each.copied for each in old} ^ {each.copied for each in new}:
        upstream = (json.loads(copied) if copied else {}).get("upstream") or {}
        address = upstream.get("namespace"), upstream.get("name")
        if copied and not any(address in addresses.clones for addresses in known):
            yield f"options.shadowing of somebody else's was changed: {copied}"


def _everybody(chronicle: Chronicle) -> _Everybody:
    return _Everybody(
        tuple(story.addresses for story in chronicle.stories.values() if story.addresses.upstream)
    )


def _not_ours(document: Document, resource: str) -> Iterator[str]:
    metadata = document["metadata"]
    marked = (metadata.get("labels") or {}).get(MANAGED_BY) == "crossfade"
    if not marked or (resource == UPSTREAMS and BASE not in (metadata.get("annotations") or {})):
        yield "was written by the controller, and is not its own"


def _reports(document: Document) -> dict[str, Any]:
    return dict((document.get("status") or {}).get("statuses") or {})


def _scaled(document: Document) -> str:
    spec = {key: value for key, value in document["spec"].items() if key != "replicas"}
    return text([_metadata(document), spec])


def _canary(document: Document, part: str) -> str:
    """Give what has to stay when the controller writes its part of a Canary."""
    metadata = _metadata(document)
    if part == "status":
        return text([metadata, document.get("spec")])
    notes = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ORDER}
    others = [each for each in metadata.get("finalizers") or [] if each != FINALIZER]
    metadata |= {"annotations": notes, "finalizers": others}
    return text([metadata, document.get("spec"), document.get("status")])


def _metadata(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document["metadata"].items() if key not in _BOOKKEEPING}


def _last_meant(deeds: Sequence[Deed]) -> Iterator[tuple[Deed, str, object]]:
    """Give what humans meant last at every place that they named."""
    last: dict[tuple[str, str], tuple[Deed, object]] = {}
    for deed in deeds:
        if deed.what is What.EDIT and "failed" not in deed.details:
            for pointer, value in (deed.details.get("meant") or {}).items():
                last[deed.details["object"], pointer] = deed, value
    yield from ((deed, pointer, value) for (_, pointer), (deed, value) in last.items())


def _at(document: Document, pointer: str) -> object:
    """Give what is at a JSON Pointer; None if nothing is."""
    found: Any = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (LookupError, TypeError, ValueError):
            return None
    return found


def _first_difference(wanted: Sequence[str], there: Sequence[str]) -> str:
    for old, new in zip(wanted, there, strict=False):
        if old != new:
            return f"{old} became {new}"
    return f"{len(wanted) - 1} routes became {len(there) - 1}"
