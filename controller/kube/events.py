"""Kubernetes events about a Canary: what `kubectl describe canary` shows."""

import uuid

import structlog

from config.canary import KIND
from controller.errors import Conflict, EdgeError
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, EVENTS
from controller.ports import CanaryObject, Clock
from controller.report import Event


LONGEST = 1024
"""Characters of a message; the API server refuses more."""

_COMPONENT = "crossfade"
_log = structlog.get_logger(__name__)


class KubeEvents:
    """Implements `controller.ports.Events`: an event that cannot be written is logged, nothing else."""

    def __init__(self, cluster: Cluster, clock: Clock, instance: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._instance = instance

    def publish(self, canary: CanaryObject, event: Event) -> None:
        """Write one event about the Canary."""
        now = self._clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        document = {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {
                "namespace": canary.key.namespace,
                "name": f"{canary.key.name[:200]}.{uuid.uuid4().hex[:16]}",
            },
            "involvedObject": {
                "apiVersion": CANARIES.api_version,
                "kind": KIND,
                "namespace": canary.key.namespace,
                "name": canary.key.name,
                "uid": canary.uid,
                "resourceVersion": canary.resource_version,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:LONGEST],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._instance,
        }
        try:
            self._cluster.create(EVENTS, canary.key.namespace, document)
        except Conflict:
            return  # the answer to the first attempt was lost, the event was not
        except EdgeError as error:
            _log.warning("event.lost", canary=str(canary.key), reason=event.reason, error=str(error))
