"""Fits objects to their schema: what is unknown goes, what is missing gets its default, types must be right.

Works on structural schemas, where every field's place says all about it: those of CustomResourceDefinitions
and those of the built-in kinds alike. Paths are written as Kubernetes writes them: spec.steps[0].weight.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from sandbox.apiserver.models import schema_of


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.documents import Json, Object, Schema


def with_envelope(schema: Schema) -> Object:
    """Return the schema of a whole object: apiVersion, kind and metadata are the same for all."""
    envelope = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": schema_of("V1ObjectMeta"),
    }
    return {**schema, "properties": {**schema.get("properties", {}), **envelope}}


def below(schema: Schema, field: str) -> Schema | None:
    """Return the schema of a field, {} if anything may be there, None if the field is unknown."""
    if schema.get("x-kubernetes-embedded-resource"):
        schema = with_envelope(schema)
    found: Schema | None = schema.get("properties", {}).get(field)
    if found is not None:
        return found
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    known = any(key in schema for key in ("properties", "type", "x-kubernetes-int-or-string"))
    open_ended = bool(extra) or schema.get("x-kubernetes-preserve-unknown-fields") or not known
    return {} if open_ended else None


def join(path: str, field: str) -> str:
    """Return the path of a field."""
    return f"{path}.{field}" if path else field


def prune(value: Json, schema: Schema, unknown: list[str], path: str = "") -> Json:
    """Return ``value`` without the fields that ``schema`` does not know; their paths go to ``unknown``."""
    if isinstance(value, list):
        items = schema.get("items", {})
        return [prune(each, items, unknown, f"{path}[{n}]") for n, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for field, each in value.items():
        inner = below(schema, field)
        if inner is None:
            unknown.append(join(path, field))
        else:
            kept[field] = prune(each, inner, unknown, join(path, field))
    return kept


def fill(value: Json, schema: Schema, *, defaults: bool = True) -> Json:
    """Return ``value`` with defaults, if wanted, and without nulls where null means nothing."""
    if isinstance(value, list):
        items = schema.get("items", {})
        return [fill(each, items, defaults=defaults) for each in value]
    if not isinstance(value, dict):
        return value
    filled = {}
    for field, each in value.items():
        inner = below(schema, field)
        if each is None and inner and not _may_be_null(inner):
            continue
        filled[field] = fill(each, inner or {}, defaults=defaults)
    for field, inner in schema.get("properties", {}).items():
        if defaults and field not in filled and "default" in inner:
            filled[field] = fill(copy.deepcopy(inner["default"]), inner)
    return filled


def _may_be_null(schema: Schema) -> bool:
    anything = "type" not in schema and "x-kubernetes-int-or-string" not in schema
    return bool(schema.get("nullable")) or anything


def mistyped(value: Json, schema: Schema, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (path, type found, type wanted) for every value of the wrong JSON type."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            yield path, json_type(value), "integer or string"
        return
    wanted = schema.get("type")
    if wanted and not _is(value, wanted):
        yield path, json_type(value), wanted
    elif isinstance(value, list):
        items = schema.get("items", {})
        for n, each in enumerate(value):
            yield from mistyped(each, items, f"{path}[{n}]")
    elif isinstance(value, dict):
        for field, each in value.items():
            yield from mistyped(each, below(schema, field) or {}, join(path, field))


def missing(value: Json, schema: Schema, path: str = "") -> Iterator[str]:
    """Yield the path of every required field that is not there."""
    if isinstance(value, list):
        items = schema.get("items", {})
        for n, each in enumerate(value):
            yield from missing(each, items, f"{path}[{n}]")
    elif isinstance(value, dict):
        yield from (join(path, field) for field in schema.get("required", ()) if field not in value)
        for field, each in value.items():
            yield from missing(each, below(schema, field) or {}, join(path, field))


def json_type(value: Json) -> str:
    """Return the JSON name of a value's type."""
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _is(value: Json, wanted: str) -> bool:
    found = json_type(value)
    whole = found == "number" and float(value).is_integer()
    return found == wanted or (wanted == "number" and found == "integer") or (wanted == "integer" and whole)
