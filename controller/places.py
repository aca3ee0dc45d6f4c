"""What a Canary manages, which cannot change under a rollout: the old place would never be put back. Pure."""

from config.canary import CanarySpec


def moved(last: CanarySpec, spec: CanarySpec) -> str:
    """Name a field that says what is managed, if it was changed; empty: none was."""
    places = {
        "spec.routes": (last.routes, spec.routes),
        "spec.versions": (last.versions, spec.versions),
        "spec.upstream": (last.upstream, spec.upstream),
        "spec.destinations": (last.destinations, spec.destinations),
        "spec.workload.selector": (last.workload.selector, spec.workload.selector),
        "spec.workload.versionLabel": (last.workload.version_label, spec.workload.version_label),
    }
    return next((name for name, (before, after) in places.items() if before != after), "")
