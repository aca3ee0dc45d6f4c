"""Durations and shares as Kubernetes users write them: `1m30s`, `1%`."""

import datetime as dt
import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from config.problems import found


DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
SHARE_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"

_LONGEST = dt.timedelta(days=3650)  # longer ones lead out of the calendar
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TERM = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")


def parse_duration(value: object) -> dt.timedelta:
    """Read `90s`, `1m30s`, `500ms` or `1h`.

    Raises:
        ValueError: anything else; the message says what would be right.

    """
    if isinstance(value, dt.timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(DURATION_PATTERN, value) or len(value) > 32:
        raise ValueError(f"{found(value)}; a duration looks like 30s, 1m30s or 2h")
    seconds = sum(float(n) * _UNITS[unit] for n, unit in _TERM.findall(value))
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{found(value)}; a duration is at most {_LONGEST.days}d")
    return dt.timedelta(seconds=seconds)


def format_duration(value: dt.timedelta) -> str:
    """Write a duration the short way: `1m30s`; zero is `0s`."""
    left = round(value.total_seconds() * 1000)
    terms = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            terms.append(f"{count}{unit}")
    return "".join(terms) or "0s"


def parse_share(value: object) -> float:
    """Read `1%` or 0.01 as the fraction 0.01.

    Raises:
        ValueError: anything else, and what does not lie between 0 and 100%.

    """
    if isinstance(value, str) and re.fullmatch(SHARE_PATTERN, value) and len(value) <= 16:
        share = float(value[:-1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
        if 1 <= share < 100:
            raise ValueError(f"{found(value)}; write {share:g}% or {share / 100:g}")
    else:
        raise ValueError(f"{found(value)}; a share looks like 1% or 0.01")
    if not 0 < share < 1:
        raise ValueError(f"{found(value)}; a share is more than 0% and less than 100%")
    return share


def format_share(value: float) -> str:
    """Write a fraction as a percentage: 0.01 is `1%`, 0.0025 is `0.25%`."""
    return f"{value * 100:.4g}%"


def parse_weight(value: object) -> int:
    """Accept a whole number from 1 to 100.

    Raises:
        ValueError: anything else.

    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise ValueError(f"{found(value)}; a weight is a whole number from 1 to 100")
    return value


Duration = Annotated[
    dt.timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema({"x-kubernetes-int-or-string": True}),
]
Weight = Annotated[
    int,
    BeforeValidator(parse_weight),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100}),
]
