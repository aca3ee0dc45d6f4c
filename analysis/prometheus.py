"""Many questions, one request, and no answer that is not one."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from analysis.connection import PAUSE, Connection, NoConnectionError, RefusedError, UnansweredError
from analysis.queries import Query, join
from analysis.samples import Answer, Failure, History, Moment, NoNumberError, Sample, UnreadableError
from analysis.sharing import Sharing
from analysis.span import Instant, When, spans
from config.access import Access


__all__ = ["PAUSE", "NoConnectionError", "Prometheus", "RefusedError", "UnansweredError"]

_MOST_APART = 1000

Found = TypeVar("Found", bound=tuple[Sample, ...] | tuple[Moment, ...])


def _unheard(_outcome: str) -> None: ...


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251  # where nobody hands in a clock


class Prometheus:
    """One Prometheus, or whatever speaks its query API. Implements `controller.ports.Evidence`.

    Args:
        url: Without the path of the API. Credentials in it are used, and never shown.
        timeout: Of one set of questions, retries included.
        now: The clock; an answer by one that is far from it is none.
        on_request: Called after every request with `answered`, `refused` or `failed`.
        access: Who we are, and whom we trust.

    """

    def __init__(
        self,
        url: str,
        timeout: dt.timedelta,
        now: Callable[[], dt.datetime] = _now,
        on_request: Callable[[str], None] = _unheard,
        access: Access | None = None,
    ) -> None:
        self._connection = Connection(url, access or Access(), timeout, on_request, now)
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
        return self._asked(queries, Instant(at))

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        """Evaluate all queries at start, start + step, ... up to end, in requests that Prometheus accepts.

        Start and step are cut to whole milliseconds. A query that failed in one of the requests failed.

        Raises:
            ValueError: the step is shorter than a millisecond.

        """
        moments: dict[str, tuple[Moment, ...]] = {query.id: () for query in queries}
        failures: dict[str, Failure] = {}
        for span in spans(start, end, step):
            left = [query for query in queries if query.id not in failures]
            for query_id, answer in (self._asked(left, span) if left else {}).items():
                if isinstance(answer, Failure):
                    failures[query_id] = answer
                else:
                    moments[query_id] += answer
        return {query.id: failures.get(query.id, moments[query.id]) for query in queries}

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _asked(self, queries: Sequence[Query], when: When[Found]) -> Mapping[str, Found | Failure]:
        asking = _Asking(self._connection, when)
        with self._lock:
            apart = frozenset(self._apart)
        together = [query for query in queries if query.expression not in apart]
        alone = [query for query in queries if query.expression in apart]
        try:
            if together:
                asking.together(together)
            for query in alone:
                asking.alone(query)
        except UnansweredError as error:
            problem = str(error)
        except UnreadableError as error:
            problem = f"gave {error}"
        else:
            problem = ""
        with self._lock:
            if len(self._apart) >= _MOST_APART:
                self._apart.clear()
            self._apart |= asking.apart
            self._apart -= asking.joinable
        failure = Failure(f"Prometheus did not answer: {self._connection.shown} {problem}")
        return {query.id: asking.answers.get(query.id, failure) for query in queries}


class _Asking:
    """One set of questions with its deadline; what has been answered stays when the rest fails."""

    def __init__(self, connection: Connection, when: When[Any]) -> None:
        self.answers: dict[str, Any] = {}
        self.apart: set[str] = set()
        """Expressions to be asked on their own from now on."""
        self.joinable: set[str] = set()
        """Expressions that gave series on their own: what was in the way has passed."""
        self._connection = connection
        self._when = when
        self._deadline = time.monotonic() + connection.seconds

    def together(self, queries: Sequence[Query]) -> None:
        """Ask in one request; if it is refused, in two."""
        try:
            result = self._connection.ask(join(queries), self._when, self._deadline)
            self.answers |= self._when.split(result, [query.id for query in queries])
            return
        except (RefusedError, NoNumberError):
            if len(queries) == 1:
                self.apart.add(queries[0].expression)
                self.alone(queries[0])
                return
        half = len(queries) // 2
        self.together(queries[:half])
        self.together(queries[half:])

    def alone(self, query: Query) -> None:
        """Ask as it stands: a scalar, for example, cannot be joined."""
        try:
            result = self._connection.ask(query.expression, self._when, self._deadline)
            self.answers[query.id] = self._when.read(result)
        except RefusedError as error:
            self.answers[query.id] = Failure(f"Prometheus refused the query: {error}", refused=error.final)
        except NoNumberError as error:
            self.answers[query.id] = Failure(f"the query cannot be judged: {error}", refused=True)
        else:
            if isinstance(result, list) and all(isinstance(series, dict) for series in result):
                self.joinable.add(query.expression)
