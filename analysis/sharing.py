"""Many Canaries, few requests: who asks while a request is under way travels with the next one.

Nobody waits for company: the first one asks at once. So a lone Canary loses no
time, and the more there is to ask, the more goes into one request.
"""

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from analysis.queries import Query
from analysis.samples import Answer


MOST_TOGETHER = 50
"""Queries in one request; a Canary's own set is never torn apart."""

Asking = Callable[[Sequence[Query], dt.datetime], Mapping[str, Answer]]
Answered = tuple[dt.datetime, Mapping[str, Answer]]


@dataclass(frozen=True)
class _Passenger:
    queries: Sequence[Query]
    answered: "Future[Answered]" = field(default_factory=Future)


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

    def ask(self, queries: Sequence[Query]) -> Answered:
        """Evaluate all queries at one timestamp, and give it; somebody else's may have the same ids."""
        mine = _Passenger(queries)
        with self._change:
            self._waiting.append(mine)
        while True:
            with self._change:
                self._change.wait_for(lambda: mine.answered.done() or not self._under_way)
                if mine.answered.done():
                    return mine.answered.result()
                self._under_way = True
                aboard = self._boarding()
            try:
                self._travel(aboard)
            finally:
                with self._change:
                    self._under_way = False
                    self._change.notify_all()

    def _boarding(self) -> list[_Passenger]:
        """Take as many as fit, those who wait longest first."""
        aboard = [self._waiting.pop(0)]
        queries = len(aboard[0].queries)
        while self._waiting and queries + len(self._waiting[0].queries) <= MOST_TOGETHER:
            aboard.append(self._waiting.pop(0))
            queries += len(aboard[-1].queries)
        return aboard

    def _travel(self, aboard: Sequence[_Passenger]) -> None:
        """Make one request for all; whatever happens, everybody gets an answer or the same error."""
        at = self._now()
        try:
            answers = self._ask(
                [
                    Query(f"{number}|{query.id}", query.expression)
                    for number, passenger in enumerate(aboard)
                    for query in passenger.queries
                ],
                at,
            )
        except BaseException as error:
            for passenger in aboard:
                passenger.answered.set_exception(error)
            raise
        for number, passenger in enumerate(aboard):
            own = {query.id: answers[f"{number}|{query.id}"] for query in passenger.queries}
            passenger.answered.set_result((at, own))
