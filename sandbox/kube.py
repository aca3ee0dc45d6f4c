"""The Kubernetes API as the kubelet and Gloo stand-ins use it: plain documents by resource, any API server.

A thin layer on the `kubernetes` client, which brings kubeconfig, TLS and credentials. Its typed models
would cost more than they give here: half of the resources are custom ones.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import kubernetes.client
import kubernetes.config
import urllib3
from kubernetes.client.exceptions import ApiException


Document = dict[str, Any]
Key = tuple[str, str]  # namespace ("" outside of any) and name

UNREACHABLE = (ApiException, urllib3.exceptions.HTTPError, OSError)  # all that a call may raise
TIMEOUT = 10.0  # seconds, for all but watches
WATCH_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, and where the API serves it; `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As in a manifest's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the path of one object, or of a collection."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return root + inside + f"/{self.plural}" + (f"/{name}" if name else "") + subresource


NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
JOBS = Resource("batch", "v1", "jobs", "Job")
DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
VIRTUAL_SERVICES = Resource("gateway.solo.io", "v1", "virtualservices", "VirtualService")
ROUTE_TABLES = Resource("gateway.solo.io", "v1", "routetables", "RouteTable")
UPSTREAMS = Resource("gloo.solo.io", "v1", "upstreams", "Upstream")
UPSTREAM_GROUPS = Resource("gloo.solo.io", "v1", "upstreamgroups", "UpstreamGroup")


class ExpiredError(Exception):
    """The watch cannot go on from its resourceVersion; list again."""


def key_of(document: Document) -> Key:
    """Return where an object lives."""
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Kube:
    """One kubeconfig's API server. Every method raises one of `UNREACHABLE` if it does not answer well."""

    def __init__(self, kubeconfig: Path, manager: str) -> None:
        self._api = kubernetes.config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self._api.user_agent = manager
        self._manager = manager

    def list(self, resource: Resource) -> tuple[list[Document], str]:
        """Return all objects and the resourceVersion to watch from; items carry no kind of their own."""
        answer = self._call("GET", resource.path())
        return answer["items"] or [], answer["metadata"]["resourceVersion"]

    def watch(self, resource: Resource, version: str) -> Iterator[tuple[str, Document]]:
        """Yield (type, object) from `version` on, until the server closes the stream; bookmarks included.

        Raises:
            ExpiredError: `version` is too old.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        response = self._send("GET", resource.path(), query, timeout=(TIMEOUT, WATCH_SECONDS + TIMEOUT))
        try:
            for line in _lines(response.response.stream(decode_content=False)):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ExpiredError(event["object"].get("message", "watch failed"))
                yield event["type"], event["object"]
        finally:
            response.response.close()

    def get(self, resource: Resource, key: Key) -> Document:
        """Return one object."""
        return self._call("GET", resource.path(*key))

    def create(self, resource: Resource, document: Document) -> Document:
        """Create an object and return it as stored."""
        namespace = document["metadata"].get("namespace", "")
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **document}
        return self._call("POST", resource.path(namespace), body=body)

    def replace(self, resource: Resource, document: Document) -> Document:
        """Replace an object, provided that its resourceVersion is the current one."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **document}
        return self._call("PUT", resource.path(*key_of(document)), body=body)

    def merge(self, resource: Resource, key: Key, patch: Document, subresource: str = "") -> Document:
        """Apply a JSON merge patch."""
        path = resource.path(*key, subresource)
        return self._call("PATCH", path, body=patch, content_type="application/merge-patch+json")

    def delete(self, resource: Resource, key: Key, uid: str, grace: int | None = None) -> Document:
        """Delete the object with this uid; return what the server says: the object or a Status."""
        options: Document = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        return self._call("DELETE", resource.path(*key), body=options)

    def _call(
        self, method: str, path: str, *, body: Document | None = None, content_type: str = "application/json"
    ) -> Document:
        query = {} if method in {"GET", "DELETE"} else {"fieldManager": self._manager}
        response = self._send(method, path, query, (body, content_type))
        return cast("Document", json.loads(response.read()))

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        content: tuple[Document | None, str] = (None, "application/json"),
        timeout: float | tuple[float, float] = TIMEOUT,
    ) -> Any:  # noqa: ANN401  # the client has no types
        body, content_type = content
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*request, _request_timeout=timeout)
        if not 200 <= response.status <= 299:
            response.read()
            raise ApiException(http_resp=response)
        return response


def merge_patch(old: Document, new: Document) -> Document:
    """Return the JSON merge patch that turns `old` into `new`; empty if they are equal.

    A null says nothing: API servers tell a condition's `lastProbeTime` that was never set as null.
    """
    patch: Document = {name: None for name, each in old.items() if each is not None and name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[name] = inner
        elif value != _told(before) or name not in old:
            patch[name] = value
    return patch


def _told(value: object) -> object:
    if isinstance(value, dict):
        return {name: _told(each) for name, each in value.items() if each is not None}
    return [_told(each) for each in value] if isinstance(value, list) else value


def selects(selector: Document, labels: Document) -> bool:
    """Say whether a `{label: value}` selector matches; an empty one matches nothing, as in a Service."""
    return bool(selector) and selector.items() <= labels.items()


def gone(error: BaseException) -> bool:
    """Say whether the API answered that the object is not there (any more)."""
    return isinstance(error, ApiException) and error.status == 404


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pending = b""
    for chunk in chunks:
        *complete, pending = re.split(rb"\n", pending + chunk)
        yield from (line for line in complete if line)
