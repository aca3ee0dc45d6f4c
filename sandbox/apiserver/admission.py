"""What happens to an object between arriving and being stored.

It is decoded against its schema, completed with defaults, given the metadata that only the server sets, and
checked. Nothing here reads or writes the store; every function returns a new object or raises ApiError.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.apiserver import structure
from sandbox.apiserver.documents import Json, Object, dig, duplicate, metadata, name_of
from sandbox.apiserver.errors import (
    ApiError,
    FieldError,
    bad_request,
    conflict,
    forbidden_field,
    invalid,
    invalid_value,
    required,
)


if TYPE_CHECKING:
    from sandbox.apiserver.resources import Resource


_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_RULE = (
    "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' "
    "or '.', and must start and end with an alphanumeric character"
)
_LABEL_KEY = re.compile(rf"({_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
_LABEL_KEY_RULE = "a label's key is a name of at most 63 characters, after a DNS subdomain and '/' if any"
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # the alphabet of generated names: no vowels, no bad words
_OURS = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


@dataclass(frozen=True, slots=True)
class Options:
    """How a write was asked for."""

    manager: str = "unknown"
    user_agent: str = ""
    validation: str = "Warn"  # Strict: unknown fields are refused; otherwise they are dropped
    dry_run: bool = False
    force: bool = False


def timestamp(now: dt.datetime) -> str:
    """Write a time as Kubernetes does, to the second."""
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decode(resource: Resource, body: Json, *, strict: bool) -> Object:
    """Return the object in ``body`` without unknown fields and with defaults; raises 400."""
    found: Object = structure.fill(_known(resource, body, strict=strict), resource.schema)
    typed = {"metadata": found.get("metadata")} if resource.custom else found  # the rest is validated later
    _check_types(resource, typed)
    return found


def decode_applied(resource: Resource, body: Json, *, strict: bool) -> Object:
    """Return what is sent to server-side apply: only what was said, every type right; raises 400."""
    found: Object = structure.fill(_known(resource, body, strict=strict), resource.schema, defaults=False)
    _check_types(resource, found)
    if dig(found, "metadata", "managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    return found


def unknown_fields(resource: Resource, found: Object) -> list[str]:
    """Return the paths of fields that the resource does not have."""
    unknown: list[str] = []
    structure.prune(found, resource.schema, unknown)
    return unknown


def _known(resource: Resource, body: Json, *, strict: bool) -> Object:
    if not isinstance(body, dict):
        raise bad_request(f"{resource.kind}: the request holds {structure.json_type(body)}, not an object")
    found_type = (body.get("apiVersion") or resource.api_version, body.get("kind") or resource.kind)
    if found_type != (resource.api_version, resource.kind):
        raise bad_request(
            f"the object provided is {found_type[1]} in {found_type[0]}, "
            f"but this path serves {resource.kind} in {resource.api_version}"
        )
    unknown: list[str] = []
    found: Object = structure.prune(body, resource.schema, unknown)
    if unknown and strict:
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise _cannot_handle(resource, f"strict decoding error: {listed}")
    if not isinstance(found.get("metadata") or {}, dict):
        raise _cannot_handle(resource, "metadata is not an object")
    found["apiVersion"], found["kind"] = found_type
    found["metadata"] = found.get("metadata") or {}
    return found


def _check_types(resource: Resource, found: Object) -> None:
    for path, is_, wanted in structure.mistyped(found, resource.schema):
        raise _cannot_handle(resource, f"json: cannot unmarshal {is_} into field {path} of type {wanted}")


def complete(resource: Resource, found: Object) -> Object:
    """Put in the defaults that depend on other fields; only for objects whose types are right."""
    resource.complete(found)
    return found


def _cannot_handle(resource: Resource, why: str) -> ApiError:
    kind = resource.kind
    return bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {why}')


def place(resource: Resource, found: Object, namespace: str, name: str = "") -> None:
    """Make the object's namespace and name agree with the request's; raises 400."""
    meta = metadata(found)
    if resource.namespaced:
        if meta.setdefault("namespace", namespace) != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
    else:
        meta.pop("namespace", None)
    if name and meta.setdefault("name", name) != name:
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        )


def newborn(resource: Resource, found: Object, now: dt.datetime) -> Object:
    """Return the object as it is first stored, metadata set by the server; raises 400, 422."""
    found = duplicate(found)
    meta = metadata(found)
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    for field in _OURS:
        meta.pop(field, None)
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + "".join(random.choices(_SUFFIX, k=5))  # noqa: S311  # no secret
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = timestamp(now)
    if resource.generation != "none":
        meta["generation"] = 1
    if resource.status:
        found.pop("status", None)
    return found


def successor(resource: Resource, live: Object, found: Object, subresource: str = "") -> Object:
    """Return ``found`` as the next form of ``live``: each path writes its own part; raises 409, 422."""
    _check_precondition(resource, live, found)
    if subresource == "status":
        kept = {field: each for field, each in live.items() if field != "status"}
        following = duplicate(kept | ({"status": found["status"]} if "status" in found else {}))
        metadata(following)["managedFields"] = dig(found, "metadata", "managedFields", default=[])
        return following
    following = duplicate(found)
    meta, before = metadata(following), live["metadata"]
    for field in _OURS:
        meta.pop(field, None)
        if field in before:
            meta[field] = before[field]
    if resource.status:
        following.pop("status", None)
        if "status" in live:
            following["status"] = live["status"]
    if "generation" in before and changed(resource, live, following):
        meta["generation"] = before["generation"] + 1
    return following


def changed(resource: Resource, live: Object, following: Object) -> bool:
    """Tell whether the change is one that raises metadata.generation."""
    if resource.generation == "spec":
        return bool(live.get("spec") != following.get("spec"))
    ignored = {"metadata", "apiVersion"} | ({"status"} if resource.status else set())
    fields = (live.keys() | following.keys()) - ignored
    return any(live.get(field) != following.get(field) for field in fields)


def _check_precondition(resource: Resource, live: Object, found: Object) -> None:
    name, meta = name_of(live), metadata(found)
    if meta.get("uid") and meta["uid"] != live["metadata"]["uid"]:
        is_ = live["metadata"]["uid"]
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {is_}"
        raise conflict(resource, name, why)
    version = meta.get("resourceVersion")
    if version and version != live["metadata"]["resourceVersion"]:
        raise conflict(resource, name)
    if not version and resource.update_needs_version:
        raise invalid(
            resource,
            name,
            [invalid_value("metadata.resourceVersion", 0, "must be specified for an update")],
        )


def validate(resource: Resource, found: Object, live: Object | None) -> None:
    """Raise 422 with every field of ``found`` that is wrong."""
    schema = resource.schema["properties"]
    parts = ("metadata",) if resource.custom else ("metadata", "spec")
    absent = [
        path for part in parts for path in structure.missing(found.get(part), schema.get(part, {}), part)
    ]
    errors = [
        *_name_errors(resource, found),
        *_metadata_errors(found, live),
        *(required(path) for path in absent),
    ]
    errors = errors or list(resource.check(found, live))
    if errors:
        raise invalid(resource, name_of(found), errors)


def _name_errors(resource: Resource, found: Object) -> list[FieldError]:
    name = name_of(found)
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if resource.path_names:
        return [
            invalid_value("metadata.name", name, f"may not contain '{each}'") for each in "/%" if each in name
        ]
    if not _SUBDOMAIN.fullmatch(name) or len(name) > 253:
        return [invalid_value("metadata.name", name, _SUBDOMAIN_RULE)]
    return []


def _metadata_errors(found: Object, live: Object | None) -> list[FieldError]:
    meta = metadata(found)
    errors = []
    for key, each in (meta.get("labels") or {}).items():
        if not _LABEL.fullmatch(each) or len(each) > 63:
            errors.append(invalid_value("metadata.labels", each, _LABEL_RULE))
        if not _LABEL_KEY.fullmatch(key):
            errors.append(invalid_value("metadata.labels", key, _LABEL_KEY_RULE))
    if live is not None and dig(live, "metadata", "deletionTimestamp"):
        added = set(meta.get("finalizers") or []) - set(dig(live, "metadata", "finalizers", default=[]))
        if added:
            detail = (
                f"no new finalizers can be added if the object is being deleted, found new {sorted(added)}"
            )
            errors.append(forbidden_field("metadata.finalizers", detail))
    return errors
