"""An evidence source that answers from functions of time, and keeps what it was asked."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.queries import Query
from analysis.samples import Answer, Failure, History, Moment, Sample


Told = Callable[[dt.datetime], Answer]


@dataclass
class Teller:
    """Answers every expression by the function that is given for it; with nothing if none is."""

    answers: Mapping[str, Told]
    asked: list[str] = field(default_factory=list)
    """One entry per request: all its expressions."""

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        self.asked.append("; ".join(query.expression for query in queries))
        return {query.id: self._answer(query, at) for query in queries}

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        self.asked.append("; ".join(query.expression for query in queries))
        times = [start + number * step for number in range(int((end - start) / step) + 1)]
        return {query.id: self._history(query, times) for query in queries}

    def _history(self, query: Query, times: Sequence[dt.datetime]) -> History:
        moments = []
        for at in times:
            answer = self._answer(query, at)
            if isinstance(answer, Failure):
                return answer
            moments.append(Moment(at, answer))
        return tuple(moments)

    def _answer(self, query: Query, at: dt.datetime) -> Answer:
        told = self.answers.get(query.expression)
        return told(at) if told else ()


def always(answer: Answer) -> Told:
    return lambda _at: answer


def rising(start: dt.datetime, per_second: float, **labels: str) -> Told:
    """Give one counter that began at zero at `start`; nothing before."""

    def told(at: dt.datetime) -> Answer:
        seconds = (at - start).total_seconds()
        return () if seconds < 0 else (Sample(labels, float(int(seconds * per_second))),)

    return told


def together(*parts: Told) -> Told:
    """Give the series of all."""

    def told(at: dt.datetime) -> Answer:
        found: list[Sample] = []
        for part in parts:
            answer = part(at)
            if isinstance(answer, Failure):
                return answer
            found += answer
        return tuple(found)

    return told
