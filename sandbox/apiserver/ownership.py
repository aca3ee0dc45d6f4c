"""Who owns which field: metadata.managedFields, kept on every write, and server-side apply on top of it.

An update makes its manager the owner of what it changed. An apply makes its manager the owner of all it
sent; what it no longer sends and nobody else owns is removed; what others own with another value is a
conflict unless it is forced.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sandbox.apiserver import fieldsets
from sandbox.apiserver.documents import Json, Object, Schema, dig, metadata
from sandbox.apiserver.errors import ApiError
from sandbox.apiserver.structure import below


if TYPE_CHECKING:
    from sandbox.apiserver.fieldsets import Path
    from sandbox.apiserver.resources import Resource


@dataclass(frozen=True, slots=True)
class Claim:
    """Who writes, to which part of the object, and when (as Kubernetes writes times)."""

    manager: str
    subresource: str
    time: str


class _Owner(NamedTuple):
    manager: str
    operation: str  # Update or Apply
    subresource: str
    api_version: str


@dataclass(frozen=True, slots=True)
class _Holding:
    fields: frozenset[Path]
    time: str


_Holdings = dict[_Owner, _Holding]


def record(resource: Resource, live: Object | None, found: Object, claim: Claim) -> None:
    """Set the managedFields of ``found``, which follows ``live`` by an update (or is new)."""
    holdings = _holdings(found) or _holdings(live or {})
    before = fieldsets.fields(live, resource.schema) if live else {}
    after = fieldsets.fields(found, resource.schema)
    changed = {path for path, each in after.items() if path not in before or before[path] != each}
    owner = _Owner(claim.manager, "Update", claim.subresource, resource.api_version)
    kept = {
        each: _less(holding, changed if each != owner else set(), after) for each, holding in holdings.items()
    }
    mine = kept.get(owner, _Holding(frozenset(), claim.time))
    if changed:
        kept[owner] = _Holding(mine.fields | changed, claim.time)
    _write(found, kept)


def _less(holding: _Holding, taken: set[Path], existing: dict[Path, Json]) -> _Holding:
    return replace(
        holding, fields=frozenset(path for path in holding.fields - taken if _exists(path, existing))
    )


def _exists(path: Path, existing: dict[Path, Json]) -> bool:
    """Tell whether there is a field at the path; one that has grown into an object counts."""
    return path in existing or any(each[: len(path)] == path for each in existing)


def apply(resource: Resource, live: Object | None, wanted: Object, claim: Claim, *, force: bool) -> Object:
    """Return ``live`` (or a new object) with ``wanted`` merged in; raises 409 on conflicts."""
    owner = _Owner(claim.manager, "Apply", claim.subresource, resource.api_version)
    claimed = {
        path: each
        for path, each in fieldsets.fields(wanted, resource.schema).items()
        if (path[0] == "f:status") is (claim.subresource == "status") or not resource.status
    }
    holdings = _holdings(live or {})
    contested = _contested(live or {}, claimed, holdings, owner, resource.schema)
    if contested and not force:
        raise _conflicts(contested)
    taken = {path for path, _ in contested}
    others = {
        each: replace(holding, fields=holding.fields - taken)
        for each, holding in holdings.items()
        if each != owner
    }
    previous = holdings.get(owner, _Holding(frozenset(), claim.time))
    merged: Object = merge(live or {}, wanted, resource.schema)
    for path in _abandoned(previous.fields - claimed.keys(), others):
        merged = fieldsets.without(merged, path, resource.schema)
    mine = frozenset(claimed)
    since = previous.time if mine == previous.fields else claim.time
    merged["metadata"] = dict(merged["metadata"])
    _write(merged, {**others, owner: _Holding(mine, since)})
    return merged


def merge(value: Json, wanted: Json, schema: Schema) -> Json:
    """Return ``value`` with everything in ``wanted`` put in, keyed lists item by item."""
    if (
        isinstance(value, dict)
        and isinstance(wanted, dict)
        and schema.get("x-kubernetes-map-type") != "atomic"
    ):
        merged = dict(value)
        for field, each in wanted.items():
            if each is not None:
                merged[field] = merge(value.get(field), each, below(schema, field) or {})
        return merged
    kind = schema.get("x-kubernetes-list-type")
    if isinstance(value, list) and isinstance(wanted, list) and kind in ("map", "set"):
        items = dict(zip(fieldsets.item_steps(value, schema), value, strict=True))
        for step, each in zip(fieldsets.item_steps(wanted, schema), wanted, strict=True):
            items[step] = merge(items.get(step), each, schema.get("items", {}))
        return list(items.values())
    return wanted


def same_content(live: Object, found: Object) -> bool:
    """Tell whether two forms of an object differ in nothing but the version."""
    return _unversioned(live) == _unversioned(found)


def _unversioned(found: Object) -> Object:
    meta = {field: each for field, each in found["metadata"].items() if field != "resourceVersion"}
    return {**found, "metadata": meta}


def _abandoned(paths: frozenset[Path] | set[Path], others: _Holdings) -> list[Path]:
    """Return what nobody owns any more, items before their parts; an item with an owned part stays."""
    owned = {
        path[:n] for holding in others.values() for path in holding.fields for n in range(1, len(path) + 1)
    }
    return sorted((path for path in paths if path not in owned), key=len)


def _contested(
    live: Object, claimed: dict[Path, Json], holdings: _Holdings, owner: _Owner, schema: Schema
) -> list[tuple[Path, _Owner]]:
    existing = fieldsets.fields(live, schema) if live else {}
    return [
        (path, other)
        for other, holding in holdings.items()
        if other != owner
        for path in sorted(holding.fields)
        if path in claimed and path in existing and existing[path] != claimed[path]
    ]


def _conflicts(contested: list[tuple[Path, _Owner]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {_named(other)} using {other.api_version}",
            "field": fieldsets.dotted(path),
        }
        for path, other in contested
    ]
    listed = "\n".join(f"{each['message']}: {each['field']}" for each in causes)
    plural = "conflict" if len(causes) == 1 else "conflicts"
    separator = " " if len(causes) == 1 else "\n"
    message = f"Apply failed with {len(causes)} {plural}:{separator}{listed}"
    return ApiError(409, "Conflict", message, {"causes": causes})


def _named(owner: _Owner) -> str:
    return f'"{owner.manager}"' + (f' with subresource "{owner.subresource}"' if owner.subresource else "")


def _holdings(found: Object) -> _Holdings:
    return {
        _Owner(
            each.get("manager", ""),
            each.get("operation", ""),
            each.get("subresource", ""),
            each.get("apiVersion", ""),
        ): _Holding(frozenset(fieldsets.decode(each.get("fieldsV1") or {})), each.get("time", ""))
        for each in dig(found, "metadata", "managedFields", default=[])
        if each.get("manager")
    }


def _write(found: Object, holdings: _Holdings) -> None:
    entries = [
        {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": owner.api_version,
            "time": holding.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.encode(holding.fields),
        }
        | ({"subresource": owner.subresource} if owner.subresource else {})
        for owner, holding in sorted(
            holdings.items(), key=lambda pair: (pair[0].operation, pair[1].time, pair[0])
        )
        if holding.fields
    ]
    meta = metadata(found)
    meta.pop("managedFields", None)
    if entries:
        meta["managedFields"] = entries
