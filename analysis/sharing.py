"""Many Canaries, few requests: who asks while a request is under way travels with the next one.

Nobody waits for company: the first one asks at once. So a lone Canary loses no
time, and the more there is to ask, the more goes into one request. Who got a
Failure travels alone until all is answered again, so that nobody suffers from
the same neighbour twice.
"""

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analysis.queries import Query
from analysis.samples import Answer, Failure


MOST_TOGETHER = 50
"""Queries in one request; a Canary's own set is never torn apart."""
MOST_CHARACTERS = 12_000
"""Of their expressions: VictoriaMetrics refuses more than 16 KiB, and joining adds some."""

_MOST_LONERS = 1000

Asking = Callable[[Sequence[Query], dt.datetime], Mapping[str, Answer]]
Answered = tuple[dt.datetime, Mapping[str, Answer]]


@dataclass(eq=False)
class _Passenger:
    queries: Sequence[Query]
    answered: Answered | None = None

    @property
    def name(self) -> frozenset[str]:
        return frozenset(query.id for query in self.queries)


class Sharing:
    """Gathers what several threads ask.

    Args:
        ask: Evaluates queries with different ids at one timestamp.
        now: Gives the timestamp of a request when it is made.

    """

    def __init__(self, ask: Asking, now: Callable[[], dt.datetime]) -> None:
        self._ask = ask
        self._now = now
        self._change = threading.Condition()
        self._waiting: list[_Passenger] = []
        self._under_way = False
        self._loners: set[frozenset[str]] = set()

    def ask(self, queries: Sequence[Query]) -> Answered:
        """Evaluate all queries at one timestamp, and give it; somebody else's may have the same ids.

        Whatever goes wrong is a Failure, for everybody whose queries were in the request.
        """
        mine = _Passenger(queries)
        with self._change:
            alone = mine.name in self._loners
            if not alone:
                self._waiting.append(mine)
        if alone:
            self._travel([mine])
        while mine.answered is None:
            with self._change:
                self._change.wait_for(lambda: mine.answered is not None or not self._under_way)
                if mine.answered is not None:
                    break
                self._under_way = True
                aboard = self._boarding()
            try:
                self._travel(aboard)
            except BaseException:
                with self._change:
                    left = [passenger for passenger in aboard if passenger.answered is None]
                    self._waiting = [each for each in (*left, *self._waiting) if each is not mine]
                raise
            finally:
                with self._change:
                    self._under_way = False
                    self._change.notify_all()
        return mine.answered

    def _boarding(self) -> list[_Passenger]:
        """Take as many as fit, those who wait longest first."""
        aboard = [self._waiting.pop(0)]
        while self._waiting and _fit([*aboard, self._waiting[0]]):
            aboard.append(self._waiting.pop(0))
        return aboard

    def _travel(self, aboard: Sequence[_Passenger]) -> None:
        """Make one request for all; the same expression is asked once."""
        at = self._now()
        expressions = dict.fromkeys(query.expression for passenger in aboard for query in passenger.queries)
        asked = {expression: Query(str(number), expression) for number, expression in enumerate(expressions)}
        try:
            found = self._ask(tuple(asked.values()), at)
            answers = {query.expression: found[query.id] for query in asked.values()}
        except Exception as error:  # noqa: BLE001  # everybody is waiting for it
            failure = Failure(f"Prometheus could not be asked ({type(error).__name__})")
            answers = dict.fromkeys(asked, failure)
        for passenger in aboard:
            own = {query.id: answers[query.expression] for query in passenger.queries}
            self._remember(passenger, failed=any(isinstance(answer, Failure) for answer in own.values()))
            passenger.answered = at, own

    def _remember(self, passenger: _Passenger, *, failed: bool) -> None:
        with self._change:
            self._loners.discard(passenger.name)
            if len(self._loners) >= _MOST_LONERS:
                self._loners.clear()
            if failed:
                self._loners.add(passenger.name)


def _fit(aboard: Sequence[_Passenger]) -> bool:
    queries = [query for passenger in aboard for query in passenger.queries]
    return (
        len(queries) <= MOST_TOGETHER and sum(len(query.expression) for query in queries) <= MOST_CHARACTERS
    )
