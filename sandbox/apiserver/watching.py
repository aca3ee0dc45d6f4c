"""Watches: the changes that one client asked for, as a stream of events that ends cleanly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.apiserver.api import present
from sandbox.apiserver.errors import ApiError


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sandbox.apiserver.documents import Object
    from sandbox.apiserver.resources import Resource
    from sandbox.apiserver.selectors import Predicate
    from sandbox.apiserver.store import Event, Store


BOOKMARK_SECONDS = 30.0


class Watch:
    """One client's watch on one resource. Create it, then ``start``, then iterate over ``events``."""

    def __init__(self, store: Store, resource: Resource, namespace: str, wanted: Predicate) -> None:
        self.resource = resource
        self.namespace = namespace
        self._store = store
        self._wanted = wanted
        self._queue: asyncio.Queue[Object | None] = asyncio.Queue()

    def start(self, version: str, *, initial: bool, bookmarks: bool) -> None:
        """Begin after ``version``, or with what there is now if it is "" or "0"; expire if it is too old.

        ``initial`` asks for what there is now in any case, and for a bookmark at its end.
        """
        if initial or version in ("", "0"):
            found = self._store.objects(self.resource.group, self.resource.plural, self.namespace)
            for each in found:
                if self._wanted(each):
                    self._put("ADDED", each)
            if initial and bookmarks:
                self._queue.put_nowait(self._bookmark(ends_initial=True))
        else:
            try:
                missed = self._store.since(int(version))
            except ApiError as error:
                self.expire(error)
                return
            for event in missed:
                self._hear(event)
        self._store.listen(self._hear)

    def stop(self) -> None:
        """Hear no more; ``events`` ends after what was heard before."""
        self._store.unlisten(self._hear)
        self._queue.put_nowait(None)

    def expire(self, error: ApiError) -> None:
        """End with an ERROR event, as a watch ends whose past was forgotten."""
        self._queue.put_nowait({"type": "ERROR", "object": error.status()})
        self.stop()

    async def events(self, seconds: float, *, bookmarks: bool) -> AsyncIterator[Object]:
        """Yield watch events for that long, with bookmarks now and then and at the end if asked for."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while (left := end - clock()) > 0:
            try:
                async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                    event = await self._queue.get()
            except TimeoutError:
                if bookmarks:
                    yield self._bookmark()
                continue
            if event is None:
                return
            yield event

    def _hear(self, event: Event) -> None:
        for kind, found in self._told(event):
            self._put(kind, found)

    def _told(self, event: Event) -> Iterator[tuple[str, Object]]:
        """Say what an event means to this client: an object that no longer matches is gone for it."""
        key, resource = event.key, self.resource
        if (key.group, key.plural) != (resource.group, resource.plural):
            return
        if self.namespace and key.namespace != self.namespace:
            return
        before = event.previous is not None and self._wanted(event.previous)
        after = event.kind != "DELETED" and self._wanted(event.object)
        if before or after:
            kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
            yield kind, event.object

    def _put(self, kind: str, found: Object) -> None:
        self._queue.put_nowait({"type": kind, "object": present(self.resource, found)})

    def _bookmark(self, *, ends_initial: bool = False) -> Object:
        meta: Object = {"resourceVersion": str(self._store.version), "creationTimestamp": None}
        if ends_initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        found = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": meta}
        return {"type": "BOOKMARK", "object": found}
