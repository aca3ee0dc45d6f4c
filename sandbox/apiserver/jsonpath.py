"""The part of JSONPath that printer columns are written in.

Fields, indices, ``[*]`` and filters such as ``.status.conditions[?(@.type=="Ready")].status``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sandbox.apiserver.documents import Json, dig


if TYPE_CHECKING:
    from collections.abc import Callable


_STEP = re.compile(
    r"""\.(?P<field>(?:[\w/-]|\\.)+)
      | \['(?P<quoted>[^']+)'\]
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\]|\.\*)
      | \[\?\(@\.(?P<key>[\w.-]+)\s*(?P<operator>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[\w.-]+)\)\]
    """,
    re.VERBOSE,
)


def compile_path(path: str) -> Callable[[Json], list[Json]]:
    """Return a function giving all values at ``path``; raises ValueError for what it cannot read."""
    steps: list[Callable[[Json], list[Json]]] = []
    at, text = 0, path if path.startswith((".", "[")) else f".{path}"
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f"JSONPath {path!r} cannot be read from {text[at:]!r} on")
        steps.append(_step(found))
        at = found.end()

    def find(value: Json) -> list[Json]:
        values = [value]
        for step in steps:
            values = [inner for each in values for inner in step(each)]
        return values

    return find


def _step(found: re.Match[str]) -> Callable[[Json], list[Json]]:
    if found["all"]:
        return _children
    if found["index"]:
        return _get(int(found["index"]))
    if found["key"]:
        key, wanted, equal = found["key"].split("."), found["value"].strip("\"'"), found["operator"] == "=="
        return lambda value: [
            each for each in _children(value) if (shown(dig(each, *key, default="")) == wanted) is equal
        ]
    return _get((found["field"] or found["quoted"]).replace("\\", ""))


def _get(step: str | int) -> Callable[[Json], list[Json]]:
    missing = object()

    def get(value: Json) -> list[Json]:
        found = dig(value, step, default=missing)
        return [] if found is missing else [found]

    return get


def _children(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def shown(value: Json) -> str:
    """Return a value as a column shows it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
