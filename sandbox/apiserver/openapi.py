"""The OpenAPI v3 documents: what kubectl reads before it applies, explains and validates.

kubectl learns two things here: that the server checks fields itself (the fieldValidation parameter), and how
lists of built-in kinds are merged.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sandbox.apiserver import api
from sandbox.apiserver.discovery import versions_of
from sandbox.apiserver.models import MODEL


if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.apiserver.documents import Json, Object
    from sandbox.apiserver.resources import Register, Resource


_REFERENCE = "#/components/schemas/"
_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def index(register: Register, revision: str) -> Object:
    """Return the answer of /openapi/v3: one document per group and version."""
    paths = {}
    for group, served in versions_of(register).items():
        for version in served:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            mark = hashlib.sha256(f"{revision}/{register.changes}/{path}".encode()).hexdigest()[:32].upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={mark}"}
    return {"paths": paths}


def document(register: Register, group: str, version: str) -> Object:
    """Return the document of one group and version."""
    schemas: Object = {}
    paths: Object = {}
    for resource in register:
        if (resource.group, resource.version) == (group, version):
            name = _component(resource, schemas)
            paths |= _paths(resource, name)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _component(resource: Resource, schemas: Object) -> str:
    name = resource.model or f"{resource.group}.{resource.version}.{resource.kind}"
    body = {word: each for word, each in resource.schema.items() if word != MODEL}
    schemas[name] = _published(body, schemas) | {"x-kubernetes-group-version-kind": [_kind(resource)]}
    return name


def _published(schema: Json, schemas: Object) -> Json:
    """Return a schema with references in place of the client's models, which go to ``schemas``."""
    if isinstance(schema, list):
        return [_published(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get(MODEL)
    if name is None:
        return {word: _published(each, schemas) for word, each in schema.items()}
    if name not in schemas:
        schemas[name] = {}
        body = {word: each for word, each in schema.items() if word != MODEL and word not in _OF_THE_FIELD}
        schemas[name] = _published(body, schemas)
    beside = {word: schema[word] for word in _OF_THE_FIELD if word in schema}
    reference = {"$ref": f"{_REFERENCE}{name}"}
    return {"allOf": [reference], **beside} if beside else reference


_OF_THE_FIELD = ("x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key", "default", "description")


def _kind(resource: Resource) -> Mapping[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _paths(resource: Resource, name: str) -> Object:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    place = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{root}/{resource.version}{place}/{resource.plural}"
    body = {"content": {"application/json": {"schema": {"$ref": f"{_REFERENCE}{name}"}}}}
    patches = [api.JSON, api.MERGE, *([] if resource.custom else [api.STRATEGIC]), api.APPLY]
    patch_body = {"content": {each: {"schema": {"type": "object"}} for each in patches}}
    return {
        collection: {
            "get": _operation(resource, "list"),
            "post": _operation(resource, "post") | {"requestBody": body, "parameters": _PARAMETERS},
        },
        f"{collection}/{{name}}": {
            "get": _operation(resource, "get"),
            "put": _operation(resource, "put") | {"requestBody": body, "parameters": _PARAMETERS},
            "patch": _operation(resource, "patch") | {"requestBody": patch_body, "parameters": _PARAMETERS},
            "delete": _operation(resource, "delete"),
        },
    }


def _operation(resource: Resource, action: str) -> Object:
    return {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource),
        "responses": {"200": {"description": "OK"}},
    }
