"""Defaults and rules of Services, and of the EndpointSlices behind them."""

from __future__ import annotations

import ipaddress
import zlib
from typing import TYPE_CHECKING

from sandbox.apiserver.documents import Object, dig
from sandbox.apiserver.errors import FieldError, invalid_value, required, unsupported


if TYPE_CHECKING:
    from collections.abc import Iterator


_TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
_NETWORK = ipaddress.ip_network("10.96.0.0/12")
_ADDRESSES = ["IPv4", "IPv6", "FQDN"]


def complete_service(found: Object) -> None:
    """Put in a Service's defaults. The address is shown and never served: traffic goes to the pods."""
    spec = found.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or []:
        port.setdefault("targetPort", port.get("port"))
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if not spec.get("clusterIP"):
        spread = zlib.crc32(found["metadata"]["uid"].encode()) % (_NETWORK.num_addresses - 2) + 1
        spec["clusterIP"] = str(_NETWORK[spread])
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def settle_service(found: Object) -> None:
    """Give a Service the status that a new one has."""
    found.setdefault("status", {"loadBalancer": {}})


def check_service(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a Service."""
    spec = found["spec"]
    if spec["type"] not in _TYPES:
        yield unsupported("spec.type", spec["type"], _TYPES)
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    for n, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield required(f"spec.ports[{n}].name")
        if not 0 < port["port"] < 65536:
            detail = "must be between 1 and 65535, inclusive"
            yield invalid_value(f"spec.ports[{n}].port", port["port"], detail)
    address = dig(live, "spec", "clusterIP")
    if address and spec.get("clusterIP") != address:
        yield invalid_value("spec.clusterIPs[0]", spec.get("clusterIP"), "may not change once set")


def check_endpoint_slice(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with an EndpointSlice."""
    kind = found.get("addressType")
    if not kind:
        yield required("addressType")
    elif kind not in _ADDRESSES:
        yield unsupported("addressType", kind, _ADDRESSES)
    elif live is not None and kind != live["addressType"]:
        yield invalid_value("addressType", kind, "field is immutable")
    elif kind != "FQDN":
        for n, endpoint in enumerate(found.get("endpoints") or []):
            for m, address in enumerate(endpoint.get("addresses") or []):
                yield from _special(address, f"endpoints[{n}].addresses[{m}]")


def _special(address: str, path: str) -> Iterator[FieldError]:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        yield invalid_value(path, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        return
    if found.is_unspecified:
        yield invalid_value(path, address, f"may not be unspecified ({address})")
    if found.is_loopback:
        yield invalid_value(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if found.is_link_local:
        yield invalid_value(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
