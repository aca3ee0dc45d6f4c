"""CustomResourceDefinitions: from what they declare to the resources that are served.

Rules written in CEL (x-kubernetes-validations) are kept and published but not evaluated, and versions are
converted by changing apiVersion only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver import columns, jsonpath, structure
from sandbox.apiserver.documents import Json, Object, Schema, dig
from sandbox.apiserver.errors import FieldError, invalid_value, required
from sandbox.apiserver.resources import Column, Resource, ScalePaths
from sandbox.apiserver.validation import Validator


if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator


CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def complete(found: Object) -> None:
    """Put in the names that follow from the kind, and the finalizer that lets its objects go first."""
    spec = found["spec"]
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    spec["names"] = names
    spec.setdefault("conversion", {"strategy": "None"})
    for version in spec.get("versions") or []:
        for column in version.get("additionalPrinterColumns") or []:
            if column.get("priority") == 0:
                del column["priority"]


def settle(found: Object) -> None:
    """Accept the names and establish the resource: nothing here can object after validation."""
    spec, meta = found["spec"], found["metadata"]
    status = found.setdefault("status", {})
    if not meta.get("deletionTimestamp") and CLEANUP not in meta.setdefault("finalizers", []):
        meta["finalizers"].append(CLEANUP)
    since = meta["creationTimestamp"]
    status["conditions"] = [
        {
            "type": "NamesAccepted",
            "status": "True",
            "reason": "NoConflicts",
            "message": "no conflicts found",
            "lastTransitionTime": since,
        },
        {
            "type": "Established",
            "status": "True",
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
            "lastTransitionTime": since,
        },
    ]
    status["acceptedNames"] = spec["names"]
    stored = status.get("storedVersions") or []
    status["storedVersions"] = stored + [each for each in [_storage(spec)] if each not in stored]


def check(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a definition."""
    spec = found["spec"]
    names = spec["names"]
    wanted = f"{names.get('plural')}.{spec['group']}"
    if found["metadata"]["name"] != wanted:
        detail = 'must be spec.names.plural+"."+spec.group'
        yield invalid_value("metadata.name", found["metadata"]["name"], f"{detail}, {wanted}")
    if live is not None and live["spec"]["scope"] != spec["scope"]:
        yield invalid_value("spec.scope", spec["scope"], "field is immutable")
    if sum(bool(each.get("storage")) for each in spec["versions"]) != 1:
        yield invalid_value(
            "spec.versions", spec["versions"], "must have exactly one version marked as storage version"
        )
    for n, version in enumerate(spec["versions"]):
        path = f"spec.versions[{n}].schema.openAPIV3Schema"
        schema = dig(version, "schema", "openAPIV3Schema")
        if schema is None:
            yield required(path, "schemas are required")
        else:
            yield from _structural(schema, path, root=True)


def _structural(schema: Schema, path: str, *, root: bool = False) -> Iterator[FieldError]:
    """Yield where a schema is not structural: every place has a type, and logic stays out of structure."""
    free = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string")
    if not schema.get("type") and (root or not free):
        yield required(
            f"{path}.type",
            "must not be empty at the root" if root else "must not be empty for specified object fields",
        )
    if root and schema.get("type") not in (None, "object"):
        yield invalid_value(f"{path}.type", schema["type"], "must be object at the root")
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield required(f"{path}.items", "must be specified")
    for logic in ("allOf", "anyOf", "oneOf"):
        for n, each in enumerate(schema.get(logic) or []):
            yield from _logical(each, f"{path}.{logic}[{n}]", schema)
    if isinstance(schema.get("not"), dict):
        yield from _logical(schema["not"], f"{path}.not", schema)
    for field, each in (schema.get("properties") or {}).items():
        if not (root and field == "metadata"):
            yield from _structural(each, f"{path}.properties[{field}]")
    for nested in ("items", "additionalProperties"):
        if isinstance(schema.get(nested), dict):
            yield from _structural(schema[nested], f"{path}.{nested}")


def _logical(schema: Schema, path: str, outer: Schema) -> Iterator[FieldError]:
    for word in ("type", "default", "nullable", "description", "title", "additionalProperties"):
        if word in schema and not (word == "type" and outer.get("x-kubernetes-int-or-string")):
            detail = "must be empty to be structural"
            yield FieldError(f"{path}.{word}", "FieldValueForbidden", f"Forbidden: {detail}")
    for field, each in (schema.get("properties") or {}).items():
        if field not in (outer.get("properties") or {}):
            detail = f"must be specified in the schema outside, at properties[{field}]"
            yield FieldError(f"{path}.properties[{field}]", "FieldValueRequired", f"Required value: {detail}")
        else:
            yield from _logical(each, f"{path}.properties[{field}]", outer["properties"][field])


def _storage(spec: Object) -> str:
    return next((str(each["name"]) for each in spec["versions"] if each.get("storage")), "")


def resources_of(definition: Object) -> tuple[Resource, ...]:
    """Return the resources that a definition declares, one per served version."""
    spec = definition["spec"]
    return tuple(_resource(spec, version) for version in spec["versions"] if version.get("served"))


def _resource(spec: Object, version: Object) -> Resource:
    names = spec["names"]
    schema = structure.with_envelope(version["schema"]["openAPIV3Schema"])
    if spec.get("preserveUnknownFields"):
        schema["x-kubernetes-preserve-unknown-fields"] = True
    parts = version.get("subresources") or {}
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names["singular"],
        list_kind=names["listKind"],
        schema=schema,
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        columns=_columns(version.get("additionalPrinterColumns") or []),
        status="status" in parts,
        scale=_scale(parts["scale"]) if "scale" in parts else None,
        generation="content",
        custom=True,
        update_needs_version=True,
        storage_version=_storage(spec),
        fields=tuple(each["jsonPath"].removeprefix(".") for each in version.get("selectableFields") or []),
        check=Validator(schema).check,
    )


def _scale(declared: Object) -> ScalePaths:
    return ScalePaths(
        spec=tuple(declared["specReplicasPath"].removeprefix(".").split(".")),
        status=tuple(declared["statusReplicasPath"].removeprefix(".").split(".")),
        selector=tuple(each for each in declared.get("labelSelectorPath", "").split(".") if each),
    )


def _columns(declared: list[Object]) -> tuple[Column, ...]:
    if not declared:
        return (columns.NAME, columns.AGE)
    return (columns.NAME, *(_column(each) for each in declared))


def _column(declared: Object) -> Column:
    return Column(
        name=declared["name"],
        cell=_cell(declared["jsonPath"], declared["type"]),
        type=declared["type"],
        format=declared.get("format", ""),
        priority=declared.get("priority", 0),
        description=declared.get("description", ""),
    )


def _cell(path: str, kind: str) -> Callable[[Object, dt.datetime], Json]:
    find = jsonpath.compile_path(path)

    def cell(found: Object, now: dt.datetime) -> Json:
        values = find(found)
        if not values:
            return None
        if kind == "date":
            return columns.age(values[0], now)
        if kind == "string":
            return ",".join(jsonpath.shown(each) for each in values)
        return values[0]

    return cell
