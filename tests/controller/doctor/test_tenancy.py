"""The doctor finds what may not be moved, and prints what its owner could do."""

import dataclasses
from typing import Any

import pytest

from clinic import GATEWAY, SHOP, Clinic
from config.status import Held, HeldReason
from controller.doctor.finding import Command, Severity
from controller.doctor.tenancy import check_tenancy
from controller.gloo.grants import ANNOTATION, ANYTHING, Tenancy
from controller.kube.resources import UPSTREAMS, VIRTUAL_SERVICES
from situations import T0


OPEN = Tenancy(frozenset({GATEWAY}))
STRICT = Tenancy(frozenset({GATEWAY}), strict=True)


def found(clinic: Clinic, tenancy: Tenancy, *, adopted: bool = False, says: str = "") -> list[Any]:
    case = clinic.case()
    held = Held(HeldReason.STALLED, says, T0) if says else None
    stable = case.status.stable if adopted else None
    status = dataclasses.replace(case.status, stable=stable, held=held)
    return list(check_tenancy(dataclasses.replace(case, tenancy=tenancy, status=status)))


def granted(to: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {ANNOTATION: to}}}


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def test_where_nothing_is_forbidden_nothing_is_found(clinic: Clinic) -> None:
    assert found(clinic, ANYTHING) == found(clinic, OPEN) == []


def test_a_namespace_that_is_not_allowed_is_named(clinic: Clinic) -> None:
    findings = found(clinic, Tenancy(frozenset()))
    assert [finding.fix for finding in findings] == [None, None]
    assert findings[0].words.startswith(f"spec.upstream.namespace: found {GATEWAY}, but a Canary of {SHOP}")


def test_what_an_owner_could_grant_comes_with_the_command(clinic: Clinic) -> None:
    clinic.change(VIRTUAL_SERVICES, "echo", granted("cart"))
    upstream, route = found(clinic, STRICT)
    assert (upstream.severity, route.severity) == (Severity.PROBLEM, Severity.PROBLEM)
    annotate = "kubectl annotate"
    assert upstream.fix == Command(
        f"{annotate} upstreams.gloo.solo.io echo -n {GATEWAY} {ANNOTATION}={SHOP} --overwrite"
    )
    assert route.fix == Command(
        f"{annotate} virtualservices.gateway.solo.io echo -n {GATEWAY} {ANNOTATION}=cart,{SHOP} --overwrite"
    )
    clinic.change(VIRTUAL_SERVICES, "echo", granted(f"cart,{SHOP}"))
    clinic.change(UPSTREAMS, "echo", granted(SHOP))
    assert found(clinic, STRICT) == []


def test_what_was_adopted_is_allowed_unless_the_canary_says_otherwise(clinic: Clinic) -> None:
    assert found(clinic, STRICT, adopted=True) == []
    first, second = found(clinic, STRICT)
    assert found(clinic, OPEN, adopted=True, says=f"{first.words}; {second.words}") == [first, second]
    assert found(clinic, OPEN, adopted=True, says=second.words) == [second]
