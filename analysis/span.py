"""One instant, or a span of the past: how each is asked for, and how its answer is read."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from analysis.samples import Moment, Sample, UnreadableError, read_matrix, read_result, split


MOST_POINTS = 10_000
"""Of a series in one answer: Prometheus refuses more than 11,000."""

_MILLISECOND = dt.timedelta(milliseconds=1)
_FRESH = {"nocache": "1"}
"""For VictoriaMetrics, which else answers as of half a minute ago, and at instants of its own choice."""

Found_co = TypeVar("Found_co", bound=tuple[Sample, ...] | tuple[Moment, ...], covariant=True)


class When(Protocol[Found_co]):
    """What a question is about in time."""

    kind: str
    """The `resultType` of a proper answer, besides `scalar`."""

    def form(self) -> Mapping[str, str]:
        """Give the parameters of the request."""
        ...

    def read(self, result: object) -> Found_co:
        """Read the result of one query; UnreadableError or NoNumberError if it is none."""
        ...

    def split(self, result: object, ids: Sequence[str]) -> Mapping[str, Found_co]:
        """Read the result of joined queries, and give each its own part."""
        ...


@dataclass(frozen=True, slots=True)
class Instant:
    """Now, or any other moment."""

    at: dt.datetime
    kind = "vector"

    def form(self) -> Mapping[str, str]:
        """Give `time`."""
        return {"time": f"{self.at.timestamp():.3f}", **_FRESH}

    def read(self, result: object) -> tuple[Sample, ...]:
        """Give the samples."""
        return read_result(result)

    def split(self, result: object, ids: Sequence[str]) -> Mapping[str, tuple[Sample, ...]]:
        """Give the samples of each query."""
        return split(read_result(result), ids)


@dataclass(frozen=True, slots=True)
class Span:
    """Evenly spaced instants; `start` and `step` in whole milliseconds, as Prometheus counts."""

    start: dt.datetime
    step: dt.timedelta
    steps: int
    kind = "matrix"

    @property
    def instants(self) -> tuple[dt.datetime, ...]:
        """All of them, ascending."""
        return tuple(self.start + number * self.step for number in range(self.steps))

    def form(self) -> Mapping[str, str]:
        """Give `start`, `end` and `step`."""
        end = self.start + (self.steps - 1) * self.step
        return {
            "start": f"{self.start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{self.step.total_seconds():.3f}",
            **_FRESH,
        }

    def read(self, result: object) -> tuple[Moment, ...]:
        """Give a moment for every instant, also for those without samples."""
        found = read_matrix(result)
        moments = tuple(Moment(at, found.pop(_milliseconds(at), ())) for at in self.instants)
        if found:
            raise UnreadableError(f"an instant that nobody asked for: {min(found) / 1000:.3f}")
        return moments

    def split(self, result: object, ids: Sequence[str]) -> Mapping[str, tuple[Moment, ...]]:
        """Give the moments of each query."""
        moments: dict[str, list[Moment]] = {query_id: [] for query_id in ids}
        for moment in self.read(result):
            for query_id, samples in split(moment.samples, ids).items():
                moments[query_id].append(Moment(moment.at, samples))
        return {query_id: tuple(found) for query_id, found in moments.items()}


def spans(start: dt.datetime, end: dt.datetime, step: dt.timedelta) -> Iterator[Span]:
    """Cut start, start + step, ... up to end into spans that fit into one answer each.

    Raises:
        ValueError: the step is shorter than a millisecond.

    """
    if step < _MILLISECOND:
        raise ValueError(f"a step of {step.total_seconds():g}s; at least a millisecond is needed")
    step -= step % _MILLISECOND
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    left = (end - start) // step + 1
    while left > 0:
        span = Span(start, step, min(left, MOST_POINTS))
        yield span
        left -= span.steps
        start += span.steps * step


def _milliseconds(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)
