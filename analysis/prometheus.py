"""The package's one door to the outside: many questions, one request, and no answer that is not one.

prometheus-api-client makes the requests. Its own retries are off (they are
hidden, three by default) and a timeout is set (there is none by default); one
retry follows here, for connections that fail. What it would pass over is seen by
a hook on its session: warnings, partial answers, errors in Prometheus' own words.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from analysis.queries import Query, join
from analysis.samples import Answer, Failure, NoNumberError, Sample, UnreadableError, read_result, split
from analysis.sharing import Sharing


PAUSE = 0.2
"""Seconds before the one retry."""

_REFUSALS = {400, 422}
_PASSING = {502, 503, 504}
_LONGEST_REASON = 300
_MOST_APART = 1000


def _unheard(_outcome: str) -> None: ...


class UnansweredError(Exception):
    """Prometheus could not be asked, or gave no answer that can be relied on."""


class NoConnectionError(UnansweredError):
    """Nobody was there; asking once more may help."""


class RefusedError(Exception):
    """Prometheus refuses this very expression; the message is its own."""


class Prometheus:
    """One Prometheus, or whatever speaks its query API. Implements `controller.ports.Evidence`.

    Args:
        url: Without the path of the API. Credentials in it are used, and never shown.
        timeout: Of one question, its retry included.
        now: The clock.
        on_request: Called after every request with `answered`, `refused` or `failed`.

    """

    def __init__(
        self,
        url: str,
        timeout: dt.timedelta,
        now: Callable[[], dt.datetime],
        on_request: Callable[[str], None] = _unheard,
    ) -> None:
        self._seconds = timeout.total_seconds()
        self._on_request = on_request
        self._shown = _without_credentials(url)
        self._client = PrometheusConnect(
            url=url.rstrip("/"), retry=Retry(total=0), session=_FormSession(), method="POST"
        )
        self._apart: set[str] = set()
        """Expressions that were refused, or that cannot be joined."""
        self._lock = threading.Lock()
        self._sharing = Sharing(self.ask, now)

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        """Evaluate all queries at one timestamp, and give it; whoever asks meanwhile shares the request."""
        return self._sharing.ask(queries)

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        """Evaluate all queries at one timestamp; what was not answered is a Failure.

        One request, as long as Prometheus accepts every expression. A refused one
        is found by halving, and from then on asked on its own. When Prometheus
        cannot be asked at all, no further request is made.
        """
        with self._lock:
            apart = frozenset(self._apart)
        together = [query for query in queries if query.expression not in apart]
        answers: dict[str, Answer] = {}
        problem = ""
        try:
            if together:
                answers |= self._together(together, at)
            for query in queries:
                if query.expression in apart:
                    answers[query.id] = self._alone(query, at)
        except UnansweredError as error:
            problem = str(error)
        except UnreadableError as error:
            problem = f"gave {error}"
        failure = Failure(f"Prometheus did not answer: {self._shown} {problem}")
        return {query.id: answers.get(query.id, failure) for query in queries}

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _together(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        try:
            return split(self._samples(join(queries), at), [query.id for query in queries])
        except (RefusedError, NoNumberError):
            if len(queries) == 1:
                return {queries[0].id: self._alone(queries[0], at)}
        half = len(queries) // 2
        return {**self._together(queries[:half], at), **self._together(queries[half:], at)}

    def _alone(self, query: Query, at: dt.datetime) -> Answer:
        """Ask as it stands: a scalar, for example, cannot be joined."""
        with self._lock:
            if len(self._apart) >= _MOST_APART:
                self._apart.clear()
            self._apart.add(query.expression)
        try:
            return self._samples(query.expression, at)
        except RefusedError as error:
            return Failure(f"Prometheus refused the query: {error}")
        except NoNumberError as error:
            return Failure(f"the query cannot be judged: {error}")

    def _samples(self, expression: str, at: dt.datetime) -> tuple[Sample, ...]:
        deadline = time.monotonic() + self._seconds
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NoConnectionError),
            stop=tenacity.stop_after_attempt(2) | tenacity.stop_before_delay(self._seconds),
            wait=tenacity.wait_fixed(PAUSE),
            reraise=True,
        )
        return read_result(retrying(self._once, expression, at, deadline))

    def _once(self, expression: str, at: dt.datetime, deadline: float) -> object:
        outcome = "failed"
        left = max(deadline - time.monotonic(), 0.001)
        asked = {"time": f"{at.timestamp():.3f}", "timeout": f"{left * 1000:.0f}ms"}
        try:
            result: object = self._client.custom_query(expression, asked, left)
            outcome = "answered"
            return result
        except (RefusedError, NoNumberError):
            outcome = "refused"
            raise
        except requests.exceptions.RequestException as error:
            raise self._unanswered(error) from error
        finally:
            self._on_request(outcome)

    def _unanswered(self, error: requests.exceptions.RequestException) -> UnansweredError:
        cause = error.args[0] if error.args else error
        if isinstance(error, requests.exceptions.Timeout) or isinstance(cause, ReadTimeoutError):
            return UnansweredError(f"took longer than {self._seconds:g}s")
        if isinstance(error, requests.exceptions.ConnectionError):
            words = str(getattr(cause, "reason", cause)).rpartition(": ")[2]  # before are addresses
            return NoConnectionError(f"cannot be reached ({words[:_LONGEST_REASON]})")
        return UnansweredError(f"broke off ({type(error).__name__})")


class _FormSession(requests.Session):
    """Sends parameters as a form, since joined queries are too long for a URL, and checks the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks["response"] = [_check]

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Move the parameters from the URL into the body.

        Raises:
            RefusedError: the expression cannot even be sent.

        """
        request.data, request.params = request.params, {}
        try:
            return super().prepare_request(request)
        except UnicodeEncodeError as error:
            raise RefusedError(f"it is not text ({error.reason})") from error


def _check(response: requests.Response, **_options: object) -> None:
    """Let only complete answers pass.

    Raises:
        RefusedError: the expression is at fault.
        NoNumberError: the expression gives something else than one number per series.
        NoConnectionError: nobody is there at the moment.
        UnansweredError: anything else that is not a complete answer.

    """
    status, body = response.status_code, _body(response)
    if status in _REFUSALS and body.get("status") == "error":
        words = str(body.get("error")).removeprefix('invalid parameter "query": ')
        raise RefusedError(words[:_LONGEST_REASON])
    if status in _PASSING and not body:
        raise NoConnectionError(f"gave status {status}")
    if status != 200 or body.get("status") != "success":
        words = body.get("error") or "and something that Prometheus does not say"
        raise UnansweredError(f"gave status {status}: {str(words)[:_LONGEST_REASON]}")
    for warning in map(str, body.get("warnings") or ()):
        if warning.startswith("PromQL warning"):
            raise RefusedError(warning[:_LONGEST_REASON])
        if not warning.startswith("PromQL info"):
            raise UnansweredError(f"gave a partial answer: {warning[:_LONGEST_REASON]}")
    data = body.get("data")
    if not isinstance(data, dict) or "result" not in data:
        raise UnansweredError(f"gave status {status} without a result")
    if (kind := data.get("resultType")) not in {"vector", "scalar"}:
        raise NoNumberError(f"it gives a {kind}; one number per series is needed")


def _body(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except requests.exceptions.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
