"""Counts kept by others: what the API server and Prometheus were asked, what the kernel charged."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families


READS = frozenset({"get", "list"})
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
OURS = "crossfade/"
"""How the controller's user agent begins."""


class Calls(Counter[tuple[str, str]]):
    """Requests of the controller to the Kubernetes API: (verb, resource) -> how many."""

    @classmethod
    def of(cls, apiserver: str) -> Self:
        """Ask the API server what it has counted."""
        counted = requests.get(f"{apiserver}/sandbox/requests", timeout=10).json()["requests"]
        calls = cls()
        for each in counted:
            if each["userAgent"].startswith(OURS):
                calls[each["verb"], each["resource"]] += each["count"]
        return calls

    def since(self, before: Self) -> Self:
        """Give what was added."""
        return type(self)(
            {kind: count - before[kind] for kind, count in self.items() if count > before[kind]}
        )

    def only(self, verbs: Iterable[str]) -> dict[str, int]:
        """Give those of these verbs, by verb and resource: `update canaries.crossfade.dev/status`."""
        wanted = set(verbs)
        return {f"{verb} {resource}": n for (verb, resource), n in sorted(self.items()) if verb in wanted}


def queries_answered(prometheus: str) -> int:
    """Ask Prometheus how many requests for an evaluation it has had."""
    name, handler = "prometheus_http_requests_total", "/api/v1/query"
    return round(
        sum(value for labels, value in samples(prometheus, name) if labels.get("handler") == handler)
    )


def ticks(probes: str) -> int:
    """Ask a controller how many ticks it has ended."""
    return round(sum(value for _, value in samples(probes, "crossfade_ticks_total")))


def samples(url: str, name: str) -> list[tuple[dict[str, Any], float]]:
    """Read one metric from a process: labels and value of each series."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


def processor_seconds(pid: int) -> float:
    """Give the processor time that a process has used, in user and kernel mode."""
    user, kernel = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(kernel)) / os.sysconf("SC_CLK_TCK")
