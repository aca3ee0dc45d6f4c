"""Faults, on a server that no other test uses."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

import pytest
import requests

from sandbox.apiserver.faults import Fault, Faults
from sandbox.apiserver.requests import Call
from sandbox.apiserver.testing import ApiServer


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.documents import Json, Object


_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("faulty")) as found:
        yield found


@pytest.fixture(autouse=True)
def _clean(faulty: ApiServer) -> Iterator[None]:
    yield
    faulty.request("DELETE", "/sandbox/faults")
    faulty.request("DELETE", _MAPS)


def _let(server: ApiServer, **fault: Json) -> list[Object]:
    code, found = server.request("POST", "/sandbox/faults", fault)
    assert code == 200, found
    return list(found["faults"])


def _create(server: ApiServer, name: str, **headers: str) -> tuple[int, Json]:
    return server.request("POST", _MAPS, {"metadata": {"name": name}}, **headers)


def _exists(server: ApiServer, name: str) -> bool:
    return server.request("GET", f"{_MAPS}/{name}")[0] == 200


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(403, "Forbidden", id="forbidden"),
        pytest.param(409, "Conflict", id="conflict"),
        pytest.param(500, "InternalError", id="internal error"),
        pytest.param(503, "ServiceUnavailable", id="unavailable"),
    ],
)
def test_an_answer_comes_instead_of_the_effect_and_once(faulty: ApiServer, code: int, reason: str) -> None:
    _let(faulty, fault="answer", verb="create", resource="configmaps", code=code, message="because")
    found_code, found = _create(faulty, "a")
    assert (found_code, found["reason"], found["message"]) == (code, reason, "because")
    assert not _exists(faulty, "a")
    assert _create(faulty, "a")[0] == 201


def test_too_many_requests_says_when_to_come_back(faulty: ApiServer) -> None:
    _let(faulty, fault="answer", code=429, retryAfter=7)
    answer = requests.get(faulty.url + _MAPS, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["details"] == {"retryAfterSeconds": 7}


def test_a_delay_is_waited_for_and_the_request_then_served(faulty: ApiServer) -> None:
    _let(faulty, fault="delay", verb="list", seconds=0.3)
    start = time.monotonic()
    assert faulty.request("GET", _MAPS)[0] == 200
    assert time.monotonic() - start >= 0.3


def test_a_delay_and_another_fault_come_together(faulty: ApiServer) -> None:
    _let(faulty, fault="answer", code=500)
    _let(faulty, fault="delay", seconds=0.3)
    start = time.monotonic()
    assert faulty.request("GET", _MAPS)[0] == 500
    assert time.monotonic() - start >= 0.3


def test_a_reset_request_was_not_applied(faulty: ApiServer) -> None:
    _let(faulty, fault="reset", verb="create")
    with pytest.raises(requests.ConnectionError):
        _create(faulty, "a")
    assert not _exists(faulty, "a")


def test_a_lost_answer_was_of_a_request_that_was_applied(faulty: ApiServer) -> None:
    _let(faulty, fault="lose", verb="write")
    with pytest.raises(requests.ConnectionError):
        _create(faulty, "a")
    assert _exists(faulty, "a")


@contextlib.contextmanager
def _watch(server: ApiServer) -> Iterator[Iterator[Object]]:
    url = f"{server.url}{_MAPS}?watch=1&timeoutSeconds=60"
    with requests.get(url, stream=True, timeout=60) as answer:
        yield (json.loads(line) for line in answer.iter_lines())


def test_open_watches_are_dropped_at_once(faulty: ApiServer) -> None:
    _create(faulty, "a")
    with _watch(faulty) as events:
        assert next(events)["type"] == "ADDED"
        assert _let(faulty, fault="drop", resource="configmaps") == []
        assert list(events) == []


def test_open_watches_are_told_that_they_expired(faulty: ApiServer) -> None:
    _create(faulty, "a")
    with _watch(faulty) as events:
        assert next(events)["type"] == "ADDED"
        _let(faulty, fault="expire")
        (event,) = list(events)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_watch_that_is_yet_to_come_expires_too(faulty: ApiServer) -> None:
    assert len(_let(faulty, fault="expire")) == 1
    with _watch(faulty) as events:
        assert [each["type"] for each in events] == ["ERROR"]
    with _watch(faulty) as events:
        _create(faulty, "a")
        assert next(events)["type"] == "ADDED"


def test_faults_are_listed_until_they_have_happened_replaced_and_removed(faulty: ApiServer) -> None:
    _let(faulty, fault="answer", verb="get", times=2)
    _exists(faulty, "a")
    (left,) = faulty.request("GET", "/sandbox/faults")[1]["faults"]
    assert left == {"fault": "answer", "verb": ["get"]}
    replaced = faulty.request(
        "PUT", "/sandbox/faults", [{"fault": "delay"}, {"fault": "reset", "times": None}]
    )
    assert replaced[1]["faults"] == [{"fault": "delay"}, {"fault": "reset", "times": None}]
    assert faulty.request("DELETE", "/sandbox/faults")[1]["faults"] == []
    assert faulty.request("GET", _MAPS)[0] == 200


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param({"fault": "flood"}, "0.fault: Input should be 'delay'", id="unknown fault"),
        pytest.param({"fault": "delay", "second": 1}, "0.second: Extra inputs", id="unknown field"),
        pytest.param({"fault": "delay", "chance": 2}, "0.chance: Input should be less", id="chance"),
        pytest.param([{"fault": "delay"}, {}], "1.fault: Field required", id="the second of two"),
    ],
)
def test_a_fault_that_cannot_be_read_is_refused_with_its_field(
    faulty: ApiServer, fault: Json, message: str
) -> None:
    code, found = faulty.request("POST", "/sandbox/faults", fault)
    assert code == 400
    assert message in found["message"]
    assert faulty.request("GET", "/sandbox/faults")[1]["faults"] == []


_CALL = Call("patch", "virtualservices.gateway.solo.io", "gloo-system", "echo", "crossfade/1.0")


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        pytest.param({}, True, id="all"),
        pytest.param({"verb": "patch"}, True, id="verb"),
        pytest.param({"verb": ["get", "list"]}, False, id="other verbs"),
        pytest.param({"verb": "write"}, True, id="writes"),
        pytest.param({"resource": "virtualservices.gateway.solo.io"}, True, id="resource"),
        pytest.param({"resource": "virtualservices.gateway.solo.io/status"}, False, id="another path"),
        pytest.param({"namespace": "gloo-system", "name": "echo"}, True, id="object"),
        pytest.param({"name": "other"}, False, id="another object"),
        pytest.param({"userAgent": "crossfade"}, True, id="client"),
        pytest.param({"userAgent": "kubectl"}, False, id="another client"),
    ],
)
def test_a_fault_strikes_the_calls_that_it_describes(match: Object, struck: bool) -> None:  # noqa: FBT001
    faults = Faults()
    faults.add([Fault.model_validate({"fault": "answer", **match})])
    assert bool(faults.strike(_CALL)) is struck


def test_a_fault_happens_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add([Fault(fault="answer", times=3)])
    assert [len(faults.strike(_CALL)) for _ in range(5)] == [1, 1, 1, 0, 0]


def test_chance_is_repeatable_with_a_seed_and_about_right() -> None:
    def strikes(seed: int) -> list[int]:
        faults = Faults()
        faults.add([Fault(fault="answer", times=None, chance=0.3, seed=seed)])
        return [len(faults.strike(_CALL)) for _ in range(1000)]

    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)
    assert 230 < sum(strikes(1)) < 370


def test_only_one_fault_is_spent_on_a_call() -> None:
    faults = Faults()
    faults.add([Fault(fault="answer", code=500), Fault(fault="answer", code=409)])
    assert [[each.code for each in faults.strike(_CALL)] for _ in range(3)] == [[500], [409], []]


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
        ("subjectaccessreviews", "SubjectAccessReview"),
    ],
)
def test_whoever_asks_for_rights_is_told_what_a_standing_refusal_forbids(
    faulty: ApiServer, group: str, kind: str
) -> None:
    refusal = {"fault": "answer", "code": 403, "verb": "update", "resource": "canaries.crossfade.dev/status"}
    faulty.request("PUT", "/sandbox/faults", [{**refusal, "times": None, "userAgent": "crossfade/"}])

    def allowed(verb: str, subresource: str = "status") -> bool:
        what = {"group": "crossfade.dev", "resource": "canaries", "subresource": subresource, "verb": verb}
        code, found = faulty.request(
            "POST", f"/apis/authorization.k8s.io/v1/{group}", {"spec": {"resourceAttributes": what}}
        )
        assert (code, found["kind"]) == (201, kind)
        return bool(found["status"]["allowed"])

    assert not allowed("update")
    assert allowed("patch")
    assert allowed("update", "")
    faulty.request("PUT", "/sandbox/faults", [{**refusal, "times": 3}])
    assert allowed("update")
    faulty.request("DELETE", "/sandbox/faults")
    assert allowed("update")
