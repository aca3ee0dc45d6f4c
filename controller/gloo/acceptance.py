"""What Gloo has written into the status of an object.

Each Gloo that reads the object reports under its own namespace in
`.status.statuses`; older versions wrote one report into `.status`. A report
does not say which generation it is about, and Gloo repeats none that has not
changed. So whoever changes an object takes the reports on it away in the same
patch: what stands there afterwards was said by a Gloo that is alive.
"""

from collections.abc import Mapping
from typing import Any

from controller.rollout.observation import Acceptance


_BY_NUMBER = (Acceptance.PENDING, Acceptance.ACCEPTED, Acceptance.REJECTED, Acceptance.WARNING)
_FROM_BEST = (Acceptance.ACCEPTED, Acceptance.PENDING, Acceptance.WARNING, Acceptance.REJECTED)
_LONGEST = 400


def acceptance(document: Mapping[str, Any]) -> tuple[Acceptance, str]:
    """Give the worst report on an object and its reason, shortened; Pending if there is none."""
    return worst([_report(report) for report in _reports(document)])


def withdrawn(document: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Give the JSON Patch that takes away every report on an object; Gloo then has to report anew."""
    status = document.get("status")
    if not isinstance(status, Mapping):
        return ()
    statuses = status.get("statuses")
    paths = [f"statuses/{name}" for name in statuses] if isinstance(statuses, Mapping) else []
    if "state" in status:
        paths.append("state")
    return tuple({"op": "remove", "path": f"/status/{path}"} for path in paths)


def worst(reports: list[tuple[Acceptance, str]]) -> tuple[Acceptance, str]:
    """Give the first of the worst reports; Pending if there is none."""
    return max(reports, key=lambda report: _FROM_BEST.index(report[0]), default=(Acceptance.PENDING, ""))


def _reports(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = document.get("status")
    if not isinstance(status, Mapping):
        return []
    statuses = status.get("statuses")
    reports = list(statuses.values()) if isinstance(statuses, Mapping) else []
    if not reports and "state" in status:
        reports = [status]
    return [report for report in reports if isinstance(report, Mapping)]


def _report(report: Mapping[str, Any]) -> tuple[Acceptance, str]:
    return _state(report.get("state")), _short(str(report.get("reason") or ""))


def _state(found: object) -> Acceptance:
    if isinstance(found, int):
        return _BY_NUMBER[found] if 0 <= found < len(_BY_NUMBER) else Acceptance.PENDING
    return next((state for state in Acceptance if state == found), Acceptance.PENDING)


def _short(reason: str) -> str:
    words = " ".join(reason.split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
