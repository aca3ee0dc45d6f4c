"""Answers who somebody is, and what they or somebody else may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.apiserver import requests
from sandbox.apiserver.discovery import REVIEWS
from sandbox.apiserver.documents import dig
from sandbox.apiserver.errors import bad_request, method_not_allowed
from sandbox.apiserver.rbac import User, Verdict


if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.apiserver.documents import Object


@dataclass(frozen=True, slots=True)
class Judging:
    """Who asks, and who answers: the rights of a user, as the server itself would decide."""

    user: User
    judge: Callable[[User, requests.Call], Verdict]


def answer(
    place: requests.Address, method: str, raw: bytes, media_type: str, judging: Judging
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
    user = judging.user
    if kind == "SelfSubjectReview":
        status: Object = {"userInfo": {"username": user.name, "groups": list(user.groups)}}
    else:
        if kind == "SubjectAccessReview":
            user = User(dig(body, "spec", "user", default=""), tuple(dig(body, "spec", "groups", default=())))
        verdict = judging.judge(user, _asked(body))
        status = {"allowed": verdict.allowed} | ({"reason": verdict.reason} if verdict.reason else {})
    api_version = f"{place.group}/{place.version}"
    return {"metadata": {}, **body, "apiVersion": api_version, "kind": kind, "status": status}


def _asked(body: Object) -> requests.Call:
    asked = dig(body, "spec", "resourceAttributes", default={})
    resource = f"{asked.get('resource', '')}.{asked.get('group', '')}".strip(".")
    if asked.get("subresource"):
        resource += f"/{asked['subresource']}"
    return requests.Call(
        asked.get("verb", ""), resource, asked.get("namespace", ""), asked.get("name", ""), ""
    )
