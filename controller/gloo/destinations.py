"""Where a `routeAction` leads, and how the share of one application is divided among its versions.

A version is a subset of the application's Upstream, or an Upstream of its own.
Both are read, whichever is written, so that the routes can be led from one form
to the other. Weights are relative to their sum. Other destinations of a route keep their
proportions among all; only what our Upstream gets is divided.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any


Action = Mapping[str, Any]
Entry = Mapping[str, Any]

Ref = tuple[str, str]
"""Namespace and name of an Upstream."""

EVERY_VERSION = ""
"""In place of a version: no subset, so that all pods are balanced over."""


@dataclass(frozen=True, slots=True)
class Target:
    """The Upstream whose versions are to be told apart, and the label that tells them."""

    upstream_name: str
    upstream_namespace: str
    version_label: str
    home: str = ""
    """Where a reference without a namespace points: the namespace of the document it stands in."""
    upstreams: Mapping[Ref, str] = field(default_factory=dict)
    """The Upstreams that are one version each: which -> the version."""
    by_upstream: bool = False
    """Versions are to be named by Upstreams of their own, not by subsets."""

    def __str__(self) -> str:
        """Show as `namespace/name`."""
        return f"{self.upstream_namespace}/{self.upstream_name}"

    def version(self, destination: Mapping[str, Any]) -> str | None:
        """Give the version that a destination is fixed to, or EVERY_VERSION; None if it is not ours.

        A destination of the Upstream whose subset names any other label is not ours.
        """
        own = self.upstreams.get(self._ref(destination))
        if own is not None:
            return own
        values = subset_of(destination)
        if not self.is_upstream(destination) or not values.keys() <= {self.version_label}:
            return None
        return str(values.get(self.version_label, EVERY_VERSION))

    def is_upstream(self, destination: Mapping[str, Any]) -> bool:
        """Tell whether a destination leads to the Upstream, by whatever subset."""
        return self._ref(destination) == (self.upstream_namespace, self.upstream_name)

    def upstream_of(self, version: str) -> Ref:
        """Give the Upstream that a destination of this version is to name."""
        own = (ref for ref, each in self.upstreams.items() if self.by_upstream and each == version)
        return next(own, (self.upstream_namespace, self.upstream_name))

    def _ref(self, destination: Mapping[str, Any]) -> Ref:
        upstream = destination.get("upstream") or {}
        return str(upstream.get("namespace") or self.home), str(upstream.get("name"))


def subset_of(destination: Mapping[str, Any]) -> Mapping[str, str]:
    """Give the labels that a destination selects pods by."""
    return (destination.get("subset") or {}).get("values") or {}


def entries_of(action: Action) -> Sequence[Entry]:
    """Give the weighted destinations; a single one counts as a list of one."""
    if action.get("single"):
        return ({"destination": action["single"], "weight": 100},)
    return (action.get("multi") or {}).get("destinations") or ()


def destination_of(entry: Entry) -> Mapping[str, Any]:
    """Give the destination of a weighted entry."""
    return entry.get("destination") or {}


def shares(action: Action, target: Target) -> dict[str, Fraction]:
    """Say how the Upstream's part of the traffic is divided: version -> share of 1, in order."""
    weights: dict[str, int] = {}
    for entry in entries_of(action):
        version = target.version(destination_of(entry))
        if version is not None:
            weights[version] = weights.get(version, 0) + _weight(entry)
    total = sum(weights.values()) or 1
    return {version: Fraction(weight, total) for version, weight in weights.items()}


def divide(action: Action, target: Target, percent: Mapping[str, int]) -> dict[str, Any]:
    """Lead the Upstream's part to these versions: version -> percent, 100 in all, stable first.

    One version and nothing else becomes a `single` destination; all other
    fields stay. Equal to `action` if that divides so already.
    """
    entries = _divided(entries_of(action), target, percent)
    rest = {key: value for key, value in action.items() if key not in {"single", "multi"}}
    if len(entries) == 1 and entries[0].keys() <= {"destination", "weight"}:
        return {**rest, "single": entries[0]["destination"]}
    return {**rest, "multi": {**(action.get("multi") or {}), "destinations": entries}}


def fixed(destination: Mapping[str, Any], target: Target, version: str) -> dict[str, Any]:
    """Fix a destination to a version, in the form that is asked for; equal to it if it is so already."""
    namespace, name = target.upstream_of(version)
    upstream = {**(destination.get("upstream") or {}), "name": name}
    if (upstream.get("namespace") or target.home) != namespace:
        upstream["namespace"] = namespace
    rest = {key: value for key, value in destination.items() if key not in {"upstream", "subset"}}
    if target.by_upstream:
        return {"upstream": upstream, **rest}
    subset = {**(destination.get("subset") or {}), "values": {target.version_label: version}}
    return {"upstream": upstream, **rest, "subset": subset}


def _divided(entries: Sequence[Entry], target: Target, percent: Mapping[str, int]) -> list[dict[str, Any]]:
    versions = [target.version(destination_of(entry)) for entry in entries]
    ours = sum(
        _weight(entry) for entry, version in zip(entries, versions, strict=True) if version is not None
    )
    if not any(map(_weight, entries)):
        ours = 100
    arranged = _arranged(entries, versions, target, percent)
    parts = [
        Fraction(_weight(entry)) if version is None else Fraction(ours * percent[version], 100)
        for version, entry in arranged
    ]
    if [entry for _, entry in arranged] == list(entries) and parts == [_weight(entry) for entry in entries]:
        return [dict(entry) for entry in entries]
    return [
        {**entry, "weight": weight} for (_, entry), weight in zip(arranged, _integers(parts), strict=True)
    ]


def _arranged(
    entries: Sequence[Entry], versions: Sequence[str | None], target: Target, wanted: Mapping[str, int]
) -> list[tuple[str | None, Entry]]:
    """Pair every entry with its version; where others than the wanted ones are found, ours are replaced."""
    pairs = [
        (version, _entry(entry, target, version) if version else entry)
        for version, entry in zip(versions, entries, strict=True)
    ]
    ours = {version: entry for version, entry in pairs if version is not None}
    if sorted(version for version in versions if version is not None) == sorted(wanted):
        return pairs
    first = next(at for at, version in enumerate(versions) if version is not None)
    model = ours.get(next(iter(wanted)), pairs[first][1])
    ready = [(version, _entry(ours.get(version, model), target, version)) for version in wanted]
    others = [(at, pair) for at, pair in enumerate(pairs) if pair[0] is None]
    before, after = ([pair for at, pair in others if (at > first) is late] for late in (False, True))
    return [*before, *ready, *after]


def _entry(model: Entry, target: Target, version: str) -> Entry:
    return {**model, "destination": fixed(destination_of(model), target, version)}


def _weight(entry: Entry) -> int:
    return int(entry.get("weight") or 0)


def _integers(parts: Sequence[Fraction]) -> list[int]:
    """Write proportions as integers, exactly: of 100 if that can be, else of the least sum that can."""
    total = sum(parts)
    least = math.lcm(*((part / total).denominator for part in parts))
    scale = 100 if 100 % least == 0 else least
    return [int(part / total * scale) for part in parts]
