"""An open watch, read line by line."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import urllib3

from controller.errors import EdgeError, Unavailable
from controller.kube.answers import parsed, reason, refusal, shortened
from controller.kube.resources import Document


class Silent(Unavailable):
    """Nothing came for longer than the server had promised; what it has to tell may be lost."""


class Change(NamedTuple):
    """One event of a watch."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    document: Document


class Stream:
    """An open watch: iterate over its changes; `close` from any thread ends the iteration.

    It ends quietly when the server ends it or it was closed. It raises Expired when the
    server cannot go on from the resourceVersion, Unavailable when the connection breaks,
    Silent when nothing comes any more.
    """

    def __init__(
        self, call: str, response: urllib3.BaseHTTPResponse, hidden: Callable[[bytes], bytes] = bytes
    ) -> None:
        self._call = call
        self._response = response
        self._closed = False
        self._hidden = hidden

    def __iter__(self) -> Iterator[Change]:
        """Give the changes as they come."""
        try:
            yield from self._changes()
        except urllib3.exceptions.HTTPError as error:
            if not self._closed:
                silent = isinstance(error, urllib3.exceptions.ReadTimeoutError)
                raise (Silent if silent else Unavailable)(f"{self._call}: {reason(error)}") from error
        finally:
            self._response.close()

    def close(self) -> None:
        """Wake up whoever iterates and let it end."""
        self._closed = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has ended already
            self._response.shutdown()

    def _changes(self) -> Iterator[Change]:
        rest = b""
        for chunk in self._response.stream(None, decode_content=False):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield self._change(line)

    def _change(self, line: bytes) -> Change:
        try:
            return self._read(line)
        except EdgeError:  # its words go into logs: once more, without our secrets
            return self._read(self._hidden(line))

    def _read(self, line: bytes) -> Change:
        event = parsed(self._call, line)
        document = event.get("object")
        if event.get("type") == "ERROR" and isinstance(document, dict):
            code = document.get("code")
            body = json.dumps(document).encode()
            raise refusal(self._call, code if isinstance(code, int) else 500, body, {})
        if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
            raise Unavailable(f"{self._call}: an event without an object: {shortened(repr(event))[:80]}")
        return Change(str(event.get("type")), document)
