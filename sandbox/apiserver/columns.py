"""The columns that kubectl shows for the built-in kinds."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sandbox.apiserver.documents import Json, Object, dig, name_of
from sandbox.apiserver.resources import Column


if TYPE_CHECKING:
    from collections.abc import Callable


def age(since: Json, now: dt.datetime) -> str:
    """Return how long ago a time of Kubernetes' was, as kubectl writes it: 5s, 3m20s, 4h, 2d3h."""
    if not since:
        return "<unknown>"
    return duration(now - dt.datetime.fromisoformat(since))


def duration(span: dt.timedelta) -> str:
    """Return a span of time as kubectl writes it."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def _plain(*path: str | int, default: Json = "<none>") -> Callable[[Object, dt.datetime], Json]:
    return lambda found, _: dig(found, *path, default=default)


def _count(*path: str) -> Callable[[Object, dt.datetime], Json]:
    return lambda found, _: dig(found, *path, default=0)


NAME = Column("Name", lambda found, _: name_of(found), format="name")
AGE = Column("Age", lambda found, now: age(dig(found, "metadata", "creationTimestamp"), now))


def _selector(found: Object, *path: str) -> str:
    pairs = dig(found, *path, default={})
    return ",".join(f"{key}={each}" for key, each in sorted(pairs.items())) or "<none>"


def _containers(found: Object, field: str, *path: str) -> str:
    return ",".join(str(each.get(field, "")) for each in dig(found, *path, default=[]))


def _pod_status(found: Object) -> str:
    if dig(found, "metadata", "deletionTimestamp"):
        return "Terminating"
    for each in dig(found, "status", "containerStatuses", default=[]):
        for state in ("waiting", "terminated"):
            if reason := dig(each, "state", state, "reason"):
                return str(reason)
    return str(dig(found, "status", "reason") or dig(found, "status", "phase", default="Unknown"))


def _pod_ready(found: Object) -> str:
    statuses = dig(found, "status", "containerStatuses", default=[])
    ready = sum(bool(each.get("ready")) for each in statuses)
    return f"{ready}/{len(dig(found, 'spec', 'containers', default=[]))}"


def _pod_restarts(found: Object, now: dt.datetime) -> str:
    statuses = dig(found, "status", "containerStatuses", default=[])
    restarts = sum(each.get("restartCount", 0) for each in statuses)
    ends = [end for each in statuses if (end := dig(each, "lastState", "terminated", "finishedAt"))]
    return f"{restarts} ({age(max(ends), now)} ago)" if restarts and ends else str(restarts)


def _service_ports(found: Object) -> str:
    ports = dig(found, "spec", "ports", default=[])
    return (
        ",".join(
            f"{each['port']}{':' + str(each['nodePort']) if each.get('nodePort') else ''}/{each['protocol']}"
            for each in ports
        )
        or "<none>"
    )


def _job_status(found: Object) -> str:
    for each in dig(found, "status", "conditions", default=[]):
        if each.get("status") == "True" and each.get("type") in ("Complete", "Failed", "Suspended"):
            return str(each["type"])
    return "Terminating" if dig(found, "metadata", "deletionTimestamp") else "Running"


def _job_duration(found: Object, now: dt.datetime) -> str:
    started, ended = dig(found, "status", "startTime"), dig(found, "status", "completionTime")
    if not started:
        return ""
    end = dt.datetime.fromisoformat(ended) if ended else now
    return duration(end - dt.datetime.fromisoformat(started))


def _slice_ports(found: Object) -> str:
    return ",".join(str(each.get("port", "*")) for each in found.get("ports") or []) or "<unset>"


def _addresses(found: Object) -> str:
    listed = [each for endpoint in found.get("endpoints") or [] for each in endpoint.get("addresses", [])]
    return _shortened(listed) or "<unset>"


def _subsets(found: Object) -> str:
    listed = [
        f"{address['ip']}:{port['port']}"
        for subset in found.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    return _shortened(listed) or "<none>"


def _shortened(listed: list[str]) -> str:
    more = f" + {len(listed) - 3} more..." if len(listed) > 3 else ""
    return ",".join(listed[:3]) + more


def _last_seen(found: Object, now: dt.datetime) -> str:
    seen = (
        dig(found, "series", "lastObservedTime")
        or found.get("lastTimestamp")
        or found.get("eventTime")
        or found.get("firstTimestamp")
    )
    return age(seen, now)


def _involved(found: Object) -> str:
    involved = found.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


_TEMPLATE = ("spec", "template", "spec", "containers")
_WIDE = (
    Column("Containers", lambda found, _: _containers(found, "name", *_TEMPLATE), priority=1),
    Column("Images", lambda found, _: _containers(found, "image", *_TEMPLATE), priority=1),
    Column("Selector", lambda found, _: _selector(found, "spec", "selector", "matchLabels"), priority=1),
)

DEPLOYMENT = (
    NAME,
    Column(
        "Ready",
        lambda found, _: (
            f"{dig(found, 'status', 'readyReplicas', default=0)}/{dig(found, 'spec', 'replicas', default=0)}"
        ),
    ),
    Column("Up-to-date", _count("status", "updatedReplicas"), "integer"),
    Column("Available", _count("status", "availableReplicas"), "integer"),
    AGE,
    *_WIDE,
)
REPLICA_SET = (
    NAME,
    Column("Desired", _count("spec", "replicas"), "integer"),
    Column("Current", _count("status", "replicas"), "integer"),
    Column("Ready", _count("status", "readyReplicas"), "integer"),
    AGE,
    *_WIDE,
)
POD = (
    NAME,
    Column("Ready", lambda found, _: _pod_ready(found)),
    Column("Status", lambda found, _: _pod_status(found)),
    Column("Restarts", _pod_restarts),
    AGE,
    Column("IP", _plain("status", "podIP"), priority=1),
    Column("Node", _plain("spec", "nodeName"), priority=1),
    Column("Nominated Node", _plain("status", "nominatedNodeName"), priority=1),
    Column("Readiness Gates", lambda _found, _now: "<none>", priority=1),
)
SERVICE = (
    NAME,
    Column("Type", _plain("spec", "type")),
    Column("Cluster-IP", _plain("spec", "clusterIP")),
    Column("External-IP", _plain("spec", "externalName")),
    Column("Port(s)", lambda found, _: _service_ports(found)),
    AGE,
    Column("Selector", lambda found, _: _selector(found, "spec", "selector"), priority=1),
)
NAMESPACE = (NAME, Column("Status", _plain("status", "phase")), AGE)
CONFIG_MAP = (
    NAME,
    Column("Data", lambda found, _: len(found.get("data") or {}) + len(found.get("binaryData") or {})),
    AGE,
)
SECRET = (
    NAME,
    Column("Type", _plain("type")),
    Column("Data", lambda found, _: len(found.get("data") or {}), "integer"),
    AGE,
)
ROLE = (NAME, Column("Created At", _plain("metadata", "creationTimestamp")))
BINDING = (
    NAME,
    Column("Role", lambda found, _: f"{dig(found, 'roleRef', 'kind')}/{dig(found, 'roleRef', 'name')}"),
    AGE,
)
SERVICE_ACCOUNT = (NAME, Column("Secrets", lambda found, _: len(found.get("secrets") or []), "integer"), AGE)
ENDPOINTS = (NAME, Column("Endpoints", lambda found, _: _subsets(found)), AGE)
ENDPOINT_SLICE = (
    NAME,
    Column("AddressType", _plain("addressType")),
    Column("Ports", lambda found, _: _slice_ports(found)),
    Column("Endpoints", lambda found, _: _addresses(found)),
    AGE,
)
EVENT = (
    Column("Last Seen", _last_seen),
    Column("Type", _plain("type")),
    Column("Reason", _plain("reason")),
    Column("Object", lambda found, _: _involved(found)),
    Column("Subobject", _plain("involvedObject", "fieldPath", default=""), priority=1),
    Column("Source", _plain("source", "component", default=""), priority=1),
    Column("Message", _plain("message", default="")),
    Column("First Seen", lambda found, now: age(found.get("firstTimestamp"), now), priority=1),
    Column("Count", _plain("count", default=1), "integer", priority=1),
    Column("Name", lambda found, _: name_of(found), format="name", priority=1),
)
LEASE = (NAME, Column("Holder", _plain("spec", "holderIdentity", default="")), AGE)
JOB = (
    NAME,
    Column("Status", lambda found, _: _job_status(found)),
    Column(
        "Completions",
        lambda found, _: (
            f"{dig(found, 'status', 'succeeded', default=0)}/{dig(found, 'spec', 'completions', default=1)}"
        ),
    ),
    Column("Duration", _job_duration),
    AGE,
    *_WIDE,
)
DEFINITION = (NAME, Column("Created At", _plain("metadata", "creationTimestamp")))
