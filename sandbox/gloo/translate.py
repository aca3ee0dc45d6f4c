"""The whole translation, pure: one moment's objects and what Envoy has now, to what Envoy should have.

A VirtualService that cannot be translated keeps its last good virtual host: what Envoy has is the memory.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.gloo import clusters
from sandbox.gloo.actions import weighted
from sandbox.gloo.routes import Found, envoy_routes, resolve
from sandbox.gloo.world import Refusal, Verdict, World, spec_of
from sandbox.kube import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES, Document, Key, Resource


@dataclass(frozen=True, slots=True)
class Translation:
    """Envoy's resources by name, and a verdict on every object of Gloo's."""

    virtual_hosts: dict[str, Document] = field(default_factory=dict)
    clusters: dict[str, Document] = field(default_factory=dict)
    endpoints: dict[str, Document] = field(default_factory=dict)
    verdicts: dict[tuple[Resource, Key], Verdict] = field(default_factory=dict)


def translate(world: World, last_good: Mapping[str, Document]) -> Translation:
    """Translate everything; `last_good` are the virtual hosts that Envoy has."""
    result = Translation()
    for key, upstream in sorted(world.upstreams.items()):
        _upstream(world, key, upstream, result)
    for key, group in sorted(world.upstream_groups.items()):
        result.verdicts[UPSTREAM_GROUPS, key] = _group(world, group)
    for key in world.route_tables:
        result.verdicts[ROUTE_TABLES, key] = Verdict()
    shared = _conflicting_domains(world)
    for key, service in sorted(world.virtual_services.items()):
        _virtual_service(world, (key, service), (shared, last_good), result)
    return result


def host_name(key: Key) -> str:
    """Return the name of a VirtualService's virtual host in Envoy."""
    return "_".join(key)


def domains_of(service: Document) -> list[str]:
    """Return the domains a VirtualService answers for."""
    return (spec_of(service).get("virtualHost") or {}).get("domains") or ["*"]


def _upstream(world: World, key: Key, upstream: Document, result: Translation) -> None:
    cluster = clusters.cluster(key, upstream)
    result.clusters[cluster["name"]] = cluster
    result.endpoints[cluster["name"]] = clusters.endpoints(world, key, upstream)
    try:
        clusters.check(world, key, upstream)
    except Refusal as refusal:
        result.verdicts[UPSTREAMS, key] = Verdict("Rejected", str(refusal))
    else:
        result.verdicts[UPSTREAMS, key] = Verdict()


def _group(world: World, group: Document) -> Verdict:
    try:
        weighted(world, spec_of(group).get("destinations") or [], "the upstream group")
    except Refusal as refusal:
        return Verdict("Rejected", str(refusal))
    return Verdict()


def _conflicting_domains(world: World) -> set[str]:
    counts = Counter(d for service in world.virtual_services.values() for d in set(domains_of(service)))
    return {domain for domain, count in counts.items() if count > 1}


def _virtual_service(
    world: World,
    item: tuple[Key, Document],
    known: tuple[set[str], Mapping[str, Document]],
    result: Translation,
) -> None:
    key, service = item
    shared, last_good = known
    name = host_name(key)
    warnings: list[str] = []
    found: list[Found] = []
    try:
        domains = _own_domains(service, shared)
        found = resolve(world, key, _routes_of(service), warnings)
        routes = envoy_routes(world, found, ".".join(key))
    except Refusal as refusal:
        result.verdicts[VIRTUAL_SERVICES, key] = Verdict("Rejected", str(refusal))
        _blame_tables(found, refusal, result)
        if name in last_good:
            result.virtual_hosts[name] = last_good[name]
        return
    result.virtual_hosts[name] = {"name": name, "domains": domains, "routes": routes}
    verdict = Verdict("Warning", "; ".join(warnings)) if warnings else Verdict()
    result.verdicts[VIRTUAL_SERVICES, key] = verdict


def _routes_of(service: Document) -> list[Document]:
    return (spec_of(service).get("virtualHost") or {}).get("routes") or []


def _own_domains(service: Document, shared: set[str]) -> list[str]:
    domains = domains_of(service)
    if conflict := sorted(shared.intersection(domains)):
        raise Refusal(f"domain conflict: other virtual services have the domains {conflict} too")
    return domains


def _blame_tables(found: list[Found], refusal: Refusal, result: Translation) -> None:
    for table in {key for item in found for key in item.via}:
        result.verdicts[ROUTE_TABLES, table] = Verdict("Rejected", str(refusal))
