"""Reads protobuf, the one form in which kubectl's create and auth commands send objects.

They do so whatever the server says it understands, so what these commands make is read here; all else stays
JSON. The field numbers are those of Kubernetes' own .proto files, which never change. A field
that is not listed is refused unless it is empty: nothing that was asked for is lost in silence.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeAlias

from sandbox.apiserver.errors import bad_request


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.documents import Json, Object


MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
# number -> name and kind: string, int, int? (0 counts), bool, bytes or a message; [kind] a list, {kind} a map
_Fields: TypeAlias = dict[int, tuple[str, str]]
_MESSAGES: dict[str, _Fields] = {
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "bytes")},
    "TypeMeta": {1: ("apiVersion", "string"), 2: ("kind", "string")},
    "ObjectMeta": {
        1: ("name", "string"),
        2: ("generateName", "string"),
        3: ("namespace", "string"),
        11: ("labels", "{string}"),
        12: ("annotations", "{string}"),
    },
    "Namespace": {1: ("metadata", "ObjectMeta"), 2: ("spec", "Empty"), 3: ("status", "Empty")},
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", "{string}"),
        3: ("binaryData", "{bytes}"),
        4: ("immutable", "bool"),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", "{bytes}"),
        3: ("type", "string"),
        5: ("immutable", "bool"),
    },
    "ServiceAccount": {1: ("metadata", "ObjectMeta")},
    "Service": {1: ("metadata", "ObjectMeta"), 2: ("spec", "ServiceSpec"), 3: ("status", "Empty")},
    "ServiceSpec": {
        1: ("ports", "[ServicePort]"),
        2: ("selector", "{string}"),
        3: ("clusterIP", "string"),
        4: ("type", "string"),
        10: ("externalName", "string"),
    },
    "ServicePort": {
        1: ("name", "string"),
        2: ("protocol", "string"),
        3: ("port", "int"),
        4: ("targetPort", "IntOrString"),
        5: ("nodePort", "int"),
    },
    "IntOrString": {1: ("type", "int"), 2: ("intVal", "int"), 3: ("strVal", "string")},
    "Deployment": {1: ("metadata", "ObjectMeta"), 2: ("spec", "DeploymentSpec"), 3: ("status", "Empty")},
    "DeploymentSpec": {
        1: ("replicas", "int?"),
        2: ("selector", "LabelSelector"),
        3: ("template", "PodTemplateSpec"),
        4: ("strategy", "Empty"),
    },
    "LabelSelector": {1: ("matchLabels", "{string}")},
    "PodTemplateSpec": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "PodSpec": {2: ("containers", "[Container]"), 3: ("restartPolicy", "string")},
    "Container": {
        1: ("name", "string"),
        2: ("image", "string"),
        3: ("command", "[string]"),
        4: ("args", "[string]"),
        6: ("ports", "[ContainerPort]"),
        8: ("resources", "Empty"),
    },
    "ContainerPort": {1: ("name", "string"), 3: ("containerPort", "int"), 4: ("protocol", "string")},
    "Job": {1: ("metadata", "ObjectMeta"), 2: ("spec", "JobSpec"), 3: ("status", "Empty")},
    "JobSpec": {6: ("template", "PodTemplateSpec")},
    "SelfSubjectReview": {1: ("metadata", "ObjectMeta"), 2: ("status", "Empty")},
    "SelfSubjectAccessReview": {
        1: ("metadata", "ObjectMeta"),
        2: ("spec", "SelfSubjectAccessReviewSpec"),
        3: ("status", "Empty"),
    },
    "SelfSubjectAccessReviewSpec": {
        1: ("resourceAttributes", "ResourceAttributes"),
        2: ("nonResourceAttributes", "NonResourceAttributes"),
    },
    "ResourceAttributes": {
        1: ("namespace", "string"),
        2: ("verb", "string"),
        3: ("group", "string"),
        4: ("version", "string"),
        5: ("resource", "string"),
        6: ("subresource", "string"),
        7: ("name", "string"),
    },
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "int?"),
        2: ("preconditions", "Preconditions"),
        3: ("orphanDependents", "bool"),
        4: ("propagationPolicy", "string"),
        5: ("dryRun", "[string]"),
    },
    "Preconditions": {1: ("uid", "string"), 2: ("resourceVersion", "string")},
    "Empty": {},
}


def read(raw: bytes) -> Object:
    """Return the object that was sent; raises 400 for a kind or field that is not known here."""
    if not raw.startswith(_MAGIC):
        raise bad_request("the body is not protobuf as Kubernetes writes it")
    try:
        envelope = _message(raw.removeprefix(_MAGIC), "Unknown")
        meta = envelope["typeMeta"]
        if meta["kind"] not in _MESSAGES:
            raise bad_request(f"{meta['kind']} is not read from protobuf here: send JSON")
        return {**meta, **_message(base64.b64decode(envelope.get("raw", "")), meta["kind"])}
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise bad_request(f"the body is not protobuf as Kubernetes writes it: {error!r}") from error


def _message(raw: bytes, name: str) -> Object:
    found: Object = {}
    for number, value in _fields(raw):
        field, kind = _MESSAGES[name].get(number, ("", ""))
        if not field:
            if _says_something(value):
                raise bad_request(f"field {number} of {name} is not read from protobuf here: send JSON")
        elif kind.startswith("["):
            found.setdefault(field, []).append(_value(value, kind[1:-1]))
        elif kind.startswith("{"):
            pair = dict(_fields(_bytes(value)))
            key = _bytes(pair.get(1, b"")).decode()
            found.setdefault(field, {})[key] = _value(pair.get(2, b""), kind[1:-1])
        elif (decoded := _value(value, kind)) or kind == "int?":
            found[field] = decoded
    return found


def _value(value: int | bytes, kind: str) -> Json:
    match kind:
        case "int" | "int?" | "bool":
            return bool(value) if kind == "bool" else value
        case "string":
            return _bytes(value).decode()
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "IntOrString":
            found = _message(_bytes(value), kind)
            return found.get("strVal", "") if found.get("type") else found.get("intVal", 0)
        case _:
            return _message(_bytes(value), kind)


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and content of each field: a number for varints, bytes for all that has a length."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        content, at = _varint(raw, at)
        if tag & 7 == 0:
            yield tag >> 3, content
        elif tag & 7 == 2:
            yield tag >> 3, raw[at : at + content]
            at += content
        else:
            raise IndexError(f"wire type {tag & 7}")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (raw[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if raw[at - 1] < 0x80:
            return value, at


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise IndexError("a number where bytes were expected")
    return value


def _says_something(value: int | bytes) -> bool:
    """Tell whether a field holds more than zeros: Go writes its empty fields too."""
    if isinstance(value, int):
        return value != 0
    try:
        return any(_says_something(inner) for _, inner in _fields(value))
    except IndexError:
        return True
