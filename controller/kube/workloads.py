"""The Deployments of an application: read from a watch, touched only if they still run the same."""

import datetime as dt
import hashlib
import json
from typing import Any

import structlog

from config.canary import CanarySpec
from controller.errors import NotFound, Unavailable
from controller.kube.client import Cluster
from controller.kube.kept import Kept
from controller.kube.resources import DEPLOYMENTS, Document, unchanged
from controller.rollout.observation import Workload


_MOST_KNOWN = 10_000

_log = structlog.get_logger(__name__)


class KubeWorkloads:
    """Implements `controller.ports.Workloads`."""

    def __init__(self, cluster: Cluster, watched: Kept) -> None:
        self._cluster = cluster
        self._watched = watched
        self._reported: set[str] = set()
        self._known: dict[tuple[str, str], tuple[Document, Workload]] = {}
        """What was read from which document; hashing a template is what a tick would cost most."""

    def find(self, namespace: str, spec: CanarySpec) -> tuple[Workload, ...]:
        """Give the Deployments whose pods carry the selector's labels and name a version, by name.

        Raises:
            Unavailable: they have not been listed yet, which must not look as if there were none.

        """
        if not self._watched.synced:
            raise Unavailable(f"{DEPLOYMENTS}: {self._watched.problem or 'not listed yet'}")
        found = []
        for document in self._watched.under(namespace):
            if "deletionTimestamp" in document["metadata"]:
                continue
            if not selects(spec.workload.selector, document):
                continue
            version = pod_labels(document).get(spec.workload.version_label)
            if version:
                found.append(self._read(document, version))
            else:
                self._report(document, spec.workload.version_label)
        return tuple(sorted(found, key=lambda workload: workload.name))

    def scale_to_zero(self, namespace: str, name: str, template_hash: str) -> None:
        """Scale down, unless it runs something else by now, is gone, or has no pods wanted.

        Raises:
            Conflict: its spec was changed at this very moment, or long ago and we are the last to know.

        """
        document = self._same(namespace, name, template_hash)
        if document is None or document["spec"].get("replicas", 1) == 0:
            return
        patch = [
            *unchanged(document),
            {"op": "test", "path": "/spec/template", "value": document["spec"]["template"]},
            {"op": "replace", "path": "/spec/replicas", "value": 0},
        ]
        try:
            self._watched.put(self._cluster.patch(DEPLOYMENTS, namespace, name, patch))
        except NotFound:
            return

    def delete(self, namespace: str, name: str, template_hash: str) -> None:
        """Delete, unless it runs something else by now or is gone.

        Raises:
            Conflict: it was changed at this very moment.

        """
        document = self._same(namespace, name, template_hash)
        if document is None:
            return
        metadata = document["metadata"]
        try:
            self._cluster.delete(
                DEPLOYMENTS,
                namespace,
                name,
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
            )
        except NotFound:
            return

    def _read(self, document: Document, version: str) -> Workload:
        address = (document["metadata"]["namespace"], document["metadata"]["name"])
        known = self._known.get(address)
        if known is None or known[0] is not document or known[1].version != version:
            known = document, workload_of(document, version)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[address] = known
        return known[1]

    def _same(self, namespace: str, name: str, template_hash: str) -> Document | None:
        document = self._watched.get(namespace, name)
        if document is None or hash_of(document["spec"]["template"]) != template_hash:
            return None
        return document

    def _report(self, document: Document, version_label: str) -> None:
        """Say once that a Deployment cannot be told apart."""
        metadata = document["metadata"]
        if metadata["uid"] in self._reported:
            return
        self._reported.add(metadata["uid"])
        _log.warning(
            "workload.versionless",
            deployment=f"{metadata['namespace']}/{metadata['name']}",
            lacks=f"spec.template.metadata.labels[{version_label!r}]",
        )


def selects(selector: dict[str, str], document: Document) -> bool:
    """Tell whether the pods of a Deployment carry all these labels."""
    return selector.items() <= pod_labels(document).items()


def pod_labels(document: Document) -> dict[str, str]:
    """Give the labels of a Deployment's pods."""
    labels: dict[str, str] | None = document["spec"]["template"].get("metadata", {}).get("labels")
    return labels or {}


def workload_of(document: Document, version: str) -> Workload:
    """Read a Deployment.

    Ready pods are those that certainly run this very template: a Deployment does not
    say which of its pods are ready, so pods of older templates are taken off.
    """
    metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    return Workload(
        name=metadata["name"],
        version=version,
        hash=hash_of(spec["template"]),
        created_at=dt.datetime.fromisoformat(metadata["creationTimestamp"]),
        wanted=spec.get("replicas", 1),
        ready=_ready(status),
        counted=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
    )


def hash_of(template: dict[str, Any]) -> str:
    """Name a pod template: 16 hex digits, the same for the same content in any order of keys."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _ready(status: dict[str, int]) -> int:
    outdated = max(0, status.get("replicas", 0) - status.get("updatedReplicas", 0))
    return max(0, status.get("readyReplicas", 0) - outdated)
