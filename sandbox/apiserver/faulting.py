"""Lets faults happen: to requests on their way in, to answers on their way out, and to open watches."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Never

from aiohttp import web

from sandbox.apiserver import answers
from sandbox.apiserver.errors import ApiError, gone
from sandbox.apiserver.faults import OF_WATCHES, Fault, Faults, read
from sandbox.apiserver.requests import call


if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler, Middleware

    from sandbox.apiserver.requests import Call
    from sandbox.apiserver.watching import Watch


WATCH_FAULT: web.RequestKey[Fault] = web.RequestKey("watch fault", Fault)  # for the watch that begins here


def faulting(faults: Faults) -> Middleware:
    """Let faults happen to the requests they are meant for."""

    @web.middleware
    async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
        found = call(request.method, request.path, request.query, request.headers)
        for fault in faults.strike(found) if found else ():
            match fault.fault:
                case "delay":
                    await asyncio.sleep(fault.seconds)
                case "answer":
                    raise fault.error()
                case "reset":
                    _cut(request)
                case "lose":
                    with contextlib.suppress(ApiError):
                        await handler(request)
                    _cut(request)
                case "drop" | "expire":
                    request[WATCH_FAULT] = fault
        return await handler(request)

    return strike


def end(watch: Watch, fault: Fault) -> None:
    """End a watch as the fault says."""
    if fault.fault == "expire":
        watch.expire(gone("too old resource version: a fault of the sandbox's"))
    else:
        asyncio.get_running_loop().call_later(fault.seconds, watch.stop)


def _cut(request: web.Request) -> Never:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("cut by a fault of the sandbox's")


def fault_routes(faults: Faults, watches: Mapping[Watch, Call]) -> list[web.RouteDef]:
    """Return the paths to add, list and remove faults."""

    async def add(request: web.Request) -> web.Response:
        found = read(await request.read())
        if request.method == "PUT":
            faults.clear()
        faults.add(found)
        for watch, watched in tuple(watches.items()):
            for fault in faults.strike(watched, OF_WATCHES):
                end(watch, fault)
        return answers.send({"faults": faults.left()})

    async def show(_request: web.Request) -> web.Response:
        return answers.send({"faults": faults.left()})

    async def clear(_request: web.Request) -> web.Response:
        faults.clear()
        return answers.send({"faults": []})

    path = "/sandbox/faults"
    return [web.post(path, add), web.put(path, add), web.get(path, show), web.delete(path, clear)]
