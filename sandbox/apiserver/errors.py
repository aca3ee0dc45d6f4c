"""What the server refuses, in the words and with the codes that Kubernetes clients know.

Clients decide by ``code`` and ``reason`` (retry a Conflict, create after NotFound) and people read
``message``; both therefore follow the real server's Status object as closely as its clients can see.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.apiserver.documents import Json, Object
    from sandbox.apiserver.resources import Resource


class ApiError(Exception):
    """A request that is answered by a Status object instead of what it asked for."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details or {}

    def status(self) -> Object:
        """Return the Status object to send."""
        found: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        return found | ({"details": self.details} if self.details else {})


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: its path, the machine's reason, and the sentence without the path."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def required(field: str, detail: str = "") -> FieldError:
    """Say that ``field`` is missing."""
    return FieldError(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))


def invalid_value(field: str, value: Json, detail: str) -> FieldError:
    """Say that ``field`` holds ``value``, and in ``detail`` what would be right."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def unsupported(field: str, value: Json, supported: Sequence[Json]) -> FieldError:
    """Say that ``field`` holds none of the ``supported`` values."""
    wanted = ", ".join(_shown(each) for each in supported)
    message = f"Unsupported value: {_shown(value)}: supported values: {wanted}"
    return FieldError(field, "FieldValueNotSupported", message)


def forbidden_field(field: str, detail: str) -> FieldError:
    """Say that ``field`` may not be set, or not changed."""
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate_value(field: str, value: Json) -> FieldError:
    """Say that ``field`` repeats a value that must be unique."""
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def not_found(resource: Resource, name: str) -> ApiError:
    """No such object."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """Create found an object of that name."""
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """Someone else was faster (the default), or a precondition does not hold."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource, name: str, found: Sequence[FieldError]) -> ApiError:
    """Understood, but wrong: every field with its reason."""
    listed = ", ".join(str(each) for each in found)
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    message = f'{kind} "{name}" is invalid: ' + (f"[{listed}]" if len(found) > 1 else listed)
    causes = [{"reason": each.reason, "message": each.message, "field": each.field} for each in found]
    details = {"name": name, "group": resource.group, "kind": resource.kind, "causes": causes}
    return ApiError(422, "Invalid", message, details)


def patch_failed() -> ApiError:
    """Refuse a patch that does not fit: a test that fails, a path that is missing; which one is not told."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request")


def bad_request(message: str) -> ApiError:
    """Could not be understood."""
    return ApiError(400, "BadRequest", message)


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """Understood, and not allowed."""
    message = f'{resource.qualified} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, _details(resource, name))


def gone(message: str) -> ApiError:
    """Ask again from the present: that much of the past is no longer known."""
    return ApiError(410, "Expired", message)


def no_such_path() -> ApiError:
    """Nothing is served there."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def unsupported_media_type(found: str, accepted: Sequence[str]) -> ApiError:
    """Refuse a body in a form that is not understood here."""
    message = (
        f"the body of the request was in an unknown format ({found}) - accepted media types include: "
        + ", ".join(accepted)
    )
    return ApiError(415, "UnsupportedMediaType", message)


def method_not_allowed(method: str) -> ApiError:
    """No such method there."""
    message = f"the server does not allow {method} on the requested resource"
    return ApiError(405, "MethodNotAllowed", message)


def _details(resource: Resource, name: str) -> Object:
    return {"name": name, "kind": resource.plural} | ({"group": resource.group} if resource.group else {})


def _shown(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
