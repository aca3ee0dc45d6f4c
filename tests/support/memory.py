"""An API server, Gloo and a kubelet in memory, beneath the real adapters: every request passes one gate.

Documents are never changed in place. So a copy of a server is cheap, and a test may go on
from any moment of a rollout as often as it likes.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from config.status import Status, load_status
from controller.errors import Conflict, NotFound
from controller.kube.client import Listing
from controller.kube.resources import CANARIES, DEPLOYMENTS, Document, Resource
from controller.ports import ANNOTATION, Key
from controller.rollout.observation import Do
from sandbox.apiserver.merging import PatchError, json_patch, merge_patch
from situations import SECOND, T0


T = TypeVar("T")
Address = tuple[str, str, str]
"""Plural, namespace, name."""
Documents = Mapping[Address, Document]
Watchdog = Callable[["Server", Documents, str], None]
"""Called after a change of ours with the server, the documents before, and what the request was."""

KEY = Key("echo", "echo")
CANARY: Address = (CANARIES.plural, *KEY)
GLOO_TAKES = SECOND / 2
"""From a change to Gloo's report."""
ACCEPTED = {"statuses": {"gloo-system": {"state": "Accepted"}}}
REPORTED = {"virtualservices", "routetables", "upstreams", "upstreamgroups"}
"""Kinds without a status subresource: Gloo's reports count in the generation."""


def pass_on(_operation: str, effect: Callable[[], T]) -> T:
    """Let a request do what it should."""
    return effect()


def unwatched(_server: "Server", _before: Documents, _operation: str) -> None:
    """Look away."""


@dataclass
class Server:
    """Everything that outlives a process. Implements `controller.kube.client.Cluster` as far as a tick needs.

    Only what is changed through these methods is a request of ours; people use `put`, `edit` and `drop`.
    """

    documents: dict[Address, Document] = field(default_factory=dict)
    unreported: dict[Address, dt.datetime] = field(default_factory=dict)
    """When Gloo will report on what was changed."""
    now: dt.datetime = T0
    version: int = 0
    harmful: frozenset[str] = frozenset()
    """Versions that serve errors."""
    prometheus_answers: bool = True
    stopped: str = ""
    """By what all releases are stopped."""
    told: int = 0
    """How much of its story has happened."""
    asked_at: dt.datetime | None = None
    gate: Callable[[str, Callable[[], Any]], Any] = pass_on
    watchdog: Watchdog = unwatched

    def copy(self) -> "Server":
        """Give a server that goes its own way from here."""
        documents, unreported = dict(self.documents), dict(self.unreported)
        return replace(self, documents=documents, unreported=unreported, gate=pass_on)

    # What people and machines do.

    @property
    def status(self) -> Status:
        """What is recorded."""
        return load_status(self.documents[CANARY].get("status") if CANARY in self.documents else None)

    def put(self, resource: Resource, document: Document) -> None:
        """Create or replace an object."""
        metadata = document["metadata"]
        self._store((resource.plural, metadata["namespace"], metadata["name"]), document)

    def edit(self, address: Address, change: Callable[[Document], None]) -> None:
        """Change a copy of an object, and store it."""
        document = json.loads(json.dumps(self.documents[address]))
        change(document)
        self._store(address, document)

    def drop(self, address: Address) -> None:
        """Delete an object; with finalizers it stays until they are gone."""
        document = self.documents[address]
        if document["metadata"].get("finalizers"):
            self.edit(address, lambda each: each["metadata"].update(deletionTimestamp=self.now.isoformat()))
        else:
            self.version += 1
            del self.documents[address]
            self.unreported.pop(address, None)

    def deploy(self, version: str, template: str = "", replicas: int = 2) -> None:
        """Apply a Deployment; its pods are ready at once."""
        pods = {"metadata": {"labels": {"app": "echo", "version": version}}, "spec": {"image": template}}
        metadata = {"namespace": KEY.namespace, "name": f"echo-{version}"}
        self.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"replicas": replicas, "template": pods}})

    def crash(self, version: str) -> None:
        """Let no pod of a version be ready any more."""
        address = (DEPLOYMENTS.plural, KEY.namespace, f"echo-{version}")
        self.edit(address, lambda each: each["status"].update(readyReplicas=0))

    def respec(self, **fields: Any) -> None:
        """Apply the Canary with these fields of its spec changed; None takes one away."""

        def change(canary: Document) -> None:
            canary["spec"] = {
                name: value for name, value in {**canary["spec"], **fields}.items() if value is not None
            }

        self.edit(CANARY, change)

    def order(self, do: Do, order_id: str = "1") -> None:
        """Write a command into the annotation."""
        text = json.dumps({"do": do, "id": order_id, "by": "ada", "reason": "because"})
        self.edit(CANARY, lambda canary: canary["metadata"].update(annotations={ANNOTATION: text}))

    def pass_time(self, until: dt.datetime) -> None:
        """Let Gloo report on what is due."""
        self.now = until
        for address in [address for address, due in self.unreported.items() if due <= until]:
            del self.unreported[address]
            self._store(address, {**self.documents[address], "status": ACCEPTED}, reported=True)

    @property
    def next_report(self) -> dt.datetime | None:
        """When Gloo will say something."""
        return min(self.unreported.values(), default=None)

    # What the controller asks for.

    def request(self, operation: str, effect: Callable[[], T]) -> T:
        """Send a request through the gate."""
        before = dict(self.documents)

        def watched() -> T:
            answer = effect()
            self.watchdog(self, before, operation)
            return answer

        answer: T = self.gate(operation, watched)
        return answer

    def list(self, resource: Resource, namespace: str | None = None, name: str | None = None) -> Listing:
        """Give all objects of a kind; not counted, since every process begins with it."""
        found = (document for (plural, _, _), document in self.documents.items() if plural == resource.plural)
        return Listing(tuple(found), str(self.version))

    def read(self, resource: Resource, namespace: str, name: str) -> Document:
        """Give an object."""
        address = (resource.plural, namespace, name)
        return self.request(f"read {resource.plural}", lambda: self._found(address))

    def create(self, resource: Resource, namespace: str, document: Document) -> Document:
        """Create an object."""
        address = (resource.plural, namespace, document["metadata"]["name"])

        def effect() -> Document:
            if address in self.documents:
                raise Conflict(f"{address} exists already")
            return self._store(address, document)

        return self.request(f"create {resource.plural}", effect)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    ) -> Document:
        """Change an object by JSON Patch or merge patch."""
        address = (resource.plural, namespace, name)
        return self.request(f"patch {resource.plural}", lambda: self._patched(address, patch))

    def replace(
        self, resource: Resource, document: Mapping[str, Any], *, subresource: str | None = None
    ) -> Document:
        """Replace the status of an object under the resourceVersion that it carries."""
        address = (resource.plural, document["metadata"]["namespace"], document["metadata"]["name"])

        def effect() -> Document:
            stored = self._found(address)
            wanted = document["metadata"]["resourceVersion"]
            if stored["metadata"]["resourceVersion"] != wanted:
                raise Conflict(f"{address} has changed")
            status = json.loads(json.dumps(document["status"]))
            return self._store(address, {**stored, "status": status})

        return self.request(f"replace {resource.plural}/{subresource}", effect)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object if it is still this one."""
        address = (resource.plural, namespace, name)

        def effect() -> None:
            metadata = self._found(address)["metadata"]
            if metadata["uid"] != uid or resource_version not in {None, metadata["resourceVersion"]}:
                raise Conflict(f"{address} has changed")
            self.drop(address)

        self.request(f"delete {resource.plural}", effect)

    def _found(self, address: Address) -> Document:
        if address not in self.documents:
            raise NotFound(f"{address} is not there")
        return self.documents[address]

    def _patched(self, address: Address, patch: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Document:
        stored = self._found(address)
        if not isinstance(patch, Mapping):
            try:
                return self._store(address, json_patch(stored, list(patch)))
            except PatchError as error:
                raise Conflict(f"{address}: {error}") from error
        if patch["metadata"].get("resourceVersion") not in {None, stored["metadata"]["resourceVersion"]}:
            raise Conflict(f"{address} has changed")
        after = self._store(address, merge_patch(stored, dict(patch)))
        if "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
            self.drop(address)
        return after

    def _store(self, address: Address, document: Document, *, reported: bool = False) -> Document:
        before = self.documents.get(address)
        kept = (before or {}).get("metadata", {})
        self.version += 1
        moved = before is None or before.get("spec") != document.get("spec")
        counted = moved or (reported and address[0] in REPORTED)
        metadata = {
            "creationTimestamp": kept.get("creationTimestamp", self.now.isoformat()),
            **document["metadata"],
            "uid": kept.get("uid", f"uid-{self.version}"),
            "resourceVersion": str(self.version),
            "generation": kept.get("generation", 0) + counted,
        }
        stored = {**document, "metadata": metadata}
        if address[0] == DEPLOYMENTS.plural and moved:
            stored["status"] = _rolled_out(stored)
        if address[0] in REPORTED and stored.get("status") != ACCEPTED:
            self.unreported[address] = self.now + GLOO_TAKES
        self.documents[address] = stored
        return stored


def _rolled_out(deployment: Document) -> Document:
    """Give the status of a Deployment whose pods are all there."""
    pods = deployment["spec"]["replicas"]
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": pods,
        "updatedReplicas": pods,
        "readyReplicas": pods,
    }
