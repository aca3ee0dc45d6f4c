"""Which Canaries a change concerns: what is not named by a Canary wakes none. Pure.

Specs are read as they are stored, valid or not.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controller.kube.resources import (
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.kube.workloads import selects
from controller.ports import CanaryObject, Key


_FIRST = "VirtualService"
_LINKS = ("upstream", "upstreamGroup", "delegateAction")
_KINDS = {VIRTUAL_SERVICES: _FIRST, ROUTE_TABLES: "RouteTable", UPSTREAM_GROUPS: "UpstreamGroup"}


def concerned(
    canaries: Iterable[CanaryObject],
    resource: Resource,
    address: tuple[str, str],
    document: Document | None,
    *,
    rewired: bool = True,
) -> Iterator[Key]:
    """Give the Canaries that refer to the object at (namespace, name); `document` None: it is gone.

    A Deployment is referred to by its pods' labels, so that one that is gone
    concerns every Canary of its namespace. A RouteTable or UpstreamGroup may be
    reached from any routes without being named, or no longer be: it concerns every
    Canary that names routes. If it leads where it led before (`rewired` false, see
    `links`), it concerns those to whose Upstream or to a group it leads.
    """
    for canary in canaries:
        if resource == DEPLOYMENTS:
            concerns = canary.key.namespace == address[0] and _selected(canary.spec, document)
        elif resource == UPSTREAMS:
            concerns = _is_of(canary.spec.get("upstream"), address) or address in _versions(canary.spec)
        elif resource == METRIC_TEMPLATES:
            concerns = canary.key.namespace == address[0] and address[1] in _templates(canary.spec)
        elif resource in _KINDS:
            concerns = _leads(canary.spec, _KINDS[resource], address) and (
                rewired or _names(canary.spec, _KINDS[resource], address) or _mentioned(canary.spec, document)
            )
        else:
            concerns = False
        if concerns:
            yield canary.key


def _is_of(upstream: object, address: tuple[str, str]) -> bool:
    """Tell whether an Upstream is the Canary's, or may be one of the clones that are named after it."""
    namespace, name = _address(upstream)
    return namespace == address[0] and (address[1] == name or address[1].startswith(f"{name}-"))


def _versions(spec: Mapping[str, Any]) -> list[tuple[object, object]]:
    given = spec.get("versions")
    return [_address(each) for each in given.values()] if isinstance(given, dict) else []


def _selected(spec: Mapping[str, Any], document: Document | None) -> bool:
    if document is None:
        return True
    workload = spec.get("workload")
    selector = workload.get("selector") if isinstance(workload, dict) else None
    return isinstance(selector, dict) and selects(selector, document)


def links(document: Document | None) -> frozenset[str]:
    """Say how an object is found and where it leads: Upstreams, groups and delegations, without weights."""
    if document is None:
        return frozenset()
    labels = (document.get("metadata") or {}).get("labels") or {}
    return frozenset([f"label {key}={value}" for key, value in labels.items()]) | _links(document.get("spec"))


def _links(node: object) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _LINKS:
                found |= {f"{key} {json.dumps(value, sort_keys=True)}"}
            else:
                found |= _links(value)
    elif isinstance(node, list):
        found = found.union(*map(_links, node))
    return found


def _mentioned(spec: Mapping[str, Any], document: Document | None) -> bool:
    """Tell whether an object leads to a Canary's Upstream, to one named after it, or to any group."""
    given = spec.get("upstream")
    name = json.dumps(given["name"])[:-1] if isinstance(given, dict) and "name" in given else None
    return any(name is None or name in each or each.startswith("upstreamGroup ") for each in links(document))


def _leads(spec: Mapping[str, Any], kind: str, address: tuple[str, str]) -> bool:
    """Tell whether a Canary's routes may lead to an object."""
    hidden = kind != _FIRST and any(each.get("kind", _FIRST) != "UpstreamGroup" for each in _routes(spec))
    return hidden or _names(spec, kind, address)


def _names(spec: Mapping[str, Any], kind: str, address: tuple[str, str]) -> bool:
    return any(each.get("kind", _FIRST) == kind and _address(each) == address for each in _routes(spec))


def _routes(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = spec.get("routes")
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _templates(spec: Mapping[str, Any]) -> list[object]:
    analysis = spec.get("analysis")
    metrics = analysis.get("metrics") if isinstance(analysis, dict) else None
    each = [metric for metric in metrics if isinstance(metric, dict)] if isinstance(metrics, list) else []
    return [_address(metric.get("templateRef"))[1] for metric in each]


def _address(reference: object) -> tuple[object, object]:
    if not isinstance(reference, dict):
        return None, None
    return reference.get("namespace"), reference.get("name")
