"""From raw counters to counts: what has been added to each series since the last evaluation.

A pod that restarts, disappears, comes back or is added must never create a
negative count, a fake error or a fake request.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from analysis.queries import origin
from analysis.samples import Answer, Failure, Sample


Identity = frozenset[tuple[str, str]]
"""All labels of a series."""

_TARGET = frozenset({"namespace", "pod", "instance", "job"})


class OddCounterError(ValueError):
    """A series cannot be a counter."""


@dataclass(frozen=True, slots=True)
class Increase:
    """What was added to one series."""

    labels: Mapping[str, str]
    count: float


@dataclass(frozen=True, slots=True)
class Counters:
    """The last value of every series that was ever seen.

    A series that is missing keeps its value: when it returns after a missed
    scrape, its history is not counted a second time.
    """

    values: Mapping[Identity, float] = field(default_factory=dict)

    def updated(self, samples: Iterable[Sample]) -> "Counters":
        """Take in the values of now.

        Raises:
            OddCounterError: a value is negative, NaN or infinite.

        """
        return replace(self, values={**self.values, **_values(samples)})

    def increases(self, samples: Iterable[Sample], *, fresh: bool) -> tuple[Increase, ...]:
        """Say what was added since; a value below the last one has started again from zero.

        The first sight of a series is a starting point, not a count. It counts
        from zero only if nothing can have happened before: with `fresh` (its
        pods began with the rollout), or when it is new on a target that was
        there already, as the counter of a code is that occurs for the first time.
        """
        known_targets = {_target(identity) for identity in self.values}
        found = []
        for identity, now in _values(samples).items():
            before = self.values.get(identity)
            if before is None:
                counted = fresh or _target(identity) in known_targets
                before = 0.0 if counted else now
            found.append(Increase(dict(identity), now - before if now >= before else now))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The counters of one Canary at its last evaluation: query id -> counters."""

    counters: Mapping[str, Counters] = field(default_factory=dict)

    @classmethod
    def of(cls, answers: Mapping[str, Answer]) -> "Baseline":
        """Start from these answers; a query that was not answered starts later."""
        return cls().updated(answers)

    def updated(self, answers: Mapping[str, Answer]) -> "Baseline":
        """Take in the answers of now; what was not answered, or is no counter, stays as it was."""
        counters = {}
        for query_id, answer in answers.items():
            before = self.counters.get(query_id)
            after = before if isinstance(answer, Failure) else _updated(before or Counters(), answer)
            if after is not None:
                counters[query_id] = after
        return Baseline(counters)

    def increases(self, query_id: str, samples: tuple[Sample, ...]) -> tuple[Increase, ...] | None:
        """Say what was added to the series of a query; None if this is its first evaluation."""
        before = self.counters.get(query_id)
        if before is None:
            _values(samples)
            return None
        _, role, _ = origin(query_id)
        return before.increases(samples, fresh=role == "candidate")


def _updated(before: Counters, answer: tuple[Sample, ...]) -> Counters:
    try:
        return before.updated(answer)
    except OddCounterError:
        return before


def _values(samples: Iterable[Sample]) -> dict[Identity, float]:
    values = {}
    for sample in samples:
        if not math.isfinite(sample.value) or sample.value < 0:
            raise OddCounterError(f"a counter cannot be {sample.value:g}: {dict(sample.labels)}")
        values[frozenset(sample.labels.items())] = sample.value
    return values


def _target(identity: Identity) -> Identity:
    return frozenset(pair for pair in identity if pair[0] in _TARGET)
