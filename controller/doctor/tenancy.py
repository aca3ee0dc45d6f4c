"""Whether settings and owners let a Canary move what it names, and how an owner would grant it."""

import shlex
from collections.abc import Iterator

from controller.doctor.case import Case, address
from controller.doctor.finding import Command, Finding, Severity
from controller.doctor.leading import managed
from controller.gloo.documents import Document, kind_of
from controller.gloo.grants import ANNOTATION, UNGRANTED, Denial, Grants, Tenancy


_RESOURCES = {
    "VirtualService": "virtualservices.gateway.solo.io",
    "RouteTable": "routetables.gateway.solo.io",
    "UpstreamGroup": "upstreamgroups.gloo.solo.io",
    "Upstream": "upstreams.gloo.solo.io",
}


def check_tenancy(case: Case) -> Iterator[Finding]:
    """Name what may not be moved.

    An application that was adopted, and whose Canary does not say so, is evidently allowed: the
    controller has other settings than whoever asks.
    """
    told = case.status.held.message if case.status.held else ""
    strict = case.tenancy.strict or UNGRANTED in told
    grants = Grants(case.key.namespace, Tenancy(case.tenancy.allowed, strict=strict))
    denials = [*grants.of_upstreams(case.spec, case.upstream_called)]
    denials += grants.reach(case.spec, managed(case), case.target, None).denials
    for denial in denials:
        if case.status.stable is None or denial.words in told:
            yield _finding(case, grants, denial)


def _finding(case: Case, grants: Grants, denial: Denial) -> Finding:
    if denial.document is None:
        return Finding("tenancy", Severity.PROBLEM, case.name, denial.words)
    effect = f"lets every Canary of namespace {grants.home} move it"
    fix = Command(_command(denial.document, grants.granting(denial.document)))
    return Finding("tenancy", Severity.PROBLEM, case.name, denial.words, fix, effect)


def _command(document: Document, to: str) -> str:
    namespace, name = address(document)
    where = f"{_RESOURCES[kind_of(document)]} {shlex.quote(name)} -n {shlex.quote(namespace)}"
    return f"kubectl annotate {where} {shlex.quote(f'{ANNOTATION}={to}')} --overwrite"
