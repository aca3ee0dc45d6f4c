"""Upstreams as Envoy clusters with subset load balancing, and their endpoints with the pods' labels.

Of pods, or static with the addresses of their hosts.
"""

import ipaddress
from collections.abc import Iterator

from sandbox.gloo.world import Refusal, World, cluster_name, spec_of
from sandbox.kube import Document, Key, selects


SERVICE_NAME = "kubernetes.io/service-name"
FALLBACKS = {0: "ANY_ENDPOINT", 1: "DEFAULT_SUBSET", 2: "NO_FALLBACK"}  # old objects carry the number


def cluster(key: Key, upstream: Document) -> Document:
    """Return an Upstream's Envoy cluster; where its endpoints come from is for the writer to add."""
    subsets = (spec_of(upstream).get("kube") or {}).get("subsetSpec")
    return {
        "name": cluster_name(key),
        "type": "EDS",
        "connect_timeout": "5s",
        "ignore_health_on_host_removal": True,
        **({"lb_subset_config": _subsets(subsets)} if subsets else {}),
    }


def endpoints(world: World, key: Key, upstream: Document) -> Document:
    """Return an Upstream's `ClusterLoadAssignment`: static hosts, or ready endpoints that it selects."""
    if (static := spec_of(upstream).get("static")) is not None:
        known = [host for host in static.get("hosts") or [] if not _wrong(host)]
        return _assignment(key, [_host(host["addr"], host["port"]) for host in known])
    kube = spec_of(upstream).get("kube") or {}
    keys = {name for selector in _selectors(kube) for name in selector.get("keys") or []}
    hosts = []
    for address, port, labels in _ready(world, kube):
        chosen = {name: labels[name] for name in sorted(keys) if name in labels}
        host = _host(address, port)
        if chosen:
            host["metadata"] = {"filter_metadata": {"envoy.lb": chosen}}
        hosts.append(host)
    hosts.sort(key=lambda host: host["endpoint"]["address"]["socket_address"]["address"])
    return _assignment(key, hosts)


def check(world: World, key: Key, upstream: Document) -> None:
    """Refuse an Upstream that leads nowhere.

    Raises:
        Refusal: of a kind not understood here, or its Service, port or address does not exist.
    """
    if (static := spec_of(upstream).get("static")) is not None:
        if wrong := next(filter(None, map(_wrong, static.get("hosts") or [])), ""):
            raise Refusal(wrong)
        return
    kube = spec_of(upstream).get("kube")
    if not kube:
        raise Refusal("the sandbox knows kube and static upstreams only")
    service = world.services.get(_service_key(kube))
    if service is None:
        namespace, name = _service_key(kube)
        raise Refusal(
            f"Upstream {key[0]}.{key[1]} references the service {name} "
            f"which does not exist in namespace {namespace}"
        )
    if _port(service, kube.get("servicePort")) is None:
        raise Refusal(f"port {kube.get('servicePort')} does not exist on service {kube['serviceName']}")


def _wrong(host: Document) -> str:
    """Say why a static host cannot be reached; empty if it can."""
    try:
        ipaddress.ip_address(host.get("addr", ""))
    except ValueError:
        return f"the sandbox knows addresses only, not {host.get('addr')!r}"
    return "" if host.get("port") else f"static host {host['addr']} has no port"


def _assignment(key: Key, hosts: list[Document]) -> Document:
    return {"cluster_name": cluster_name(key), "endpoints": [{"lb_endpoints": hosts}] if hosts else []}


def _host(address: str, port: int) -> Document:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}


def _subsets(spec: Document) -> Document:
    policy = spec.get("fallbackPolicy", "ANY_ENDPOINT")
    config: Document = {
        "fallback_policy": FALLBACKS.get(policy, policy),
        "subset_selectors": [
            {"keys": selector.get("keys") or []} for selector in spec.get("selectors") or []
        ],
    }
    if default := (spec.get("defaultSubset") or {}).get("values"):
        config["default_subset"] = default
    return config


def _selectors(kube: Document) -> list[Document]:
    return (kube.get("subsetSpec") or {}).get("selectors") or []


def _service_key(kube: Document) -> Key:
    return kube.get("serviceNamespace", ""), kube.get("serviceName", "")


def _port(service: Document, number: int | None) -> Document | None:
    """Return the Service's port: its only one whatever was asked for, as Gloo does, or the one asked for."""
    ports: list[Document] = spec_of(service).get("ports") or []
    if len(ports) == 1:
        return ports[0]
    return next((port for port in ports if port["port"] == number), None)


def _ready(world: World, kube: Document) -> Iterator[tuple[str, int, Document]]:
    namespace, name = _service_key(kube)
    service = world.services.get((namespace, name))
    wanted = service and _port(service, kube.get("servicePort"))
    if not wanted:
        return
    for (place, _), piece in world.slices.items():
        if place != namespace or (piece["metadata"].get("labels") or {}).get(SERVICE_NAME) != name:
            continue
        ports = [p for p in piece.get("ports") or [] if (p.get("name") or "") == (wanted.get("name") or "")]
        for endpoint in piece.get("endpoints") or []:
            if not ports or (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            target = endpoint.get("targetRef") or {}
            pod = world.pods.get((namespace, target.get("name", "")), {"metadata": {}})
            address = (pod.get("status") or {}).get("podIP")
            labels = pod["metadata"].get("labels") or {}
            if address and (not kube.get("selector") or selects(kube["selector"], labels)):
                yield address, ports[0]["port"], labels
