from typing import Any

import pytest

from controller.gloo.acceptance import acceptance, withdrawn
from controller.rollout.observation import Acceptance
from sandbox.apiserver.merging import json_patch


ACCEPTED, PENDING = Acceptance.ACCEPTED, Acceptance.PENDING
WARNING, REJECTED = Acceptance.WARNING, Acceptance.REJECTED


def by(**states: Any) -> dict[str, Any]:  # whatever a status may hold
    return {
        "statuses": {space: {"state": state, "reason": f"{space} says"} for space, state in states.items()}
    }


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        pytest.param(None, PENDING, "", id="no status"),
        pytest.param({}, PENDING, "", id="an empty status"),
        pytest.param({"statuses": {}}, PENDING, "", id="no reports"),
        pytest.param("junk", PENDING, "", id="junk"),
        pytest.param({"statuses": {"a": "junk"}}, PENDING, "", id="a junk report"),
        pytest.param(by(a="Accepted"), ACCEPTED, "a says", id="accepted"),
        pytest.param(by(a="Accepted", b="Rejected"), REJECTED, "b says", id="the worst report wins"),
        pytest.param(by(a="Warning", b="Pending"), WARNING, "a says", id="a warning is worse than pending"),
        pytest.param(by(a="Accepted", b="Pending"), PENDING, "b says", id="pending is worse than accepted"),
        pytest.param(by(a=0), PENDING, "a says", id="0"),
        pytest.param(by(a=1), ACCEPTED, "a says", id="1"),
        pytest.param(by(a=2), REJECTED, "a says", id="2"),
        pytest.param(by(a=3), WARNING, "a says", id="3"),
        pytest.param(by(a=4), PENDING, "a says", id="a number from the future"),
        pytest.param(by(a="Splendid"), PENDING, "a says", id="a word from the future"),
        pytest.param({"statuses": {"a": {}}}, PENDING, "", id="no state is protobuf's zero"),
        pytest.param(
            {"state": 2, "reason": "no"}, REJECTED, "no", id="one report, as older versions write it"
        ),
        pytest.param(
            {"state": 2, **by(a="Accepted")}, ACCEPTED, "a says", id="an old report beside a new one"
        ),
    ],
)
def test_acceptance_is_read_from_any_form_of_status(
    status: Any, state: Acceptance, reason: str
) -> None:  # also junk
    assert acceptance({} if status is None else {"status": status}) == (state, reason)


def test_a_long_reason_becomes_one_line_of_bounded_length() -> None:
    _, reason = acceptance(
        {"status": {"state": "Rejected", "reason": "1 error occurred:\n\t* " + "x" * 1000}}
    )
    assert reason.startswith("1 error occurred: * xxx")
    assert len(reason) == 400
    assert reason.endswith("…")


@pytest.mark.parametrize(
    ("status", "left"),
    [
        pytest.param(None, None, id="no status"),
        pytest.param("junk", "junk", id="junk"),
        pytest.param({}, {}, id="an empty status"),
        pytest.param({"statuses": "junk"}, {"statuses": "junk"}, id="a junk map"),
        pytest.param(by(a="Accepted", b=2), {"statuses": {}}, id="all namespaces"),
        pytest.param({"state": 1, "reportedBy": "gloo"}, {"reportedBy": "gloo"}, id="as long ago"),
        pytest.param(
            {"statuses": {"a": {"state": 1}}, "state": 1, "later": [1]},
            {"statuses": {}, "later": [1]},
            id="both, and more",
        ),
    ],
)
def test_what_is_withdrawn_says_nothing_any_more(status: Any, left: Any) -> None:
    document = {"spec": {"kept": True}, "status": status}
    after = json_patch(document, list(withdrawn(document)))
    assert after == {"spec": {"kept": True}, "status": left}
    assert acceptance(after) == (PENDING, "")
