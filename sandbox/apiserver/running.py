"""Builds the server out of its parts, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from aiohttp import web

from sandbox.apiserver import definitions
from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import Api, Clock, Target
from sandbox.apiserver.audit import Audit, Counts
from sandbox.apiserver.authorizing import Authorizer, authorizing
from sandbox.apiserver.builtin import built_in
from sandbox.apiserver.collector import Collector
from sandbox.apiserver.faulting import fault_routes, faulting
from sandbox.apiserver.faults import Faults
from sandbox.apiserver.journal import SqliteJournal
from sandbox.apiserver.middleware import answering_errors, counting
from sandbox.apiserver.rbac import User, Verdict
from sandbox.apiserver.resources import Register
from sandbox.apiserver.server import Server
from sandbox.apiserver.store import Event, Key, Store


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sandbox.apiserver.requests import Call


Authorization: TypeAlias = Literal["always-allow", "rbac"]

_DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server keeps its objects and its audit, if anywhere, and who may do what."""

    data: Path | None = None
    audit: Path | None = None
    authorization: Authorization = "always-allow"


@contextlib.asynccontextmanager
async def start(settings: Settings, clock: Clock) -> AsyncIterator[web.Application]:
    """Yield the application, complete and at work."""
    with contextlib.ExitStack() as stack:
        store = Store(_journal(settings, stack))
        register = Register(built_in())
        follow_definitions(store, register)
        audit = stack.enter_context(contextlib.closing(Audit(settings.audit, clock)))
        api = Api(store, register, clock, audit.record)
        create_namespaces(api)
        counts, faults = Counts(), Faults()
        middlewares = [counting(counts), answering_errors, faulting(faults)]
        authorizer = Authorizer(store) if settings.authorization == "rbac" else None
        server = Server(api, _judging(faults, authorizer))
        collecting = asyncio.create_task(Collector(api).run())
        app = web.Application(
            middlewares=[*middlewares, authorizing(authorizer)] if authorizer else middlewares,
            client_max_size=64 * 1024 * 1024,
        )
        if authorizer:
            app.add_routes(authorizer.routes())
        app.add_routes([*counts.routes(), *fault_routes(faults, server.watches), *server.routes()])
        app.on_shutdown.append(server.shut_down)
        try:
            yield app
        finally:
            collecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await collecting


def _judging(faults: Faults, authorizer: Authorizer | None) -> Callable[[User, Call], Verdict]:
    """Return what reviews are answered by: what a standing fault forbids nobody may, else the rights say."""

    def judge(user: User, asked: Call) -> Verdict:
        if faults.forbid(asked):
            return Verdict(allowed=False, reason="a fault of the sandbox's")
        return authorizer.judge(user, asked) if authorizer else Verdict(allowed=True, reason="sandbox")

    return judge


def _journal(settings: Settings, stack: contextlib.ExitStack) -> SqliteJournal | None:
    if settings.data is None:
        return None
    settings.data.mkdir(parents=True, exist_ok=True)
    return stack.enter_context(contextlib.closing(SqliteJournal(settings.data / "objects.sqlite")))


def follow_definitions(store: Store, register: Register) -> None:
    """Serve what the CustomResourceDefinitions in the store declare, now and after every change."""

    def follow(event: Event) -> None:
        if event.key[:2] != _DEFINITIONS:
            return
        if event.kind == "DELETED":
            register.withdraw(event.key.name)
        elif event.previous is None or event.previous["spec"] != event.object["spec"]:
            register.declare(event.key.name, definitions.resources_of(event.object))

    for found in store.objects(*_DEFINITIONS):
        register.declare(found["metadata"]["name"], definitions.resources_of(found))
    store.listen(follow)


def create_namespaces(api: Api) -> None:
    """Create the namespaces that every cluster has."""
    resource = api.register.find("", "v1", "namespaces")
    assert resource is not None  # noqa: S101  # it is built in
    for name in _NAMESPACES:
        if api.store.get(Key("", "namespaces", "", name)) is None:
            api.create(
                Target(resource, "", ""), {"metadata": {"name": name}}, Options(manager="kube-apiserver")
            )
