"""Who am I, and may I? Everybody here is the administrator; what a standing fault forbids, nobody may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver import requests
from sandbox.apiserver.discovery import REVIEWS
from sandbox.apiserver.documents import dig
from sandbox.apiserver.errors import bad_request, method_not_allowed


if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.apiserver.documents import Object


_USER = {"username": "sandbox-admin", "groups": ["system:masters", "system:authenticated"]}


def answer(
    place: requests.Address,
    method: str,
    raw: bytes,
    media_type: str,
    refuses: Callable[[requests.Call], bool],
) -> Object | None:
    """Return the answered review, None if the request is not about one."""
    kind = REVIEWS.get((place.group, place.version, place.plural))
    if kind is None:
        return None
    if method != "POST" or place.name:
        raise method_not_allowed(method)
    body, _ = requests.body(raw, media_type)
    if not isinstance(body, dict):
        raise bad_request(f"{kind}: the body must be an object")
    status = {"userInfo": _USER} if kind == "SelfSubjectReview" else _verdict(body, refuses)
    api_version = f"{place.group}/{place.version}"
    return {"metadata": {}, **body, "apiVersion": api_version, "kind": kind, "status": status}


def _verdict(body: Object, refuses: Callable[[requests.Call], bool]) -> Object:
    asked = dig(body, "spec", "resourceAttributes", default={})
    resource = f"{asked.get('resource', '')}.{asked.get('group', '')}".strip(".")
    if asked.get("subresource"):
        resource += f"/{asked['subresource']}"
    call = requests.Call(
        asked.get("verb", ""), resource, asked.get("namespace", ""), asked.get("name", ""), ""
    )
    if refuses(call):
        return {"allowed": False, "reason": "a fault of the sandbox's"}
    return {"allowed": True, "reason": "sandbox"}
