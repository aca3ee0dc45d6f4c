"""The one way to the Kubernetes API: documents in, documents out, errors in our words.

Built-in and custom resources are treated alike, as plain dicts, so that nothing
a newer server stores is lost on the way through a typed model.

Every request has a timeout, and this is the only layer that tries again: on
connections that fail, on 408, 429 (after the time the server asks for) and 5xx;
four attempts within 20 seconds. On 401 the token is read anew, and a new one tried
at once: the old one may have been revoked before its file was due to be read.

A write whose answer was lost is sent again as well, which is safe because of how
this project writes:

- JSON Patch: its `test` operations fail the second time (Conflict), or it sets
  the same values once more.
- merge patch: sets the same values once more; with a resourceVersion, Conflict.
- replace: under a resourceVersion, so Conflict; the caller looks again.
- create: with a name of ours, so Conflict (it exists already).
- delete: under its uid, so NotFound.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import tenacity
import urllib3
from kubernetes import client as kube_client
from kubernetes import config as kube_config

from controller.errors import EdgeError, Unavailable
from controller.kube.answers import Passing, Unrecognised, parsed, reason, refusal, shortened
from controller.kube.credentials import Login, login
from controller.kube.resources import Call, Document, Resource
from controller.kube.stream import Stream


Observer = Callable[[str, str, int], None]
"""Called after every attempt with verb, resource and HTTP status; 0: no answer."""

FIELD_MANAGER = "crossfade"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

_PAGE = 500
_SHORTEST_SECRET = 4
_AS_US = {"fieldManager": FIELD_MANAGER}


class Listing(NamedTuple):
    """All objects as of one resourceVersion."""

    documents: tuple[Document, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take and how often it is tried; seconds."""

    connect: float = 3.0
    read: float = 10.0
    attempts: int = 4
    total: float = 20.0
    """No attempt begins later than this."""
    pause: float = 0.3
    """Before the second attempt at most, unless the server asks for another time; then ever longer."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What a request carries besides its address."""

    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    type: str = "application/json"


_NOTHING = _Content()
_LIMITS = Limits()


def _unobserved(_verb: str, _resource: str, _status: int) -> None: ...


def _permit() -> None: ...


class Cluster:
    """A connection to one cluster as one user. Safe to use from several threads.

    Every method may raise any error of `controller.errors`; the message begins with
    verb, resource and namespace/name and goes on with the server's own words.
    `permit` is asked right before each attempt of a write; what it raises ends the call.
    """

    def __init__(
        self,
        credentials: Login,
        *,
        user_agent: str,
        on_request: Observer = _unobserved,
        limits: Limits = _LIMITS,
        permit: Callable[[], None] = _permit,
    ) -> None:
        configuration = credentials.configuration
        configuration.retries = False  # trying again is decided below, and only there
        configuration.keep_alive = True
        configuration.connection_pool_maxsize = 32
        self._api = kube_client.ApiClient(configuration)
        self._api.user_agent = user_agent
        self._on_request = on_request
        self._limits = limits
        self._permit = permit
        self._renew = credentials.renew
        self.server: str = configuration.host
        self.user = credentials.user
        """Of the kubeconfig's context; empty in a pod."""
        self.namespace = credentials.namespace
        """Where the kubeconfig's context points; `default` if it does not say."""

    @classmethod
    def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        *,
        user_agent: str = "crossfade",
        on_request: Observer = _unobserved,
        permit: Callable[[], None] = _permit,
    ) -> Self:
        """Connect by kubeconfig, or as this pod's service account; no request is made yet.

        Raises:
            Unavailable: there are no credentials, or they cannot be read.

        """
        credentials = login(kubeconfig, context)
        return cls(credentials, user_agent=user_agent, on_request=on_request, permit=permit)

    def close(self) -> None:
        """Close all idle connections."""
        self._api.close()  # type: ignore[no-untyped-call]

    def read(self, resource: Resource, namespace: str, name: str) -> Document:
        """Get one object."""
        return self._send(Call("get", resource, namespace, name))

    def list(self, resource: Resource, namespace: str | None = None, name: str | None = None) -> Listing:
        """Get all objects of a namespace or of the cluster, or only those of one name."""
        call = Call("list", resource, namespace)
        query = {"limit": str(_PAGE), **_named(name)}
        documents: tuple[Document, ...] = ()
        while True:
            page = self._send(call, _Content(query))
            documents += tuple(page.get("items") or ())
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(documents, str(metadata.get("resourceVersion", "")))
            query = {**query, "continue": metadata["continue"]}

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        name: str | None = None,
        *,
        resource_version: str = "",
        seconds: float = 60.0,
    ) -> Stream:
        """Open a watch from a resourceVersion; the server ends it after `seconds`.

        A connection that stays silent a quarter longer than that is given up.
        One attempt: whoever watches has to be able to list again anyway.

        Raises:
            Expired: the resourceVersion is too old (this may also come out of the stream).

        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(seconds))),
            **_named(name),
        }
        if resource_version:
            query["resourceVersion"] = resource_version
        call = Call("watch", resource, namespace)
        response = self._answer(call, _Content(query), read_timeout=seconds * 1.25)
        return Stream(str(call), response, self._hidden)

    def create(self, resource: Resource, namespace: str, document: Mapping[str, Any]) -> Document:
        """Create an object; Conflict if it exists already."""
        return self._send(Call("create", resource, namespace), _Content(_AS_US, document))

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    ) -> Document:
        """Change an object: a sequence of operations is a JSON Patch, a mapping a merge patch.

        Raises:
            Conflict: a `test` of the JSON Patch failed, or a path is no longer there;
                or the resourceVersion in the merge patch is not the current one.
            Refused: the outcome is not a valid object, or an admission webhook said no.

        """
        if isinstance(patch, Mapping):
            content = _Content(_AS_US, dict(patch), MERGE_PATCH)
        else:
            content = _Content(_AS_US, list(patch), JSON_PATCH)
        return self._send(Call("patch", resource, namespace, name), content)

    def replace(
        self, resource: Resource, document: Mapping[str, Any], *, subresource: str | None = None
    ) -> Document:
        """Store an object under the resourceVersion (and uid) that it carries; Conflict if these moved."""
        metadata = document["metadata"]
        call = Call("update", resource, metadata["namespace"], metadata["name"], subresource)
        return self._send(call, _Content(_AS_US, document))

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object if it is still this one; Conflict if it is not, NotFound if it is gone."""
        preconditions = {"uid": uid}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        self._send(Call("delete", resource, namespace, name), _Content(body=options))

    def _send(self, call: Call, content: _Content = _NOTHING) -> Document:
        """Try until there is an answer that another try would not change."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            stop=tenacity.stop_after_attempt(self._limits.attempts)
            | tenacity.stop_before_delay(self._limits.total),
            wait=self._pause,
            reraise=True,
        )
        return retrying(self._once, call, content)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Wait as long as the server asks, and ever longer, never in step with others; seconds."""
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after if isinstance(error, Passing) else None
        longest = self._limits.pause * 2.0 ** (state.attempt_number - 1)
        return (asked_for or 0.0) + random.uniform(longest / 2, longest)  # noqa: S311  # no secret

    def _once(self, call: Call, content: _Content) -> Document:
        response = self._answer(call, content, self._limits.read)
        try:
            body = response.data
        except urllib3.exceptions.HTTPError as error:
            raise Passing(f"{call}: the answer broke off: {reason(error)}") from error
        try:
            return parsed(str(call), body)
        except EdgeError:
            return parsed(str(call), self._hidden(body))

    def _hidden(self, words: bytes) -> bytes:
        """Strike out our token, should a server, or somebody before it, repeat what it was sent."""
        for value in self._api.configuration.api_key.values():
            token = value.rpartition(" ")[2].encode()
            words = words.replace(token, b"***") if len(token) >= _SHORTEST_SECRET else words
        return words

    def _answer(self, call: Call, content: _Content, read_timeout: float) -> urllib3.BaseHTTPResponse:
        """Send one request; give the successful answer, its body unread."""
        try:
            return self._answer_to(call, content, read_timeout)
        except Unrecognised:
            if not self._renew():
                raise
        return self._answer_to(call, content, read_timeout)

    def _answer_to(self, call: Call, content: _Content, read_timeout: float) -> urllib3.BaseHTTPResponse:
        if call.method != "GET":
            self._permit()
        status = 0
        try:
            answer = self._request(call, content, read_timeout)
            status = answer.status
            if 200 <= status < 300:
                return answer
            raise refusal(str(call), status, self._hidden(answer.data), answer.headers)
        except urllib3.exceptions.HTTPError as error:
            raise Passing(f"{call}: cannot reach {self.server}: {reason(error)}") from error
        except kube_client.ApiException as error:  # TLS: no other attempt would end better
            raise Unavailable(
                f"{call}: cannot reach {self.server}: {shortened(str(error.reason))}"
            ) from error
        except (kube_config.ConfigException, OSError) as error:  # a token that cannot be renewed
            raise Unavailable(f"{call}: no credentials: {shortened(str(error))}") from error
        finally:
            self._on_request(call.verb, str(call.resource), status)

    def _request(self, call: Call, content: _Content, read_timeout: float) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json"}
        if content.body is not None:
            headers["Content-Type"] = content.type
        method, url, sent_headers, body, _ = self._api.param_serialize(
            call.method,
            call.path,
            query_params=dict(content.query),
            header_params=headers,
            body=content.body,
            auth_settings=["BearerToken"],
        )
        timeout = (self._limits.connect, read_timeout)
        response: urllib3.BaseHTTPResponse = self._api.call_api(
            method, url, sent_headers, body, _request_timeout=timeout
        ).response
        return response


def _named(name: str | None) -> dict[str, str]:
    return {"fieldSelector": f"metadata.name={name}"} if name else {}
