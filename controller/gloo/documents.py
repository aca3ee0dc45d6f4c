"""Where the routes are in each kind of Gloo's documents.

A `VirtualService` has them below its virtual host, a `RouteTable` at the top. An
`UpstreamGroup` has none, only weighted destinations: it is read as one route that
divides among them, so that whoever looks at routes need not know the difference.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.gloo.destinations import Target


Document = Mapping[str, Any]
Route = Mapping[str, Any]

VIRTUAL_SERVICE, ROUTE_TABLE, UPSTREAM_GROUP = "VirtualService", "RouteTable", "UpstreamGroup"


def kind_of(document: Document) -> str:
    """Give the kind; a document that does not say is a VirtualService."""
    return str(document.get("kind") or VIRTUAL_SERVICE)


def name_of(document: Document) -> str:
    """Name an object as people do: `VirtualService gloo-system/echo`."""
    metadata = document.get("metadata") or {}
    return f"{kind_of(document)} {metadata.get('namespace')}/{metadata.get('name')}"


def namespace_of(document: Document) -> str:
    """Give the namespace that a document is in."""
    return str((document.get("metadata") or {}).get("namespace") or "")


def routes_at(document: Document) -> str:
    """Give the JSON Pointer to a document's list of routes, or of a group's destinations."""
    match kind_of(document):
        case "RouteTable":
            return "/spec/routes"
        case "UpstreamGroup":
            return "/spec/destinations"
        case _:
            return "/spec/virtualHost/routes"


def routes_of(document: Document) -> list[Route]:
    """Give a document's routes in order."""
    spec = document.get("spec") or {}
    match kind_of(document):
        case "RouteTable":
            return list(spec.get("routes") or ())
        case "UpstreamGroup":
            return [{"routeAction": {"multi": {"destinations": list(spec.get("destinations") or ())}}}]
        case _:
            return list((spec.get("virtualHost") or {}).get("routes") or ())


def opened(document: Document, target: Target) -> tuple[list[Route], Target]:
    """Give a document's routes, and the target as references of this document name it.

    Gloo takes a reference without a namespace for one into the namespace of the routes;
    in an UpstreamGroup it finds nothing.
    """
    home = "" if kind_of(document) == UPSTREAM_GROUP else namespace_of(document)
    return routes_of(document), replace(target, home=home)
