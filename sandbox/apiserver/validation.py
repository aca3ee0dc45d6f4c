"""Validates custom objects against their schema, with the messages of the real server.

The work is done by jsonschema; a structural schema is close to JSON Schema draft 4, so it is translated once
and its errors are put into Kubernetes' words.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING

from jsonschema import Draft4Validator, FormatChecker  # type: ignore[import-untyped]

from sandbox.apiserver.errors import FieldError, duplicate_value, invalid_value, required, unsupported
from sandbox.apiserver.fieldsets import item_steps
from sandbox.apiserver.structure import json_type


if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

    from sandbox.apiserver.documents import Json, Object, Schema


_COPIED = (
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "multipleOf",
    "required",
)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_FORMATS = FormatChecker(formats=())
_BOUNDS = {"minimum": "greater", "maximum": "less"}


@_FORMATS.checks("date-time")  # type: ignore[untyped-decorator]
def _is_date_time(value: Json) -> bool:
    return not isinstance(value, str) or _DATE_TIME.fullmatch(value) is not None


class Validator:
    """One custom resource's rules, compiled on first use."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    @functools.cached_property
    def _rules(self) -> Draft4Validator:
        return Draft4Validator(translate(self._schema), format_checker=_FORMATS)

    def check(self, found: Object, _live: Object | None) -> Iterator[FieldError]:
        """Yield every violation, in the order of the fields."""
        errors = sorted(self._rules.iter_errors(found), key=lambda error: [str(step) for step in error.path])
        yield from dict.fromkeys(each for error in errors for each in _said(error))
        yield from _repeated(found, self._schema, "")


def translate(schema: Schema) -> Object:
    """Return a structural schema as JSON Schema draft 4."""
    rules: Object = {word: schema[word] for word in _COPIED if word in schema}
    kinds = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else [schema.get("type")]
    if kinds != [None]:
        rules["type"] = kinds + (["null"] if schema.get("nullable") else [])
    if schema.get("nullable") and "enum" in rules:
        rules["enum"] = [*rules["enum"], None]
    for word in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(word), dict):
            rules[word] = translate(schema[word])
    for word in ("allOf", "anyOf", "oneOf"):
        if schema.get(word):
            rules[word] = [translate(each) for each in schema[word]]
    if schema.get("properties"):
        rules["properties"] = {
            field: translate(each) for field, each in schema["properties"].items() if field != "metadata"
        }
    return rules


def _said(error: ValidationError) -> Iterator[FieldError]:
    path, value, limit = dotted(list(error.path)), error.instance, error.validator_value
    match error.validator:
        case "required":
            yield from (required(f"{path}.{field}".lstrip(".")) for field in limit if field not in value)
        case "type":
            wanted = next(each for each in limit if each != "null")
            detail = f'{path} in body must be of type {wanted}: "{json_type(value)}"'
            yield FieldError(path, "FieldValueTypeInvalid", f'Invalid value: "{json_type(value)}": {detail}')
        case "enum":
            yield unsupported(path, value, [each for each in limit if each is not None])
        case "format":
            yield invalid_value(path, value, f"{path} in body must be of type {limit}: {json.dumps(value)}")
        case "pattern":
            yield invalid_value(path, value, f"{path} in body should match '{limit}'")
        case "minimum" | "maximum":
            bound = f"{_BOUNDS[error.validator]} than"
            exclusive = error.schema.get(f"exclusive{error.validator.capitalize()}")
            detail = f"{path} in body should be {bound}{'' if exclusive else ' or equal to'} {limit}"
            yield invalid_value(path, value, detail)
        case "minLength" | "maxLength":
            side = "at least" if error.validator == "minLength" else "at most"
            yield invalid_value(path, value, f"{path} in body should be {side} {limit} chars long")
        case "minItems" | "maxItems":
            side = "at least" if error.validator == "minItems" else "at most"
            yield invalid_value(path, len(value), f"{path} in body should have {side} {limit} items")
        case "anyOf" | "oneOf" | "allOf" | "not":
            detail = f'"{path}" must validate {_LOGIC[error.validator]}'
            yield invalid_value(path, value, detail)
        case _:
            yield invalid_value(path, value, error.message)


_LOGIC = {
    "anyOf": "at least one schema (anyOf)",
    "oneOf": "one and only one schema (oneOf)",
    "allOf": "all the schemas (allOf)",
    "not": "none of the schemas (not)",
}


def dotted(path: list[str | int]) -> str:
    """Write a path as Kubernetes does: spec.steps[0].weight."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def _repeated(value: Json, schema: Schema, path: str) -> Iterator[FieldError]:
    """Yield the items of keyed lists and sets that are there twice."""
    if isinstance(value, list):
        items = schema.get("items", {})
        if schema.get("x-kubernetes-list-type") in ("map", "set"):
            steps = item_steps(value, schema)
            for n, step in enumerate(steps):
                if step in steps[:n]:
                    yield duplicate_value(f"{path}[{n}]", value[n])
        for n, each in enumerate(value):
            yield from _repeated(each, items, f"{path}[{n}]")
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        for field, each in value.items():
            yield from _repeated(each, known.get(field, {}), f"{path}.{field}".lstrip("."))
