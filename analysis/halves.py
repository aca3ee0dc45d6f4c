"""A version against itself: its pods in two halves, of which nobody is worse than the other."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.history import Instant
from analysis.queries import ROLES, Query, Role, origin
from analysis.samples import Answer, Failure, Sample


_NAMES = ("pod", "instance")


@dataclass
class Halves:
    """Who is in which half. A pod stays where it was put; a new one goes where there are fewer."""

    queries: Sequence[Query]
    """Of both versions, which are the same one."""
    _sides: dict[str, Role] = field(default_factory=dict)

    def divide(self, answers: Mapping[str, Answer]) -> dict[str, Answer] | None:
        """Give stable's answers to both, to each those of its own pods; None: there are not two pods.

        Args:
            answers: Of stable's queries, by id.

        """
        present = {
            _pod(sample)
            for answer in answers.values()
            if not isinstance(answer, Failure)
            for sample in answer
        }
        present.discard("")
        self._assign(present)
        found: dict[str, Answer] = {}
        for query in self.queries:
            about = origin(query.id)
            answer = answers.get(_asked(query), ())
            found[query.id] = answer if isinstance(answer, Failure) else self._own(answer, about.role)
        failed = any(isinstance(answer, Failure) for answer in answers.values())
        return found if failed or self._both(present) else None

    def _assign(self, present: Iterable[str]) -> None:
        """Fill up the smaller half, by the hashes of the names: their order says nothing else."""
        there = sorted(present, key=_hash)
        sizes = {role: sum(self._sides.get(pod) == role for pod in there) for role in ROLES}
        for pod in there:
            if pod not in self._sides:
                first, second = ROLES
                side = first if sizes[first] <= sizes[second] else second
                self._sides[pod] = side
                sizes[side] += 1

    def _both(self, present: Iterable[str]) -> bool:
        return {self._sides[pod] for pod in present} == set(ROLES)

    def _own(self, answer: Iterable[Sample], role: Role) -> tuple[Sample, ...]:
        return tuple(sample for sample in answer if self._sides.get(_pod(sample)) == role)


def divided(past: Iterable[Instant], halves: Halves) -> Iterable[Instant | None]:
    """Divide one instant after the other; None where there are not two pods."""
    for at, answers in past:
        found = halves.divide(answers)
        yield None if found is None else Instant(at, found)


def _asked(query: Query) -> str:
    """Give the id under which this was asked: about the same version it is the same question."""
    return query.id.replace("/candidate/", "/stable/", 1)


def _pod(sample: Sample) -> str:
    """Give the name of the pod, as far as one label tells it; empty if none does."""
    return next((sample.labels[name] for name in _NAMES if name in sample.labels), "")


def _hash(pod: str) -> bytes:
    return hashlib.sha256(pod.encode()).digest()
