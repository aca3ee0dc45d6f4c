"""Addresses: which resource, and which request to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from config.canary import GROUP, PLURAL, VERSION
from config.templates import TEMPLATE_PLURAL


Document = dict[str, Any]
"""An object as the API server tells it, JSON read into Python."""

_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, as its address names it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str

    def __str__(self) -> str:
        """Show as `deployments.apps`, the way RBAC rules and CRDs name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """Give what documents say in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version


CANARIES = Resource(GROUP, VERSION, PLURAL)
METRIC_TEMPLATES = Resource(GROUP, VERSION, TEMPLATE_PLURAL)
VIRTUAL_SERVICES = Resource("gateway.solo.io", "v1", "virtualservices")
ROUTE_TABLES = Resource("gateway.solo.io", "v1", "routetables")
UPSTREAMS = Resource("gloo.solo.io", "v1", "upstreams")
UPSTREAM_GROUPS = Resource("gloo.solo.io", "v1", "upstreamgroups")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
EVENTS = Resource("", "v1", "events")
CONFIG_MAPS = Resource("", "v1", "configmaps")
LEASES = Resource("coordination.k8s.io", "v1", "leases")


def unchanged(document: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Give what a JSON Patch tests so that it only applies if the spec has not been touched since.

    Values alone can come back: 10%, then 50%, then 10% again. The generation never does. It
    also counts reports in the status of kinds without a status subresource, like Gloo's.
    """
    generation = document["metadata"].get("generation")
    if generation is None:
        return ()
    return ({"op": "test", "path": "/metadata/generation", "value": generation},)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: a verb of Kubernetes and what it is about."""

    verb: str
    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    def __str__(self) -> str:
        """Show as `patch canaries.crossfade.dev/status shop/web`."""
        what = f"{self.resource}/{self.subresource}" if self.subresource else str(self.resource)
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.verb} {what} {where or 'in all namespaces'}"

    @property
    def method(self) -> str:
        """Give the HTTP method."""
        return _METHODS[self.verb]

    @property
    def path(self) -> str:
        """Give the path of the URL."""
        resource = self.resource
        parts = ["/apis" if resource.group else "/api", resource.api_version]
        if self.namespace:
            parts += ["namespaces", quote(self.namespace, safe="")]
        parts.append(resource.plural)
        if self.name:
            parts.append(quote(self.name, safe=""))
        if self.subresource:
            parts.append(self.subresource)
        return "/".join(parts)
