"""Tells clients what is served: groups, versions and resources, in the old form and the aggregated one."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.documents import Object
    from sandbox.apiserver.resources import Register, Resource


REVIEWS = {
    ("authentication.k8s.io", "v1", "selfsubjectreviews"): "SelfSubjectReview",
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
    ("authorization.k8s.io", "v1", "subjectaccessreviews"): "SubjectAccessReview",
}


def versions_of(register: Register) -> dict[str, list[str]]:
    """Return the served versions of every group, the preferred one first."""
    found: dict[str, list[str]] = {}
    for resource in register:
        served = found.setdefault(resource.group, [])
        if resource.version not in served:
            served.append(resource.version)
    for group, version, _ in REVIEWS:
        found.setdefault(group, [version])
    return {group: sorted(served, key=_age_of_version) for group, served in found.items()}


def _age_of_version(version: str) -> tuple[int, str]:
    rank = 2 if "alpha" in version else 1 if "beta" in version else 0
    return rank, version


def core_versions() -> Object:
    """Return the answer of /api in its old form."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(register: Register) -> Object:
    """Return the answer of /apis in its old form."""
    found = [group(name, served) for name, served in versions_of(register).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(name: str, served: list[str]) -> Object:
    """Return the description of one group."""
    versions = [{"groupVersion": f"{name}/{each}", "version": each} for each in served]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(register: Register, group: str, version: str) -> Object | None:
    """Return what a group serves in one version, or None if it does not serve that version."""
    found = [each for resource in _served(register, group, version) for each in _listed(resource)]
    found += [_listed_review(plural, kind) for plural, kind in _reviews(group, version)]
    name = f"{group}/{version}" if group else version
    if not found:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}


def _served(register: Register, group: str, version: str) -> Iterator[Resource]:
    return (each for each in register if (each.group, each.version) == (group, version))


def _reviews(group: str, version: str) -> Iterator[tuple[str, str]]:
    return ((plural, kind) for (g, v, plural), kind in REVIEWS.items() if (g, v) == (group, version))


def _listed_review(plural: str, kind: str) -> Object:
    return {
        "name": plural,
        "singularName": kind.lower(),
        "namespaced": False,
        "kind": kind,
        "verbs": ["create"],
    }


def _listed(resource: Resource) -> Iterator[Object]:
    listed: Object = {
        "name": resource.plural,
        "singularName": singular(resource),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        listed["shortNames"] = list(resource.short_names)
    if resource.categories:
        listed["categories"] = list(resource.categories)
    yield listed
    for name, kind, extra in _subresources(resource):
        part = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
        yield {**part, "kind": kind, "verbs": ["get", "patch", "update"], **extra}


def _subresources(resource: Resource) -> Iterator[tuple[str, str, Object]]:
    if resource.status:
        yield "status", resource.kind, {}
    if resource.scale:
        yield "scale", "Scale", {"group": "autoscaling", "version": "v1"}


def singular(resource: Resource) -> str:
    """Return the name of one such object, as people type it."""
    return resource.singular or resource.kind.lower()


def aggregated(register: Register, *, core: bool) -> Object:
    """Return all groups with all their resources (apidiscovery.k8s.io/v2)."""
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
            "versions": [_version(register, name, version) for version in served],
        }
        for name, served in versions_of(register).items()
        if (name == "") is core
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _version(register: Register, group: str, version: str) -> Object:
    found = [_discovered(each) for each in _served(register, group, version)]
    found += [
        {
            "resource": plural,
            "responseKind": {"group": group, "version": version, "kind": kind},
            "scope": "Cluster",
            "singularResource": kind.lower(),
            "verbs": ["create"],
        }
        for plural, kind in _reviews(group, version)
    ]
    return {"version": version, "resources": found, "freshness": "Current"}


def _discovered(resource: Resource) -> Object:
    own = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    found: Object = {
        "resource": resource.plural,
        "responseKind": own,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": singular(resource),
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        found["shortNames"] = list(resource.short_names)
    if resource.categories:
        found["categories"] = list(resource.categories)
    parts = [
        {
            "subresource": name,
            "responseKind": {**own, "kind": kind, **extra},
            "verbs": ["get", "patch", "update"],
        }
        for name, kind, extra in _subresources(resource)
    ]
    return {**found, "subresources": parts} if parts else found
