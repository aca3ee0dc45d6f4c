"""Whether the Upstream can tell versions apart, and what becomes of requests to one without pods."""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.doctor.case import Case, address
from controller.doctor.finding import Finding, Fix, Patch, Severity
from controller.doctor.leading import unserved
from controller.gloo.acceptance import acceptance
from controller.gloo.subsets import subset_problem
from controller.kube.resources import UPSTREAMS, Document
from controller.rollout.observation import Acceptance


_ANY = "ANY_ENDPOINT"
_NONE = "NO_FALLBACK"


def check_upstream(case: Case) -> Iterator[Finding]:
    """Judge the Upstream that the Canary names, or both of them where each is a version."""
    versions = case.spec.versions
    for ref in versions.all if versions is not None else (case.spec.upstream,):
        about = f"Upstream {ref.namespace}/{ref.name}"
        document = case.upstream_called(ref)
        if document is None:
            yield _absent(case, about)
        else:
            yield from _accepted(about, document)
            if not case.spec.by_upstream:
                yield _keys(case, about, document)
                yield from _fallback(case, about, document)


def _absent(case: Case, about: str) -> Finding:
    if why := case.gateway.unread.get(str(UPSTREAMS)):
        return Finding("upstream", Severity.NOTE, about, f"not known: {why}")
    if case.spec.versions is not None:
        words = f"there is none, but spec.versions of {case.name} names it; create it"
        return Finding("upstream", Severity.PROBLEM, about, words)
    words = f"there is none, but spec.upstream of {case.name} names it; {_nearest(case)}"
    return Finding("upstream", Severity.PROBLEM, about, words, _renamed(case))


def _accepted(about: str, document: Document) -> Iterator[Finding]:
    state, reason = acceptance(document)
    match state:
        case Acceptance.ACCEPTED:
            yield Finding("accepted", Severity.OK, about, "Gloo has accepted it")
        case Acceptance.PENDING:
            words = (
                "status.statuses is empty; Gloo should report there: does it run, and watch this namespace?"
            )
            yield Finding("accepted", Severity.PROBLEM, about, words)
        case _:
            yield Finding("accepted", Severity.PROBLEM, about, f"Gloo says {state}: {reason or 'no reason'}")


def _keys(case: Case, about: str, document: Document) -> Finding:
    problem = subset_problem(document, case.target)
    if not problem:
        label = case.target.version_label
        return Finding("subset-keys", Severity.OK, about, f"spec.kube.subsetSpec.selectors declares {label}")
    words, _, _ = problem.removeprefix(f"{about}: ").partition("; it should be\n")
    kube = (document.get("spec") or {}).get("kube")
    if not isinstance(kube, Mapping):
        return Finding("subset-keys", Severity.PROBLEM, about, words)
    declared = (kube.get("subsetSpec") or {}).get("selectors") or []
    selectors = [*declared, {"keys": [case.target.version_label]}]
    return Finding(
        "subset-keys",
        Severity.PROBLEM,
        about,
        f"{words}; it should declare {case.target.version_label} alone",
        _patched(case, {"selectors": selectors}),
    )


def _fallback(case: Case, about: str, document: Document) -> Iterator[Finding]:
    """Say what becomes of requests to a version without pods; NO_FALLBACK also fails those to no version."""
    subsets = ((document.get("spec") or {}).get("kube") or {}).get("subsetSpec") or {}
    policy = subsets.get("fallbackPolicy") or _ANY
    field = f"spec.kube.subsetSpec.fallbackPolicy is {policy}"
    lost = unserved(case)
    unread = "; ".join(case.gateway.unread.values())
    if policy not in {_ANY, _NONE}:
        words = f"{field}: requests to a version without pods go where it says, and the metrics look healthy"
        yield Finding("fallback", Severity.NOTE, about, words)
    elif policy == _NONE and lost:
        words = f"{field}, and {lost}: its requests are answered with 503; lead it to a version that has pods"
        yield Finding("fallback", Severity.PROBLEM, about, words)
    elif policy == _NONE:
        words = f"{field}: requests to a version without pods are answered with 503, and the metrics show it"
        yield Finding("fallback", Severity.OK, about, words)
    else:
        words = (
            f"{field}: if a version loses all its pods, the other one answers its requests, and the metrics "
            f"look healthy; {_NONE} answers them with 503, for everybody to see"
        )
        keyless = (
            "its selectors have to declare the label first" if subset_problem(document, case.target) else ""
        )
        yield _offered(case, about, words, lost or unread or keyless)


def _offered(case: Case, about: str, words: str, against: str) -> Finding:
    """Offer NO_FALLBACK unless it is known, or cannot be known, that it would fail requests."""
    if against:
        words = f"{words}, but not yet: {against}"
        return Finding("fallback", Severity.WARNING, about, words)
    effect = "from then on a route to this Upstream without a version is answered with 503 too; none is now"
    fix = _patched(case, {"fallbackPolicy": _NONE})
    return Finding("fallback", Severity.WARNING, about, words, fix, effect)


def _nearest(case: Case) -> str:
    """Say what there is instead."""
    found = list(_beside(case))
    names = " and ".join("/".join(each) for each in found)
    return f"pods like its own are behind {names}" if found else "create it"


def _renamed(case: Case) -> Fix | None:
    """Name the one Upstream of the application's pods, if there is exactly one."""
    found = list(_beside(case))
    if len(found) != 1:
        return None
    ((namespace, name),) = found
    return case.change({"spec": {"upstream": {"name": name, "namespace": namespace}}})


def _beside(case: Case) -> Iterator[tuple[str, str]]:
    """Find Upstreams of pods with the labels that the Canary selects its Deployments by."""
    wanted = case.spec.workload.selector
    for document in case.gateway.upstreams:
        kube = (document.get("spec") or {}).get("kube") or {}
        selector = kube.get("selector") or {}
        if (
            kube.get("serviceNamespace") == case.key.namespace
            and selector
            and selector.items() <= wanted.items()
        ):
            yield address(document)


def _patched(case: Case, subsets: Mapping[str, Any]) -> Patch:
    upstream = case.spec.upstream
    return Patch(
        str(UPSTREAMS), upstream.namespace, upstream.name, {"spec": {"kube": {"subsetSpec": dict(subsets)}}}
    )
