"""Puts answers into the form that the client asked for: plain JSON, a table for kubectl, or metadata alone.

Protobuf is never written. Clients offer it together with JSON and take what they are given.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

from sandbox.apiserver import tables
from sandbox.apiserver.errors import ApiError


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sandbox.apiserver.documents import Json, Object
    from sandbox.apiserver.resources import Resource


Form: TypeAlias = str  # "", "Table", or the kinds of metadata alone

_JSON = ("application/json", "application/*", "*/*")
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PARTIAL = ("PartialObjectMetadata", "PartialObjectMetadataList")


def send(found: Json, status: int = 200, media_type: str = "application/json") -> web.Response:
    """Return an answer with a JSON body."""
    body = json.dumps(found, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers={"Content-Type": media_type})


def refuse(error: ApiError) -> web.Response:
    """Return a refusal."""
    answer = send(error.status(), error.code)
    if (seconds := error.details.get("retryAfterSeconds")) is not None:
        answer.headers["Retry-After"] = str(seconds)
    return answer


def send_discovery(request: web.Request, aggregated: Object, plain: Object) -> web.Response:
    """Return what is served in the newest form that the client knows."""
    wants = (_parameters(each) for each in _accepted(request))
    if any((each.get("as"), each.get("v")) == ("APIGroupDiscoveryList", "v2") for each in wants):
        return send(aggregated, media_type=_AGGREGATED)
    return send(plain)


def line(event: Object) -> bytes:
    """Return a watch event as it is streamed."""
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def form(request: web.Request) -> Form:
    """Return the first form in the Accept header that there is; raises 406."""
    for accepted in _accepted(request):
        wanted = _parameters(accepted).get("as", "")
        if accepted.partition(";")[0].strip() in _JSON and wanted in ("", "Table", *_PARTIAL):
            return wanted
    message = "only the following media types are accepted: application/json, application/json;stream=watch"
    raise ApiError(406, "NotAcceptable", message)


def _accepted(request: web.Request) -> list[str]:
    return [each for each in request.headers.get("Accept", "").split(",") if each.strip()] or ["*/*"]


def _parameters(accepted: str) -> dict[str, str]:
    pairs = (each.strip().partition("=") for each in accepted.split(";")[1:])
    return {key: value for key, _, value in pairs}


def shown(request: web.Request, resource: Resource, found: Object, now: datetime) -> Object:
    """Return one object in the client's form."""
    match form(request):
        case "Table":
            return _table(request, resource, [found], now, {"resourceVersion": _version(found)})
        case "":
            return found
        case _:
            return tables.partial(found)


def listed(request: web.Request, resource: Resource, page: Object, now: datetime) -> Object:
    """Return a list of objects in the client's form."""
    match form(request):
        case "Table":
            return _table(request, resource, page["items"], now, page["metadata"])
        case "":
            return page
        case _:
            items = [tables.partial(each) for each in page["items"]]
            kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            return {**kind, "metadata": page["metadata"], "items": items}


def told(request: web.Request, resource: Resource, event: Object, now: datetime) -> Object:
    """Return a watch event in the client's form."""
    if event["type"] == "ERROR":
        return event
    if event["type"] == "BOOKMARK" and form(request) == "Table":
        return {**event, "object": _table(request, resource, [], now, event["object"]["metadata"])}
    return {**event, "object": shown(request, resource, event["object"], now)}


def _table(
    request: web.Request, resource: Resource, objects: Sequence[Object], now: datetime, meta: Object
) -> Object:
    include = request.query.get("includeObject", "")
    return tables.table(resource, objects, now, include=include) | {"metadata": meta}


def _version(found: Object) -> str:
    return str(found["metadata"].get("resourceVersion", ""))
