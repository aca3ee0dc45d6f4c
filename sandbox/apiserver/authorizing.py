"""Lets a request in, or not: who it is from, whether the roles allow it, and a record of both.

A bearer token is the name of a service account, ``system:serviceaccount:shop:crossfade``;
``Impersonate-User`` and ``Impersonate-Group`` do what they do in Kubernetes. Whoever brings neither is the
administrator, because the server listens to its own machine only. Paths that are no resources are open to
everybody.

``GET /sandbox/authorizations`` answers ``{"authorizations": [{"user", "userAgent", "verb", "resource",
"namespace", "name", "allowed", "reason", "count"}]}``, ``DELETE`` begins anew. Without
``--authorization=rbac`` everybody is the administrator and nothing is recorded.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.apiserver import answers, rbac
from sandbox.apiserver.api import APPLY
from sandbox.apiserver.errors import ApiError
from sandbox.apiserver.requests import Call, address, call
from sandbox.apiserver.store import Event, Key, Store


if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from sandbox.apiserver.rbac import Policy, User, Verdict


USER: web.RequestKey[rbac.User] = web.RequestKey("user", rbac.User)

_KINDS = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
_BEARER = "bearer "


class Authorizer:
    """Judges by the roles and bindings that are in the store at this moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policy: Policy | None = None
        self._record: Counter[tuple[User, Call, Verdict]] = Counter()
        store.listen(self._follow)

    @property
    def policy(self) -> Policy:
        """The roles and bindings of this moment."""
        if self._policy is None:
            found = (each for plural in _KINDS for each in self._store.objects(rbac.GROUP, plural))
            self._policy = rbac.Policy.of(found)
        return self._policy

    def judge(self, user: User, asked: Call) -> Verdict:
        """Tell whether a user may make a request."""
        return self.policy.judge(user, asked)

    def admit(self, request: web.Request) -> User:
        """Return who makes a request, and record that it was allowed; raises 401, 403."""
        user = self._identify(request)
        for asked in self._asked(request):
            verdict = self.judge(user, asked)
            self._record[user, asked, verdict] += 1
            if not verdict.allowed:
                raise rbac.refusal(user, asked, verdict.reason)
        return user

    def routes(self) -> list[web.RouteDef]:
        """Return the paths to read and reset the record."""
        path = "/sandbox/authorizations"
        return [web.get(path, self._answer), web.delete(path, self._reset)]

    def _follow(self, event: Event) -> None:
        if event.key.group == rbac.GROUP:
            self._policy = None

    def _identify(self, request: web.Request) -> User:
        user = rbac.ADMIN
        given = request.headers.get("Authorization", "")
        if given.lower().startswith(_BEARER):
            user = self._account(given[len(_BEARER) :].strip())
        elif given:
            raise _unauthorized()
        name = request.headers.get("Impersonate-User", "")
        groups = request.headers.getall("Impersonate-Group", [])
        if not name:
            return user
        impersonated = _impersonated(name, groups)
        for asked in _impersonations(name, groups, request.headers.get("User-Agent", "")):
            verdict = self.judge(user, asked)
            if not verdict.allowed:
                raise rbac.refusal(user, asked, verdict.reason)
        return impersonated

    def _account(self, token: str) -> User:
        """Return the service account that a token is for; raises 401 if there is none."""
        namespace, _, name = token.removeprefix(rbac.ACCOUNT).partition(":")
        known = self._store.get(Key("", "serviceaccounts", namespace, name))
        if not token.startswith(rbac.ACCOUNT) or known is None:
            raise _unauthorized()
        return rbac.account(namespace, name)

    def _asked(self, request: web.Request) -> list[Call]:
        """Return what a request needs to be allowed: applying what is not there is creating it as well."""
        asked = call(request.method, request.path, request.query, request.headers)
        place = address(request.path)
        if asked is None or place is None:
            return []
        creates = (
            asked.verb == "patch"
            and request.content_type == APPLY
            and self._store.get(Key(place.group, place.plural, place.namespace, place.name)) is None
        )
        created = Call("create", asked.resource, asked.namespace, asked.name, asked.user_agent)
        return [asked, created] if creates else [asked]

    async def _answer(self, _request: web.Request) -> web.Response:
        found = [
            {
                "user": user.name,
                "userAgent": asked.user_agent,
                "verb": asked.verb,
                "resource": asked.resource,
                "namespace": asked.namespace,
                "name": asked.name,
                "allowed": verdict.allowed,
                "reason": verdict.reason,
                "count": count,
            }
            for (user, asked, verdict), count in self._record.items()
        ]
        return answers.send({"authorizations": found})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._record.clear()
        return answers.send({"authorizations": []})


def authorizing(authorizer: Authorizer) -> Middleware:
    """Let only those requests in that are allowed."""

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[USER] = authorizer.admit(request)
        return await handler(request)

    return admit


def _impersonated(name: str, groups: list[str]) -> User:
    namespace, colon, account = name.removeprefix(rbac.ACCOUNT).partition(":")
    if groups:
        return rbac.User(name, (*groups, rbac.AUTHENTICATED))
    if name.startswith(rbac.ACCOUNT) and colon:
        return rbac.account(namespace, account)
    return rbac.User(name, (rbac.AUTHENTICATED,))


def _impersonations(name: str, groups: list[str], user_agent: str) -> list[Call]:
    """Return the rights that impersonating takes."""
    namespace, colon, account = name.removeprefix(rbac.ACCOUNT).partition(":")
    whom = ("users", "", name)
    if name.startswith(rbac.ACCOUNT) and colon:
        whom = ("serviceaccounts", namespace, account)
    wanted = [whom, *(("groups", "", group) for group in groups)]
    return [Call("impersonate", resource, place, each, user_agent) for resource, place, each in wanted]


def _unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")
