"""One Upstream per version: what a clone of the application's Upstream should be, and what it lacks.

A clone says all that its base says, but selects the pods of one version, and
has no subsets. It is ours by its label and the name of its base; its name and
what it selects may not be trusted to tell, since both can be anybody's.

No clone has an owner reference: when its Canary is deleted, the garbage
collector would take away an Upstream that routes still name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from config.canary import CanarySpec
from config.versions import UpstreamRef
from controller.gloo.acceptance import withdrawn
from controller.gloo.destinations import Ref
from controller.rollout.moves import Form


Document = Mapping[str, Any]
Operation = dict[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
OURS = "crossfade"
BASE = "crossfade.dev/upstream"
"""Annotation: the name of the Upstream that this is a clone of."""
VERSION = "crossfade.dev/version"
"""Annotation: the version whose pods it selects."""

_LONGEST_NAME = 253


def base_of(document: Document) -> Ref | None:
    """Give the Upstream that this is a clone of; None if it is not ours."""
    metadata = document.get("metadata") or {}
    base = _annotations(document).get(BASE)
    ours = (metadata.get("labels") or {}).get(MANAGED_BY) == OURS
    return (str(metadata.get("namespace")), str(base)) if ours and base else None


def version_of(document: Document) -> str:
    """Give the version that a clone is for."""
    return str(_annotations(document).get(VERSION, ""))


def bases(document: Document) -> Iterator[Ref]:
    """Mark a clone by its base, so that it is found again under it."""
    found = base_of(document)
    if found is not None:
        yield found


def versions_in(form: Form) -> tuple[str, ...]:
    """Give the versions that must have an Upstream in this form, each once."""
    named = (form.stable, form.candidate, form.prepared)
    return tuple(dict.fromkeys(version for version in named if version))


def clone(base: Document, ref: UpstreamRef, version: str, label: str) -> dict[str, Any]:
    """Give the clone of an Upstream for one version, as it should be created."""
    spec = dict(base.get("spec") or {})
    kube = {key: value for key, value in (spec.get("kube") or {}).items() if key != "subsetSpec"}
    kube["selector"] = {**(kube.get("selector") or {}), label: version}
    return {
        "apiVersion": base.get("apiVersion", "gloo.solo.io/v1"),
        "kind": "Upstream",
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {MANAGED_BY: OURS},
            "annotations": {BASE: str(base["metadata"]["name"]), VERSION: version},
        },
        "spec": {**spec, "kube": kube},
    }


def difference(found: Document, wanted: Document) -> tuple[Operation, ...]:
    """Give the JSON Patch that makes an existing clone what it should be; empty if it is.

    Only if it is as it was read; Gloo then has to report on it anew.
    """
    if found.get("spec") == wanted["spec"]:
        return ()
    return (
        {"op": "test", "path": "/metadata/labels", "value": found["metadata"]["labels"]},
        {"op": "test", "path": "/spec", "value": found.get("spec")},
        {"op": "replace", "path": "/spec", "value": wanted["spec"]},
        *withdrawn(found),
    )


def base_problem(base: Document, spec: CanarySpec) -> str:
    """Say why an Upstream cannot be cloned per version; empty if it can."""
    body = base.get("spec") or {}
    if isinstance(body.get("kube"), Mapping):
        return ""
    kinds = ", ".join(sorted(key for key in body if isinstance(body[key], Mapping))) or "nothing"
    where = f"{spec.upstream.namespace}/{spec.upstream.name}"
    return (
        f"spec.upstream: Upstream {where}: spec has {kinds}, but only an Upstream of pods (spec.kube) "
        f"can be divided by the label {spec.workload.version_label}"
    )


def name_problem(ref: UpstreamRef, version: str, others: Mapping[Ref, str]) -> str:
    """Say why the clone of a version cannot have its name; empty if it can.

    Args:
        ref: The name that follows from the version.
        version: The version.
        others: The clones of all versions that are needed: which -> the version.

    """
    if len(ref.name) > _LONGEST_NAME:
        return (
            f"version {version}: the name of its Upstream would be {ref.name}, with {len(ref.name)} "
            f"characters; at most {_LONGEST_NAME} are allowed, so spec.upstream.name has to be shorter"
        )
    other = others.get((ref.namespace, ref.name), version)
    if other != version:
        return (
            f"versions {other} and {version} would share Upstream {ref.namespace}/{ref.name}, since a name "
            "has only lower case letters, digits and '-'; give one of them another version label"
        )
    return ""


def taken_problem(found: Document, spec: CanarySpec, version: str) -> str:
    """Say why an existing Upstream is no clone of this version that we may change; empty if it is."""
    base = spec.upstream.namespace, spec.upstream.name
    if base_of(found) == base and version_of(found) == version:
        return ""
    metadata = found["metadata"]
    return (
        f"Upstream {metadata['namespace']}/{metadata['name']} is needed for version {version}, but is not "
        f"Crossfade's clone of {'/'.join(base)} for it; delete it once nothing leads there, or rename it"
    )


def mentions(document: object, ref: Ref, home: str) -> bool:
    """Tell whether a document names an Upstream anywhere; a reference without a namespace is to `home`."""
    if isinstance(document, Mapping):
        named = document.keys() <= {"namespace", "name"} and (document.get("namespace") or home) == ref[0]
        return (named and document.get("name") == ref[1]) or any(
            mentions(value, ref, home) for value in document.values()
        )
    return isinstance(document, list) and any(mentions(each, ref, home) for each in document)


def _annotations(document: Document) -> Mapping[str, Any]:
    return (document.get("metadata") or {}).get("annotations") or {}
