"""All routes of the cluster that lead to an application, and which of them a rollout would not move."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from controller.doctor.case import Case, Gateway, address
from controller.doctor.finding import Json
from controller.gloo.clones import base_of
from controller.gloo.delegation import Place, places
from controller.gloo.destinations import EVERY_VERSION, Target, destination_of, entries_of, subset_of
from controller.gloo.documents import UPSTREAM_GROUP, Route, kind_of, name_of, opened, routes_at
from controller.gloo.roles import action_of, roles
from controller.gloo.scope import group_of
from controller.kube.resources import Document


@dataclass(frozen=True, slots=True)
class Lead:
    """An object, and what some of its routes make of the application's versions."""

    document: Document
    place: str
    """The field of the first route that matters: `spec.virtualHost.routes[0]`."""
    version: str | None
    """The one version that all of these routes are fixed to; None: there are several, or all at once."""
    versions: frozenset[str] = frozenset()
    """All that these routes lead to."""
    loose: bool = False
    """Some request meets no particular version."""
    around: str = ""
    """The other Upstream over the same pods that it takes; empty: it takes the Canary's own."""
    partly: bool = False
    """Other routes of the object are managed."""
    mixed: bool = False
    """A route takes a subset by other labels, which no rollout can move."""

    @property
    def name(self) -> str:
        """Name the object as people do."""
        return name_of(self.document)

    @property
    def reference(self) -> dict[str, str]:
        """Give what `spec.routes` would say of it."""
        namespace, name = address(self.document)
        return {"kind": kind_of(self.document), "name": name, "namespace": namespace}


def managed(case: Case) -> tuple[Place, ...]:
    """Give the objects whose routes a rollout moves: named in `spec.routes`, or delegated to by those."""
    return places(case.spec.routes, case.target, Shelved(case.gateway))


def unmanaged(case: Case) -> tuple[Lead, ...]:
    """Give the objects with routes to the application that no rollout would move.

    A route of the user's own that is fixed to a version in a managed object is left out: the
    controller keeps that version for it.
    """
    moved = {_key(place.document): _mains(place, case.target) for place in managed(case)}
    found = []
    for document in _documents(case.gateway):
        mains = moved.get(_key(document))
        own = _lead(document, case.target, skipping=mains or ())
        if own is not None and (mains is None or own.loose):
            found.append(_with(own, partly=mains is not None))
        beside = ((twin, _lead(document, twin)) for twin in twins(case))
        found += [_with(lead, around=str(twin)) for twin, lead in beside if lead is not None]
    return tuple(found)


def unserved(case: Case) -> str:
    """Say which requests would find no pod if none fell back to other versions; empty if none is known."""
    ready = {each.version for each in case.workloads if each.ready > 0}
    for document in _documents(case.gateway):
        lead = _lead(document, case.target)
        if lead is not None and (lead.loose or lead.mixed):
            return f"{lead.name}: {lead.place} is not fixed to a version alone"
        if lead is not None and (podless := lead.versions - ready):
            return f"{lead.name}: a route leads to {min(podless)}, which has no ready pod"
    return ""


def twins(case: Case) -> tuple[Target, ...]:
    """Give other Upstreams over the same Service: requests on their way meet every version."""
    ours = _service(case.upstream) if case.upstream is not None else None
    own = {(case.spec.upstream.namespace, case.spec.upstream.name), *case.target.upstreams}
    others = (
        address(document)
        for document in case.gateway.upstreams
        if ours is not None and _service(document) == ours and base_of(document) is None
    )
    label = case.target.version_label
    return tuple(Target(name, namespace, label) for namespace, name in others if (namespace, name) not in own)


@dataclass(frozen=True, slots=True)
class Shelved:
    """Implements `controller.gloo.delegation.Shelf` for what was read."""

    gateway: Gateway

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """Give an object; None if there is none."""
        wanted = kind, namespace, name
        everything = (*self.gateway.tables, *self.gateway.upstream_groups)
        return next((each for each in everything if _key(each) == wanted), None)

    def tables(self, namespaces: Collection[str] | None) -> tuple[Document, ...]:
        """Give the RouteTables of these namespaces; None: of all."""
        found = self.gateway.route_tables
        return tuple(each for each in found if namespaces is None or address(each)[0] in namespaces)


def field_of(document: Json, at: int) -> str:
    """Name a route of an object: `spec.virtualHost.routes[2]`."""
    field = routes_at(document).strip("/").replace("/", ".")
    return field if kind_of(document) == UPSTREAM_GROUP else f"{field}[{at}]"


def _documents(gateway: Gateway) -> Iterator[Document]:
    """Give all objects with routes; groups only if a route uses them."""
    used = {group_of(route) for document in gateway.tables for route in opened(document, _NOBODY)[0]}
    yield from gateway.tables
    yield from (each for each in gateway.upstream_groups if address(each) in used)


_NOBODY = Target("", "", "")


def _mains(place: Place, target: Target) -> frozenset[int]:
    routes, target = opened(place.document, target)
    return frozenset(roles(routes, target, None, place.scope).mains)


def _lead(document: Document, target: Target, skipping: Collection[int] = ()) -> Lead | None:
    routes, target = opened(document, target)
    found = {at: _versions(route, target) for at, route in enumerate(routes) if at not in skipping}
    found = {at: versions for at, versions in found.items() if versions}
    if not found:
        return None
    open_ = [at for at, versions in found.items() if EVERY_VERSION in versions]
    divided = [at for at, versions in found.items() if len(versions) > 1]
    met = {version for versions in found.values() for version in versions}
    version = next(iter(met)) if len(met) == 1 and not open_ else None
    mixed = any(_is_mixed(destination, target) for at in found for destination in _destinations(routes[at]))
    first = next(iter(open_ or divided or found))
    return Lead(document, field_of(document, first), version, frozenset(met), bool(open_), mixed=mixed)


def _versions(route: Route, target: Target) -> set[str]:
    """Give the versions that requests of a route meet; EVERY_VERSION: any of them."""
    found = (_version(destination, target) for destination in _destinations(route))
    return {version for version in found if version is not None}


def _destinations(route: Route) -> Iterator[Json]:
    yield from map(destination_of, entries_of(action_of(route)))


def _is_mixed(destination: Json, target: Target) -> bool:
    return target.is_upstream(destination) and target.version(destination) is None


def _version(destination: Json, target: Target) -> str | None:
    known = target.version(destination)
    if known is not None or not target.is_upstream(destination):
        return known
    return str(subset_of(destination).get(target.version_label, EVERY_VERSION))


def _with(lead: Lead, *, around: str = "", partly: bool = False) -> Lead:
    return replace(lead, around=around, partly=partly)


def _service(upstream: Document) -> tuple[str, str] | None:
    kube = (upstream.get("spec") or {}).get("kube") or {}
    found = kube.get("serviceNamespace"), kube.get("serviceName")
    return (str(found[0]), str(found[1])) if all(found) else None


def _key(document: Json) -> tuple[str, str, str]:
    return kind_of(document), *address(document)
