"""Upstreams in place of Deployments: static ones, Consul's, whatever Gloo can lead to.

A version is called as its Upstream, runs what the Upstream's spec says, and is
ready when Gloo has accepted it. There is nothing to scale down or to delete.
"""

import datetime as dt

from config.canary import CanarySpec
from controller.errors import Unavailable
from controller.gloo.acceptance import acceptance
from controller.kube.kept import Kept
from controller.kube.resources import UPSTREAMS, Document
from controller.kube.workloads import hash_of
from controller.ports import Workloads
from controller.rollout.observation import Acceptance, Workload


class VersionsInUse:
    """Implements `controller.ports.Workloads`: two named Upstreams, or the Deployments of an application."""

    def __init__(self, deployments: Workloads, upstreams: Kept) -> None:
        self._deployments = deployments
        self._upstreams = upstreams

    def find(self, namespace: str, spec: CanarySpec) -> tuple[Workload, ...]:
        """Give what runs the versions of an application.

        Raises:
            Unavailable: it has not been listed yet, which must not look as if there were nothing.

        """
        if spec.versions is None:
            return self._deployments.find(namespace, spec)
        if not self._upstreams.synced:
            raise Unavailable(f"{UPSTREAMS}: {self._upstreams.problem or 'not listed yet'}")
        found = (self._upstreams.get(ref.namespace, ref.name) for ref in spec.versions.all)
        return tuple(_workload(document) for document in found if document is not None)

    def scale_to_zero(self, namespace: str, name: str, template_hash: str) -> None:
        """Scale a Deployment down."""
        self._deployments.scale_to_zero(namespace, name, template_hash)

    def delete(self, namespace: str, name: str, template_hash: str) -> None:
        """Delete a Deployment."""
        self._deployments.delete(namespace, name, template_hash)


def _workload(document: Document) -> Workload:
    metadata = document["metadata"]
    accepted = acceptance(document)[0] is Acceptance.ACCEPTED
    return Workload(
        name=f"{metadata['namespace']}/{metadata['name']}",
        version=metadata["name"],
        hash=hash_of(document.get("spec") or {}),
        created_at=dt.datetime.fromisoformat(metadata["creationTimestamp"]),
        wanted=1,
        ready=int(accepted),
        kind="Upstream",
    )
