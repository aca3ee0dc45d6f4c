"""Which Deployment is which: the version that serves, and the one that should."""

from config.canary import CanarySpec
from config.status import Revision
from controller.rollout.observation import Workload


def revision_of(workload: Workload) -> Revision:
    """Name exactly what a Deployment runs."""
    return Revision(workload.version, workload.hash, workload.name)


def serving(workloads: tuple[Workload, ...], version: str) -> Workload | None:
    """Find the Deployment of a version; of several the newest that has replicas."""
    same = [workload for workload in workloads if workload.version == version]
    return max(same, key=lambda w: (w.wanted > 0, w.created_at, w.name), default=None)


def wanted(
    spec: CanarySpec, workloads: tuple[Workload, ...], replaced: tuple[Revision, ...]
) -> Workload | None:
    """Find the Deployment that should serve: the named version, else the newest one with replicas.

    What was replaced already is passed over unless it is named: somebody only created it again.
    """
    if spec.workload.version is not None:
        return serving(workloads, spec.workload.version)
    alive = [each for each in workloads if each.wanted > 0 and revision_of(each) not in replaced]
    return max(alive, key=lambda w: (w.created_at, w.name), default=None)


def shared_version(workloads: tuple[Workload, ...], version: str) -> tuple[str, ...]:
    """Name the live Deployments of one version if there are several: they share a subset."""
    names = sorted(w.name for w in workloads if w.version == version and w.wanted > 0)
    return tuple(names) if len(names) > 1 else ()


def releasable(
    spec: CanarySpec, workloads: tuple[Workload, ...], replaced: tuple[Revision, ...], stable: str
) -> Revision | None:
    """Find the revision that may be released over this stable version: wanted, running, and alone."""
    workload = wanted(spec, workloads, replaced)
    if workload is None or workload.wanted == 0 or workload.version == stable:
        return None
    return None if shared_version(workloads, workload.version) else revision_of(workload)
