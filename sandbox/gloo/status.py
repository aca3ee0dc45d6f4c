"""What Gloo writes back into the objects: `.status.statuses.<its namespace>`, in the object itself.

There is no status subresource, so each write moves resourceVersion and generation; an equal one is not made.
"""

from dataclasses import dataclass

from sandbox.gloo.world import Verdict
from sandbox.kube import VIRTUAL_SERVICES, Document, Resource, merge_patch


NUMBERS = {"Pending": 0, "Accepted": 1, "Rejected": 2, "Warning": 3}
PROXY = "*v1.Proxy.gateway-proxy_{namespace}"


@dataclass(frozen=True, slots=True)
class Reporter:
    """How this Gloo reports: the namespace it runs in, and whether its states are numbers, as long ago."""

    namespace: str = "gloo-system"
    numeric: bool = False

    def patch(self, resource: Resource, document: Document, verdict: Verdict) -> Document:
        """Return the merge patch that makes the object say `verdict`; empty if it does."""
        statuses = (document.get("status") or {}).get("statuses") or {}
        before = statuses.get(self.namespace) or {}
        change = merge_patch(before, self._status(resource, verdict))
        return {"status": {"statuses": {self.namespace: change}}} if change else {}

    def _status(self, resource: Resource, verdict: Verdict) -> Document:
        status: Document = {"state": self._state(verdict.state), "reportedBy": "gloo"}
        if verdict.reason:
            status["reason"] = verdict.reason
        if resource == VIRTUAL_SERVICES and verdict.state != "Rejected":
            proxy = {"state": self._state("Accepted"), "reportedBy": "gloo"}
            status["subresourceStatuses"] = {PROXY.format(namespace=self.namespace): proxy}
        return status

    def _state(self, state: str) -> str | int:
        return NUMBERS[state] if self.numeric else state
