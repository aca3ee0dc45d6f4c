"""Label and field selectors: text in, a question to ask of objects out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from sandbox.apiserver.documents import Json, Object, dig
from sandbox.apiserver.errors import bad_request


if TYPE_CHECKING:
    from sandbox.apiserver.resources import Resource


Predicate: TypeAlias = Callable[[Object], bool]

_REQUIREMENT = re.compile(r"(?:[^,(]|\([^)]*\))+")
_SET = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")
_EQUALITY = re.compile(r"([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)")


def selector(resource: Resource, labels: str, fields: str) -> Predicate:
    """Return whether an object is meant by both selectors ("" means all); raises 400."""
    wanted = [*map(_label, _split(labels)), *(_field(resource, each) for each in _split(fields))]
    return lambda found: all(requirement(found) for requirement in wanted)


def _split(text: str) -> list[str]:
    return [each.strip() for each in _REQUIREMENT.findall(text) if each.strip()]


def _label(text: str) -> Predicate:
    if among := _SET.fullmatch(text):
        key, operator, listed = among.groups()
        values = {each.strip() for each in listed.split(",")}
        if operator == "in":
            return lambda found: _labels(found).get(key) in values
        return lambda found: _labels(found).get(key) not in values
    if equality := _EQUALITY.fullmatch(text):
        key, operator, value = equality.groups()
        if operator == "!=":
            return lambda found: _labels(found).get(key) != value
        return lambda found: _labels(found).get(key) == value
    if re.fullmatch(r"!?\s*[\w./-]+", text):
        key = text.removeprefix("!").strip()
        if text.startswith("!"):
            return lambda found: key not in _labels(found)
        return lambda found: key in _labels(found)
    raise bad_request(f"unable to parse requirement: {text!r} is not a label selector")


def _labels(found: Object) -> dict[str, Json]:
    labels: dict[str, Json] = dig(found, "metadata", "labels", default={})
    return labels


def _field(resource: Resource, text: str) -> Predicate:
    equality = _EQUALITY.fullmatch(text)
    if equality is None:
        raise bad_request(f"invalid field selector {text!r}: write field=value or field!=value")
    field, operator, value = equality.groups()
    if field not in ("metadata.name", "metadata.namespace", *resource.fields):
        raise bad_request(f"field label not supported: {field}")
    path = field.split(".")
    return lambda found: (str(dig(found, *path, default="")) == value) is (operator != "!=")
