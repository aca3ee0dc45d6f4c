"""Prometheus' answers as values; what is missing or odd is named, never guessed."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.queries import MARK


_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one instant; the value may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The query could not be answered; `reason` is for people."""

    reason: str
    refused: bool = False
    """The query itself is at fault: asking again does not help."""


Answer = tuple[Sample, ...] | Failure


@dataclass(frozen=True, slots=True)
class Moment:
    """All series of a query at one instant of the past."""

    at: dt.datetime
    samples: tuple[Sample, ...]


History = tuple[Moment, ...] | Failure
"""Ascending, evenly spaced; an instant without series is a moment without samples."""


class UnreadableError(ValueError):
    """The answer is not one that Prometheus gives."""


class NoNumberError(ValueError):
    """The expression itself gives something else than one number per series."""


def read_result(result: object) -> tuple[Sample, ...]:
    """Read the `result` of an instant query: a vector, or a scalar as one series without labels.

    Raises:
        NoNumberError: a native histogram.
        UnreadableError: this is no answer of Prometheus', or a series came twice.

    """
    match result:
        case [int() | float(), str()]:
            return (Sample({}, _number(result)),)
        case [*items]:
            return _distinct([_series(item) for item in items])
        case _:
            raise UnreadableError(f"no series: {_shown(result)}")


def read_matrix(result: object) -> dict[int, tuple[Sample, ...]]:
    """Read the `result` of a range query: samples by their instant, in milliseconds since 1970.

    Raises:
        NoNumberError: a native histogram.
        UnreadableError: this is no answer of Prometheus', or a series came twice.

    """
    if not isinstance(result, list):
        raise UnreadableError(f"no series: {_shown(result)}")
    found: dict[int, list[Sample]] = {}
    for item in result:
        match item:
            case {"metric": dict(), "histograms": _}:
                raise NoNumberError("it gives a native histogram; one number per series is needed")
            case {"metric": dict(labels), "values": [*pairs]}:
                for pair in pairs:
                    found.setdefault(_instant(pair), []).append(_series({"metric": labels, "value": pair}))
            case _:
                raise UnreadableError(f"no series: {_shown(item)}")
    return {at: _distinct(samples) for at, samples in found.items()}


def split(samples: Iterable[Sample], ids: Iterable[str]) -> dict[str, tuple[Sample, ...]]:
    """Give each of the joined queries its series back, without the mark; no series is an answer too.

    Raises:
        UnreadableError: a series that belongs to none of them, or that came twice.

    """
    found: dict[str, dict[frozenset[tuple[str, str]], Sample]] = {query_id: {} for query_id in ids}
    for sample in samples:
        labels = dict(sample.labels)
        owner = found.get(labels.pop(MARK, ""))
        if owner is None:
            raise UnreadableError(f"a series that nobody asked for: {_shown(labels)}")
        identity = frozenset(labels.items())
        if identity in owner:
            raise UnreadableError(f"the same series twice: {_shown(labels)}")
        owner[identity] = Sample(labels, sample.value)
    return {query_id: tuple(series.values()) for query_id, series in found.items()}


def _distinct(samples: list[Sample]) -> tuple[Sample, ...]:
    seen: set[frozenset[tuple[str, str]]] = set()
    for sample in samples:
        identity = frozenset(sample.labels.items())
        if identity in seen:
            raise UnreadableError(f"the same series twice: {_shown(dict(sample.labels))}")
        seen.add(identity)
    return tuple(samples)


def _series(item: object) -> Sample:
    match item:
        case {"metric": dict(labels), "value": pair}:
            if not all(isinstance(text, str) for text in labels.values()):
                raise UnreadableError(f"labels that are not text: {_shown(labels)}")
            return Sample(labels, _number(pair))
        case {"metric": dict(), "histogram": _}:
            raise NoNumberError("it gives a native histogram; one number per series is needed")
        case _:
            raise UnreadableError(f"no series: {_shown(item)}")


def _number(pair: object) -> float:
    match pair:
        case [_, str(text)]:
            try:
                return float(text)
            except ValueError as error:
                raise UnreadableError(f"no number: {_shown(text)}") from error
        case _:
            raise UnreadableError(f"no time and value: {_shown(pair)}")


def _instant(pair: object) -> int:
    match pair:
        case [int() | float() as at, str()] if math.isfinite(at):
            return round(at * 1000)
        case _:
            raise UnreadableError(f"no time and value: {_shown(pair)}")


def _shown(found: object) -> str:
    return repr(found)[:_LONGEST_SHOWN]
