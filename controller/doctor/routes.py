"""Whether the routes can be moved, what would not move with them, and whether testers can be told apart."""

from collections.abc import Iterator, Sequence

from config.canary import TestingMatch
from controller.doctor.case import Case
from controller.doctor.finding import Finding, Fix, Json, Severity
from controller.doctor.leading import Lead, field_of, managed, unmanaged
from controller.gloo.delegation import Place
from controller.gloo.destinations import Target
from controller.gloo.documents import UPSTREAM_GROUP, kind_of, name_of, opened
from controller.gloo.matchers import extended, matchers_of, narrows, same
from controller.gloo.roles import roles, versions_of
from controller.gloo.subsets import subset_problem
from controller.rollout.observation import Acceptance


def check_routes(case: Case) -> Iterator[Finding]:
    """Judge the routes that the Canary names."""
    about = case.name
    if case.gateway.unread:
        why = "; ".join(dict.fromkeys(case.gateway.unread.values()))
        yield Finding("routes", Severity.NOTE, about, f"not everything is known of the routes: {why}")
    if problem := _own_problem(case):
        words = problem if problem.startswith("spec.") else f"spec.routes: {problem}"
        yield Finding("routes", Severity.PROBLEM, about, words)
    elif case.routes.shape:
        yield Finding("routes", Severity.OK, about, f"spec.routes lead to {case.routes.shape}")
    if not _own_problem(case):
        yield from _accepted(case)
    yield from _unmanaged(case)
    yield from _testing(case)


def _own_problem(case: Case) -> str:
    """Give what the controller says against the routes, without what it says against the Upstream."""
    upstreams = subset_problem(case.upstream, case.target) if case.upstream else ""
    parts = case.routes.problem.replace(upstreams, "").split("; ") if case.routes.problem else []
    unread = set(case.gateway.unread.values())
    kept = (part for part in parts if part.strip() and not part.startswith("spec.upstream:"))
    return "; ".join(
        part for part in kept if part not in unread and not (unread and part.endswith("been read yet"))
    )


def _accepted(case: Case) -> Iterator[Finding]:
    about = f"routes of {case.name}"
    match case.routes.acceptance:
        case Acceptance.ACCEPTED:
            yield Finding("accepted", Severity.OK, about, "Gloo has accepted them")
        case Acceptance.PENDING:
            words = "status.statuses is empty or pending; Gloo should accept them: does it run?"
            yield Finding("accepted", Severity.PROBLEM, about, words)
        case Acceptance.WARNING | Acceptance.REJECTED as state:
            words = (
                f"Gloo says {state}: {case.routes.acceptance_reason or 'no reason'}; nothing rises until then"
            )
            yield Finding("accepted", Severity.PROBLEM, about, words)


def _unmanaged(case: Case) -> Iterator[Finding]:
    found = unmanaged(case)
    for lead in found:
        yield _leaking(case, lead) if lead.version is None else _staying(case, lead)
    if not found and not case.gateway.unread:
        words = "no other VirtualService, RouteTable or UpstreamGroup leads to its Upstream"
        yield Finding("unmanaged", Severity.OK, case.name, words)


def _leaking(case: Case, lead: Lead) -> Finding:
    field, users = f"spec.routes of {case.name}", "its users meet every version, whatever the weight is"
    if lead.around:
        words = (
            f"{lead.place} leads to Upstream {lead.around}, which has the same Service as {case.target}: "
            f"{users}; lead it to {case.target}"
        )
        return Finding("unmanaged", Severity.PROBLEM, lead.name, words)
    words = f"{lead.place} leads to Upstream {case.target}, and {field} does not name it: {users}"
    if lead.partly:
        words = f"{lead.place} leads to Upstream {case.target}, and {field} chose other routes: {users}"
        words = f"{words}; choose it there too, or fix it to a version"
    elif lead.mixed:
        words = f"{words}; lead it there by {case.target.version_label} alone"
    else:
        words = f"{words}; name it there, or fix its routes to a version"
        effect = "takes effect between rollouts; its routes to the Upstream are pinned to stable then"
        return Finding("unmanaged", Severity.PROBLEM, lead.name, words, _naming(case, lead), effect)
    return Finding("unmanaged", Severity.PROBLEM, lead.name, words)


def _staying(case: Case, lead: Lead) -> Finding:
    words = (
        f"{lead.place} is fixed to {lead.version} of Upstream {lead.around or case.target}, and spec.routes "
        f"of {case.name} does not name it: it stays there when another version is promoted"
    )
    if case.spec.promotion.decommission == "Keep" or case.spec.versions is not None:
        return Finding("unmanaged", Severity.NOTE, lead.name, words)
    keep = case.change({"spec": {"promotion": {"decommission": "Keep"}}})
    if case.serving is not None and lead.version != case.serving.version:
        words = f"{words}, and {case.serving.version} is stable already; lead it there, and name it"
        return Finding("unmanaged", Severity.WARNING, lead.name, words)
    words = f"{words}, although {lead.version} is then {_fate(case)}; "
    if lead.around or lead.mixed:
        words = f"{words}say promotion.decommission: Keep"
        return Finding("unmanaged", Severity.WARNING, lead.name, words, keep)
    words = f"{words}name it there, or say promotion.decommission: Keep"
    effect = "takes effect between rollouts"
    return Finding("unmanaged", Severity.WARNING, lead.name, words, _naming(case, lead), effect)


def _fate(case: Case) -> str:
    return "deleted" if case.spec.promotion.decommission == "Delete" else "scaled to zero"


def _naming(case: Case, lead: Lead) -> Fix:
    operation = {"op": "add", "path": "/spec/routes/-", "value": lead.reference}
    return case.change({"spec": {"routes": [*case.written("routes"), lead.reference]}}, [operation])


def _testing(case: Case) -> Iterator[Finding]:
    """Find routes where requests of testers would never get as far as the testing route."""
    matches = case.spec.testing.match if case.spec.testing else ()
    if not matches:
        return
    found = [finding for place in managed(case) for finding in _untold(case, place, matches)]
    yield from found
    if not found and managed(case):
        words = "every main route can tell the requests of spec.testing.match apart"
        yield Finding("testing-match", Severity.OK, case.name, words)


def _untold(case: Case, place: Place, matches: Sequence[TestingMatch]) -> Iterator[Finding]:
    routes, target = opened(place.document, case.target)
    if kind_of(place.document) == UPSTREAM_GROUP:
        return
    for main in roles(routes, target, None, place.scope).mains:
        for at, match in enumerate(matches):
            if words := _why_untold(routes, main, match, target):
                field = f"spec.testing.match[{at}] of {case.name}"
                words = f"{field_of(place.document, main)} never sees {field}: {words}"
                yield Finding("testing-match", Severity.WARNING, name_of(place.document), words)


def _why_untold(routes: Sequence[Json], main: int, match: TestingMatch, target: Target) -> str:
    wanted = extended(matchers_of(routes[main]), match)
    if not wanted:
        return "its own matchers.methods exclude those of the match; name one that it has"
    for at, earlier in enumerate(routes[:main]):
        matchers = matchers_of(earlier)
        taken = same(wanted, matchers) or narrows(wanted, matchers)
        if taken and not versions_of(earlier, target):
            return f"routes[{at}] takes these requests before, and leads elsewhere; let the match say more"
    return ""
