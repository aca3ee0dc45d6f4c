"""Prometheus' answers as values; what is missing or odd is named, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass


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
