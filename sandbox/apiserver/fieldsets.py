"""Sets of fields, in the notation of metadata.managedFields.

A path is a tuple of steps: "f:spec" for a field, 'k:{"name":"app"}' for the item of a keyed list and
'v:"text"' for a member of a set. What a schema calls atomic, and every list without keys, is one field.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from sandbox.apiserver.structure import below


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.apiserver.documents import Json, Object, Schema


Path: TypeAlias = tuple[str, ...]

_UNTRACKED = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{field}")
        for field in (
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        )
    ),
}


def fields(value: Object, schema: Schema) -> dict[Path, Json]:
    """Return every field of an object that can have an owner, with its value."""
    return {path: leaf for path, leaf in _walk(value, schema, ()) if not _untracked(path)}


def _untracked(path: Path) -> bool:
    return path in _UNTRACKED or path[:2] in _UNTRACKED


def _walk(value: Json, schema: Schema, path: Path) -> Iterator[tuple[Path, Json]]:
    if value is None:
        return
    if isinstance(value, dict) and value and schema.get("x-kubernetes-map-type") != "atomic":
        for field, each in value.items():
            yield from _walk(each, below(schema, field) or {}, (*path, f"f:{field}"))
    elif isinstance(value, list) and value and schema.get("x-kubernetes-list-type") in ("map", "set"):
        for item, step in zip(value, item_steps(value, schema), strict=True):
            yield (*path, step), True
            if isinstance(item, dict):
                yield from _walk(item, schema.get("items", {}), (*path, step))
    else:
        yield path, value


def item_steps(items: list[Json], schema: Schema) -> list[str]:
    """Return the step of each item of a keyed list or of a set."""
    keys = schema.get("x-kubernetes-list-map-keys")
    return [_keyed(each, keys, schema) if keys else f"v:{_text(each)}" for each in items]


def _keyed(item: Object, keys: list[str], schema: Schema) -> str:
    known = schema.get("items", {}).get("properties", {})
    values = {key: item.get(key, known.get(key, {}).get("default")) for key in keys}
    return f"k:{_text({key: each for key, each in values.items() if each is not None})}"


def _text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def encode(paths: Iterable[Path]) -> Object:
    """Return the fieldsV1 form of a set of paths."""
    tree: Object = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _trim(tree)


def _trim(node: Object) -> Object:
    if node.keys() == {"."}:
        return {}
    return {step: _trim(each) if step != "." else each for step, each in node.items()}


def decode(tree: Object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of a fieldsV1 form."""
    if path and (not tree or "." in tree):
        yield path
    for step, node in tree.items():
        if step != ".":
            yield from decode(node, (*path, step))


def dotted(path: Path) -> str:
    """Write a path for people: .spec.containers[name="app"].image."""
    text = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += "[" + ",".join(f"{key}={_text(each)}" for key, each in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def without(value: Json, path: Path, schema: Schema) -> Json:
    """Return ``value`` without the field at ``path``; lists and objects left empty by it go too."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step.startswith("f:") and (field := step[2:]) in value:
        inner = without(value[field], rest, below(schema, field) or {}) if rest else None
        kept = {name: each for name, each in value.items() if name != field}
        return kept if inner in (None, {}, []) else {**value, field: inner}
    if isinstance(value, list):
        steps = item_steps(value, schema)
        items = schema.get("items", {})
        return [
            without(item, rest, items) if rest and found == step else item
            for item, found in zip(value, steps, strict=True)
            if rest or found != step
        ]
    return value
