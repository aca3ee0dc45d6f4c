"""Faults on demand: what goes wrong between a client and its cluster, when a test or a curious user says so.

``POST /sandbox/faults`` adds one fault or a list of them, ``PUT`` puts them in place of all others, ``GET``
lists those that are left, ``DELETE`` removes all. A fault is an object:

========== ===========================================================================================
fault      ``delay``: the request waits ``seconds``; ``answer``: it is refused with ``code`` (and
           ``retryAfter`` seconds); ``reset``: the connection is cut before it is applied; ``lose``: it
           is applied, and the connection cut instead of an answer; ``drop``: a watch ends after
           ``seconds``; ``expire``: a watch ends with 410
verb       get, list, watch, create, update, patch, delete, deletecollection, or ``write`` for all that
           change something; a list is possible; all if left out
resource   with its group: ``pods``, ``deployments.apps``; with a subresource: ``pods/status``; all if
           left out
namespace, name, userAgent
           to match exactly, the last one by its beginning; all if left out
times      how often it happens, 1 if left out; null: until it is removed
chance     how likely it is each time, 1 if left out; ``seed`` makes it repeatable
========== ===========================================================================================

``drop`` and ``expire`` also end, at once, the watches that are open when they are added.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from sandbox.apiserver.errors import ApiError, bad_request


if TYPE_CHECKING:
    from sandbox.apiserver.requests import Call


Kind: TypeAlias = Literal["delay", "answer", "reset", "lose", "drop", "expire"]

OF_WATCHES: tuple[Kind, ...] = ("drop", "expire")
ALL: tuple[Kind, ...] = ("delay", "answer", "reset", "lose", *OF_WATCHES)

_WRITES = ("create", "update", "patch", "delete", "deletecollection")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Fault(BaseModel):
    """One fault, as it was asked for, and how often it is still to happen."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    fault: Kind
    verb: Annotated[list[str], BeforeValidator(_listed)] = []
    resource: str = ""
    namespace: str = ""
    name: str = ""
    user_agent: str = ""
    times: Annotated[int, Field(ge=0)] | None = 1
    chance: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: int | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0
    code: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after: Annotated[int, Field(ge=0)] | None = None
    message: str = "a fault of the sandbox's"

    _random: random.Random = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Start the dice."""
        self._random = random.Random(self.seed)  # noqa: S311  # no secret

    def strikes(self, call: Call) -> bool:
        """Tell whether this call is struck, and count it if so."""
        if not self._meant(call) or self.times == 0 or self._random.random() >= self.chance:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def forbids(self, call: Call) -> bool:
        """Tell whether this is a standing refusal of such calls, as RBAC would have it; whoever asks."""
        standing = self.fault == "answer" and self.code == 403 and self.times is None
        return standing and self._meant(replace(call, user_agent=self.user_agent))

    def error(self) -> ApiError:
        """Return the refusal of an ``answer`` fault."""
        reason = _REASONS.get(self.code, "Unknown")
        details = {} if self.retry_after is None else {"retryAfterSeconds": self.retry_after}
        return ApiError(self.code, reason, self.message, details)

    def _meant(self, call: Call) -> bool:
        verbs = {each for verb in self.verb for each in (_WRITES if verb == "write" else (verb,))}
        if self.fault in OF_WATCHES:
            verbs = {"watch"}
        return (
            (not verbs or call.verb in verbs)
            and self.resource in ("", call.resource)
            and self.namespace in ("", call.namespace)
            and self.name in ("", call.name)
            and call.user_agent.startswith(self.user_agent)
        )


_READER: TypeAdapter[list[Fault]] = TypeAdapter(
    Annotated[list[Fault], BeforeValidator(lambda found: [found] if isinstance(found, dict) else found)]
)


def read(raw: bytes) -> list[Fault]:
    """Return the faults in a request's body; raises 400 that names the field."""
    try:
        return _READER.validate_json(raw)
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in error.errors()
        )
        raise bad_request(f"no fault was added: {listed}") from error


class Faults:
    """The faults that are still to happen, in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, faults: list[Fault]) -> None:
        """Let these happen too."""
        self._faults += faults

    def clear(self) -> None:
        """Let nothing happen."""
        self._faults = []

    def left(self) -> list[dict[str, object]]:
        """Return the faults that are still to happen, as they would be asked for."""
        return [each.model_dump(by_alias=True, exclude_defaults=True) for each in self._faults]

    def forbid(self, call: Call) -> bool:
        """Tell whether a call would be answered with 403, as long as nobody removes that fault."""
        return any(fault.forbids(call) for fault in self._faults)

    def strike(self, call: Call, kinds: tuple[Kind, ...] = ALL) -> list[Fault]:
        """Return what happens to a call: any number of delays, and at most one other fault after them."""
        struck: list[Fault] = []
        for fault in self._faults:
            if fault.fault not in kinds:
                continue
            if (fault.fault == "delay" or not _final(struck)) and fault.strikes(call):
                struck.append(fault)
        self._faults = [each for each in self._faults if each.times != 0]
        return sorted(struck, key=lambda each: each.fault != "delay")


def _final(struck: list[Fault]) -> bool:
    return any(each.fault != "delay" for each in struck)
