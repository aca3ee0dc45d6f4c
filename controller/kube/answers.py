"""What the API server's refusals mean: status code and body in, one of our errors out. Pure.

The same code says different things: 403 is RBAC or a policy, 422 is a document
that is wrong or a JSON Patch whose `test` found something else. Whoever catches
the error must be able to tell, so the difference is made here, once.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from controller.errors import Conflict, EdgeError, Forbidden, NotFound, Refused, Unavailable
from controller.kube.resources import Document


LONGEST = 600
"""Characters of the server's own words that a message repeats."""

_DOES_NOT_APPLY = "the server rejected our request due to an error in our request"
"""All that the API server says of a JSON Patch that does not apply: neither which operation, nor why."""

_LACKS_RIGHTS = re.compile(r"\bcannot \S+ (resource|path)\b")


class Expired(EdgeError):  # noqa: N818  # named like the others in controller.errors
    """The resourceVersion to go on from is too old: list again."""


class Unrecognised(Forbidden):
    """The server does not know who asks: credentials that are wrong, or no longer right. Nothing happened."""


class Passing(Unavailable):
    """Nobody answered, or not now; worth another try.

    `retry_after` is the server's wish in seconds, None if it has none.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def refusal(call: str, code: int, body: bytes, headers: Mapping[str, str]) -> EdgeError:
    """Translate an answer that is not a success.

    `call` says what was asked (`patch deployments.apps shop/web`) and begins the message.
    """
    status = _status(body)
    said = str(status.get("message") or "") or body.decode("utf-8", "replace")
    message = f"{call}: {shortened(said) or f'HTTP {code}'}"
    if code in (408, 429) or code >= 500:
        return Passing(f"{message} ({code})", _wish(status, headers))
    if code == 422 and said.startswith(_DOES_NOT_APPLY):
        return Conflict(f"{call}: changed in the meantime, so that the patch does not apply")
    if code == 403 and (not status or _LACKS_RIGHTS.search(said)):
        return Forbidden(message)
    kinds: dict[int, type[EdgeError]] = {401: Unrecognised, 404: NotFound, 409: Conflict, 410: Expired}
    return kinds.get(code, Refused if code >= 400 else Unavailable)(message)


def parsed(call: str, body: bytes) -> Document:
    """Read the object of a successful answer.

    Raises:
        Unavailable: it is not a JSON object; somebody else is answering.

    """
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        found = shortened(body[:80].decode("utf-8", "replace"))
        raise Unavailable(f"{call}: expected a JSON object, found {found!r}")
    return document


def shortened(words: str) -> str:
    """Put words on one line of bounded length."""
    line = " ".join(words.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def reason(error: Exception) -> str:
    """Say why a connection failed, without the object that urllib3 puts before its words."""
    return shortened(str(error).rsplit("): ", 1)[-1]) or type(error).__name__


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("kind") == "Status" else {}


def _wish(status: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    """Read when to come back: a header of whole seconds, or the same in the server's own words."""
    header, details = headers.get("Retry-After", ""), status.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    if header.isascii() and header.isdigit():
        return float(header)
    return float(seconds) if isinstance(seconds, int) and seconds > 0 else None
