"""The door, against a server that misbehaves: what is no answer is a Failure that says why."""

import datetime as dt
import email.utils
import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest
import requests

from analysis import connection
from analysis.prometheus import Prometheus
from analysis.queries import MARK, Query
from analysis.samples import Answer, Failure, History, Moment, Sample
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


def http_date(seconds: int) -> str:
    """Give the date of this many seconds after NOW."""
    return email.utils.format_datetime(NOW + dt.timedelta(seconds=seconds), usegmt=True)


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
            pytest.param(
                {"code": 429, "body": b"", "headers": {"Retry-After": "1"}}, "gave status 429", id="429"
            ),
            pytest.param(
                {"code": 429, "body": error("too many outstanding requests", "too_many_requests")},
                "gave status 429: too many outstanding requests", id="Mimir's 429",
            ),
            pytest.param(
                {"code": 401, "body": b"no org id\n"}, "gave status 401: and", id="Mimir without a tenant"
            ),
            pytest.param(
                {"code": 301, "headers": {"Location": "http://me:s3cret@127.0.0.1:1/x?token=s3cret"}},
                "gave status 301: it points to http://127.0.0.1:1, which is not asked", id="a redirect",
            ),
            pytest.param(
                {"code": 308, "headers": {"Location": "/login"}},
                "gave status 308: it points to another path, which is not asked", id="a redirect at home",
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
                {"body": success(series("1"), warnings="store-2 is not available")},
                "gave a partial answer: store-2 is not available", id="a warning that is no list",
            ),
            pytest.param(
                {"body": {"status": "success", "data": {
                    "resultType": "vector", "result": [series("1")], "warnings": ["receive series: x"]
                }}},
                "gave a partial answer: receive series: x", id="a partial answer of Thanos'",
            ),
            pytest.param(
                {"body": success(series("1"), isPartial=True, trace={}, stats={"seriesFetched": "1"})},
                "gave a partial answer: a part of the storage did not answer", id="VictoriaMetrics'",
            ),
            pytest.param({"body": b"[" * 100_000}, STRANGE, id="JSON without a bottom"),
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

    @pytest.mark.parametrize("then", ["silence", "hang", "drip"])
    def test_too_slow(self, hasty: Asking, scripted: Server, play: Play, then: str) -> None:
        play({"body": success(series("1")), "then": then})
        begun = time.monotonic()
        assert hasty.reason().endswith("took longer than 0.3s")
        assert time.monotonic() - begun < 3
        assert len(scripted.asked) == 1

    def test_when_the_time_is_over_nothing_is_asked(self, scripted: Server) -> None:
        asking = Asking(f"http://{scripted.host}", seconds=0)
        assert asking.reason().endswith("took longer than 0s")
        assert scripted.asked == []

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

    def test_a_huge_answer_is_not_read_to_its_end(
        self, asking: Asking, play: Play, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "MOST_BYTES", 2**20)
        play({"body": b" " * (2**20 + 1)})
        assert "gave more than 1 MiB" in asking.reason()
        play({"body": json.dumps(success()).encode().ljust(2**20)})
        assert asking.ask() == {UP.id: ()}

    def test_a_whole_answer_of_victoriametrics_is_one(self, asking: Asking, play: Play) -> None:
        play({"body": success(series("1"), isPartial=False, trace={}, stats={"seriesFetched": "1"})})
        assert asking.ask() == {UP.id: (Sample({}, 1.0),)}

    def test_an_answer_may_be_compressed_and_in_pieces(self, asking: Asking, play: Play) -> None:
        content = gzip.compress(json.dumps(success(series("1"))).encode())
        headers = {"Content-Encoding": "gzip", "Content-Length": str(len(content))}
        play({"body": content, "headers": headers})
        assert asking.ask() == {UP.id: (Sample({}, 1.0),)}


class TestItsClock:
    """We ask about our own "now": another clock would answer with the counters of another time."""

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [(3600, "has a clock 3600s ahead of ours"), (-3600, "has a clock 3600s behind ours"),
         (31, "has a clock 31s ahead of ours"), (-40, "has a clock 40s behind ours")],
    )  # fmt: skip
    def test_must_be_ours(
        self, asking: Asking, scripted: Server, play: Play, seconds: int, said: str
    ) -> None:
        play({"body": success(series("1")), "headers": {"Date": http_date(seconds)}})
        assert f"{said} (12:00:00 UTC here): one of them must be set" in asking.reason()
        assert asking.outcomes == {"failed": 1}
        assert len(scripted.asked) == 1

    @pytest.mark.parametrize(
        "date",
        [
            pytest.param("Sun, 01 Mar 2026 12:00:30 GMT", id="a little ahead"),
            pytest.param("Sun, 01 Mar 2026 11:59:31 GMT", id="a little behind"),
            pytest.param("Sun, 01 Mar 2026 14:00:00 +0200", id="in another zone"),
            pytest.param("Sun, 01 Mar 2026 12:00:00 -0000", id="in no zone"),
            pytest.param("soon", id="no date"),
        ],
    )
    def test_may_be_a_little_off_or_unknown(self, asking: Asking, play: Play, date: str) -> None:
        play({"body": success(series("1")), "headers": {"Date": date}})
        assert asking.ask() == {UP.id: (Sample({}, 1.0),)}

    def test_is_not_blamed_for_a_slow_answer(self) -> None:
        """The header may have been written when the question came in, and have waited for the rest."""
        answer = requests.Response()
        answer.headers["Date"] = http_date(-90)
        answer.elapsed = dt.timedelta(seconds=61)
        assert connection._apart(answer, NOW) == ""
        answer.elapsed = dt.timedelta(seconds=59)
        assert "90s behind" in connection._apart(answer, NOW)


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


class TestMemory:
    """What cannot be joined is asked apart: no longer than it has to be, and whoever asks."""

    BAD = error("no such function")

    def test_is_of_the_expression_so_that_a_repaired_query_is_joined_again(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        play({"code": 400, "body": self.BAD})
        asking.ask(UP)
        scripted.asked.clear()
        repaired = Query(UP.id, "up2")
        play({"body": success(series("1"), series("2", DOWN))})
        assert asking.ask(repaired, DOWN) == {UP.id: (Sample({}, 1.0),), DOWN.id: (Sample({}, 2.0),)}
        assert len(scripted.asked) == 1
        scripted.asked.clear()
        play({"code": 400, "body": self.BAD})
        asking.ask(Query("somebody/candidate/value/else", UP.expression))
        assert [asked["query"] for asked in scripted.asked] == [UP.expression]

    def test_ends_when_the_expression_gives_series(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        """An endpoint may refuse everything for a while: nobody is asked apart for ever after."""
        play({"code": 422, "body": self.BAD})
        asking.ask(UP, DOWN)
        play({"body": success({"metric": {}, "value": [1, "1"]})})
        assert asking.ask(UP, DOWN) == {UP.id: (Sample({}, 1.0),), DOWN.id: (Sample({}, 1.0),)}
        scripted.asked.clear()
        play({"body": success(series("1"), series("2", DOWN))})
        asking.ask(UP, DOWN)
        assert len(scripted.asked) == 1

    def test_does_not_end_for_a_scalar(self, asking: Asking, scripted: Server, play: Play) -> None:
        scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}}
        play({"code": 400, "body": self.BAD}, {"body": scalar})
        for requests_made in (2, 1, 1):
            assert asking.ask() == {UP.id: (Sample({}, 7.0),)}
            assert len(scripted.asked) == requests_made
            scripted.asked.clear()

    @pytest.mark.parametrize(("code", "final"), [(400, True), (422, False)])
    def test_only_a_wrong_expression_stays_wrong(
        self, asking: Asking, play: Play, code: int, *, final: bool
    ) -> None:
        """422 is also said of too many samples, and by some of everything."""
        play({"code": code, "body": self.BAD})
        answer = asking.ask()[UP.id]
        assert answer == Failure("Prometheus refused the query: no such function", refused=final)

    def test_halving_takes_no_longer_than_one_question(
        self, hasty: Asking, scripted: Server, play: Play
    ) -> None:
        many = [Query(f"m/candidate/value/{number}", f"up{number}") for number in range(64)]
        play({"code": 422, "body": self.BAD, "then": "drip"})
        answers = hasty.ask(*many)
        assert len(answers) == 64
        assert all(isinstance(answer, Failure) for answer in answers.values())
        assert len(scripted.asked) == 1


class TestHistory:
    STEP = dt.timedelta(seconds=60)

    def past(self, asking: Asking, *queries: Query, steps: int = 3) -> dict[str, History]:
        end = NOW + (steps - 1) * self.STEP
        return dict(asking.client.history(queries or (UP,), NOW, end, self.STEP))

    def matrix(self, *steps: int, query: Query = UP) -> dict[str, Any]:
        points = [[(NOW + step * self.STEP).timestamp(), str(step)] for step in steps]
        return {"metric": {MARK: query.id}, "values": points}

    def moments(self, *values: float | None, first: int = 0) -> tuple[Moment, ...]:
        return tuple(
            Moment(NOW + (first + number) * self.STEP, () if value is None else (Sample({}, value),))
            for number, value in enumerate(values)
        )

    def test_all_queries_go_as_one_form(self, asking: Asking, scripted: Server, play: Play) -> None:
        play({"body": success(self.matrix(0, 2), self.matrix(1, query=DOWN), kind="matrix")})
        assert self.past(asking, UP, DOWN) == {
            UP.id: self.moments(0.0, None, 2.0),
            DOWN.id: self.moments(None, 1.0, None),
        }
        (asked,) = scripted.asked
        assert (asked[":method"], asked[":path"]) == ("POST", "/api/v1/query_range")
        assert float(asked["start"]) == NOW.timestamp()
        assert float(asked["end"]) == (NOW + 2 * self.STEP).timestamp()
        assert (asked["step"], asked["nocache"]) == ("60.000", "1")

    def test_a_long_past_is_asked_for_in_several_requests(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        play(
            {"body": success(self.matrix(0, 9_999), kind="matrix")},
            {"body": success(self.matrix(10_000), kind="matrix")},
        )
        found = self.past(asking, steps=10_001)[UP.id]
        assert isinstance(found, tuple)
        assert [moment.at for moment in found] == [NOW + step * self.STEP for step in range(10_001)]
        assert found[-2:] == self.moments(9_999.0, 10_000.0, first=9_999)
        assert len(scripted.asked) == 2

    def test_one_request_that_fails_is_a_failure_of_the_whole_and_no_more_are_made(
        self, asking: Asking, scripted: Server, play: Play
    ) -> None:
        play(
            {"body": success(self.matrix(0), kind="matrix")},
            {"code": 500, "body": error("disk full")},
            {"body": success(kind="matrix")},
        )
        found = self.past(asking, steps=30_001)[UP.id]
        assert isinstance(found, Failure)
        assert "disk full" in found.reason
        assert len(scripted.asked) == 2

    def test_a_refused_query_does_not_spoil_the_others(self, asking: Asking, play: Play) -> None:
        bad = {"code": 400, "body": error("no such function")}
        play(bad, bad, bad, {"body": success(self.matrix(1, query=DOWN), kind="matrix")})
        found = self.past(asking, UP, DOWN)
        assert found[UP.id] == Failure("Prometheus refused the query: no such function", refused=True)
        assert found[DOWN.id] == self.moments(None, 1.0, None)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (success(kind="vector"), "it gives a vector"),
            (success({"metric": {MARK: UP.id}, "values": [[1, "1"]]}, kind="matrix"), "nobody asked for"),
            (success({"metric": {MARK: UP.id}}, kind="matrix"), "no series"),
            (success(kind="matrix", isPartial=True), "a partial answer"),
        ],
    )
    def test_what_is_no_answer_is_a_failure(
        self, asking: Asking, play: Play, body: dict[str, Any], said: str
    ) -> None:
        play({"body": body})
        found = self.past(asking)[UP.id]
        assert isinstance(found, Failure)
        assert said in found.reason

    def test_an_empty_span_is_no_request(self, asking: Asking, scripted: Server) -> None:
        assert self.past(asking, steps=0) == {UP.id: ()}
        assert scripted.asked == []


def test_many_threads_share_a_real_connection(scripted: Server, play: Play) -> None:
    """One request under way; who asks meanwhile gets the same timestamp, and each their own answer."""
    play({"body": success({"metric": {MARK: "0"}, "value": [1, "1"]})})
    client = Prometheus(f"http://{scripted.host}", dt.timedelta(seconds=5), now=lambda: NOW)
    together = threading.Barrier(8)

    def ask(_number: int) -> tuple[dt.datetime, Any]:
        together.wait(30)
        return client.ask_now((UP,))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [(NOW, {UP.id: (Sample({}, 1.0),)})] * 8
    client.close()
    assert 1 <= len(scripted.asked) <= 8
