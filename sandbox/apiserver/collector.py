"""Cleans up behind deletions: an owner's dependents, a namespace's contents, a definition's objects.

It listens to the store and works off what it heard soon after, through the same verbs as any client, so that
finalizers and grace periods hold for what it deletes too.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from sandbox.apiserver import definitions
from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import Api, Deletion, Target
from sandbox.apiserver.documents import Object, dig, is_terminating, name_of, namespace_of, owners_of
from sandbox.apiserver.errors import ApiError


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.store import Event, Key


_BY_US = Options(manager="garbage-collector", user_agent="garbage-collector")


class Collector:
    """Deletes what nobody needs any more."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._heard = asyncio.Event()
        api.store.listen(self._hear)

    async def run(self) -> None:
        """Work until cancelled. Everything is looked at again after every change that may matter."""
        while True:
            self._heard.clear()
            self.collect()
            await self._heard.wait()

    def collect(self) -> None:
        """Do all there is to do now."""
        for key, found in self._api.store.everything():
            target = self._target(key)
            if target is None or self._api.store.get(key) is not found:
                continue
            with contextlib.suppress(ApiError):  # somebody else was faster
                if is_terminating(found):
                    self._finish(target, found)
                elif self._is_orphan(found):
                    self._api.delete(target, Deletion(uid=found["metadata"]["uid"]), _BY_US)

    def _hear(self, event: Event) -> None:
        owned = any(True for _ in owners_of(event.object))
        if event.kind == "DELETED" or is_terminating(event.object) or (event.kind == "ADDED" and owned):
            self._heard.set()

    def _target(self, key: Key) -> Target | None:
        served = (each for each in self._api.register if (each.group, each.plural) == key[:2])
        resource = next(served, None)
        return Target(resource, key.namespace, key.name) if resource else None

    def _is_orphan(self, found: Object) -> bool:
        owners = list(owners_of(found))
        return bool(owners) and not any(self._exists(each, namespace_of(found)) for each in owners)

    def _exists(self, owner: Object, namespace: str) -> bool:
        for resource in self._api.register:
            if (resource.api_version, resource.kind) == (owner.get("apiVersion"), owner.get("kind")):
                place = namespace if resource.namespaced else ""
                found = self._api.store.get(Target(resource, place, str(owner.get("name"))).key)
                return found is not None and found["metadata"]["uid"] == owner.get("uid")
        return False

    def _finish(self, target: Target, found: Object) -> None:
        """Take the next step in the deletion of an object that waits for one of our finalizers."""
        finalizers = dig(found, "metadata", "finalizers", default=[])
        if "foregroundDeletion" in finalizers:
            dependents = list(self._dependents(found))
            for each, _ in dependents:
                self._delete(each)
            if not any(_blocks(each, found) for _, each in dependents):
                self._release(target, "foregroundDeletion")
        elif "orphan" in finalizers:
            for each, dependent in list(self._dependents(found)):
                kept = [
                    owner for owner in owners_of(dependent) if owner.get("uid") != found["metadata"]["uid"]
                ]
                self._amend(each, "ownerReferences", kept)
            self._release(target, "orphan")
        elif target.resource.qualified == "namespaces" and "kubernetes" in finalizers:
            self._empty(target, "kubernetes", namespace=name_of(found))
        elif target.resource.kind == "CustomResourceDefinition" and definitions.CLEANUP in finalizers:
            self._empty(target, definitions.CLEANUP, definition=found)

    def _empty(
        self, target: Target, finalizer: str, namespace: str = "", definition: Object | None = None
    ) -> None:
        """Delete what is inside; release the finalizer when nothing is left."""
        left = list(self._inside(namespace, definition))
        for each in left:
            self._delete(each)
        if not any(True for _ in self._inside(namespace, definition)):
            self._release(target, finalizer)

    def _inside(self, namespace: str, definition: Object | None) -> Iterator[Target]:
        declared = (dig(definition, "spec", "group"), dig(definition, "spec", "names", "plural"))
        for key, _ in self._api.store.everything():
            if (namespace and key.namespace == namespace) or key[:2] == declared:
                target = self._target(key)
                if target is not None:
                    yield target

    def _dependents(self, owner: Object) -> Iterator[tuple[Target, Object]]:
        uid = owner["metadata"]["uid"]
        for key, found in self._api.store.everything():
            if any(each.get("uid") == uid for each in owners_of(found)):
                target = self._target(key)
                if target is not None:
                    yield target, found

    def _delete(self, target: Target) -> None:
        with contextlib.suppress(ApiError):
            if not is_terminating(self._api.get(target)):
                self._api.delete(target, Deletion(), _BY_US)

    def _release(self, target: Target, finalizer: str) -> None:
        live = self._api.get(target)
        kept = [each for each in dig(live, "metadata", "finalizers", default=[]) if each != finalizer]
        self._amend(target, "finalizers", kept)

    def _amend(self, target: Target, field: str, value: list[Object] | list[str]) -> None:
        patch = {"metadata": {field: value or None}}
        self._api.patch(target, "application/merge-patch+json", patch, _BY_US)


def _blocks(dependent: Object, owner: Object) -> bool:
    uid = owner["metadata"]["uid"]
    return any(each.get("uid") == uid and each.get("blockOwnerDeletion") for each in owners_of(dependent))
