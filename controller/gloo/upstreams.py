"""The Upstreams of the versions at the cluster's edge: made before a route names them, gone after.

An Upstream that Gloo does not know yet is named by no new route, and one that
any route in the cluster still names is not deleted.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.canary import CanarySpec
from config.versions import UpstreamRef, Versions
from controller.errors import Conflict, EdgeError, NotFound, Refused
from controller.gloo.acceptance import acceptance
from controller.gloo.clones import (
    base_problem,
    clone,
    difference,
    mentions,
    name_problem,
    taken_problem,
    version_of,
    versions_in,
)
from controller.gloo.destinations import Ref, Target
from controller.gloo.subsets import subset_problem
from controller.kube.client import Cluster
from controller.kube.kept import Kept
from controller.kube.resources import UPSTREAMS, Document
from controller.rollout.moves import Form
from controller.rollout.observation import Acceptance


@dataclass(frozen=True, slots=True)
class Standing:
    """How the Upstreams of an application are, in view of a form."""

    target: Target
    problem: str = ""
    """Why versions cannot be told apart by them, and what would be right."""
    lacking: str = ""
    """What has to be written: `Upstream gloo-system/echo-v2 is missing`."""
    reports: tuple[tuple[Acceptance, str], ...] = ()
    """What Gloo says of each."""
    unready: frozenset[Ref] = frozenset()
    """The ones that Gloo has not accepted."""
    leftover: frozenset[str] = frozenset()
    """Names of clones that nobody needs and no route names."""


class OwnUpstreams:
    """Keeps a clone of the application's Upstream for every version, if the Canary wants that.

    Clones are found again by `clones.bases`, which has to be the index of `upstreams`;
    `referrers` are all objects that may name an Upstream.
    """

    def __init__(self, cluster: Cluster, upstreams: Kept, referrers: Sequence[Kept]) -> None:
        self._cluster = cluster
        self._upstreams = upstreams
        self._referrers = tuple(referrers)

    def standing(self, spec: CanarySpec, form: Form | None) -> Standing:
        """Look at the Upstreams; no request is made."""
        target = self.target(spec, form)
        if spec.versions is not None:
            return self._as_named(spec, spec.versions, target, form)
        base = self.get(spec.upstream)
        if base is None:
            return Standing(target, self._why_absent("spec.upstream", spec.upstream))
        if spec.destinations == "Subsets":
            problem = self._upstreams.problem or subset_problem(base, target)
            return Standing(target, problem, leftover=self._leftover(spec, form))
        wanted = _wanted(spec, form)
        found = {version: self.get(ref) for version, ref in wanted.items()}
        wrong = {version: self._problem(spec, version, found[version], wanted) for version in wanted}
        problems = [self._upstreams.problem, base_problem(base, spec), *wrong.values()]
        lacking = (
            _lack(spec, base, version, found[version]) for version, problem in wrong.items() if not problem
        )
        known = [document for document in found.values() if document is not None]
        return Standing(
            target,
            next(filter(None, problems), ""),
            lacking="; ".join(filter(None, lacking)),
            reports=tuple(_report(document) for document in known),
            unready=frozenset(
                (ref.namespace, ref.name) for version, ref in wanted.items() if not _accepted(found[version])
            ),
            leftover=self._leftover(spec, form),
        )

    def target(self, spec: CanarySpec, form: Form | None) -> Target:
        """Say by which Upstreams and subsets the routes lead, and are to lead, to versions."""
        named = {(ref.namespace, ref.name): version for version, ref in _wanted(spec, form).items()}
        there = {_ref(document): version_of(document) for document in self._clones(spec)}
        if spec.versions is not None:
            named, there = {(ref.namespace, ref.name): ref.name for ref in spec.versions.all}, {}
        return Target(
            spec.upstream.name,
            spec.upstream.namespace,
            spec.workload.version_label,
            upstreams={**named, **{ref: version for ref, version in there.items() if ref not in named}},
            by_upstream=spec.by_upstream,
        )

    def keep(self, spec: CanarySpec, form: Form) -> None:
        """Create and correct what the form needs: a request each, none if all is as it should be.

        Raises:
            Refused: an Upstream of that name is not ours, or the API server said no.
            NotFound: the Upstream to clone is not there.
            Conflict: somebody keeps changing the very Upstream.

        """
        errors = []
        wanted = _wanted(spec, form) if spec.destinations == "Upstreams" else {}
        for version in wanted:
            try:
                self._keep(spec, version, wanted)
            except EdgeError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def remove(self, spec: CanarySpec, form: Form) -> None:
        """Delete the clones that nobody needs and no route names; gone is done."""
        leftover = self._leftover(spec, form)
        for metadata in (document["metadata"] for document in self._clones(spec)):
            if metadata["name"] in leftover:
                with contextlib.suppress(NotFound):
                    self._cluster.delete(
                        UPSTREAMS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                    )

    def _keep(self, spec: CanarySpec, version: str, wanted: Mapping[str, UpstreamRef]) -> None:
        ref, base = wanted[version], self.get(spec.upstream)
        if base is None:
            raise NotFound(self._why_absent("spec.upstream", spec.upstream))
        document = clone(base, ref, version, spec.workload.version_label)
        found = self.get(ref)
        try:
            self._write(found, document, self._problem(spec, version, found, wanted))
        except (Conflict, NotFound):
            found = self._read(ref)
            self._write(found, document, self._problem(spec, version, found, wanted))

    def _write(self, found: Document | None, wanted: Document, problem: str) -> None:
        if problem:
            raise Refused(problem)
        where = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        if found is None:
            self._upstreams.put(self._cluster.create(UPSTREAMS, where[0], wanted))
        elif operations := difference(found, wanted):
            self._upstreams.put(self._cluster.patch(UPSTREAMS, *where, operations))

    def _read(self, ref: UpstreamRef) -> Document | None:
        try:
            document = self._cluster.read(UPSTREAMS, ref.namespace, ref.name)
        except NotFound:
            return None
        self._upstreams.put(document)
        return document

    def _problem(
        self, spec: CanarySpec, version: str, found: Document | None, wanted: Mapping[str, UpstreamRef]
    ) -> str:
        refs = {(ref.namespace, ref.name): each for each, ref in reversed([*wanted.items()])}
        base = self.get(spec.upstream)
        return (
            (base_problem(base, spec) if base is not None else "")
            or name_problem(wanted[version], version, refs)
            or (taken_problem(found, spec, version) if found is not None else "")
        )

    def _leftover(self, spec: CanarySpec, form: Form | None) -> frozenset[str]:
        if form is None:
            return frozenset()
        wanted = {(ref.namespace, ref.name) for ref in _wanted(spec, form).values()}
        if spec.destinations == "Subsets":
            wanted = set()
        unneeded = {ref for document in self._clones(spec) if (ref := _ref(document)) not in wanted}
        return frozenset(ref[1] for ref in unneeded if not self._is_named(ref))

    def _is_named(self, ref: Ref) -> bool:
        """Tell whether anything leads to an Upstream; what cannot be read may."""
        return any(watched.problem or not watched.synced for watched in self._referrers) or any(
            mentions(document.get("spec"), ref, document["metadata"]["namespace"])
            for watched in self._referrers
            for document in watched.all()
        )

    def get(self, ref: UpstreamRef) -> Document | None:
        """Give an Upstream as last seen."""
        return self._upstreams.get(ref.namespace, ref.name)

    def has_any(self, spec: CanarySpec) -> bool:
        """Tell whether any clone was made of the application's Upstream."""
        return bool(self._clones(spec))

    def _clones(self, spec: CanarySpec) -> tuple[Document, ...]:
        return self._upstreams.under((spec.upstream.namespace, spec.upstream.name))

    def _as_named(self, spec: CanarySpec, versions: Versions, target: Target, form: Form | None) -> Standing:
        """Look at the Upstreams that the Canary names itself."""
        fields = (("spec.versions.stable", versions.stable), ("spec.versions.candidate", versions.candidate))
        absent = [
            self._why_absent(field, ref) for field, ref in fields if ref is not None and self.get(ref) is None
        ]
        needed = [spec.upstream_of(version) for version in versions_in(form)] if form else []
        found = [(ref, self.get(ref)) for ref in needed]
        return Standing(
            target,
            next(filter(None, [self._upstreams.problem, *absent, unnamed(spec, form)]), ""),
            reports=tuple(_report(document) for _, document in found if document is not None),
            unready=frozenset(
                (ref.namespace, ref.name) for ref, document in found if not _accepted(document)
            ),
        )

    def _why_absent(self, field: str, ref: UpstreamRef) -> str:
        why = "not found" if self._upstreams.synced else "has not been read yet"
        return self._upstreams.problem or f"{field}: Upstream {ref.namespace}/{ref.name} {why}"


def unnamed(spec: CanarySpec, form: Form | None) -> str:
    """Say which version of a form is none of `spec.versions`, so that no route can be led there."""
    if spec.versions is None or form is None:
        return ""
    names = [ref.name for ref in spec.versions.all]
    missing = [version for version in versions_in(form) if version not in names]
    if not missing:
        return ""
    return (
        f"spec.versions names {' and '.join(names)}, but {missing[0]} serves; name it as stable, "
        "and what should take its place as candidate"
    )


def blocked(document: Mapping[str, Any], standing: Standing, form: Form) -> tuple[Ref, ...]:
    """Give the Upstreams that a document would have to name for the form, which Gloo does not know yet.

    One that it names already makes nothing worse: it is no reason to wait.
    """
    home = document["metadata"]["namespace"]
    versions = filter(None, (form.stable, form.candidate))
    refs = dict.fromkeys(standing.target.upstream_of(version) for version in versions)
    return tuple(
        ref for ref in refs if ref in standing.unready and not mentions(document.get("spec"), ref, home)
    )


def _wanted(spec: CanarySpec, form: Form | None) -> dict[str, UpstreamRef]:
    """Give the Upstream of each version of a form; none where versions are subsets."""
    if form is None or spec.destinations == "Subsets":
        return {}
    return {version: spec.upstream_of(version) for version in versions_in(form)}


def _lack(spec: CanarySpec, base: Document, version: str, document: Document | None) -> str:
    ref = spec.upstream_of(version)
    if document is None:
        return f"Upstream {ref.namespace}/{ref.name} is missing"
    wanted = clone(base, ref, version, spec.workload.version_label)
    return (
        f"Upstream {ref.namespace}/{ref.name} differs from its base" if difference(document, wanted) else ""
    )


def _report(document: Document) -> tuple[Acceptance, str]:
    state, reason = acceptance(document)
    namespace, name = _ref(document)
    return (
        state,
        f"Upstream {namespace}/{name}: {reason or state}" if state is not Acceptance.ACCEPTED else "",
    )


def _accepted(document: Document | None) -> bool:
    return document is not None and acceptance(document)[0] is Acceptance.ACCEPTED


def _ref(document: Document) -> Ref:
    metadata = document["metadata"]
    return metadata["namespace"], metadata["name"]
