"""Every object of the cluster, one counter of versions, and the recent past for those who watch.

All methods are synchronous and the server runs in one thread, so each of them is atomic. Objects handed in
belong to the store from then on, and objects handed out must not be changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from sandbox.apiserver.documents import Object, metadata
from sandbox.apiserver.errors import gone


class Key(NamedTuple):
    """Where an object is kept. Versions of one resource share a place; ``namespace`` may be ""."""

    group: str
    plural: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change: ``kind`` is ADDED, MODIFIED or DELETED; ``previous`` is None for ADDED."""

    kind: str
    key: Key
    object: Object
    previous: Object | None
    version: int


Listener: TypeAlias = Callable[[Event], None]


class Journal(Protocol):
    """Keeps events on disk, so that a killed server can be started again."""

    def append(self, event: Event) -> None:
        """Keep one event; it must be safe when this returns, the process's death included."""

    def load(self) -> tuple[int, dict[Key, Object], list[Event]]:
        """Return the last version, the objects, and the recent events, oldest first."""


class Store:
    """Objects by key, in memory, and on disk if given a journal."""

    def __init__(self, journal: Journal | None = None, *, history: int = 10_000) -> None:
        self._journal = journal
        self._listeners: set[Listener] = set()
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}
        self._history: deque[Event] = deque(maxlen=history)
        self.version = 1
        self._forgotten = 1  # the version up to which events are no longer known
        if journal is not None:
            self._restore(journal)

    def get(self, key: Key) -> Object | None:
        """Return the object, or None."""
        return self._bucket(key).get((key.namespace, key.name))

    def objects(self, group: str, plural: str, namespace: str = "") -> list[Object]:
        """Return the objects of a resource, of one namespace if given, in the order of their names."""
        found = self._objects.get((group, plural), {})
        return [found[place] for place in sorted(found) if not namespace or place[0] == namespace]

    def everything(self) -> list[tuple[Key, Object]]:
        """Return all objects with their keys."""
        return [
            (Key(*resource, *place), found)
            for resource, bucket in self._objects.items()
            for place, found in bucket.items()
        ]

    def put(self, key: Key, found: Object) -> Object:
        """Store a new or changed object under the next version and tell those who watch."""
        previous = self.get(key)
        version = self.version + 1
        metadata(found)["resourceVersion"] = str(version)
        self._record(Event("ADDED" if previous is None else "MODIFIED", key, found, previous, version))
        return found

    def remove(self, key: Key) -> Object | None:
        """Remove an object; return its last form, which carries the version of its removal."""
        previous = self.get(key)
        if previous is None:
            return None
        version = self.version + 1
        last = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(version)}}
        self._record(Event("DELETED", key, last, previous, version))
        return last

    def since(self, version: int) -> list[Event]:
        """Return all events after ``version``; raises 410 when some are forgotten, or it is yet to come."""
        if version < self._forgotten:
            raise gone(f"too old resource version: {version} ({self._forgotten})")
        if version > self.version:  # of a cluster that was here before
            raise gone(f"too large resource version: {version} ({self.version})")
        return [event for event in self._history if event.version > version]

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self._listeners.add(listener)

    def unlisten(self, listener: Listener) -> None:
        """Stop calling ``listener``."""
        self._listeners.discard(listener)

    def _bucket(self, key: Key) -> dict[tuple[str, str], Object]:
        return self._objects.setdefault((key.group, key.plural), {})

    def _record(self, event: Event) -> None:
        if self._journal is not None:
            self._journal.append(event)
        place = (event.key.namespace, event.key.name)
        if event.kind == "DELETED":
            del self._bucket(event.key)[place]
        else:
            self._bucket(event.key)[place] = event.object
        self.version = event.version
        self._remember(event)
        for listener in tuple(self._listeners):
            listener(event)

    def _remember(self, event: Event) -> None:
        if len(self._history) == self._history.maxlen:
            self._forgotten = self._history[0].version
        self._history.append(event)

    def _restore(self, journal: Journal) -> None:
        self.version, found, events = journal.load()
        for key, each in found.items():
            self._bucket(key)[(key.namespace, key.name)] = each
        self._forgotten = events[0].version - 1 if events else self.version
        for event in events:
            self._remember(event)
