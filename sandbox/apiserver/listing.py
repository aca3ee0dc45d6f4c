"""Lists: what is there, page by page, at which version."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from sandbox.apiserver.api import Target, present
from sandbox.apiserver.documents import Object, name_of, namespace_of
from sandbox.apiserver.errors import ApiError, bad_request, gone


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.apiserver.resources import Resource
    from sandbox.apiserver.selectors import Predicate
    from sandbox.apiserver.store import Store


def page(store: Store, target: Target, wanted: Predicate, parameters: Mapping[str, str]) -> Object:
    """Return the list that is asked for by limit, continue and resourceVersion; raises 400, 410, 504.

    All pages carry the version of the first one: who watches from there misses nothing.
    """
    _check_version(store, parameters)
    resource = target.resource
    found = [
        each for each in store.objects(resource.group, resource.plural, target.namespace) if wanted(each)
    ]
    version, after = str(store.version), None
    if token := parameters.get("continue"):
        version, after = _read(token)
        store.since(int(version))
        found = [each for each in found if [namespace_of(each), name_of(each)] > after]
    limit = int(parameters.get("limit") or 0)
    if not limit or len(found) <= limit:
        return collection(resource, found, version)
    last = found[limit - 1]
    meta: Object = {"continue": _write(version, last)}
    if not parameters.get("labelSelector") and not parameters.get("fieldSelector"):
        meta["remainingItemCount"] = len(found) - limit
    return collection(resource, found[:limit], version, meta)


def collection(
    resource: Resource, objects: Sequence[Object], version: str, meta: Object | None = None
) -> Object:
    """Return a list object."""
    return {
        "kind": resource.list_kind or f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": version, **(meta or {})},
        "items": [present(resource, each) for each in objects],
    }


def _check_version(store: Store, parameters: Mapping[str, str]) -> None:
    """Raise 504 for a version from the future, 410 for an exact one that is not the present one."""
    text = parameters.get("resourceVersion", "")
    if text and not text.isdecimal():
        raise bad_request(f"resourceVersion: Invalid value: {text!r}: must be a number")
    version = int(text or 0)
    if version > store.version:
        message = f"Timeout: Too large resource version: {version}, current: {store.version}"
        details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        raise ApiError(504, "Timeout", message, details | {"retryAfterSeconds": 1})
    if parameters.get("resourceVersionMatch") == "Exact" and version != store.version:
        raise gone(f"The provided resource version {version} is no longer kept")


def _write(version: str, last: Object) -> str:
    return base64.urlsafe_b64encode(
        json.dumps([version, namespace_of(last), name_of(last)]).encode()
    ).decode()


def _read(token: str) -> tuple[str, list[str]]:
    try:
        version, *after = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise bad_request("continue: Invalid value: not a token of this server's") from error
    return version, after
