"""Prometheus' answers as values; what is missing or odd is named, never guessed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.queries import MARK


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one instant."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The query could not be answered; `reason` is for people."""

    reason: str


Answer = tuple[Sample, ...] | Failure


class UnreadableError(ValueError):
    """The answer is not one that Prometheus gives."""


def read_result(result: object) -> tuple[Sample, ...]:
    """Read the `result` of an instant query: a vector, or a scalar as one series without labels.

    Raises:
        UnreadableError: anything else.

    """
    if not isinstance(result, list):
        raise UnreadableError(f"a list of series was expected, found {type(result).__name__}")
    if len(result) == 2 and isinstance(result[1], str):
        return (Sample({}, _number(result)),)
    return tuple(_series(item) for item in result)


def split(samples: Iterable[Sample], ids: Iterable[str]) -> dict[str, Answer]:
    """Give each of the joined queries its series back, without the mark; none is an answer too."""
    found: dict[str, list[Sample]] = {query_id: [] for query_id in ids}
    for sample in samples:
        labels = dict(sample.labels)
        owner = found.get(labels.pop(MARK, ""))
        if owner is None:
            raise UnreadableError(f"a series came back that nobody asked for: {labels}")
        owner.append(Sample(labels, sample.value))
    return {query_id: tuple(series) for query_id, series in found.items()}


def _series(item: object) -> Sample:
    if not isinstance(item, dict) or not isinstance(item.get("metric"), dict):
        raise UnreadableError("a series without labels")
    if "value" not in item:
        raise UnreadableError("one value per series was expected; a range or a native histogram was found")
    return Sample(item["metric"], _number(item["value"]))


def _number(pair: object) -> float:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
        raise UnreadableError(f"a time and a value were expected, found {pair!r}"[:200])
    try:
        return float(pair[1])
    except ValueError as error:
        raise UnreadableError(f"{pair[1]!r} is not a number"[:200]) from error
