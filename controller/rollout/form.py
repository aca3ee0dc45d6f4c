"""The form of the routes that each phase intends."""

from config.canary import CanarySpec
from config.status import Phase, Status
from controller.rollout.moves import Form


def intended_form(spec: CanarySpec, status: Status) -> Form | None:
    """Give the form that the recorded intent asks for; None before a stable version is known."""
    stable, candidate = status.stable, status.candidate
    if stable is None:
        return None
    pinned = Form(stable.version, retired=status.testing)
    if candidate is None:
        return pinned
    matches = spec.testing.match if spec.testing else ()
    retired = tuple(match for match in status.testing if match not in matches)
    match status.phase:
        case Phase.TESTING:
            return Form(stable.version, candidate.version, None, matches, retired)
        case Phase.SHIFTING:
            return Form(stable.version, candidate.version, status.weight, matches, retired)
        case Phase.BAKING:
            return Form(stable.version, candidate.version, 100, matches, retired)
        case Phase.FINISHING:
            return Form(candidate.version, retired=status.testing)
        case _:
            return pinned
