"""A rollback reaches Envoy soon: from the record of the verdict to the last user whom the candidate gets."""

import itertools
import math
from collections.abc import Iterator

from chaos.chronicle import CARRYING, Record, Story, clock
from chaos.findings import Breach, Invariant
from chaos.records import Part
from chaos.served import Served
from chaos.shares import ALL, versions
from chaos.weather import Weather


BOUND = 5.0
"""Seconds it may take while API server and Gloo answer."""
_ON_THE_WAY = frozenset(Part) - {Part.PROMETHEUS}
PUT_BACK = 12.0
"""Seconds until routes that a human gave to the candidate meanwhile have to be put back."""


def rollbacks(story: Story) -> Iterator[tuple[Record, float]]:
    """Give every record that takes users from a candidate, and until when it holds."""
    for at, (before, after) in enumerate(itertools.pairwise(story.records), start=1):
        if before.phase not in CARRYING or not before.share or before.candidate is None:
            continue
        if after.phase == "RollingBack" or (after.phase == "Preparing" and after.share == 0):
            later = (
                each.time
                for each in story.records[at + 1 :]
                if each.share and each.candidate and each.candidate.version == before.candidate.version
            )
            yield after, next(later, math.inf)


def late(story: Story, served: Served, weather: Weather) -> Iterator[Breach]:
    """Find candidates that got users long after their rollback was recorded."""
    for record, until in rollbacks(story):
        version = _left(story, record)
        peace = weather.answered_by(record.time, BOUND, story.app, _ON_THE_WAY)
        given = _given_by_others(story, version, weather)
        late = [
            time
            for time in served.times(story.app, version, peace, until)
            if not any(begin <= time <= end for begin, end in given)
        ]
        if late:
            told = f"{version} got {len(late)} requests after {clock(peace)}, the last at {clock(late[-1])}"
            last = [each for each in story.divisions if each.time <= late[-1]][-1:]
            lines = (record.words(), *(each.words() for each in last))
            yield Breach(Invariant.WAY_BACK, story.app, record.time, told, version, lines)


def delays(story: Story, served: Served, weather: Weather) -> Iterator[float]:
    """Say how many seconds each rollback in peace took until the last user was sent to the candidate."""
    for record, until in rollbacks(story):
        peace = weather.answered_by(record.time, BOUND, story.app, _ON_THE_WAY)
        if peace == record.time + BOUND:
            times = served.times(story.app, _left(story, record), record.time, min(peace, until))
            yield times[-1] - record.time if times else 0.0


def _left(story: Story, record: Record) -> str:
    at = story.records.index(record)
    candidate = story.records[at - 1].candidate
    return candidate.version if candidate else ""


def _given_by_others(story: Story, version: str, weather: Weather) -> list[tuple[float, float]]:
    """Give from when to when users may have met a version because somebody else led them to it."""
    return [
        (each.time, weather.by_then(each.time, PUT_BACK, story.app, _ON_THE_WAY))
        for each in story.divisions
        if not each.ours and versions(each.leads) & {version, ALL}
    ]
