"""Two Canaries that want the same thing: the older one has it.

A Canary wants the routes to its Upstream in the objects that it names, and its
Deployments. Two that name the same object are in each other's way unless they
lead to different Upstreams, or choose different routes. A RouteTable may be reached
from any object that delegates, and clones of an Upstream belong to whoever makes
them: two Canaries of one Upstream are also in each other's way if one names a
RouteTable and the other anything that has routes, or if one has clones made.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.ports import CanaryObject


_FIRST = "VirtualService"
_TABLE = "RouteTable"
_GROUP = "UpstreamGroup"


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
    """Give the marks under which a Canary is found by those that it could be in the way of."""
    upstream = _upstream(spec)
    found: list[Hashable] = [route.address for route in _routes(spec)]
    if upstream:
        found.append(("any", upstream))
    if upstream and _reaches_far(spec):
        found.append(("far", upstream))
    return frozenset([*found, *((namespace, *pair) for pair in _selector(spec))])


def sought(namespace: str, spec: Mapping[str, Any]) -> frozenset[Hashable]:
    """Give the marks of the Canaries that could be in this one's way: without one of them, none is.

    Of those of its Upstream a Canary looks for all only if it reaches far itself, because a
    thousand may share one.
    """
    upstream = _upstream(spec)
    found = marks(namespace, spec) - {("any", upstream)}
    if upstream is None:
        return found
    return found | {("any" if _reaches_far(spec) else "far", upstream)}


@dataclass(frozen=True, slots=True)
class _Route:
    kind: str
    namespace: str
    name: str
    names: frozenset[str]
    prefixes: frozenset[str]

    @property
    def address(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.name

    def meets(self, other: "_Route") -> bool:
        """Tell whether both may choose one route of the same object.

        What one chooses by name may be what the other chooses by prefix; only different names,
        or different prefixes, are surely different routes.
        """
        if self.address != other.address:
            return False
        apart = self.names.isdisjoint(other.names) and self.prefixes.isdisjoint(other.prefixes)
        both_by_name = self.names and other.names and not (self.prefixes or other.prefixes)
        both_by_prefix = self.prefixes and other.prefixes and not (self.names or other.names)
        return not (apart and (both_by_name or both_by_prefix))


def _shared(mine: Mapping[str, Any], others: Mapping[str, Any], *, same_namespace: bool) -> str:
    left, right = _upstream(mine), _upstream(others)
    if left == right or left is None or right is None:
        for route in _routes(mine):
            if any(route.meets(other) for other in _routes(others)):
                return "route {} {}/{}".format(*route.address)
    if left is not None and left == right and (_clones(mine) or _clones(others) or _meet_below(mine, others)):
        return "spec.upstream {}/{}".format(*left)
    mine_selected, theirs = _selector(mine), _selector(others)
    if same_namespace and mine_selected and theirs and (mine_selected <= theirs or theirs <= mine_selected):
        return "spec.workload.selector " + ",".join(f"{key}={value}" for key, value in sorted(mine_selected))
    return ""


def _reaches_far(spec: Mapping[str, Any]) -> bool:
    return _clones(spec) or any(route.kind == _TABLE for route in _routes(spec))


def _clones(spec: Mapping[str, Any]) -> bool:
    """Tell whether the Upstream is cloned for each version: whoever else does that takes the clones away."""
    return spec.get("destinations") == "Upstreams"


def _meet_below(mine: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Tell whether a RouteTable that one names may be reached from another object that the other names."""
    pairs = ((left, right) for left in _routes(mine) for right in _routes(others))
    kinds = ({left.kind, right.kind} for left, right in pairs if left.address != right.address)
    return any(_TABLE in each and _GROUP not in each for each in kinds)


def _routes(spec: Mapping[str, Any]) -> Iterator[_Route]:
    routes = spec.get("routes")
    for route in routes if isinstance(routes, Sequence) else ():
        if isinstance(route, Mapping):
            yield _Route(
                str(route.get("kind", _FIRST)),
                str(route.get("namespace")),
                str(route.get("name")),
                _texts(route.get("names")),
                _texts(route.get("prefixes")),
            )


def _texts(given: object) -> frozenset[str]:
    return frozenset(map(str, given)) if isinstance(given, list | tuple) else frozenset()


def _upstream(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    given = spec.get("upstream")
    if not isinstance(given, Mapping) or not {"name", "namespace"} <= given.keys():
        return None
    return str(given["namespace"]), str(given["name"])


def _selector(spec: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    workload = spec.get("workload")
    selector = workload.get("selector") if isinstance(workload, Mapping) else None
    pairs = selector.items() if isinstance(selector, Mapping) else ()
    return frozenset((str(key), str(value)) for key, value in pairs)
