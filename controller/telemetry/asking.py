"""How long Canaries wait for Prometheus, and how many of their queries get an answer."""

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analysis.queries import Query
from analysis.samples import Answer, Failure, History
from controller.ports import Evidence


@dataclass(frozen=True, slots=True)
class Counted:
    """Implements `controller.ports.Evidence` by asking another one."""

    inner: Evidence
    asked: Callable[[int, int, float], None]
    """Called after every set of queries: how many were answered, how many failed, after how many seconds."""

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        """Evaluate all queries at one timestamp, and give it."""
        began = time.monotonic()
        at, answers = self.inner.ask_now(queries)
        self._count(answers, began)
        return at, answers

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        """Evaluate all queries at this timestamp."""
        began = time.monotonic()
        answers = self.inner.ask(queries, at)
        self._count(answers, began)
        return answers

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        """Evaluate all queries at start, start + step, ... up to end."""
        began = time.monotonic()
        histories = self.inner.history(queries, start, end, step)
        self._count(histories, began)
        return histories

    def _count(self, answers: Mapping[str, Answer] | Mapping[str, History], began: float) -> None:
        failed = sum(isinstance(answer, Failure) for answer in answers.values())
        self.asked(len(answers) - failed, failed, time.monotonic() - began)
