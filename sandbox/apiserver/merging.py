"""The ways to change a part of an object: JSON patch, merge patch, strategic merge patch.

All three are functions of the document and the patch; server-side apply, which also needs to know who owns
what, is in ownership.py.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from sandbox.apiserver.structure import below


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.apiserver.documents import Json, Object, Schema


class PatchError(Exception):
    """The patch cannot be applied: a failed test, a path that leads nowhere, an unknown directive."""


def merge_patch(value: Json, patch: Json) -> Json:
    """Return ``value`` patched as RFC 7386 says: null deletes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(value) if isinstance(value, dict) else {}
    for field, each in patch.items():
        if each is None:
            merged.pop(field, None)
        else:
            merged[field] = merge_patch(merged.get(field), each)
    return merged


def json_patch(value: Json, operations: Json) -> Json:
    """Return ``value`` after RFC 6902 ``operations``, all or (PatchError) none."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    document = copy.deepcopy(value)
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Json, operation: Object) -> Json:
    kind, path = operation.get("op"), _pointer(operation.get("path"))
    match kind:
        case "test":
            _test(document, path, operation.get("value"))
        case "add" | "replace":
            if kind == "replace":
                _at(document, path)
            return _put(document, path, copy.deepcopy(operation.get("value")), insert=kind == "add")
        case "remove":
            return _take(document, path)
        case "move":
            origin = _pointer(operation.get("from"))
            moved = _at(document, origin)
            return _put(_take(document, origin), path, moved, insert=True)
        case "copy":
            copied = copy.deepcopy(_at(document, _pointer(operation.get("from"))))
            return _put(document, path, copied, insert=True)
        case _:
            raise PatchError(f"unexpected kind: {kind}")
    return document


def _test(document: Json, path: Sequence[str], wanted: Json) -> None:
    try:
        found = _at(document, path)
    except PatchError:
        if wanted is None:  # as in the server's own library: null is what an absent field holds
            return
        raise
    if found != wanted:
        raise PatchError(f"testing path /{'/'.join(path)} value failed")


def _pointer(text: Json) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"{text!r} is not a JSON pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _at(document: Json, path: Sequence[str]) -> Json:
    for step in path:
        if isinstance(document, list):
            document = document[_index(document, step, len(document) - 1)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            raise PatchError(f"doc is missing path: /{'/'.join(path)}: missing value")
    return document


def _put(document: Json, path: Sequence[str], leaf: Json, *, insert: bool) -> Json:
    if not path:
        return leaf
    parent = _at(document, path[:-1])
    if isinstance(parent, list):
        if insert:
            place = len(parent) if path[-1] == "-" else _index(parent, path[-1], len(parent))
            parent.insert(place, leaf)
        else:
            parent[_index(parent, path[-1], len(parent) - 1)] = leaf
    elif isinstance(parent, dict):
        parent[path[-1]] = leaf
    else:
        raise PatchError(f"add operation does not apply: doc is missing path: /{'/'.join(path)}")
    return document


def _take(document: Json, path: Sequence[str]) -> Json:
    _at(document, path)
    if not path:
        return None
    parent = _at(document, path[:-1])
    del parent[_index(parent, path[-1], len(parent) - 1) if isinstance(parent, list) else path[-1]]
    return document


def _index(items: Sequence[Json], step: str, highest: int) -> int:
    if not step.isdecimal() or int(step) > highest:
        raise PatchError(f"invalid index {step!r} for a list of {len(items)}")
    return int(step)


def strategic_merge(value: Json, patch: Json, schema: Schema) -> Json:
    """Return ``value`` patched as kubectl patches built-in kinds: keyed lists merge item by item.

    The keys come from the schema (x-kubernetes-patch-merge-key). The directives ``$patch``, ``$retainKeys``,
    ``$deleteFromPrimitiveList/…`` and ``$setElementOrder/…`` are understood.
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    match patch.get("$patch"):
        case "replace":
            return {field: each for field, each in patch.items() if field != "$patch"}
        case "delete":
            return {}
        case "merge" | None:
            pass
        case directive:
            raise PatchError(f"unknown $patch directive {directive!r}: merge, replace or delete")
    merged = dict(value) if isinstance(value, dict) else {}
    if "$retainKeys" in patch:
        merged = {field: each for field, each in merged.items() if field in patch["$retainKeys"]}
    for field, each in patch.items():
        if not field.startswith("$"):
            _merge_field(merged, field, each, below(schema, field) or {}, patch)
    for field, each in patch.items():
        if field.startswith("$deleteFromPrimitiveList/") and (name := field.split("/", 1)[1]) in merged:
            merged[name] = [item for item in merged[name] if item not in each]
    return merged


def _merge_field(merged: Object, field: str, each: Json, schema: Schema, patch: Object) -> None:
    if each is None:
        merged.pop(field, None)
    elif isinstance(each, list) and "merge" in schema.get("x-kubernetes-patch-strategy", ""):
        order = patch.get(f"$setElementOrder/{field}", [])
        merged[field] = _merge_list(merged.get(field) or [], each, schema, order)
    else:
        merged[field] = strategic_merge(merged.get(field), each, schema)


def _merge_list(items: list[Json], patch: list[Json], schema: Schema, order: list[Json]) -> list[Json]:
    key = schema.get("x-kubernetes-patch-merge-key")
    if key is None:
        merged = items + [each for each in patch if each not in items]
        return _ordered(merged, order, lambda each: each)
    if any(each.get("$patch") == "replace" and len(each) == 1 for each in patch):
        return [each for each in patch if "$patch" not in each]
    merged = list(items)
    for each in patch:
        if key not in each:
            raise PatchError(f"map: {each} does not contain declared merge key: {key}")
        at = next((n for n, item in enumerate(merged) if item.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            merged = [item for item in merged if item.get(key) != each[key]]
        elif at is None:
            merged.append(strategic_merge({}, each, schema.get("items", {})))
        else:
            merged[at] = strategic_merge(merged[at], each, schema.get("items", {}))
    return _ordered(merged, [each[key] for each in order], lambda each: each[key])


def _ordered(items: list[Json], order: list[Json], identity: Callable[[Json], Json]) -> list[Json]:
    """Put the items named in ``order`` into that order; the others stay behind whom they stood."""
    if not order:
        return items
    ranks: list[int] = []
    for item in items:
        known = order.index(identity(item)) if identity(item) in order else None
        ranks.append(known if known is not None else (ranks[-1] if ranks else -1))
    return [item for _, item in sorted(zip(ranks, items, strict=True), key=lambda pair: pair[0])]
