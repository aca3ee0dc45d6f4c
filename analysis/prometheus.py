"""The package's one door to the outside: many questions, one request, and no answer that is not one.

prometheus-api-client makes the requests. Its own retries are off (they are
hidden, three by default) and a timeout is set (there is none by default); one
retry follows here, for connections that fail. What it would pass over is seen by
a hook on its session: warnings, partial answers, errors in Prometheus' own words.
"""

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from prometheus_api_client import PrometheusConnect
from urllib3.util import Retry

from analysis.queries import Query, join
from analysis.samples import Answer, Failure, Sample, UnreadableError, read_result, split


MOST_JOINED = 50
"""Queries in one request; more together take longer than apart."""
PAUSE = 0.2
"""Seconds before the one retry."""

_QUERY_ERRORS = {400, 422}
_LONGEST_REASON = 300
_MOST_APART = 1000


def _unheard(_outcome: str) -> None: ...


class UnansweredError(Exception):
    """Prometheus could not be asked, or gave no answer that can be relied on."""


class NoConnectionError(UnansweredError):
    """Nobody was there; asking once more may help."""


class QueryError(UnansweredError):
    """Prometheus refuses this very expression."""


class Prometheus:
    """One Prometheus, or whatever speaks its query API.

    Args:
        url: Without the path of the API. Credentials in it are used, and never shown.
        timeout: Of one request, seconds.
        on_request: Called after every request with `answered`, `refused` or `failed`.

    """

    def __init__(self, url: str, timeout: dt.timedelta, on_request: Callable[[str], None] = _unheard) -> None:
        self._seconds = timeout.total_seconds()
        self._on_request = on_request
        self._shown = _without_credentials(url)
        self._client = PrometheusConnect(
            url=url.rstrip("/"),
            retry=Retry(total=0),
            timeout=self._seconds,
            session=_FormSession(),
            method="POST",
        )
        self._apart: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        """Evaluate all queries at one timestamp; what was not answered is a Failure.

        One request, as long as Prometheus accepts every expression. A refused one
        is found by halving, and from then on asked on its own.
        """
        with self._lock:
            apart = frozenset(self._apart)
        together = [query for query in queries if query.expression not in apart]
        answers: dict[str, Answer] = {}
        for start in range(0, len(together), MOST_JOINED):
            answers |= self._together(together[start : start + MOST_JOINED], at)
        for query in queries:
            if query.id not in answers:
                answers[query.id] = self._alone(query, at)
        return answers

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _together(self, queries: Sequence[Query], at: dt.datetime) -> dict[str, Answer]:
        try:
            samples = self._samples(join(queries), at)
            return split(samples, [query.id for query in queries])
        except QueryError:
            if len(queries) > 1:
                half = len(queries) // 2
                return self._together(queries[:half], at) | self._together(queries[half:], at)
            return {queries[0].id: self._alone(queries[0], at)}
        except (UnansweredError, UnreadableError) as error:
            return dict.fromkeys((query.id for query in queries), Failure(self._reason(error)))

    def _alone(self, query: Query, at: dt.datetime) -> Answer:
        """Ask as it stands: a scalar, for example, cannot be joined."""
        with self._lock:
            if len(self._apart) >= _MOST_APART:
                self._apart.clear()
            self._apart.add(query.expression)
        try:
            return self._samples(query.expression, at)
        except (UnansweredError, UnreadableError) as error:
            return Failure(self._reason(error))

    def _samples(self, expression: str, at: dt.datetime) -> tuple[Sample, ...]:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NoConnectionError),
            stop=tenacity.stop_after_attempt(2) | tenacity.stop_after_delay(self._seconds),
            wait=tenacity.wait_fixed(PAUSE),
            reraise=True,
        )
        return read_result(retrying(self._once, expression, at))

    def _once(self, expression: str, at: dt.datetime) -> object:
        outcome = "failed"
        try:
            result = self._client.custom_query(expression, params={"time": f"{at.timestamp():.3f}"})
            outcome = "answered"
            return result
        except QueryError:
            outcome = "refused"
            raise
        except requests.exceptions.Timeout as error:
            raise UnansweredError(f"no answer within {self._seconds:g}s") from error
        except requests.exceptions.ConnectionError as error:
            raise NoConnectionError("cannot be reached") from error
        except (requests.exceptions.RequestException, KeyError, TypeError) as error:
            raise UnansweredError(f"its answer cannot be read ({type(error).__name__})") from error
        finally:
            self._on_request(outcome)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, QueryError):
            return str(error)
        return f"{self._shown}: {error}"


class _FormSession(requests.Session):
    """Sends parameters of a POST as a form: joined queries are too long for a URL."""

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401  # requests' own signature
        if method == "POST":
            options["data"] = options.pop("params")
        response = super().request(method, url, **options)
        _check(response)
        return response


def _check(response: requests.Response) -> None:
    """Let only complete answers pass.

    Raises:
        QueryError: the expression is refused.
        NoConnectionError: a proxy says that nobody is there.
        UnansweredError: anything else that is not a complete answer.

    """
    status = response.status_code
    if status in {502, 503, 504}:
        raise NoConnectionError(f"answered {status}")
    try:
        body = response.json()
    except requests.exceptions.JSONDecodeError as error:
        raise UnansweredError(f"answered {status} with something that is not JSON") from error
    if not isinstance(body, dict):
        raise UnansweredError(f"answered {status} with JSON that is no answer")
    words = str(body.get("error") or "")[:_LONGEST_REASON]
    if status in _QUERY_ERRORS and body.get("status") == "error":
        raise QueryError(words)
    if status != 200 or body.get("status") != "success":
        raise UnansweredError(f"answered {status}: {words}")
    if warnings := body.get("warnings"):
        raise UnansweredError(f"gave a partial answer: {str(warnings[0])[:_LONGEST_REASON]}")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host, query="").geturl()
