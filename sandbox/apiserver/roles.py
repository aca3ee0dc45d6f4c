"""Defaults and rules of roles and of their bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver.documents import Object, dig
from sandbox.apiserver.errors import FieldError, invalid_value, required, unsupported
from sandbox.apiserver.rbac import GROUP


if TYPE_CHECKING:
    from collections.abc import Iterator


_SUBJECTS = {"Group": GROUP, "ServiceAccount": "", "User": GROUP}  # kind -> its group


def complete_binding(found: Object) -> None:
    """Put in a binding's defaults."""
    reference = found.get("roleRef")
    if isinstance(reference, dict):
        reference.setdefault("apiGroup", GROUP)
    for subject in found.get("subjects") or []:
        if _SUBJECTS.get(subject.get("kind")):
            subject.setdefault("apiGroup", _SUBJECTS[subject["kind"]])


def check_role(found: Object, _live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a Role."""
    for n, rule in enumerate(found.get("rules") or []):
        yield from _rule_errors(rule, f"rules[{n}]")
        if rule.get("nonResourceURLs"):
            detail = "namespaced rules cannot apply to non-resource URLs"
            yield invalid_value(f"rules[{n}].nonResourceURLs", rule["nonResourceURLs"], detail)


def check_cluster_role(found: Object, _live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a ClusterRole."""
    for n, rule in enumerate(found.get("rules") or []):
        if not rule.get("nonResourceURLs"):
            yield from _rule_errors(rule, f"rules[{n}]")


def check_binding(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a RoleBinding or a ClusterRoleBinding."""
    reference = found.get("roleRef") or {}
    kinds = ["ClusterRole", "Role"] if found["kind"] == "RoleBinding" else ["ClusterRole"]
    if reference.get("apiGroup") != GROUP:
        yield unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), [GROUP])
    if reference.get("kind") not in kinds:
        yield unsupported("roleRef.kind", reference.get("kind", ""), kinds)
    if not reference.get("name"):
        yield required("roleRef.name")
    if live is not None and reference != live["roleRef"]:
        yield invalid_value("roleRef", reference, "cannot change roleRef")
    for n, subject in enumerate(found.get("subjects") or []):
        yield from _subject_errors(subject, f"subjects[{n}]")


def _rule_errors(rule: Object, path: str) -> Iterator[FieldError]:
    if not rule.get("verbs"):
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    if not rule.get("apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def _subject_errors(subject: Object, path: str) -> Iterator[FieldError]:
    if not subject.get("name"):
        yield required(f"{path}.name")
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        yield unsupported(f"{path}.kind", kind, sorted(_SUBJECTS))
    elif subject.get("apiGroup", "") != _SUBJECTS[kind]:
        yield unsupported(f"{path}.apiGroup", subject.get("apiGroup", ""), [_SUBJECTS[kind]])
    if kind == "ServiceAccount" and not dig(subject, "namespace"):
        yield required(f"{path}.namespace")
