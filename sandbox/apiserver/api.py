"""The verbs: create, get, update, patch, apply, delete, each on one object and in one step.

This is the heart of the server; HTTP is around it and the store below it. Every method raises ApiError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from sandbox.apiserver import admission, errors, merging, ownership
from sandbox.apiserver.documents import (
    Json,
    Object,
    dig,
    duplicate,
    is_terminating,
    metadata,
    name_of,
)
from sandbox.apiserver.store import Key, Store


if TYPE_CHECKING:
    from sandbox.apiserver.admission import Options
    from sandbox.apiserver.resources import Register, Resource


Clock: TypeAlias = Callable[[], datetime]

MERGE, JSON, STRATEGIC, APPLY = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


IMMORTAL = ("default", "kube-public", "kube-system")  # namespaces that stay


@dataclass(frozen=True, slots=True)
class Target:
    """Which object a request is about, and which part of it."""

    resource: Resource
    namespace: str
    name: str
    subresource: str = ""

    @property
    def key(self) -> Key:
        """Where the store keeps it."""
        return Key(self.resource.group, self.resource.plural, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Write:
    """A write that took effect, for the audit: ``object`` is the object after it."""

    verb: str
    target: Target
    options: Options
    object: Object


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete request asks for besides the name."""

    propagation: str = "Background"
    grace_seconds: int | None = None
    uid: str = ""
    version: str = ""


class Api:
    """The verbs, over one store and one register of resources."""

    def __init__(
        self, store: Store, register: Register, clock: Clock, on_write: Callable[[Write], None]
    ) -> None:
        self.store = store
        self.register = register
        self.clock = clock
        self._on_write = on_write

    def get(self, target: Target) -> Object:
        """Return the object; raises 404."""
        found = self.store.get(target.key)
        if found is None:
            raise errors.not_found(target.resource, target.name)
        return present(target.resource, found)

    def create(self, target: Target, body: Json, options: Options) -> Object:
        """Store a new object; raises 400, 404 (namespace), 409, 422. ``target.name`` is not used."""
        resource = target.resource
        found = admission.decode(resource, body, strict=options.validation == "Strict")
        admission.place(resource, found, target.namespace)
        found = self._begin(target, found)
        target = Target(resource, target.namespace, name_of(found))
        if self.store.get(target.key) is not None:
            raise errors.already_exists(resource, target.name)
        ownership.record(resource, None, found, self._claim(target, options))
        return self._store("create", target, found, options)

    def update(self, target: Target, body: Json, options: Options) -> Object:
        """Replace an object, or its status; raises 400, 404, 409, 422."""
        found = admission.decode(target.resource, body, strict=options.validation == "Strict")
        return self._replace("update", target, found, options)

    def patch(self, target: Target, kind: str, body: Json, options: Options) -> Object:
        """Change an object, or its status, by a patch of the given media type; raises 400 to 422."""
        if kind == APPLY:
            return self._apply(target, body, options)
        live = self.get(target)
        patched = patch_document(live, kind, body, target.resource)
        unknown = admission.unknown_fields(target.resource, patched)
        if options.validation == "Strict" and unknown:
            listed = ", ".join(f'unknown field "{each}"' for each in unknown)
            wrong = errors.invalid_value("patch", body, f"strict decoding error: {listed}")
            raise errors.invalid(target.resource, target.name, [wrong])
        found = admission.decode(target.resource, patched, strict=False)
        return self._replace("patch", target, found, options)

    def _replace(self, verb: str, target: Target, found: Object, options: Options) -> Object:
        live = self.get(target)
        admission.place(target.resource, found, target.namespace, target.name)
        following = self._follow(target, live, found)
        ownership.record(target.resource, live, following, self._claim(target, options))
        return self._store(verb, target, following, options)

    def _apply(self, target: Target, body: Json, options: Options) -> Object:
        """Server-side apply: create or merge what this manager wants, under its name."""
        resource = target.resource
        wanted = admission.decode_applied(resource, body, strict=options.validation == "Strict")
        admission.place(resource, wanted, target.namespace, target.name)
        live = self.store.get(target.key)
        merged = ownership.apply(resource, live, wanted, self._claim(target, options), force=options.force)
        found = admission.decode(resource, merged, strict=False)
        if live is not None:
            return self._store("patch", target, self._follow(target, self.get(target), found), options)
        if target.subresource:
            raise errors.not_found(resource, target.name)
        return self._store("patch", target, self._begin(target, found), options)

    def _begin(self, target: Target, found: Object) -> Object:
        """Return the first form of a new object."""
        found = admission.newborn(target.resource, found, self.clock())
        self._check_namespace(target)
        admission.complete(target.resource, found)
        admission.validate(target.resource, found, None)
        return found

    def _follow(self, target: Target, live: Object, found: Object) -> Object:
        """Return the next form of an object."""
        following = admission.successor(target.resource, live, found, target.subresource)
        if target.subresource != "status":
            admission.complete(target.resource, following)
        admission.validate(target.resource, following, live)
        return following

    def _claim(self, target: Target, options: Options) -> ownership.Claim:
        return ownership.Claim(options.manager, target.subresource, admission.timestamp(self.clock()))

    def _store(self, verb: str, target: Target, found: Object, options: Options) -> Object:
        """Store the object unless nothing changed, or remove it if it was waiting for just this write."""
        target.resource.settle(found)
        found["apiVersion"] = _stored_version(target.resource)
        live = self.store.get(target.key)
        if options.dry_run or (live is not None and ownership.same_content(live, found)):
            return present(target.resource, live if live is not None and not options.dry_run else found)
        stored = self.store.put(target.key, found)
        if _may_go(stored):
            stored = self.store.remove(target.key) or stored
        shown = present(target.resource, stored)
        self._on_write(Write(verb, target, options, shown))
        return shown

    def delete(self, target: Target, deletion: Deletion, options: Options) -> tuple[Object, bool]:
        """Delete an object; return its last form and whether it is gone already; raises 404, 409."""
        live = self.get(target)
        self._check_deletion(target, live, deletion)
        grace = _grace_seconds(target.resource, live, deletion)
        finalizers = _finalizers(target.resource, live, deletion)
        if options.dry_run:
            return live, not (finalizers or grace)
        if not finalizers and not grace:
            last = present(target.resource, self.store.remove(target.key) or live)
            self._on_write(Write("delete", target, options, last))
            return last, True
        if is_terminating(live) and grace >= dig(live, "metadata", "deletionGracePeriodSeconds", default=0):
            return live, False
        doomed = duplicate(live)
        meta = metadata(doomed)
        ends = self.clock() + timedelta(seconds=grace)
        meta |= {"deletionTimestamp": admission.timestamp(ends), "deletionGracePeriodSeconds": grace}
        if finalizers:
            meta["finalizers"] = finalizers
        if "generation" in meta and not is_terminating(live):
            meta["generation"] += 1
        return self._store("delete", target, doomed, options), False

    def _check_deletion(self, target: Target, live: Object, deletion: Deletion) -> None:
        if target.resource.qualified == "namespaces" and target.name in IMMORTAL:
            raise errors.forbidden(target.resource, target.name, "this namespace may not be deleted")
        meta = live["metadata"]
        for what, wanted, is_ in (
            ("UID", deletion.uid, meta["uid"]),
            ("ResourceVersion", deletion.version, meta["resourceVersion"]),
        ):
            if wanted and wanted != is_:
                why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is_}"
                raise errors.conflict(target.resource, target.name, why)

    def _check_namespace(self, target: Target) -> None:
        if not target.resource.namespaced:
            return
        namespaces = self.register.find("", "v1", "namespaces")
        if namespaces is None:
            return
        found = self.store.get(Key("", "namespaces", "", target.namespace))
        if found is None:
            raise errors.not_found(namespaces, target.namespace)
        if is_terminating(found):
            why = (
                f"unable to create new content in namespace {target.namespace} because it is being terminated"
            )
            raise errors.forbidden(target.resource, target.name, why)


def present(resource: Resource, found: Object) -> Object:
    """Return a stored object in the resource's version."""
    return {**found, "apiVersion": resource.api_version, "kind": resource.kind}


def patch_document(live: Object, kind: str, body: Json, resource: Resource) -> Object:
    """Return the object after a patch of the given media type; raises 415, 422."""
    try:
        if kind == MERGE:
            patched = merging.merge_patch(live, body)
        elif kind == JSON:
            patched = merging.json_patch(live, body)
        elif kind == STRATEGIC and not resource.custom:
            patched = merging.strategic_merge(live, body, resource.schema)
        else:
            accepted = [JSON, MERGE, *([] if resource.custom else [STRATEGIC]), APPLY]
            raise errors.unsupported_media_type(kind, accepted)
    except merging.PatchError as error:
        raise errors.patch_failed() from error
    if not isinstance(patched, dict):
        raise errors.bad_request("the patch leaves no object behind")
    return patched


def _may_go(found: Object) -> bool:
    """Tell whether a deleted object waits for nothing any more."""
    meta = found["metadata"]
    return is_terminating(found) and not meta.get("finalizers") and not meta["deletionGracePeriodSeconds"]


def _stored_version(resource: Resource) -> str:
    version = resource.storage_version or resource.version
    return f"{resource.group}/{version}" if resource.group else version


def _grace_seconds(resource: Resource, live: Object, deletion: Deletion) -> int:
    """Only a pod that runs somewhere needs time to end: its kubelet removes it."""
    phase = dig(live, "status", "phase")
    if resource.qualified != "pods" or not dig(live, "spec", "nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    if deletion.grace_seconds is not None:
        return deletion.grace_seconds
    return int(dig(live, "spec", "terminationGracePeriodSeconds", default=30))


def _finalizers(resource: Resource, live: Object, deletion: Deletion) -> list[str]:
    found = [
        each
        for each in dig(live, "metadata", "finalizers", default=[])
        if each not in ("orphan", "foregroundDeletion")
    ]
    extra = {"Orphan": ["orphan"], "Foreground": ["foregroundDeletion"]}.get(deletion.propagation, [])
    if resource.qualified == "namespaces":
        extra = [*extra, "kubernetes"]
    return found + [each for each in extra if each not in found]
