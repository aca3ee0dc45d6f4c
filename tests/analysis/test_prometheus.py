"""The door, against a server that misbehaves: what is no answer is a Failure that says why."""

import datetime as dt
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from analysis.prometheus import Prometheus
from analysis.queries import MARK, Query
from analysis.samples import Answer, Failure, Sample
from metrics import NOW


Play = Callable[..., None]
STRANGE = "and something that Prometheus does not say"
UP, DOWN = Query("up/candidate/value/1", "up"), Query("down/candidate/value/2", "down")


class Server(Protocol):
    """What the tests need of the scripted server."""

    host: str
    asked: list[dict[str, str]]


class Asking:
    """A Prometheus client with the outcomes it has reported."""

    def __init__(self, url: str, seconds: float = 5) -> None:
        self.outcomes: Counter[str] = Counter()
        self.client = Prometheus(
            url, dt.timedelta(seconds=seconds), lambda: NOW, lambda each: self.outcomes.update([each])
        )

    def ask(self, *queries: Query) -> dict[str, Answer]:
        return dict(self.client.ask(queries or (UP,), NOW))

    def reason(self) -> str:
        """Ask in vain, and give the reason."""
        answer = self.ask()[UP.id]
        assert isinstance(answer, Failure)
        return answer.reason


@pytest.fixture
def asking(scripted: Server) -> Iterator[Asking]:
    asking = Asking(f"http://{scripted.host}")
    yield asking
    asking.client.close()


@pytest.fixture
def hasty(scripted: Server) -> Iterator[Asking]:
    asking = Asking(f"http://{scripted.host}", seconds=0.3)
    yield asking
    asking.client.close()


def series(value: str, query: Query = UP, **labels: str) -> dict[str, Any]:
    return {"metric": {MARK: query.id, **labels}, "value": [1, value]}


def success(*result: dict[str, Any], kind: str = "vector", **others: object) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **others}


def error(message: str, kind: str = "bad_data") -> dict[str, Any]:
    return {"status": "error", "errorType": kind, "error": message}


class TestWhatIsSent:
    def test_all_queries_go_as_one_form_with_the_time(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        play({"body": success(series("1", UP, pod="a"), series("2.5", DOWN))})
        assert asking.ask(UP, DOWN) == {
            UP.id: (Sample({"pod": "a"}, 1.0),),
            DOWN.id: (Sample({}, 2.5),),
        }
        (asked,) = scripted.asked
        assert (asked[":method"], asked[":path"]) == ("POST", "/api/v1/query")
        assert float(asked["time"]) == NOW.timestamp()
        assert "up" in asked["query"]
        assert "down" in asked["query"]
        assert asking.outcomes == {"answered": 1}

    def test_prometheus_is_told_when_nobody_waits_any_more(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        play({"body": success()})
        asking.ask()
        assert 4000 < int(scripted.asked[0]["timeout"].removesuffix("ms")) <= 5000

    def test_asked_now_it_is_about_the_time_of_the_request(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        play({"body": success()})
        assert asking.client.ask_now((UP, DOWN)) == (NOW, {UP.id: (), DOWN.id: ()})
        assert [float(request["time"]) for request in scripted.asked] == [NOW.timestamp()]

    def test_a_query_that_was_put_right_travels_with_the_others_again(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        wrong = Query(UP.id, "sum(")
        refused = {"body": error("parse error"), "code": 400}
        answered = {"body": success()}
        play(refused, refused, refused, answered, answered, refused, answered)
        asking.ask(wrong, DOWN)
        asked = len(scripted.asked)
        asking.ask(wrong, DOWN)
        assert len(scripted.asked) == asked + 2
        asking.ask(UP, DOWN)
        assert len(scripted.asked) == asked + 3

    def test_nothing_is_asked_for_nothing(self, asking: Asking, scripted: Server) -> None:
        assert asking.client.ask((), NOW) == {}
        assert scripted.asked == []

    def test_a_path_before_the_api_is_kept(self, scripted: Server, play: Play) -> None:
        play({"body": success()})
        assert Asking(f"http://{scripted.host}/select/0/prometheus/").ask() == {UP.id: ()}
        assert scripted.asked[0][":path"] == "/select/0/prometheus/api/v1/query"

    def test_credentials_are_used_and_never_shown(self, scripted: Server, play: Play) -> None:
        play({"body": success()}, {"body": b"<html>who?</html>", "code": 401})
        asking = Asking(f"http://reader:s3cret@{scripted.host}")
        assert asking.ask() == {UP.id: ()}
        assert scripted.asked[0]["Authorization"].startswith("Basic ")
        reason = asking.reason()
        assert "s3cret" not in reason
        assert "reader" not in reason
        assert f"http://{scripted.host} gave status 401" in reason


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("step", "said"),
        [
            pytest.param(
                {"body": b"<html>Welcome</html>"},
                f"gave status 200: {STRANGE}", id="HTML with 200",
            ),
            pytest.param({"body": b""}, STRANGE, id="nothing with 200"),
            pytest.param({"body": b"[1]"}, STRANGE, id="JSON of something else"),
            pytest.param({"body": {"data": {}}}, STRANGE, id="no status"),
            pytest.param(
                {"body": b'{"status":"success","data":{"resultType":"vec'}, STRANGE,
                id="JSON that breaks off",
            ),
            pytest.param({"body": {"status": "success"}}, "without a result", id="success without data"),
            pytest.param({"body": success(kind="vector") | {"data": {}}}, "without a result", id="no result"),
            pytest.param({"code": 500, "body": error("disk full")}, "gave status 500: disk full", id="500"),
            pytest.param({"code": 401, "body": b"<html>"}, "gave status 401: and something", id="401"),
            pytest.param({"code": 404, "body": b"not here"}, "gave status 404", id="404"),
            pytest.param({"code": 400, "body": b"<html>"}, "gave status 400: and", id="a proxy's 400"),
            pytest.param({"code": 429, "body": b""}, "gave status 429", id="429"),
            pytest.param(
                {"code": 301, "headers": {"Location": "http://127.0.0.1:1/"}},
                "gave status 301", id="a redirect",
            ),
            pytest.param(
                {"code": 503, "body": error("query timed out in expression evaluation", "timeout")},
                "gave status 503: query timed out in expression evaluation", id="Prometheus' own 503",
            ),
            pytest.param(
                {"body": success(series("1"), warnings=["store-2 is not available"])},
                "gave a partial answer: store-2 is not available", id="a partial answer",
            ),
            pytest.param(
                {"body": success({"metric": {}, "value": [1, "1"]})},
                "gave a series that nobody asked for", id="a series without the mark",
            ),
            pytest.param({"body": success(series("1"), series("2"))}, "the same series twice", id="twice"),
            pytest.param({"body": success(series("one"))}, "gave no number: 'one'", id="no number"),
            pytest.param(
                {"body": success(), "headers": {"Content-Length": "1000"}}, "broke off (",
                id="fewer bytes than announced",
            ),
        ],
    )  # fmt: skip
    def test_is_a_failure_that_says_why_after_one_request(
        self, asking: Asking, scripted: Server, play: Play, step: dict[str, Any], said: str
    ) -> None:
        play(step, {"body": success()})
        reason = asking.reason()
        assert said in reason
        assert reason.startswith(f"Prometheus did not answer: http://{scripted.host} ")
        assert len(scripted.asked) == 1

    def test_reports_the_outcome(self, asking: Asking, play: Play) -> None:
        play({"code": 500, "body": error("disk full")})
        asking.reason()
        assert asking.outcomes == {"failed": 1}

    def test_long_words_are_cut(self, asking: Asking, play: Play) -> None:
        play({"code": 500, "body": error("x" * 10_000)})
        assert len(asking.reason()) < 500

    @pytest.mark.parametrize("code", [502, 503, 504])
    def test_of_a_proxy_is_asked_for_once_more(
        self, asking: Asking, scripted: Server, play: Play, code: int
    ) -> None:
        play({"code": code, "body": b"<html>"}, {"body": success()})
        assert asking.ask() == {UP.id: ()}
        assert asking.outcomes == {"failed": 1, "answered": 1}
        play({"code": code, "body": b"<html>"})
        assert f"gave status {code}" in asking.reason()
        assert len(scripted.asked) == 4

    def test_a_connection_that_broke_is_tried_once_more(self, asking: Asking, play: Play) -> None:
        play({"then": "cut"}, {"body": success()})
        assert asking.ask() == {UP.id: ()}

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            host = f"127.0.0.1:{free.getsockname()[1]}"
        asking = Asking(f"http://me:s3cret@{host}")
        reason = asking.reason()
        assert reason.startswith(f"Prometheus did not answer: http://{host} cannot be reached (")
        assert "Connection refused" in reason
        assert "s3cret" not in reason
        assert asking.outcomes == {"failed": 2}

    @pytest.mark.parametrize("then", ["silence", "hang"])
    def test_too_slow(self, hasty: Asking, scripted: Server, play: Play, then: str) -> None:
        play({"body": success(series("1")), "then": then})
        begun = time.monotonic()
        assert hasty.reason().endswith("took longer than 0.3s")
        assert time.monotonic() - begun < 3
        assert len(scripted.asked) == 1

    def test_a_server_that_cannot_be_asked_is_not_asked_for_the_rest(
        self, hasty: Asking, scripted: Server, play: Play
    ) -> None:
        play({"code": 400, "body": error("no such function")})
        hasty.ask(UP, DOWN)
        scripted.asked.clear()
        play({"then": "silence"})
        answers = hasty.ask(UP, DOWN)
        assert all(isinstance(answer, Failure) for answer in answers.values())
        assert len(scripted.asked) == 1


class TestRefusals:
    @pytest.mark.parametrize("code", [400, 422])
    def test_are_in_the_words_of_prometheus(self, asking: Asking, play: Play, code: int) -> None:
        play({"code": code, "body": error("1:4: parse error: unexpected end of input")})
        assert asking.reason() == ("Prometheus refused the query: 1:4: parse error: unexpected end of input")
        assert asking.outcomes == {"refused": 2}

    def test_a_warning_about_the_expression_is_one(self, asking: Asking, play: Play) -> None:
        play({"body": success(series("1"), warnings=["PromQL warning: quantile value should be in 0..1"])})
        assert asking.reason().startswith("Prometheus refused the query: PromQL warning: quantile")

    def test_a_remark_is_none(self, asking: Asking, play: Play) -> None:
        body = success(series("1"), warnings=["PromQL info: metric might not be a counter"], infos=["x"])
        play({"body": body})
        assert asking.ask() == {UP.id: (Sample({}, 1.0),)}

    def test_a_query_without_a_result_of_numbers_cannot_be_judged(self, asking: Asking, play: Play) -> None:
        play({"body": success(kind="matrix")})
        assert (
            asking.reason()
            == "the query cannot be judged: it gives a matrix; one number per series is needed"
        )


def test_what_prometheus_says_is_read_whatever_encoding_the_proxy_claims(asking: Asking, play: Play) -> None:
    content = json.dumps(success(series("1", pod="größe"))).encode()
    play({"body": content, "headers": {"Content-Type": "application/json"}})
    assert asking.ask() == {UP.id: (Sample({"pod": "größe"}, 1.0),)}
