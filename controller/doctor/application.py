"""The Canary itself, its Deployments, and what the controller makes of them."""

from collections.abc import Iterator

from controller.doctor.case import Case, address
from controller.doctor.finding import Finding, Patch, Severity
from controller.kube.resources import CANARIES, DEPLOYMENTS, Document
from controller.rollout.choice import shared_version


_ASKED = (
    (DEPLOYMENTS, "version-label", "its Deployments"),
    (CANARIES, "claim", "Canaries that may want the same"),
)


def check_application(case: Case) -> Iterator[Finding]:
    """Judge the Deployments, and what the controller says or would say."""
    for resource, check, what in _ASKED:
        if why := case.unread.get(str(resource)):
            yield Finding(check, Severity.NOTE, case.name, f"{what} are not known: {why}")
    yield from _labels(case)
    yield from _shared(case)
    if case.claimed_by:
        words = f"{case.claimed_by}; take it out of one of them"
        yield Finding("claim", Severity.PROBLEM, case.name, words)
    if case.status.stable is None:
        yield from _adoption(case)
    if not case.file:
        yield from _followed(case)


def _labels(case: Case) -> Iterator[Finding]:
    """Find Deployments of the application whose pods do not say which version they are."""
    label = case.spec.workload.version_label
    nameless = [each for each in _selected(case) if not _labels_of(each).get(label)]
    for document in nameless:
        namespace, name = address(document)
        about = f"Deployment {namespace}/{name}"
        words = (
            f"spec.template.metadata.labels has no {label}, so that its pods belong to no version and are "
            "passed over; the label should name its version"
        )
        guess = name.removeprefix(f"{case.key.name}-").rpartition("-")[2] or name
        body = {"spec": {"template": {"metadata": {"labels": {label: guess}}}}}
        fix = Patch(str(DEPLOYMENTS), namespace, name, body)
        effect = f"its pods are replaced; put the right version in place of {guess} if it is another one"
        yield Finding("version-label", Severity.PROBLEM, about, words, fix, effect)
    if case.workloads and not nameless:
        named = ", ".join(f"{each.version} ({each.name})" for each in case.workloads)
        by = f"its pods carry {label}" if case.spec.versions is None else "its versions are Upstreams"
        yield Finding("version-label", Severity.OK, case.name, f"{by}: {named}")


def _shared(case: Case) -> Iterator[Finding]:
    for version in sorted({each.version for each in case.workloads}):
        if twins := shared_version(case.workloads, version):
            names = " and ".join(twins)
            words = f"Deployments {names} carry the same version {version}; a version is one Deployment"
            yield Finding("shared-version", Severity.PROBLEM, case.name, words)


def _adoption(case: Case) -> Iterator[Finding]:
    """Say what adopting it would do, if nothing else speaks against it."""
    if case.serving is not None:
        words = f"not adopted yet: {case.adoption} ({case.serving.deployment})"
        yield Finding("adoption", Severity.OK, case.name, words)
    elif case.adoption.startswith("spec.workload.stable"):
        oldest = min(
            (each for each in case.workloads if each.wanted > 0),
            key=lambda each: (each.created_at, each.name),
        )
        fix = case.change({"spec": {"workload": {"stable": oldest.version}}})
        effect = f"the routes are pinned to {oldest.version}, the oldest one; name another one if that serves"
        yield Finding("adoption", Severity.PROBLEM, case.name, f"not adopted: {case.adoption}", fix, effect)
    elif case.adoption and not case.routes.problem:
        yield Finding("adoption", Severity.PROBLEM, case.name, f"not adopted: {case.adoption}")


def _followed(case: Case) -> Iterator[Finding]:
    """Tell whether a controller looks after the Canary, and whether it waits for somebody."""
    generation = (case.document.get("metadata") or {}).get("generation", 0)
    held = case.status.held
    if case.status.observed_generation != generation:
        seen = case.status.observed_generation
        words = (
            f"status.observedGeneration is {seen}, but {generation} is the latest: no controller has looked "
            "at it; does one run, and look after this namespace?"
        )
        yield Finding("controller", Severity.WARNING, case.name, words)
    elif held is not None and held.needs_human:
        yield Finding("controller", Severity.WARNING, case.name, f"held as {held.reason}: {held.message}")
    else:
        yield Finding("controller", Severity.OK, case.name, f"{case.status.phase}: {case.status.reason}")


def _selected(case: Case) -> list[Document]:
    wanted = case.spec.workload.selector.items()
    return [each for each in case.deployments if wanted <= _labels_of(each).items()]


def _labels_of(document: Document) -> dict[str, str]:
    template = (document.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("labels") or {}
