"""From raw counters to counts: what has been added to each series since the last evaluation.

A pod that restarts, disappears, comes back or is added must never create a
negative count, a fake error or a fake request.
"""

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from analysis.queries import origin
from analysis.samples import Answer, Failure, Sample


Labels = frozenset[tuple[str, str]]

_POD = frozenset({"pod", "instance"})
_TARGET = _POD | {"namespace"}
_LARGEST = 2**53
"""Above this a float cannot count by ones."""


class Series(NamedTuple):
    """One series of one part of a question: of the bad requests, for example, or of all."""

    part: str
    labels: Labels


class NoCounterError(ValueError):
    """A series cannot be a counter."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What is known of the series of a question; whole numbers: a part of a request has not happened yet.

    Buckets are counted without the smaller ones that they include, so that a
    restart shows on each of them.
    """

    values: Mapping[Series, int] = field(default_factory=dict)
    """Of every process, when it was last seen."""
    missing: Mapping[Series, int] = field(default_factory=dict)
    """Of series that were gone when their process was last seen; should they return, they are no news."""

    @classmethod
    def of(cls, parts: Mapping[str, Iterable[Sample]]) -> "Counters":
        """Take the values of one instant.

        Raises:
            NoCounterError: a value is no number of requests.

        """
        values = {}
        for part, samples in parts.items():
            found = {frozenset(sample.labels.items()): _whole(sample) for sample in samples}
            if part == "buckets":
                found = _bands(found)
            values.update({Series(part, labels): value for labels, value in found.items()})
        return cls(values)

    def then(self, now: "Counters") -> "Counters":
        """Remember both; nothing is left of a process that has restarted."""
        present = {_process(series.labels) for series in now.values}
        restarted = self._restarted(now)
        values, missing = dict(now.values), {}
        for series, value in {**self.missing, **self.values}.items():
            process = _process(series.labels)
            if process not in present and series in self.values:
                values[series] = value
            elif series not in now.values and process not in restarted:
                missing[series] = value
        return Counters(values, missing)

    def increases(self, now: "Counters", *, fresh: bool) -> dict[Series, int]:
        """Say what was added to each series of `now`.

        One value below the last one, and the process has restarted: all its
        counters began again at zero. The first sight of a series is a starting
        point, not a count, unless nothing can have happened before: with
        `fresh` (its pods began with the rollout), or in a pod that was there
        already, as the counter of a code that occurs for the first time.
        """
        known = {**self.missing, **self.values}
        pods = {_pod(series.labels) for series in self.values} - {None}
        restarted = self._restarted(now)
        added = {}
        for series, value in now.values.items():
            if series not in known:
                added[series] = value if fresh or _pod(series.labels) in pods else 0
            elif _process(series.labels) in restarted or value < known[series]:
                added[series] = value
            else:
                added[series] = value - known[series]
        return added

    def _restarted(self, now: "Counters") -> set[Labels]:
        return {
            _process(series.labels)
            for series, value in now.values.items()
            if value < self.values.get(series, 0)
        }


@dataclass(frozen=True, slots=True)
class Baseline:
    """The counters of one Canary at its last evaluation: question -> counters.

    Of use for one rollout only: at the next one, counting starts anew.
    """

    counters: Mapping[str, Counters] = field(default_factory=dict)
    rebuilt: bool = False
    """Not everything may be in it: a series that is new since is not known to be fresh."""

    @classmethod
    def of(cls, answers: Mapping[str, Answer]) -> "Baseline":
        """Rebuild it from the answers of that time, by query id.

        A question that is not answered in full starts later.
        """
        questions: dict[str, dict[str, Answer]] = {}
        for query_id, answer in answers.items():
            asked = origin(query_id)
            questions.setdefault(asked.question, {})[asked.part] = answer
        counters = {}
        for question, parts in questions.items():
            answered = {part: answer for part, answer in parts.items() if not isinstance(answer, Failure)}
            if len(answered) == len(parts):
                with contextlib.suppress(NoCounterError):
                    counters[question] = Counters.of(answered)
        return cls(counters, rebuilt=True)


def bucket_of(labels: Labels) -> tuple[Labels, float]:
    """Give the labels of the histogram that a bucket belongs to, and the bucket's upper bound.

    Raises:
        NoCounterError: there is no bound.

    """
    named = dict(labels)
    try:
        bound = float(named.pop("le", ""))
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise NoCounterError(
            "series without a number as label le: histogram.buckets wants the _bucket series"
        )
    return frozenset(named.items()), bound


def _whole(sample: Sample) -> int:
    if not 0 <= sample.value <= _LARGEST:
        raise NoCounterError(f"a counter cannot be {sample.value:g}: {_shown(sample.labels.items())}")
    return math.floor(sample.value)


def _shown(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in sorted(labels)) + "}"


def _bands(buckets: Mapping[Labels, int]) -> dict[Labels, int]:
    bands, below = {}, dict[Labels, int]()
    for labels, value in sorted(buckets.items(), key=lambda bucket: bucket_of(bucket[0])[1]):
        histogram, bound = bucket_of(labels)
        bands[labels] = value - below.get(histogram, 0)
        below[histogram] = value
        if bands[labels] < 0:
            raise NoCounterError(
                f"the bucket le={bound:g} holds less than a smaller one: {_shown(histogram)}"
            )
    return bands


def _pod(labels: Labels) -> Labels | None:
    """Give the labels that name the pod; None if no label does."""
    found = frozenset(pair for pair in labels if pair[0] in _TARGET)
    return found if any(name in _POD for name, _ in found) else None


def _process(labels: Labels) -> Labels:
    """Give what restarts as one: a pod, else the series, with all buckets of a histogram."""
    return _pod(labels) or frozenset(pair for pair in labels if pair[0] != "le")
