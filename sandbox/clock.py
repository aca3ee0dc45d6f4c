"""The sandbox's one clock for the time of day; everything else takes `now` or is handed a clock."""

import datetime as dt
import time
from collections.abc import Callable


Clock = Callable[[], float]


def now() -> float:
    """Return seconds since 1970."""
    return time.time()  # noqa: TID251  # the one place


def timestamp(seconds: float) -> str:
    """Return `seconds` since 1970 as Kubernetes writes times: UTC, whole seconds."""
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> float:
    """Return the seconds since 1970 of a Kubernetes time."""
    return dt.datetime.fromisoformat(text).timestamp()
