"""Whether the cluster knows the kinds of objects that a release needs, in the version that is asked for."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.crd import definitions
from controller.doctor.finding import Command, Finding, Json, Severity


GLOO = {
    "virtualservices.gateway.solo.io": "v1",
    "routetables.gateway.solo.io": "v1",
    "upstreams.gloo.solo.io": "v1",
    "upstreamgroups.gloo.solo.io": "v1",
}
"""Name of a definition of Gloo's -> the version that is asked for."""

INSTALL = Command("crossfade crd | kubectl apply -f -")

Stored = Mapping[str, Json | str | None]
"""Name -> the definition; None: there is none; text: why it could not be read."""


@functools.cache
def ours() -> Mapping[str, Json]:
    """Give the definitions that this version brings, by name."""
    return {each["metadata"]["name"]: each for each in definitions()}


def wanted() -> tuple[str, ...]:
    """Name the definitions that are looked at, ours first."""
    return *ours(), *GLOO


def check_definitions(stored: Stored) -> Iterator[Finding]:
    """Judge every definition by what is stored of it."""
    for name in wanted():
        about = f"CustomResourceDefinition {name}"
        found = stored[name]
        check = "canary-crd" if name in ours() else "gloo-crd"
        if isinstance(found, str):
            yield Finding(check, Severity.NOTE, about, f"not known whether it is installed: {found}")
        elif name in ours():
            severity, words = _of_ours(found, ours()[name])
            fix = None if severity is Severity.OK else INSTALL
            yield Finding(check, severity, about, words, fix)
        else:
            severity, words = _of_gloo(found, GLOO[name])
            yield Finding(check, severity, about, words)


def _of_ours(found: Json | None, definition: Json) -> tuple[Severity, str]:
    (version,) = definition["spec"]["versions"]
    if found is None:
        return Severity.PROBLEM, "not installed; install it"
    served = _served(found, version["name"])
    if served is None:
        return Severity.PROBLEM, f"serves {_versions(found)}; it should serve {version['name']}"
    if not _established(found):
        return Severity.PROBLEM, "installed, but status.conditions does not say Established; apply it again"
    if (place := difference(version, served)) is not None:
        return Severity.WARNING, (
            f"spec.versions[{version['name']}]{place} is not what this crossfade has: fields may be refused "
            "or dropped; install the definition of the version that the controller has"
        )
    return Severity.OK, f"{version['name']} is served, as this crossfade has it"


def _of_gloo(found: Json | None, version: str) -> tuple[Severity, str]:
    if found is None:
        return Severity.PROBLEM, "not installed; install Gloo, which brings it"
    if _served(found, version) is None:
        return Severity.PROBLEM, f"serves {_versions(found)}; a Gloo that serves {version} is needed"
    if not _established(found):
        return Severity.PROBLEM, "installed, but status.conditions does not say Established"
    return Severity.OK, f"{version} is served"


def difference(right: object, found: object) -> str | None:
    """Say where a stored value is other than it should be, as the path of the first place; None if nowhere.

    An API server leaves out what is empty, and adds what it has defaults for; fields of a newer
    version do not matter, as long as they forbid nothing.
    """
    if not right and not found:
        return None
    if isinstance(right, Mapping) and isinstance(found, Mapping):
        keys = [*right, *(key for key in found if key in _FORBIDDING and key not in right)]
        places = ((key, difference(right.get(key), found.get(key))) for key in keys)
        return next((f".{key}{place}" for key, place in places if place is not None), None)
    if isinstance(right, list) and isinstance(found, list) and len(right) == len(found):
        pairs = enumerate(zip(right, found, strict=True))
        places = ((at, difference(*pair)) for at, pair in pairs)
        return next((f"[{at}]{place}" for at, place in places if place is not None), None)
    return None if right == found else ""


_FORBIDDING = frozenset({"enum", "maximum", "minimum", "maxItems", "maxLength", "pattern", "required"})
"""Parts of a schema that allow less."""


def _served(definition: Json, version: str) -> Json | None:
    found = (each for each in _listed(definition) if each.get("name") == version and each.get("served"))
    return next(found, None)


def _versions(definition: Json) -> str:
    return ", ".join(str(each.get("name")) for each in _listed(definition) if each.get("served")) or "nothing"


def _listed(definition: Json) -> Sequence[Mapping[str, Any]]:
    return (definition.get("spec") or {}).get("versions") or ()


def _established(definition: Json) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)
