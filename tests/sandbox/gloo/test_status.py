"""What Gloo writes back, and when it does not write."""

from typing import Any

import pytest

from sandbox.gloo.status import Reporter
from sandbox.gloo.world import Verdict
from sandbox.kube import UPSTREAMS, VIRTUAL_SERVICES


def written(patch: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = patch["status"]["statuses"]["gloo-system"]
    return status


def test_an_accepted_virtual_service_names_its_proxy() -> None:
    status = written(Reporter().patch(VIRTUAL_SERVICES, {}, Verdict()))
    assert status == {
        "state": "Accepted",
        "reportedBy": "gloo",
        "subresourceStatuses": {
            "*v1.Proxy.gateway-proxy_gloo-system": {"state": "Accepted", "reportedBy": "gloo"}
        },
    }


def test_an_equal_status_is_not_written_again() -> None:
    reporter = Reporter()
    verdict = Verdict("Rejected", "why")
    document = reporter.patch(UPSTREAMS, {}, verdict)
    assert reporter.patch(UPSTREAMS, document, verdict) == {}


def test_a_reason_that_is_over_is_taken_away() -> None:
    reporter = Reporter()
    document = reporter.patch(UPSTREAMS, {}, Verdict("Rejected", "why"))
    assert written(reporter.patch(UPSTREAMS, document, Verdict())) == {"state": "Accepted", "reason": None}


def test_statuses_of_other_namespaces_stay() -> None:
    other = {"status": {"statuses": {"elsewhere": {"state": "Rejected"}}}}
    assert list(Reporter().patch(UPSTREAMS, other, Verdict())["status"]["statuses"]) == ["gloo-system"]


@pytest.mark.parametrize(
    ("state", "number"), [("Pending", 0), ("Accepted", 1), ("Rejected", 2), ("Warning", 3)]
)
def test_states_can_be_numbers_as_in_old_versions(state: str, number: int) -> None:
    status = written(Reporter(numeric=True).patch(UPSTREAMS, {}, Verdict(state)))
    assert status["state"] == number
