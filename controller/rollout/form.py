"""The form of the routes that each phase intends."""

from dataclasses import replace

from config.canary import CanarySpec
from config.status import Phase, Status
from controller.rollout.moves import Form


def upstream_of(spec: CanarySpec, version: str) -> str:
    """Name the Upstream of a version: `gloo-system/echo-v2`."""
    found = spec.upstream_of(version)
    return f"{found.namespace}/{found.name}"


def intended_form(spec: CanarySpec, status: Status) -> Form | None:
    """Give the form that the recorded intent asks for; None before a stable version is known."""
    stable, candidate = status.stable, status.candidate
    if stable is None:
        return None
    shadowed = status.shadowed
    pinned = Form(stable.version, retired=status.testing, unshadowed=shadowed)
    if candidate is None:
        return pinned
    matches = spec.testing.match if spec.testing else ()
    retired = tuple(match for match in status.testing if match not in matches)
    opened = Form(stable.version, candidate.version, None, matches, retired, unshadowed=shadowed)
    match status.phase:
        case Phase.PREPARING if spec.destinations == "Upstreams":
            return replace(pinned, prepared=candidate.version)
        case Phase.SHADOWING if spec.shadowing:
            others = tuple(each for each in shadowed if each != upstream_of(spec, candidate.version))
            copied = spec.shadowing.percentage
            return replace(pinned, candidate=candidate.version, shadowing=copied, unshadowed=others)
        case Phase.TESTING:
            return opened
        case Phase.SHIFTING:
            return replace(opened, weight=status.weight)
        case Phase.BAKING:
            return replace(opened, weight=100)
        case Phase.FINISHING:
            return replace(pinned, stable=candidate.version)
        case _:
            return pinned
