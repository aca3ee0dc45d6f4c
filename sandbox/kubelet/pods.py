"""Pods, purely: made from a template, and their status from what is known of the process behind them.

Of a pod's containers the first one runs. There is one node, and no ReplicaSet between Deployment and pods.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sandbox.clock import timestamp
from sandbox.kube import Document, Resource


NODE = "crossfade-sandbox"
HASH_LABEL = "pod-template-hash"
FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Exit:
    """How and when a process ended, in seconds since 1970."""

    code: int
    started: float
    finished: float

    def document(self) -> Document:
        """Return it as a `terminated` container state."""
        return {
            "exitCode": self.code,
            "reason": "Completed" if self.code == 0 else "Error",
            "startedAt": timestamp(self.started),
            "finishedAt": timestamp(self.finished),
        }


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a pod's process: it runs `since` then, or waits for `waiting`, or is over for good."""

    address: str
    begun: float
    ready: bool = False
    since: float | None = None
    waiting: str = "ContainerCreating"
    restarts: int = 0
    last: Exit | None = None
    over: bool = False

    def running(self, since: float) -> "Life":
        """Return the life of a pod whose process has just started."""
        return replace(self, since=since, waiting="")

    def exited(self, end: Exit, *, over: bool) -> "Life":
        """Return the life after the process ended, for good or to be started again."""
        waiting = "" if over else "CrashLoopBackOff"
        return replace(self, since=None, ready=False, last=end, over=over, waiting=waiting)


def template_hash(template: Document) -> str:
    """Return a short name for a pod template's content."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def pod_of(owner: Document, resource: Resource, template: Document, extra_labels: Document) -> Document:
    """Return a new pod of `owner`, bound to our node; the server completes its name."""
    metadata = owner["metadata"]
    inherited = template.get("metadata") or {}
    labels = {**(inherited.get("labels") or {}), **extra_labels}
    reference = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    infix = f"{labels[HASH_LABEL]}-" if HASH_LABEL in labels else ""
    return {
        "metadata": {
            "generateName": f"{metadata['name']}-{infix}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": inherited.get("annotations") or {},
            "ownerReferences": [reference],
        },
        "spec": {**template["spec"], "nodeName": NODE},
    }


def controller_uid(pod: Document) -> str | None:
    """Return the uid of the object that controls a pod, if any does."""
    for reference in pod["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference["uid"])
    return None


def owned(pods: Iterable[Document], owner: Document) -> list[Document]:
    """Return the pods that `owner` controls, those on their way out left aside."""
    uid = owner["metadata"]["uid"]
    return [pod for pod in pods if controller_uid(pod) == uid and not terminating(pod)]


def terminating(pod: Document) -> bool:
    """Say whether somebody has deleted the pod."""
    return "deletionTimestamp" in pod["metadata"]


def phase(pod: Document) -> str:
    """Return the pod's phase."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_ready(pod: Document) -> bool:
    """Say whether the pod's status says that it is ready."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container_of(pod: Document) -> Document:
    """Return the container that is run."""
    containers: list[Document] = pod["spec"]["containers"]
    return containers[0]


def port_of(pod: Document, wanted: str | int | None = None) -> int | None:
    """Return a container port by name or number, the first one by default; None if there is none."""
    if isinstance(wanted, int):
        return wanted
    ports = container_of(pod).get("ports") or []
    chosen = ports if wanted is None else [port for port in ports if port.get("name") == wanted]
    return chosen[0]["containerPort"] if chosen else None


def status_of(pod: Document, life: Life, now: float) -> Document:
    """Return the pod's status; conditions keep their time of transition while they stay the same."""
    before = pod.get("status") or {}
    ready = life.ready and not terminating(pod)
    reason = {} if ready else {"reason": "PodCompleted" if life.over else "ContainersNotReady"}
    wanted = {
        "PodScheduled": {"status": "True"},
        "Initialized": {"status": "True"},
        "ContainersReady": {"status": _truth(ready), **reason},
        "Ready": {"status": _truth(ready), **reason},
    }
    return {
        "phase": _phase(life),
        "hostIP": "127.0.0.1",
        "podIP": life.address,
        "podIPs": [{"ip": life.address}],
        "startTime": timestamp(life.begun),
        "qosClass": before.get("qosClass", "BestEffort"),
        "conditions": conditions(before.get("conditions") or [], wanted, now),
        "containerStatuses": [_container_status(container_of(pod), life, ready=ready)],
    }


def conditions(before: list[Document], wanted: dict[str, Document], now: float) -> list[Document]:
    """Return `wanted` as a list of conditions, `lastTransitionTime` kept where the status did not change."""
    times = {c["type"]: c.get("lastTransitionTime") for c in before if _same(c, wanted.get(c["type"]))}
    return [
        {"type": kind, **value, "lastTransitionTime": times.get(kind) or timestamp(now)}
        for kind, value in wanted.items()
    ]


def _same(condition: Document, wanted: Document | None) -> bool:
    return wanted is not None and condition["status"] == wanted["status"]


def _truth(value: bool) -> str:  # noqa: FBT001  # the value itself is the argument
    return str(value)


def _phase(life: Life) -> str:
    if life.over and life.last:
        return "Succeeded" if life.last.code == 0 else "Failed"
    return "Running" if life.since is not None or life.last else "Pending"


def _container_status(container: Document, life: Life, *, ready: bool) -> Document:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": ready,
        "started": life.since is not None,
        "restartCount": life.restarts,
        "state": _state(life),
        "lastState": {"terminated": life.last.document()} if life.last and not life.over else {},
    }


def _state(life: Life) -> Document:
    if life.since is not None:
        return {"running": {"startedAt": timestamp(life.since)}}
    if life.over and life.last:
        return {"terminated": life.last.document()}
    return {"waiting": {"reason": life.waiting}}
