"""Reads requests: what a URL, its parameters and a body ask for."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from sandbox.apiserver import protobuf
from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import Deletion
from sandbox.apiserver.documents import Json, Object, dig
from sandbox.apiserver.errors import ApiError, bad_request, unsupported_media_type


if TYPE_CHECKING:
    from collections.abc import Mapping


_ONE = re.compile(r"(?:^|,)metadata\.name==?([^,]+)")  # a list or watch of one object
_JSON_TYPES = ("", "application/json", "application/octet-stream", "text/plain")


@dataclass(frozen=True, slots=True)
class Address:
    """What a path names; ``name`` and ``subresource`` may be ""."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is about, for those who count it or let it fail."""

    verb: str
    resource: str  # with its group and subresource, e.g. "deployments.apps/status"
    namespace: str
    name: str
    user_agent: str


def call(method: str, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Call | None:
    """Return what a request is about, None if it is not about a resource."""
    place = address(path)
    if place is None:
        return None
    resource = f"{place.plural}.{place.group}" if place.group else place.plural
    selected = _ONE.search(parameters.get("fieldSelector", ""))
    return Call(
        verb=verb(method, place, parameters),
        resource=f"{resource}/{place.subresource}" if place.subresource else resource,
        namespace=place.namespace,
        name=place.name or (selected[1] if selected else ""),
        user_agent=headers.get("User-Agent", ""),
    )


def address(path: str) -> Address | None:
    """Return what a path names, None if it is not the path of a resource."""
    steps = [step for step in path.split("/") if step]
    match steps:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    match rest:
        case ["namespaces", namespace, plural, *more] if len(more) < 3 and plural not in (
            "status",
            "finalize",
        ):
            return Address(group, version, plural, namespace, *more)
        case [plural, *more] if len(more) < 3:
            return Address(group, version, plural, "", *more)
        case _:
            return None


def verb(method: str, place: Address, parameters: Mapping[str, str]) -> str:
    """Return what Kubernetes calls the request."""
    if method == "GET" and not place.name:
        return "watch" if parameters.get("watch") in ("1", "true") else "list"
    if method == "DELETE" and not place.name:
        return "deletecollection"
    verbs = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    return verbs.get(method, method.lower())


def options(parameters: Mapping[str, str], user_agent: str, dry_run: str = "") -> Options:
    """Return how a write was asked for; raises 422 for a dryRun that is not "All"."""
    dry_run = dry_run or parameters.get("dryRun", "")
    if dry_run not in ("", "All"):
        message = f'dryRun: Unsupported value: "{dry_run}": supported values: "All"'
        raise ApiError(422, "Invalid", message)
    return Options(
        manager=parameters.get("fieldManager") or user_agent.partition("/")[0][:128] or "unknown",
        user_agent=user_agent,
        validation=parameters.get("fieldValidation") or "Warn",
        dry_run=bool(dry_run),
        force=parameters.get("force") in ("1", "true"),
    )


def deletion(asked: Object, parameters: Mapping[str, str], fallback: str) -> Deletion:
    """Return what a delete asks for; ``fallback`` is the resource's own propagation policy."""
    seconds = asked.get("gracePeriodSeconds", parameters.get("gracePeriodSeconds"))
    orphan = "Orphan" if asked.get("orphanDependents") else ""
    return Deletion(
        propagation=asked.get("propagationPolicy")
        or parameters.get("propagationPolicy")
        or orphan
        or fallback,
        grace_seconds=None if seconds is None else int(seconds),
        uid=dig(asked, "preconditions", "uid", default=""),
        version=dig(asked, "preconditions", "resourceVersion", default=""),
    )


def body(raw: bytes, media_type: str) -> tuple[Json, list[str]]:
    """Return the value in a body, and the paths of fields that are there twice; raises 400, 415."""
    if not raw:
        return None, []
    if media_type.endswith(("+yaml", "/yaml")):
        try:
            return yaml.safe_load(raw), []
        except yaml.YAMLError as error:
            raise bad_request(f"the body is not YAML: {error}") from error
    if media_type == protobuf.MEDIA_TYPE:
        return protobuf.read(raw), []
    if media_type in _JSON_TYPES or media_type.endswith("+json"):
        return _json(raw)
    raise unsupported_media_type(media_type, ["application/json", "application/yaml"])


def _json(raw: bytes) -> tuple[Json, list[str]]:
    repeated: dict[int, set[str]] = {}

    def collect(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            repeated[id(found)] = {
                key for key, times in Counter(key for key, _ in pairs).items() if times > 1
            }
        return found

    try:
        value = json.loads(raw, object_pairs_hook=collect)
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    return value, _paths(value, repeated, "") if repeated else []


def _paths(value: Json, repeated: dict[int, set[str]], path: str) -> list[str]:
    if isinstance(value, list):
        return [each for n, item in enumerate(value) for each in _paths(item, repeated, f"{path}[{n}]")]
    if not isinstance(value, dict):
        return []
    here = [f"{path}.{key}".lstrip(".") for key in sorted(repeated.get(id(value), ()))]
    below = [
        each for key, item in value.items() for each in _paths(item, repeated, f"{path}.{key}".lstrip("."))
    ]
    return here + below
