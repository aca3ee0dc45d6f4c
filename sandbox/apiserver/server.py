"""The HTTP side: from a request to the verb that answers it, and back in the form the client asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.apiserver import (
    answers,
    discovery,
    documents,
    errors,
    listing,
    openapi,
    rbac,
    requests,
    reviews,
    scale,
)
from sandbox.apiserver.admission import timestamp
from sandbox.apiserver.api import APPLY, Api, Target, patch_document
from sandbox.apiserver.authorizing import USER
from sandbox.apiserver.errors import ApiError
from sandbox.apiserver.faulting import WATCH_FAULT, end
from sandbox.apiserver.selectors import selector
from sandbox.apiserver.watching import Watch


if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.apiserver.admission import Options
    from sandbox.apiserver.api import Deletion
    from sandbox.apiserver.documents import Json, Object
    from sandbox.apiserver.requests import Call
    from sandbox.apiserver.resources import Resource, ScalePaths
    from sandbox.apiserver.selectors import Predicate


_LONGEST_WATCH = 1800.0
_VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+crossfade-sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}


class Server:
    """Answers Kubernetes requests from one Api; ``watches`` are open now, each with what it was asked for.

    ``judge`` tells whether a user may make a request, if somebody asks.
    """

    def __init__(self, api: Api, judge: Callable[[rbac.User, Call], rbac.Verdict]) -> None:
        self.api = api
        self._judge = judge
        self.watches: dict[Watch, Call] = {}
        self._documents: dict[tuple[int, str, str], Object] = {}
        self._revision = timestamp(api.clock())

    def routes(self) -> list[web.RouteDef]:
        """Return the paths that are served."""
        return [
            web.get("/version", _answer_version),
            web.get("/{probe:healthz|readyz|livez}{rest:(/.*)?}", _answer_probe),
            web.get("/openapi/v3", self.openapi_index),
            web.get("/openapi/v3/api/{version}", self.openapi_document),
            web.get("/openapi/v3/apis/{group}/{version}", self.openapi_document),
            web.get("/{root:api|apis}", self.discover),
            web.get("/apis/{group}", self.discover_group),
            web.get("/api/{version}", self.discover_version),
            web.get("/apis/{group}/{version}", self.discover_version),
            web.route("*", "/{root:api|apis}/{rest:.*}", self.serve),
        ]

    async def shut_down(self, _app: web.Application) -> None:
        """End all watches, as the server must before it can end."""
        for watch in tuple(self.watches):
            watch.stop()

    async def openapi_index(self, _request: web.Request) -> web.Response:
        """Answer /openapi/v3."""
        return answers.send(openapi.index(self.api.register, self._revision))

    async def openapi_document(self, request: web.Request) -> web.Response:
        """Answer /openapi/v3/apis/{group}/{version}."""
        group, version = request.match_info.get("group", ""), request.match_info["version"]
        key = (self.api.register.changes, group, version)
        if key not in self._documents:
            self._documents = {each: found for each, found in self._documents.items() if each[0] == key[0]}
            self._documents[key] = openapi.document(self.api.register, group, version)
        return answers.send(self._documents[key])

    async def discover(self, request: web.Request) -> web.Response:
        """Answer /api and /apis, in the form that the client likes best."""
        core = request.match_info["root"] == "api"
        register = self.api.register
        plain = discovery.core_versions() if core else discovery.groups(register)
        return answers.send_discovery(request, discovery.aggregated(register, core=core), plain)

    async def discover_group(self, request: web.Request) -> web.Response:
        """Answer /apis/{group}."""
        name = request.match_info["group"]
        served = discovery.versions_of(self.api.register).get(name)
        if served is None:
            raise errors.no_such_path()
        return answers.send({"kind": "APIGroup", "apiVersion": "v1", **discovery.group(name, served)})

    async def discover_version(self, request: web.Request) -> web.Response:
        """Answer /api/{version} and /apis/{group}/{version}."""
        group = request.match_info.get("group", "")
        found = discovery.resources(self.api.register, group, request.match_info["version"])
        if found is None:
            raise errors.no_such_path()
        return answers.send(found)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer everything about resources."""
        place = requests.address(request.path)
        if place is None:
            raise errors.no_such_path()
        raw = await request.read()
        judging = reviews.Judging(request.get(USER, rbac.ADMIN), self._judge)
        if review := reviews.answer(place, request.method, raw, request.content_type, judging):
            return answers.send(review, status=201)
        resource = self.api.register.find(place.group, place.version, place.plural)
        if resource is None or (place.namespace and not resource.namespaced):
            raise errors.no_such_path()
        target = Target(resource, place.namespace, place.name, place.subresource)
        match requests.verb(request.method, place, request.query):
            case "watch":
                return await self._watch(request, target)
            case "list":
                return self._list(request, target)
            case "deletecollection":
                return self._delete_all(request, target, raw)
            case verb:
                return self._one(request, target, verb, raw)

    def _one(self, request: web.Request, target: Target, verb: str, raw: bytes) -> web.Response:
        """Answer a request about one object."""
        resource = target.resource
        if resource.namespaced and not target.namespace:
            raise errors.method_not_allowed(request.method)
        if target.subresource == "scale" and resource.scale:
            return self._scale(request, target, resource.scale, raw)
        if target.subresource and not (target.subresource == "status" and resource.status):
            raise errors.no_such_path()
        if bool(target.name) is (verb == "create"):
            raise errors.method_not_allowed(request.method)
        match verb:
            case "get":
                return self._shown(request, resource, self.api.get(target))
            case "create":
                found = self.api.create(target, self._body(request, target, raw), self._options(request))
                return self._shown(request, resource, found, status=201)
            case "update":
                found = self.api.update(target, self._body(request, target, raw), self._options(request))
                return self._shown(request, resource, found)
            case "patch":
                return self._patch(request, target, raw)
            case "delete" if not target.subresource:
                return self._delete(request, target, raw)
            case _:
                raise errors.method_not_allowed(request.method)

    def _scale(self, request: web.Request, target: Target, paths: ScalePaths, raw: bytes) -> web.Response:
        wanted = found = scale.read(self.api, target, paths)
        match request.method:
            case "GET":
                return answers.send(found)
            case "PUT":
                wanted = self._body(request, target, raw)
            case "PATCH":
                wanted = patch_document(
                    found, request.content_type, self._body(request, target, raw), scale.SCALE
                )
            case method:
                raise errors.method_not_allowed(method)
        return answers.send(scale.write(self.api, target, paths, wanted, self._options(request)))

    def _patch(self, request: web.Request, target: Target, raw: bytes) -> web.Response:
        kind, options = request.content_type, self._options(request)
        if kind == APPLY and not request.query.get("fieldManager"):
            message = "fieldManager: Required value: is required for apply patch"
            raise ApiError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {message}')
        new = self.api.store.get(target.key) is None
        found = self.api.patch(target, kind, self._body(request, target, raw), options)
        return self._shown(request, target.resource, found, status=201 if new else 200)

    def _delete(self, request: web.Request, target: Target, raw: bytes) -> web.Response:
        deletion, options = self._deletion(request, target, raw)
        found, gone = self.api.delete(target, deletion, options)
        return answers.send(_deleted(target, found) if gone else found)

    def _delete_all(self, request: web.Request, target: Target, raw: bytes) -> web.Response:
        if target.resource.namespaced and not target.namespace:
            raise errors.method_not_allowed(request.method)
        deletion, options = self._deletion(request, target, raw)
        doomed = [each for each in self._objects(target) if self._wanted(request, target)(each)]
        for each in doomed:
            place = Target(target.resource, documents.namespace_of(each), documents.name_of(each))
            with contextlib.suppress(ApiError):  # it went by itself
                self.api.delete(place, deletion, options)
        return answers.send(listing.collection(target.resource, doomed, str(self.api.store.version)))

    def _list(self, request: web.Request, target: Target) -> web.Response:
        page = listing.page(self.api.store, target, self._wanted(request, target), request.query)
        return answers.send(answers.listed(request, target.resource, page, self.api.clock()))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        asked, resource = request.query, target.resource
        answers.form(request)  # an unknown one is refused before the stream begins
        bookmarks = asked.get("allowWatchBookmarks") in ("1", "true")
        initial = asked.get("sendInitialEvents") in ("1", "true")
        watch = Watch(self.api.store, resource, target.namespace, self._wanted(request, target))
        if fault := request.get(WATCH_FAULT):
            end(watch, fault)
        watch.start(asked.get("resourceVersion", ""), initial=initial, bookmarks=bookmarks)
        if watched := requests.call(request.method, request.path, asked, request.headers):
            self.watches[watch] = watched
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        seconds = float(asked.get("timeoutSeconds") or _LONGEST_WATCH)
        try:
            await response.prepare(request)
            async for event in watch.events(seconds, bookmarks=bookmarks):
                await response.write(answers.line(answers.told(request, resource, event, self.api.clock())))
        except ConnectionError:
            pass  # the client has seen enough
        finally:
            self.watches.pop(watch, None)
            watch.stop()
        return response

    def _shown(
        self, request: web.Request, resource: Resource, found: Object, status: int = 200
    ) -> web.Response:
        return answers.send(answers.shown(request, resource, found, self.api.clock()), status)

    def _objects(self, target: Target) -> list[Object]:
        return self.api.store.objects(target.resource.group, target.resource.plural, target.namespace)

    def _wanted(self, request: web.Request, target: Target) -> Predicate:
        labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        return selector(target.resource, labels, fields)

    def _options(self, request: web.Request) -> Options:
        return requests.options(request.query, request.headers.get("User-Agent", ""))

    def _deletion(self, request: web.Request, target: Target, raw: bytes) -> tuple[Deletion, Options]:
        fallback = "Orphan" if target.resource.qualified == "jobs.batch" else "Background"
        body, _ = requests.body(raw, request.content_type)
        asked = body if isinstance(body, dict) else {}
        dry_run = documents.dig(asked, "dryRun", 0, default="")
        options = requests.options(request.query, request.headers.get("User-Agent", ""), dry_run)
        return requests.deletion(asked, request.query, fallback), options

    def _body(self, request: web.Request, target: Target, raw: bytes) -> Json:
        found, repeated = requests.body(raw, request.content_type if raw else "")
        if repeated and request.query.get("fieldValidation") == "Strict":
            listed = ", ".join(f'duplicate field "{path}"' for path in repeated)
            kind = target.resource.kind
            raise errors.bad_request(
                f'{kind} in version "{target.resource.version}" cannot be handled as a {kind}: '
                f"strict decoding error: {listed}"
            )
        return found


async def _answer_version(_request: web.Request) -> web.Response:
    return answers.send(_VERSION)


async def _answer_probe(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


def _deleted(target: Target, found: Object) -> Object:
    details = {"name": target.name, "kind": target.resource.plural, "uid": found["metadata"]["uid"]}
    if target.resource.group:
        details["group"] = target.resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
