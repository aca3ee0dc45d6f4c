"""Copies of what the API server holds, kept up to date by watches: what kubelet and Gloo read from.

One thread per resource lists, then watches; after any error it lists again, so that nothing is missed when
the API server restarts, drops a watch or answers 410.
"""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from sandbox.kube import UNREACHABLE, Document, ExpiredError, Key, Kube, Resource, key_of


PAUSE = 0.3  # seconds between attempts while the API server cannot be reached

log = structlog.get_logger()


class Mirror:
    """The objects of some resources; `changed` is called, in a thread of the mirror's, when one changes."""

    def __init__(self, kube: Kube, resources: Sequence[Resource], changed: Callable[[], None]) -> None:
        self._kube = kube
        self._changed = changed
        self._lock = threading.Lock()
        self._objects: dict[Resource, dict[Key, Document]] = {resource: {} for resource in resources}
        self._graves: dict[Resource, dict[Key, int]] = {resource: {} for resource in resources}
        self._listed: set[Resource] = set()

    def start(self) -> None:
        """Begin to follow the API server; the threads end with the process."""
        for resource in self._objects:
            threading.Thread(target=self._follow, args=(resource,), name=resource.plural, daemon=True).start()

    @property
    def complete(self) -> bool:
        """Say whether every resource has been listed at least once."""
        with self._lock:
            return len(self._listed) == len(self._objects)

    def objects(self, resource: Resource) -> dict[Key, Document]:
        """Return the present objects; they are shared, so read only."""
        with self._lock:
            return dict(self._objects[resource])

    def put(self, resource: Resource, document: Document) -> None:
        """Take over what a write of ours returned, ahead of the watch."""
        with self._lock:
            self._store(resource, document)

    def _store(self, resource: Resource, document: Document) -> None:
        key = key_of(document)
        before = self._objects[resource].get(key)
        known = _version(before) if before else self._graves[resource].get(key, 0)
        if _version(document) >= known:
            self._objects[resource][key] = document

    def _follow(self, resource: Resource) -> None:
        while True:
            try:
                self._list_and_watch(resource)
            except ExpiredError as error:
                log.info("mirror.expired", resource=resource.plural, error=str(error))
            except UNREACHABLE as error:
                log.warning("mirror.unreachable", resource=resource.plural, error=str(error).split("\n")[0])
                time.sleep(PAUSE)

    def _list_and_watch(self, resource: Resource) -> None:
        items, version = self._kube.list(resource)
        with self._lock:
            self._objects[resource] = {key_of(item): item for item in items}
            self._graves[resource] = {}
            self._listed.add(resource)
        self._changed()
        while True:
            for kind, document in self._kube.watch(resource, version):
                version = document["metadata"]["resourceVersion"]
                if kind == "BOOKMARK":
                    continue
                with self._lock:
                    if kind == "DELETED":
                        self._objects[resource].pop(key_of(document), None)
                        self._graves[resource][key_of(document)] = _version(document)
                    else:
                        self._store(resource, document)
                self._changed()


def _version(document: Document) -> int:
    return int(document["metadata"]["resourceVersion"])
