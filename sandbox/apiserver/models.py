"""Schemas of the built-in kinds, read off the official Python client's models.

The client's pydantic models are generated from Kubernetes' own OpenAPI document, so nothing about a
Deployment's fields has to be written down here. What the models do not say, how lists are merged, is the
table below, taken from the API reference.
"""

from __future__ import annotations

import datetime as dt
import functools
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Union

import kubernetes.client.models as client_models
from pydantic import BaseModel


if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from sandbox.apiserver.documents import Object


MODEL = "x-model"  # names the model a schema was read from; taken out before a schema is published

# model and field -> (key of a strategic merge, keys of a list map for server-side apply)
_KEYED: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("V1Container", "env"): ("name", ("name",)),
    ("V1Container", "ports"): ("containerPort", ("containerPort", "protocol")),
    ("V1Container", "volumeDevices"): ("devicePath", ("devicePath",)),
    ("V1Container", "volumeMounts"): ("mountPath", ("mountPath",)),
    ("V1ObjectMeta", "ownerReferences"): ("uid", ("uid",)),
    ("V1PodSpec", "containers"): ("name", ("name",)),
    ("V1PodSpec", "ephemeralContainers"): ("name", ("name",)),
    ("V1PodSpec", "hostAliases"): ("ip", ("ip",)),
    ("V1PodSpec", "imagePullSecrets"): ("name", ("name",)),
    ("V1PodSpec", "initContainers"): ("name", ("name",)),
    ("V1PodSpec", "topologySpreadConstraints"): ("topologyKey", ("topologyKey", "whenUnsatisfiable")),
    ("V1PodSpec", "volumes"): ("name", ("name",)),
    ("V1PodStatus", "podIPs"): ("ip", ("ip",)),
    ("V1ServiceAccount", "secrets"): ("name", ("name",)),
    ("V1ServiceSpec", "ports"): ("port", ("port", "protocol")),
    **{
        (model, "conditions"): ("type", ("type",))
        for model in (
            "V1CustomResourceDefinitionStatus",
            "V1DeploymentStatus",
            "V1JobStatus",
            "V1NamespaceStatus",
            "V1PodStatus",
            "V1ReplicaSetStatus",
            "V1ServiceStatus",
        )
    },
}
_SETS = {("V1ObjectMeta", "finalizers")}
_RETAIN_KEYS = {("V1PodSpec", "volumes"), ("V1DeploymentSpec", "strategy")}
_ATOMIC = {"V1LabelSelector", "V1ObjectReference", "V1LocalObjectReference", "V1ConfigMapKeySelector"}
_QUANTITIES = {("V1ResourceRequirements", "limits"), ("V1ResourceRequirements", "requests")}
_DEFAULTS: dict[tuple[str, str], object] = {
    ("V1ContainerPort", "protocol"): "TCP",
    ("V1ServicePort", "protocol"): "TCP",
}
_INT_OR_STRING = {"x-kubernetes-int-or-string": True}


@functools.cache
def schema_of(model: str) -> Object:
    """Return the schema of a client model, e.g. "V1Deployment"; models it refers to are filled in."""
    found: Object = {"type": "object", MODEL: model, "properties": {}}
    _filled[model] = found
    described = getattr(client_models, model)
    for attribute, info in described.model_fields.items():
        field = info.serialization_alias or attribute
        found["properties"][field] = _field(model, field, info)
        if info.is_required():
            found.setdefault("required", []).append(field)
    if model in _ATOMIC:
        found["x-kubernetes-map-type"] = "atomic"
    return found


_filled: dict[str, Object] = {}  # schemas that are being read, for models that contain themselves


def _field(model: str, field: str, info: FieldInfo) -> Object:
    schema = dict(_type(info.annotation))
    if (model, field) in _QUANTITIES:
        schema["additionalProperties"] = _INT_OR_STRING
    if keyed := _KEYED.get((model, field)):
        merge_key, list_keys = keyed
        schema["x-kubernetes-patch-strategy"] = "merge"
        schema["x-kubernetes-patch-merge-key"] = merge_key
        schema["x-kubernetes-list-type"] = "map"
        schema["x-kubernetes-list-map-keys"] = list(list_keys)
    elif (model, field) in _SETS:
        schema["x-kubernetes-patch-strategy"] = "merge"
        schema["x-kubernetes-list-type"] = "set"
    elif schema.get("type") == "array":
        schema["x-kubernetes-list-type"] = "atomic"
    if (model, field) in _RETAIN_KEYS:
        strategies = [schema.get("x-kubernetes-patch-strategy"), "retainKeys"]
        schema["x-kubernetes-patch-strategy"] = ",".join(each for each in strategies if each)
    if (model, field) in _DEFAULTS:
        schema["default"] = _DEFAULTS[model, field]
    return schema


def _type(annotation: Any) -> Object:  # noqa: ANN401  # an annotation may be anything
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in {Union, types.UnionType}:
        return _union([each for each in arguments if each is not type(None)])
    if origin is list:
        return {"type": "array", "items": _type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _filled.get(annotation.__name__) or schema_of(annotation.__name__)
    return _SCALARS.get(annotation, {"x-kubernetes-preserve-unknown-fields": True})


def _union(members: list[Any]) -> Object:
    schemas = [_type(each) for each in members]
    if len(schemas) == 1:
        return schemas[0]
    kinds = {each.get("type") for each in schemas}
    if kinds == {"integer", "string"}:
        return _INT_OR_STRING
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    if kinds == {"string"}:
        return {"type": "string"}
    return {"x-kubernetes-preserve-unknown-fields": True}


_SCALARS: dict[Any, Object] = {
    str: {"type": "string"},
    bytes: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dt.datetime: {"type": "string", "format": "date-time"},
}
