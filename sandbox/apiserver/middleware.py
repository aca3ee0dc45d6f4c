"""What happens around every request: it is counted, and it is answered even when something goes wrong."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.apiserver import answers
from sandbox.apiserver.errors import ApiError, method_not_allowed, no_such_path
from sandbox.apiserver.requests import call


if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from sandbox.apiserver.audit import Counts


def counting(counts: Counts) -> Middleware:
    """Count every request about a resource."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        if found := call(request.method, request.path, request.query, request.headers):
            counts.add(found)
        return await handler(request)

    return count


@web.middleware
async def answering_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer refusals, and our own mistakes, as clients expect them."""
    try:
        return await handler(request)
    except ConnectionError:
        raise
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
    return answers.refuse(error)
