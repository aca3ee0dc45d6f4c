"""What happens around every request: it is counted, and what goes wrong is answered with a Status."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.apiserver import answers, requests
from sandbox.apiserver.errors import ApiError, method_not_allowed, no_such_path


if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from sandbox.apiserver.audit import Counts


def counting(counts: Counts) -> Middleware:
    """Count every request about a resource."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        if place := requests.address(request.path):
            verb = requests.verb(request.method, place, request.query)
            counts.add(request.headers.get("User-Agent", ""), verb, place)
        return await handler(request)

    return count


@web.middleware
async def answering_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer refusals, and our own mistakes, as clients expect them."""
    try:
        return await handler(request)
    except ApiError as refusal:
        error = refusal
    except web.HTTPNotFound:
        error = no_such_path()
    except web.HTTPMethodNotAllowed:
        error = method_not_allowed(request.method)
    except web.HTTPRequestEntityTooLarge:
        error = ApiError(413, "RequestEntityTooLarge", "the request is too large")
    except Exception as mistake:  # noqa: BLE001  # one bad request must not end the server
        traceback.print_exception(mistake)
        error = ApiError(500, "InternalError", f"Internal error occurred: {mistake!r}")
    return answers.send(error.status(), error.code)
