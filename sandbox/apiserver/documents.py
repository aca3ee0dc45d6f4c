"""Kubernetes objects as plain JSON data, and how to look into them.

The server keeps objects as the dictionaries they arrive as: a stand-in must not lose a field because it
has no class for it. Objects in the store are never changed in place; whoever wants to change one copies it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias


Json: TypeAlias = Any  # what json.loads may give
Object: TypeAlias = dict[str, Any]
Schema: TypeAlias = Mapping[str, Any]  # an OpenAPI v3 schema


def dig(value: Json, *path: str | int, default: Json = None) -> Json:
    """Return what lies at ``path``, or ``default`` where the path ends early or holds null."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return default
        if value is None:
            return default
    return value


def plant(value: Object, path: Sequence[str], leaf: Json) -> None:
    """Put ``leaf`` at ``path``, making the objects on the way."""
    for step in path[:-1]:
        value = value.setdefault(step, {})
    value[path[-1]] = leaf


def duplicate(value: Object) -> Object:
    """Return a copy that can be changed without anyone noticing."""
    return copy.deepcopy(value)


def metadata(value: Object) -> Object:
    """Return the object's metadata, to read or to write."""
    found: Object = value.setdefault("metadata", {})
    return found


def name_of(value: Object) -> str:
    """Return metadata.name, or "" when there is none."""
    return str(dig(value, "metadata", "name", default=""))


def namespace_of(value: Object) -> str:
    """Return metadata.namespace, or "" when there is none."""
    return str(dig(value, "metadata", "namespace", default=""))


def version_of(value: Object) -> int:
    """Return metadata.resourceVersion as a number, 0 when there is none."""
    return int(dig(value, "metadata", "resourceVersion", default=0))


def owners_of(value: Object) -> Iterator[Object]:
    """Yield metadata.ownerReferences."""
    yield from dig(value, "metadata", "ownerReferences", default=[])


def is_terminating(value: Object) -> bool:
    """Tell whether the object has been deleted but not yet removed."""
    return bool(dig(value, "metadata", "deletionTimestamp"))
