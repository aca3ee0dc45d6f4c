"""All checks, in the order in which people would ask."""

from collections.abc import Iterator

from controller.doctor.application import check_application
from controller.doctor.case import Case
from controller.doctor.finding import Finding
from controller.doctor.metrics import check_metrics
from controller.doctor.routes import check_routes
from controller.doctor.tenancy import check_tenancy
from controller.doctor.upstream import check_upstream


def examine(case: Case) -> Iterator[Finding]:
    """Judge everything about one Canary that can be read."""
    yield from check_application(case)
    yield from check_upstream(case)
    yield from check_routes(case)
    yield from check_tenancy(case)
    yield from check_metrics(case)
