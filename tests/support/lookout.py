"""What end-to-end tests order, wait for, and look up in the accounts of the API server."""

import itertools
import json
import uuid
from collections.abc import Callable

from releases import Application, Document


Condition = Callable[[Document], bool]


def order(app: Application, do: str, command: str = "") -> None:
    """Write a command as the command line does; `command` is its id, a new one if empty."""
    annotation = json.dumps({"do": do, "id": command or str(uuid.uuid4()), "by": "Ada"})
    where = ("canary", "echo", "-n", app.namespace, "--overwrite")
    app.kubectl("annotate", *where, f"crossfade.dev/command={annotation}")


def at(weight: int, phase: str = "Shifting") -> Condition:
    """Wait for a step; the weight is the intended one and the one on the routes."""
    return lambda status: (
        status.get("phase") == phase and status["weight"] == status.get("weightSeen", 0) == weight
    )


def resting(phase: str) -> Condition:
    return lambda status: status.get("phase") == phase


def held(reason: str) -> Condition:
    return lambda status: status.get("held", {}).get("reason") == reason


def proven(times: int) -> Condition:
    """Wait until every metric has counted this many requests, or passed this often, at the current step."""
    return lambda status: (
        "metrics" in status
        and all(metric.get("requests", 0) + metric.get("passes", 0) >= times for metric in status["metrics"])
    )


def shape(virtual_service: Document) -> str:
    """Describe the last route: `v1`, `v1 80, v2 20`, or `unpinned`."""
    action = virtual_service["spec"]["virtualHost"]["routes"][-1]["routeAction"]
    if "single" in action:
        return _version(action["single"])
    return ", ".join(
        f"{_version(each['destination'])} {each['weight']}" for each in action["multi"]["destinations"]
    )


def shapes(app: Application) -> list[str]:
    """List the shapes that the last route has had, whoever wrote them."""
    written = (write for write in app.writes() if write["resource"].startswith("virtualservices."))
    return [found for found, _ in itertools.groupby(shape(write["object"]) for write in written)]


def _version(destination: Document) -> str:
    return str(destination.get("subset", {}).get("values", {}).get("version", "unpinned"))
