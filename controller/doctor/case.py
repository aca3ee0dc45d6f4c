"""What was read for one Canary: all that its checks may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.survey import Survey
from config.canary import KIND, CanarySpec
from config.status import Revision, Status
from config.versions import UpstreamRef
from controller.doctor.finding import Edit, Fix, Json, Patch
from controller.gloo.clones import base_of, version_of
from controller.gloo.destinations import Target
from controller.gloo.grants import ANYTHING, Tenancy
from controller.kube.resources import CANARIES, Document
from controller.ports import Key
from controller.rollout.observation import Routes, Workload


@dataclass(frozen=True, slots=True)
class Gateway:
    """Gloo's objects of the whole cluster."""

    virtual_services: tuple[Document, ...] = ()
    route_tables: tuple[Document, ...] = ()
    upstream_groups: tuple[Document, ...] = ()
    upstreams: tuple[Document, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    """Resource (`upstreams.gloo.solo.io`) -> why it could not be read."""

    @property
    def tables(self) -> tuple[Document, ...]:
        """Give everything that has routes."""
        return *self.virtual_services, *self.route_tables


@dataclass(frozen=True, slots=True)
class Fault:
    """A metric that cannot be judged."""

    number: int
    """Its place in `spec.analysis.metrics`."""
    problem: str
    """Its field, and why."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """Label by which no series tells versions apart -> the condition by which they do."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What Prometheus said."""

    survey: Survey | None = None
    """None: it was not asked."""
    unasked: str = ""
    """Why it was not."""
    faults: tuple[Fault, ...] = ()
    """Of each metric that cannot be judged, in order."""


@dataclass(frozen=True, slots=True)
class Case:
    """One Canary, and what surrounds it."""

    key: Key
    document: Document
    """As stored, or as the file has it."""
    spec: CanarySpec
    status: Status
    file: str = ""
    """The file that it stands in, if that was asked about; empty: it is in the cluster."""
    gateway: Gateway = field(default_factory=Gateway)
    deployments: tuple[Document, ...] = ()
    """Of its namespace."""
    workloads: tuple[Workload, ...] = ()
    """The Deployments that it selects, as the controller sees them."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Resource -> why it could not be read, of those in its namespace."""
    routes: Routes = field(default_factory=Routes)
    """As the controller sees them, against what it intends now."""
    claimed_by: str = ""
    serving: Revision | None = None
    """The stable version, or what would be adopted."""
    adoption: str = ""
    """What the controller would say of adopting it; empty if it has been adopted."""
    measured: Measured = field(default_factory=Measured)
    tenancy: Tenancy = ANYTHING
    """The controller's, as far as whoever asks knows it."""

    @property
    def name(self) -> str:
        """Name it as people do."""
        return f"{KIND} {self.key}"

    @property
    def target(self) -> Target:
        """Give whose versions are to be told apart."""
        ref = self.spec.upstream
        clones = (each for each in self.gateway.upstreams if base_of(each) == (ref.namespace, ref.name))
        own = {address(each): version_of(each) for each in clones}
        if self.spec.versions is not None:
            own = {(each.namespace, each.name): each.name for each in self.spec.versions.all}
        label = self.spec.workload.version_label
        return Target(ref.name, ref.namespace, label, upstreams=own, by_upstream=self.spec.by_upstream)

    @property
    def upstream(self) -> Document | None:
        """Find the application's Upstream."""
        return self.upstream_called(self.spec.upstream)

    def upstream_called(self, ref: UpstreamRef) -> Document | None:
        """Find an Upstream by its name."""
        wanted = ref.namespace, ref.name
        return next((each for each in self.gateway.upstreams if address(each) == wanted), None)

    def change(self, content: Json, operations: Sequence[Json] = ()) -> Fix:
        """Give the fix that changes the Canary.

        Args:
            content: What should be so, as a merge patch; also what its file should say.
            operations: The same as a JSON Patch, where a list is only added to.

        """
        if self.file:
            return Edit(self.file, content)
        return Patch(str(CANARIES), self.key.namespace, self.key.name, operations or content)

    def written(self, *path: str) -> list[Any]:
        """Give a list of the spec as it is stored; empty if there is none."""
        found: Any = self.document.get("spec")
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return list(found) if isinstance(found, list) else []


def address(document: Json) -> tuple[str, str]:
    """Give namespace and name."""
    metadata = document.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
