"""Deployments, purely: which pods to make and to remove, and what the status says.

A new template is rolled out with one pod more than wanted and never one ready pod less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.clock import parse, timestamp
from sandbox.kube import Document
from sandbox.kubelet.pods import FINISHED, HASH_LABEL, is_ready, phase, template_hash


SURGE = 1
DEADLINE = 600  # seconds without progress, unless the Deployment says otherwise


@dataclass(frozen=True, slots=True)
class Plan:
    """Make `create` pods of the present template and remove the pods in `delete`."""

    create: int
    delete: list[Document]


def plan(deployment: Document, pods: Sequence[Document]) -> Plan:
    """Return the next moves; `pods` are the Deployment's own, without those on their way out."""
    wanted = _replicas(deployment)
    broken = [pod for pod in pods if phase(pod) in FINISHED]
    new, old = _by_template(deployment, pods)
    room = wanted + (SURGE if old else 0) - len(new) - len(old)
    create = max(0, min(wanted - len(new), room))
    surplus = sorted(new, key=_worth)[: max(0, len(new) - wanted)]
    spare = max(0, sum(map(is_ready, new + old)) - len(surplus) - wanted)
    ready_old = [pod for pod in old if is_ready(pod)]
    unready_old = [pod for pod in old if not is_ready(pod)]
    return Plan(create, [*broken, *surplus, *unready_old, *ready_old[:spare]])


def status(deployment: Document, pods: Sequence[Document], now: float) -> Document:
    """Return the Deployment's status; counts of zero are left out, as Kubernetes does."""
    wanted = _replicas(deployment)
    new, old = _by_template(deployment, pods)
    ready = sum(map(is_ready, new + old))
    counts = {
        "replicas": len(new) + len(old),
        "updatedReplicas": len(new),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, wanted - ready),
    }
    result: Document = {
        "observedGeneration": deployment["metadata"]["generation"],
        **{name: count for name, count in counts.items() if count},
    }
    done = not old and len(new) == wanted and sum(map(is_ready, new)) >= wanted
    result["conditions"] = [
        _available(deployment, now, enough=ready >= wanted),
        _progressing(deployment, result, now, done=done),
    ]
    return result


def _replicas(deployment: Document) -> int:
    return int(deployment["spec"].get("replicas", 1))


def _by_template(deployment: Document, pods: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    current = template_hash(deployment["spec"]["template"])
    alive = [pod for pod in pods if phase(pod) not in FINISHED]
    new = [pod for pod in alive if pod["metadata"]["labels"].get(HASH_LABEL) == current]
    old = [pod for pod in alive if pod["metadata"]["labels"].get(HASH_LABEL) != current]
    return new, old


def _worth(pod: Document) -> tuple[bool, float]:
    """Sort key: what is missed least goes first, the unready ones and then the youngest."""
    return is_ready(pod), -parse(pod["metadata"]["creationTimestamp"])


def _available(deployment: Document, now: float, *, enough: bool) -> Document:
    return _condition(
        deployment,
        now,
        {
            "type": "Available",
            "status": str(enough),
            "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        },
    )


def _progressing(deployment: Document, counts: Document, now: float, *, done: bool) -> Document:
    name = deployment["metadata"]["name"]
    before = _find(deployment, "Progressing")
    finished = {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable",
        "message": f'Deployment "{name}" has successfully progressed.',
    }
    moving = {**finished, "reason": "ReplicaSetUpdated", "message": f'Deployment "{name}" is progressing.'}
    if done:
        return _condition(deployment, now, finished)
    if before is None or _moved(deployment, counts):
        return {**_condition(deployment, now, moving), "lastUpdateTime": timestamp(now)}
    deadline = deployment["spec"].get("progressDeadlineSeconds", DEADLINE)
    if before["reason"] == "ReplicaSetUpdated" and now - parse(before["lastUpdateTime"]) > deadline:
        message = f'Deployment "{name}" has timed out progressing.'
        stuck = {"status": "False", "reason": "ProgressDeadlineExceeded", "message": message}
        return _condition(deployment, now, {**moving, **stuck})
    return before


def _moved(deployment: Document, counts: Document) -> bool:
    """Say whether the rollout got on since the last status: another spec, more new pods, fewer old ones."""
    before = deployment.get("status") or {}

    def grown(name: str) -> bool:
        return int(counts.get(name, 0)) > int(before.get(name, 0))

    def old(status: Document) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    changed = before.get("observedGeneration") != counts["observedGeneration"]
    return changed or grown("updatedReplicas") or grown("readyReplicas") or old(counts) < old(before)


def _find(deployment: Document, kind: str) -> Document | None:
    found: list[Document] = (deployment.get("status") or {}).get("conditions") or []
    return next((condition for condition in found if condition["type"] == kind), None)


def _condition(deployment: Document, now: float, wanted: Document) -> Document:
    before = _find(deployment, wanted["type"]) or {}
    if wanted.items() <= before.items():
        return before
    same = before.get("status") == wanted["status"]
    turned = before["lastTransitionTime"] if same else timestamp(now)
    return {**wanted, "lastUpdateTime": timestamp(now), "lastTransitionTime": turned}
