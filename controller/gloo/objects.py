"""The objects that hold routes, at the cluster's edge: read from watches, read anew, patched."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, assert_never

from config.routes import RouteKind
from controller.gloo.documents import Document, kind_of
from controller.kube.client import Cluster
from controller.kube.kept import Kept
from controller.kube.resources import ROUTE_TABLES, UPSTREAM_GROUPS, VIRTUAL_SERVICES


class RouteHolders:
    """Implements `delegation.Shelf`: VirtualServices, RouteTables and UpstreamGroups of one cluster."""

    def __init__(
        self, cluster: Cluster, virtual_services: Kept, route_tables: Kept, upstream_groups: Kept
    ) -> None:
        self._cluster = cluster
        self._watched: dict[str, Kept] = {
            "VirtualService": virtual_services,
            "RouteTable": route_tables,
            "UpstreamGroup": upstream_groups,
        }

    @property
    def watched(self) -> tuple[Kept, ...]:
        """Give the watches of all kinds."""
        return tuple(self._watched.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """Say why some kinds cannot be read at the moment."""
        return tuple(watched.problem for watched in self.watched if watched.problem)

    @property
    def unread(self) -> str:
        """Name the kinds that were never listed, so that delegations cannot be followed; empty if none."""
        kinds = ("RouteTable", "UpstreamGroup")
        return ", ".join(f"{kind}s" for kind in kinds if not self._watched[kind].synced)

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """Give an object as last seen."""
        return self._watched[kind].get(namespace, name)

    def tables(self, namespaces: Collection[str] | None) -> Iterable[Document]:
        """Give the RouteTables of these namespaces as last seen; None: of all."""
        tables = self._watched["RouteTable"]
        if namespaces is None:
            return tables.all()
        return [table for namespace in sorted(namespaces) for table in tables.under(namespace)]

    def why_absent(self, kind: str, what: str) -> str:
        """Say why an object is not at hand."""
        watched = self._watched[kind]
        return watched.problem or f"{what} {'not found' if watched.synced else 'has not been read yet'}"

    def listed(self, kind: str) -> bool:
        """Tell whether the objects of a kind have been listed at least once."""
        return self._watched[kind].synced

    def read(self, document: Document) -> Document:
        """Read an object anew; one request."""
        where = document["metadata"]["namespace"], document["metadata"]["name"]
        match _kind(document):
            case "VirtualService":
                found = self._cluster.read(VIRTUAL_SERVICES, *where)
            case "RouteTable":
                found = self._cluster.read(ROUTE_TABLES, *where)
            case "UpstreamGroup":
                found = self._cluster.read(UPSTREAM_GROUPS, *where)
            case other:
                assert_never(other)
        return self._taken(found)

    def patch(self, document: Document, operations: Sequence[dict[str, Any]]) -> Document:
        """Patch an object, and give what is stored now; one request."""
        where = document["metadata"]["namespace"], document["metadata"]["name"]
        match _kind(document):
            case "VirtualService":
                stored = self._cluster.patch(VIRTUAL_SERVICES, *where, operations)
            case "RouteTable":
                stored = self._cluster.patch(ROUTE_TABLES, *where, operations)
            case "UpstreamGroup":
                stored = self._cluster.patch(UPSTREAM_GROUPS, *where, operations)
            case other:
                assert_never(other)
        return self._taken(stored)

    def _taken(self, document: dict[str, Any]) -> Document:
        self._watched[_kind(document)].put(document)
        return document


def _kind(document: Document) -> RouteKind:
    match kind_of(document):
        case "RouteTable":
            return "RouteTable"
        case "UpstreamGroup":
            return "UpstreamGroup"
        case _:
            return "VirtualService"
