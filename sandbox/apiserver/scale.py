"""The scale subresource: replicas as every workload shows them, whatever its own fields are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver import api
from sandbox.apiserver.documents import Json, Object, dig, plant
from sandbox.apiserver.errors import bad_request
from sandbox.apiserver.models import schema_of
from sandbox.apiserver.resources import Resource, ScalePaths


if TYPE_CHECKING:
    from sandbox.apiserver.admission import Options
    from sandbox.apiserver.api import Api, Target


SCALE = Resource(
    group="autoscaling",
    version="v1",
    plural="scales",
    kind="Scale",
    schema=schema_of("V1Scale"),
    model="V1Scale",
)


def read(server: Api, target: Target, paths: ScalePaths) -> Object:
    """Return the object's Scale; raises 404."""
    found = server.get(target)
    meta = found["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": dig(found, *paths.status, default=0)}
    if selector := _selector(dig(found, *paths.selector) if paths.selector else None):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: meta[field] for field in kept if field in meta},
        "spec": {"replicas": dig(found, *paths.spec, default=0)},
        "status": status,
    }


def write(server: Api, target: Target, paths: ScalePaths, wanted: Json, options: Options) -> Object:
    """Set the number of replicas to that of a Scale; raises 400, 404, 409."""
    replicas = dig(wanted, "spec", "replicas", default=0)
    if not isinstance(replicas, int) or replicas < 0:
        raise bad_request(f"spec.replicas: Invalid value: {replicas!r}: must be a whole number, 0 or more")
    change: Object = {}
    plant(change, paths.spec, replicas)
    if version := dig(wanted, "metadata", "resourceVersion"):
        plant(change, ("metadata", "resourceVersion"), version)
    server.patch(target, api.MERGE, change, options)
    return read(server, target, paths)


def _selector(found: Json) -> str:
    if not isinstance(found, dict):
        return str(found or "")
    listed = [f"{key}={each}" for key, each in sorted((found.get("matchLabels") or {}).items())]
    for each in found.get("matchExpressions") or []:
        key, values = each["key"], f"({','.join(sorted(each.get('values', [])))})"
        words = {"In": f"{key} in {values}", "NotIn": f"{key} notin {values}", "Exists": key}
        listed.append(words.get(each["operator"], f"!{key}"))
    return ",".join(listed)
