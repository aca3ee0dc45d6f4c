"""Keeps account: which writes took effect, and who asked for what how often.

``GET /sandbox/requests`` answers ``{"requests": [{"userAgent", "verb", "resource", "count"}]}``, ``DELETE``
begins anew. Each line of the audit file is one write: time, verb, resource (with its group), subresource,
namespace, name, manager, userAgent, resourceVersion, and the object after it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.apiserver import answers


if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.apiserver.api import Clock, Write
    from sandbox.apiserver.requests import Call


class Audit:
    """A file of writes; without a path, none."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._clock = clock
        self._file = path.open("a") if path else None

    def record(self, write: Write) -> None:
        """Append a write."""
        if self._file is None:
            return
        target, options = write.target, write.options
        line = {
            "time": self._clock().isoformat(),
            "verb": write.verb,
            "resource": target.resource.qualified,
            "subresource": target.subresource,
            "namespace": target.namespace,
            "name": target.name,
            "manager": options.manager,
            "userAgent": options.user_agent,
            "resourceVersion": write.object["metadata"]["resourceVersion"],
            "object": write.object,
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Counts:
    """How often each client made each kind of request, refused ones included."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, call: Call) -> None:
        """Count a request."""
        self._counts[call.user_agent, call.verb, call.resource] += 1

    def routes(self) -> list[web.RouteDef]:
        """Return the paths to read and reset the counts."""
        return [web.get("/sandbox/requests", self._answer), web.delete("/sandbox/requests", self._reset)]

    async def _answer(self, _request: web.Request) -> web.Response:
        counted = [
            {"userAgent": user_agent, "verb": verb, "resource": resource, "count": count}
            for (user_agent, verb, resource), count in sorted(self._counts.items())
        ]
        return answers.send({"requests": counted})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._counts.clear()
        return answers.send({"requests": []})
