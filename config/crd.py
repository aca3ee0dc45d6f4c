"""The custom resource definitions, made from the models: one truth.

pydantic speaks JSON Schema 2020; an API server wants its own, structural kind:
nothing behind references, no union with types in it. What it cannot express is
left open here and refused by `config.load`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from config.canary import GROUP, KIND, PLURAL, VERSION, CanarySpec
from config.measures import MetricTemplateSpec
from config.quantities import format_duration
from config.status import Status
from config.templates import TEMPLATE_KIND, TEMPLATE_PLURAL


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
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
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
_TEMPLATE_COLUMNS = (
    ("Tolerate", "number", ".spec.tolerate", 0),
    ("Dry-Run", "boolean", ".spec.dryRun", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def definitions() -> tuple[Schema, ...]:
    """Give both CustomResourceDefinitions; the controller wants both."""
    return definition(), template_definition()


def definition() -> Schema:
    """Give the CustomResourceDefinition (apiextensions.k8s.io/v1) of the Canary as a document."""
    spec = CanarySpec.model_json_schema(schema_generator=_Defaults)
    status = TypeAdapter(Status).json_schema(mode="serialization")
    version = {
        "additionalPrinterColumns": _columns(_COLUMNS),
        "subresources": {"status": {}},
        "schema": _schema(
            "How the new versions of one application are released behind Gloo.",
            spec=_Structural(spec.get("$defs", {}), _CAREFUL).of(spec),
            status=_Structural(status.get("$defs", {}), _PERMISSIVE).of(status),
        ),
    }
    return _definition(KIND, PLURAL, {"shortNames": ["cn"], "categories": ["all"]}, version)


def template_definition() -> Schema:
    """Give the CustomResourceDefinition of the MetricTemplate as a document."""
    spec = TypeAdapter(MetricTemplateSpec).json_schema(schema_generator=_Defaults)
    version = {
        "additionalPrinterColumns": _columns(_TEMPLATE_COLUMNS),
        "schema": _schema(
            "A metric that the Canaries of its namespace refer to by `templateRef`.",
            spec=_Structural(spec.get("$defs", {}), _CAREFUL).of(spec),
        ),
    }
    return _definition(TEMPLATE_KIND, TEMPLATE_PLURAL, {"shortNames": ["mt"]}, version)


def as_yaml() -> str:
    """Give the definitions as YAML, the same text every time."""
    return yaml.dump_all(definitions(), Dumper=_WithoutAnchors, sort_keys=False, width=110)


def _definition(kind: str, plural: str, names: Schema, version: Schema) -> Schema:
    called = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), **names}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": called,
            "scope": "Namespaced",
            "versions": [{"name": VERSION, "served": True, "storage": True, **version}],
        },
    }


def _columns(columns: Sequence[tuple[str, str, str, int]]) -> list[Schema]:
    return [
        {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
        for name, kind, path, priority in columns
    ]


def _schema(description: str, **parts: Schema) -> Schema:
    return {
        "openAPIV3Schema": {
            "type": "object",
            "description": description,
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                **parts,
            },
        }
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
        schema = {key: value for key, value in _bounded(node).items() if key in self._kept}
        schema = {key: schema[key] for key in self._kept if key in schema}
        if "description" in schema:
            schema["description"] = _line(schema["description"])
        if not isinstance(schema.get("default"), str | int | float | bool):
            schema.pop("default", None)  # an absent object or list has a meaning of its own
        if "const" in node and "enum" in self._kept:
            schema["enum"] = [node["const"]]
        if not {"type", "x-kubernetes-int-or-string", _OPEN} & schema.keys():
            schema.pop("default", None)
            schema[_OPEN] = True
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


def _bounded(node: Schema) -> Schema:
    """Write open bounds the way OpenAPI 3.0 has them: the number, and that it is excluded."""
    written = dict(node)
    for bound, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if excluded in node:
            written |= {bound: node[excluded], excluded: True}
    return written


def _united(branches: Sequence[Schema]) -> Schema:
    """Join the branches of a union: objects field by field, everything else is left open."""
    if any(branch.get("type") != "object" for branch in branches):
        return _joined(branches, _described(branches))
    fields: dict[str, list[Schema]] = {}
    for branch in branches:
        for name, field in branch["properties"].items():
            fields.setdefault(name, []).append(field)
    needed = [name for name in fields if all(name in branch["required"] for branch in branches)]
    return {
        "type": "object",
        **_described(branches),
        **({"required": needed} if needed else {}),
        _RULES: list(_rules(branches, fields)),
        "properties": {
            name: same[0] if len(same) == len(branches) and _alike(same) else _joined(same, _described(same))
            for name, same in fields.items()
        },
    }


def _rules(branches: Sequence[Schema], fields: Mapping[str, Sequence[Schema]]) -> Iterator[dict[str, str]]:
    """Tell the branches apart by a field that only one of them has, and needs; say what goes with which."""
    telling = [next(name for name in branch["required"] if len(fields[name]) == 1) for branch in branches]
    given = ", ".join(f"has(self.{name})" for name in telling)
    message = f"exactly one of {', '.join(telling)} is needed"
    yield {"rule": f"[{given}].exists_one(given, given)", "message": message}
    for name in fields:
        if name in telling:
            continue
        having, needing = (
            [tell for tell, branch in zip(telling, branches, strict=True) if name in branch[part]]
            for part in ("properties", "required")
        )
        if len(having) < len(branches):
            yield {
                "rule": f"!has(self.{name}) || {_any(having)}",
                "message": f"{name} goes with {_or(having)}",
            }
        if 0 < len(needing) < len(branches):
            yield {
                "rule": f"!({_any(needing)}) || has(self.{name})",
                "message": f"{name} is needed with {_or(needing)}",
            }


def _any(names: Sequence[str]) -> str:
    return " || ".join(f"has(self.{name})" for name in names)


def _or(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _alike(fields: Sequence[Schema]) -> bool:
    return all(field == fields[0] for field in fields)


def _joined(fields: Sequence[Schema], described: Schema) -> Schema:
    """Give what holds for all; without a default, which would be stored with the others as well."""
    bare = [
        {key: value for key, value in field.items() if key not in ("description", "default")}
        for field in fields
    ]
    return described | (bare[0] if _alike(bare) else {_OPEN: True})


def _described(branches: Sequence[Schema]) -> Schema:
    said = [branch["description"] for branch in branches if "description" in branch]
    return {"description": " Or: ".join(dict.fromkeys(said))} if said else {}


def _line(text: str) -> str:
    return " ".join(text.split())
