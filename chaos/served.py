"""Who answered when, from Envoy's access log: read line by line, since it may be long."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.pods import Pods
from chaos.records import Request


@dataclass
class Served:
    """Requests of users (testers left out) by the application and version whose pod was asked."""

    requests: int = 0
    """Of everybody."""
    unknown: int = 0
    """Asked an address that no pod had."""
    _times: dict[tuple[str, str], "array[float]"] = field(default_factory=dict)

    @classmethod
    def read(cls, requests: Iterable[Request], pods: Pods) -> "Served":
        """Read the whole log."""
        found = cls()
        for request in requests:
            found.requests += 1
            if not request.address:
                continue
            pod = pods.at(request.address, request.time)
            if pod is None:
                found.unknown += 1
            elif not request.by_tester:
                found._times.setdefault((pod.app, pod.version), array("d")).append(request.time)
        for key, times in found._times.items():
            found._times[key] = array("d", sorted(times))
        return found

    def times(self, app: str, version: str, begin: float, end: float) -> "array[float]":
        """Say when a version was asked between two moments, in order."""
        known = self._times.get((app, version), array("d"))
        return known[bisect_left(known, begin) : bisect_right(known, end)]
