"""The Canaries: read from a watch, written under the resourceVersion that was read.

One of several controllers sees the Canaries of the others too, because they may
claim what its own want; but it looks after its own alone.
"""

import datetime as dt
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from config.canary import KIND
from config.status import Status, dump_status
from controller.claims import marks, sought
from controller.errors import Conflict, NotFound
from controller.kube.client import Cluster
from controller.kube.kept import Kept
from controller.kube.resources import CANARIES, Document
from controller.ports import ANNOTATION, FINALIZER, CanaryObject, Key


_POINTER = "/metadata/annotations/" + ANNOTATION.replace("~", "~0").replace("/", "~1")


OnRecord = Callable[[CanaryObject, Status], None]
"""Called after a status was written, with the Canary as it was read and its new status."""


def _unheard(_canary: CanaryObject, _status: Status) -> None: ...


Mine = Callable[[Document], bool]
"""Tells whether a Canary is to be looked after here."""


def _all(_document: Document) -> bool:
    return True


class KubeCanaries:
    """Implements `controller.ports.Canaries` for those that are `mine`; the others are rivals only."""

    def __init__(
        self, cluster: Cluster, watched: Kept, on_record: OnRecord = _unheard, mine: Mine = _all
    ) -> None:
        self._cluster = cluster
        self._watched = watched
        self._on_record = on_record
        self._mine = mine

    def get(self, key: Key) -> CanaryObject | None:
        """Give the Canary as last seen."""
        document = self._watched.get(*key)
        return None if document is None or not self._mine(document) else canary_of(document)

    def all(self) -> Sequence[CanaryObject]:
        """Give all Canaries as last seen."""
        return tuple(canary_of(document) for document in self._watched.all() if self._mine(document))

    def rivals(self, canary: CanaryObject) -> Sequence[CanaryObject]:
        """Give the Canaries that may want something that this one wants, itself and those of others too."""
        found = {
            (document["metadata"]["namespace"], document["metadata"]["name"]): document
            for mark in sought(canary.key.namespace, canary.spec)
            for document in self._watched.under(mark)
        }
        return tuple(canary_of(document) for document in found.values())

    def refresh(self, key: Key) -> CanaryObject | None:
        """Ask the API server itself."""
        try:
            document = self._cluster.read(CANARIES, *key)
        except NotFound:
            return None
        canary = self._taken(document)
        return canary if self._mine(document) else None

    def record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        """Replace the status, if the Canary is still the one that was read.

        Raises:
            Conflict: it has changed, or is another one of the same name, or is gone.

        """
        document = {
            "apiVersion": CANARIES.api_version,
            "kind": KIND,
            "metadata": _identity(canary),
            "spec": dict(canary.spec),
            "status": dump_status(status),
        }
        try:
            recorded = self._taken(self._cluster.replace(CANARIES, document, subresource="status"))
        except NotFound as error:
            raise Conflict(str(error)) from error
        self._on_record(canary, status)
        return recorded

    def clear_command(self, canary: CanaryObject, command_id: str) -> None:
        """Remove the command annotation if it still holds this command."""
        text = canary.annotations.get(ANNOTATION)
        if text is None or _id(text) != command_id:
            return
        patch = [
            {"op": "test", "path": _POINTER, "value": text},
            {"op": "remove", "path": _POINTER},
        ]
        try:
            self._taken(self._cluster.patch(CANARIES, *canary.key, patch))
        except (Conflict, NotFound):
            return  # another command by now, or none

    def set_finalizer(self, canary: CanaryObject, *, present: bool) -> CanaryObject:
        """Add or remove our finalizer; those of others stay."""
        others = [finalizer for finalizer in canary.finalizers if finalizer != FINALIZER]
        wanted = [*others, FINALIZER] if present else others
        if wanted == list(canary.finalizers):
            return canary
        patch = {"metadata": {"resourceVersion": canary.resource_version, "finalizers": wanted}}
        return self._taken(self._cluster.patch(CANARIES, *canary.key, patch))

    def _taken(self, document: Document) -> CanaryObject:
        self._watched.put(document)
        return canary_of(document)


def wanted_by(document: Document) -> Iterable[Hashable]:
    """Mark a Canary by what it wants: the index of a watch whose Canaries have rivals."""
    spec = document.get("spec")
    return marks(document["metadata"]["namespace"], spec if isinstance(spec, dict) else {})


def canary_of(document: Document) -> CanaryObject:
    """Read what the API server guarantees of every Canary; the spec is not validated here."""
    metadata: dict[str, Any] = document["metadata"]
    return CanaryObject(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        created_at=dt.datetime.fromisoformat(metadata["creationTimestamp"]),
        annotations=metadata.get("annotations") or {},
        finalizers=tuple(metadata.get("finalizers") or ()),
        deleting="deletionTimestamp" in metadata,
        spec=document.get("spec") or {},
        status=document.get("status") or {},
    )


def _identity(canary: CanaryObject) -> dict[str, str]:
    return {
        "namespace": canary.key.namespace,
        "name": canary.key.name,
        "uid": canary.uid,
        "resourceVersion": canary.resource_version,
    }


def _id(command: str) -> str | None:
    try:
        return str(json.loads(command)["id"])
    except (ValueError, LookupError, TypeError):
        return None
