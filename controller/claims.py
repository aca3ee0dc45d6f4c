"""Two Canaries that want the same thing: the older one has it."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from controller.ports import CanaryObject


def claimed_by(canary: CanaryObject, others: Sequence[CanaryObject]) -> str:
    """Find an older Canary with the same routes, or with Deployments in common; empty if there is none.

    The specs are taken as they are: one that is broken claims what can be read of it.
    """
    mine = (canary.created_at, canary.uid)
    for other in others:
        if other.key == canary.key or (other.created_at, other.uid) > mine:
            continue
        same_namespace = other.key.namespace == canary.key.namespace
        if shared := _shared(canary.spec, other.spec, same_namespace=same_namespace):
            return f"{shared} belongs to the older Canary {other.key}"
    return ""


def marks(namespace: str, spec: Mapping[str, Any]) -> frozenset[Hashable]:
    """Give what a Canary could share with another: without a common mark, two have nothing in common."""
    return frozenset([*_routes(spec), *((namespace, *pair) for pair in _selector(spec))])


def _shared(mine: Mapping[str, Any], others: Mapping[str, Any], *, same_namespace: bool) -> str:
    theirs = set(_routes(others))
    for route in _routes(mine):
        if route in theirs:
            return "route {} {}/{}".format(*route)
    left, right = _selector(mine), _selector(others)
    if same_namespace and left and right and (left <= right or right <= left):
        return "spec.workload.selector " + ",".join(f"{key}={value}" for key, value in sorted(left))
    return ""


def _routes(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    routes = spec.get("routes")
    for route in routes if isinstance(routes, Sequence) else ():
        if isinstance(route, Mapping):
            yield (
                str(route.get("kind", "VirtualService")),
                str(route.get("namespace")),
                str(route.get("name")),
            )


def _selector(spec: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    workload = spec.get("workload")
    selector = workload.get("selector") if isinstance(workload, Mapping) else None
    pairs = selector.items() if isinstance(selector, Mapping) else ()
    return frozenset((str(key), str(value)) for key, value in pairs)
