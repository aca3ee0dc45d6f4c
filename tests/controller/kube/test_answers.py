"""What a refusal means."""

import json

import pytest

from controller.errors import Conflict, EdgeError, Forbidden, NotFound, Refused, Unavailable
from controller.kube.answers import LONGEST, Expired, Passing, Unrecognised, parsed, refusal


DOES_NOT_APPLY = "the server rejected our request due to an error in our request"
INVALID = {"name": "echo", "causes": [{"reason": "FieldValueInvalid", "message": "x", "field": "spec.x"}]}
RBAC = 'canaries.crossfade.dev is forbidden: User "eve" cannot list resource "canaries" in API group'
WEBHOOK = 'admission webhook "gloo.gloo-system.svc" denied the request: no such upstream'


def status(code: int, message: str, details: object = None) -> bytes:
    body = {"kind": "Status", "code": code, "message": message, "details": details or {}}
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        pytest.param(400, status(400, "strict decoding error"), Refused, id="a bad request is refused"),
        pytest.param(401, status(401, "Unauthorized"), Unrecognised, id="unknown credentials"),
        pytest.param(403, status(403, RBAC), Forbidden, id="lacking rights are forbidden"),
        pytest.param(403, b"<html>no</html>", Forbidden, id="a proxy that says no forbids"),
        pytest.param(403, status(403, WEBHOOK), Refused, id="a webhook that says no refuses the content"),
        pytest.param(403, status(403, "exceeded quota"), Refused, id="a quota refuses the content"),
        pytest.param(404, status(404, "not found"), NotFound, id="an absent object"),
        pytest.param(404, b"404 page not found", NotFound, id="an absent API"),
        pytest.param(409, status(409, "object has been modified"), Conflict, id="a stale resourceVersion"),
        pytest.param(410, status(410, "too old resource version"), Expired, id="an old resourceVersion"),
        pytest.param(413, b"too large", Refused, id="content too large is refused"),
        pytest.param(422, status(422, DOES_NOT_APPLY), Conflict, id="a failed test is a conflict"),
        pytest.param(422, status(422, "is invalid", INVALID), Refused, id="an invalid outcome is refused"),
        pytest.param(422, status(422, WEBHOOK), Refused, id="a webhook may say 422"),
        pytest.param(429, status(429, "slow down"), Passing, id="too many requests pass"),
        pytest.param(500, status(500, "etcd"), Passing, id="an internal error passes"),
        pytest.param(503, b"", Passing, id="an unavailable server passes"),
        pytest.param(302, b"", Unavailable, id="a redirect is no answer"),
    ],
)
def test_each_refusal_becomes_the_error_that_says_what_to_do(
    code: int, body: bytes, expected: type[EdgeError]
) -> None:
    error = refusal("patch canaries.crossfade.dev shop/web", code, body, {})
    assert type(error) is expected
    assert str(error).startswith("patch canaries.crossfade.dev shop/web: ")


def test_an_empty_answer_is_named_by_its_code() -> None:
    assert "HTTP 503" in str(refusal("get x a/b", 503, b"", {}))


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        pytest.param({"Retry-After": "7"}, None, 7.0, id="seconds"),
        pytest.param({"Retry-After": "7"}, {"retryAfterSeconds": 9}, 7.0, id="the header first"),
        pytest.param({}, {"retryAfterSeconds": 9}, 9.0, id="in the server's own words"),
        pytest.param({}, {"retryAfterSeconds": "soon"}, None, id="words that are no number"),
        pytest.param({}, {"retryAfterSeconds": -1}, None, id="a time that is over"),
        pytest.param({}, ["soon"], None, id="details of another kind"),
        pytest.param(
            {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, None, id="no date is waited for"
        ),
        pytest.param({"Retry-After": "\u00b2"}, None, None, id="no digit of ASCII"),
        pytest.param({}, None, None, id="no wish"),
    ],
)
def test_the_servers_wish_for_the_next_attempt_is_kept(
    header: dict[str, str], details: object, seconds: float | None
) -> None:
    body = json.dumps({"kind": "Status", "code": 429, "message": "later", "details": details}).encode()
    error = refusal("get x a/b", 429, body, header)
    assert isinstance(error, Passing)
    assert error.retry_after == seconds


def test_long_words_are_cut_and_stay_on_one_line() -> None:
    error = str(refusal("get x a/b", 400, b"a\nb\n" * LONGEST, {}))
    assert "\n" not in error
    assert len(error) <= LONGEST + len("get x a/b: ")
    assert error.endswith("...")


@pytest.mark.parametrize("body", [b"<html>", b'{"items": [', b"[1]", b"", b"\xff"])
def test_what_is_no_json_object_is_unavailable_and_shown(body: bytes) -> None:
    with pytest.raises(Unavailable, match="get x a/b: expected a JSON object, found"):
        parsed("get x a/b", body)
