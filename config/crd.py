"""The custom resource definition, made from the models: one truth.

pydantic speaks JSON Schema 2020; an API server wants its own, structural kind:
nothing behind references, no union with types in it. What it cannot express is
left open here and refused by `config.load`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from config.canary import GROUP, KIND, PLURAL, VERSION, CanarySpec
from config.quantities import format_duration
from config.status import Status


Schema = dict[str, Any]

_OPEN = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"
_CAREFUL = (  # in the order in which they are written
    "type",
    "description",
    "default",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    _OPEN,
    _RULES,
)
_PERMISSIVE = ("type", "description", "format", _OPEN)

_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Weight", "integer", ".status.weight", 0),
    ("Step", "string", ".status.step", 0),
    ("Verdict", "string", ".status.verdict", 0),
    ("Stable", "string", ".status.stable.version", 0),
    ("Candidate", "string", ".status.candidate.version", 0),
    ("Held", "string", ".status.held.reason", 1),
    ("Reason", "string", ".status.reason", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def definition() -> Schema:
    """Give the CustomResourceDefinition (apiextensions.k8s.io/v1) as a document."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
            for name, kind, path, priority in _COLUMNS
        ],
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": _object()},
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": ["cn"],
        "categories": ["all"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def as_yaml() -> str:
    """Give the definition as YAML, the same text every time."""
    return yaml.dump(definition(), Dumper=_WithoutAnchors, sort_keys=False, width=110)


def _object() -> Schema:
    spec = CanarySpec.model_json_schema(schema_generator=_Defaults)
    status = TypeAdapter(Status).json_schema(mode="serialization")
    return {
        "type": "object",
        "description": "How the new versions of one application are released behind Gloo.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _Structural(spec.get("$defs", {}), _CAREFUL).of(spec),
            "status": _Structural(status.get("$defs", {}), _PERMISSIVE).of(status),
        },
    }


class _WithoutAnchors(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # as PyYAML declares it
        return True


class _Defaults(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401  # as pydantic declares it
        return format_duration(dft) if isinstance(dft, dt.timedelta) else super().encode_default(dft)


class _Structural:
    """Rewrites a schema, keeping only the keywords in `kept`.

    Without `required`, enums and ranges an older definition still takes, and does
    not prune, what a newer controller writes.
    """

    def __init__(self, definitions: Mapping[str, Schema], kept: Sequence[str]) -> None:
        self._definitions = definitions
        self._kept = kept

    def of(self, node: Schema) -> Schema:
        node = self._resolved(node)
        if "oneOf" in node:
            union = _united([self.of(branch) for branch in node["oneOf"]])
            return union | ({"description": _line(node["description"])} if "description" in node else {})
        schema = {key: node[key] for key in self._kept if key in node}
        if "description" in schema:
            schema["description"] = _line(schema["description"])
        if not isinstance(schema.get("default"), str | int | float | bool):
            schema.pop("default", None)  # an absent object or list has a meaning of its own
        if "const" in node and "enum" in self._kept:
            schema["enum"] = [node["const"]]
        return schema | self._inside(node)

    def _inside(self, node: Schema) -> Schema:
        inside: Schema = {}
        if "properties" in node:
            inside["properties"] = {name: self.of(field) for name, field in node["properties"].items()}
        if "items" in node:
            inside["items"] = self.of(node["items"])
        values = node.get("additionalProperties") or next(
            iter(node.get("patternProperties", {}).values()), None
        )
        if isinstance(values, dict):
            inside["additionalProperties"] = self.of(values)
        elif values or (node.get("type") == "object" and _RULES not in self._kept):
            inside[_OPEN] = True
        return inside

    def _resolved(self, node: Schema) -> Schema:
        """Look behind references and `or null`; what is said at the place of use wins."""
        here = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        if "$ref" in node:
            return self._resolved(self._definitions[node["$ref"].rpartition("/")[2]]) | here
        if "anyOf" in node:
            (only,) = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
            return self._resolved(only) | here
        return node


def _united(branches: Sequence[Schema]) -> Schema:
    """Join the branches of a union: objects field by field, everything else is left open."""
    if any(branch.get("type") != "object" for branch in branches):
        return {**_described(branches), _OPEN: True}
    fields: dict[str, list[Schema]] = {}
    for branch in branches:
        for name, field in branch["properties"].items():
            fields.setdefault(name, []).append(field)
    telling = [name for branch in branches for name in branch["required"] if len(fields[name]) == 1]
    given = ", ".join(f"has(self.{name})" for name in telling)
    return {
        "type": "object",
        **_described(branches),
        "required": [name for name in fields if all(name in branch["required"] for branch in branches)],
        _RULES: [
            {
                "rule": f"[{given}].exists_one(given, given)",
                "message": f"exactly one of {', '.join(telling)} is needed",
            }
        ],
        "properties": {
            name: same[0] if all(field == same[0] for field in same) else _united(same)
            for name, same in fields.items()
        },
    }


def _described(branches: Sequence[Schema]) -> Schema:
    said = [branch["description"] for branch in branches if "description" in branch]
    return {"description": " Or: ".join(dict.fromkeys(said))} if said else {}


def _line(text: str) -> str:
    return " ".join(text.split())
