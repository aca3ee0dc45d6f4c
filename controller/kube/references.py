"""Which Canaries a change concerns: what is not named by a Canary wakes none. Pure.

Specs are read as they are stored, valid or not.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controller.kube.resources import (
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.kube.workloads import selects
from controller.ports import CanaryObject, Key


def concerned(
    canaries: Iterable[CanaryObject], resource: Resource, address: tuple[str, str], document: Document | None
) -> Iterator[Key]:
    """Give the Canaries that refer to the object at (namespace, name); `document` None: it is gone.

    A Deployment is referred to by its pods' labels, so that one that is gone
    concerns every Canary of its namespace.
    """
    for canary in canaries:
        if resource == DEPLOYMENTS:
            concerns = canary.key.namespace == address[0] and _selected(canary.spec, document)
        elif resource == UPSTREAMS:
            concerns = _address(canary.spec.get("upstream")) == address
        elif resource == METRIC_TEMPLATES:
            concerns = canary.key.namespace == address[0] and address[1] in _templates(canary.spec)
        else:
            concerns = resource == VIRTUAL_SERVICES and address in _routes(canary.spec)
        if concerns:
            yield canary.key


def _selected(spec: Mapping[str, Any], document: Document | None) -> bool:
    if document is None:
        return True
    workload = spec.get("workload")
    selector = workload.get("selector") if isinstance(workload, dict) else None
    return isinstance(selector, dict) and selects(selector, document)


def _routes(spec: Mapping[str, Any]) -> list[tuple[object, object]]:
    routes = spec.get("routes")
    return [_address(route) for route in routes] if isinstance(routes, list) else []


def _templates(spec: Mapping[str, Any]) -> list[object]:
    analysis = spec.get("analysis")
    metrics = analysis.get("metrics") if isinstance(analysis, dict) else None
    each = [metric for metric in metrics if isinstance(metric, dict)] if isinstance(metrics, list) else []
    return [_address(metric.get("templateRef"))[1] for metric in each]


def _address(reference: object) -> tuple[object, object]:
    if not isinstance(reference, dict):
        return None, None
    return reference.get("namespace"), reference.get("name")
