"""Defaults and rules of Services: an address, and a target for every port."""

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
