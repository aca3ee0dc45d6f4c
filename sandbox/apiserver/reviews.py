"""Who am I, and may I? Everybody here is the administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver import requests
from sandbox.apiserver.discovery import REVIEWS
from sandbox.apiserver.errors import bad_request, method_not_allowed


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Object


_USER = {"username": "sandbox-admin", "groups": ["system:masters", "system:authenticated"]}


def answer(place: requests.Address, method: str, raw: bytes, media_type: str) -> Object | None:
    """Return the answered review, None if the request is not about one."""
    kind = REVIEWS.get((place.group, place.version, place.plural))
    if kind is None:
        return None
    if method != "POST" or place.name:
        raise method_not_allowed(method)
    body, _ = requests.body(raw, media_type)
    if not isinstance(body, dict):
        raise bad_request(f"{kind}: the body must be an object")
    status = {"userInfo": _USER} if kind == "SelfSubjectReview" else {"allowed": True, "reason": "sandbox"}
    api_version = f"{place.group}/{place.version}"
    return {"metadata": {}, **body, "apiVersion": api_version, "kind": kind, "status": status}
