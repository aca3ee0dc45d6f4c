"""Every rollout has one entry in the history, which tells what happened."""

import itertools
from collections.abc import Iterator

from chaos.chronicle import Division, Ended, Record, Revision, Story, clock
from chaos.findings import Breach, Invariant
from chaos.shares import Lead, versions
from chaos.weather import Weather


SOON = 5.0
"""Seconds between the decision, which is what times in a status are of, and the record of it."""
KEPT = 10
"""Entries that a status keeps."""


def untrue(story: Story, weather: Weather) -> Iterator[Breach]:
    """Find entries that do not tell what the records before them say, and rollouts without one."""
    for before, after in itertools.pairwise(story.records):
        told = _appended(before, after)
        entry = after.history[0] if after.history != before.history and after.history else None
        if not told and entry is not None:
            told = _wrong(story, before, after, entry) or _untimely(story, before, after, entry, weather)
        if told:
            release = entry.revision.version if entry else ""
            lines = before.words(), after.words()
            yield Breach(Invariant.HISTORY, story.app, after.time, told, release, lines)


def _appended(before: Record, after: Record) -> str:
    """Say what is wrong with how the history grew; it grows by one, and only when a rollout ends."""
    if before.history == after.history:
        return f"{_name(before)} ended without an entry" if _over(before, after) else ""
    if after.history[1:] != before.history[: KEPT - 1]:
        return f"the history lost or changed what it told before: {_list(before)} became {_list(after)}"
    return "" if before.under_way else f"an entry was added, but no rollout was under way ({before.phase})"


def _over(before: Record, after: Record) -> bool:
    """Tell whether a rollout was under way before and is not the one that is under way now."""
    return before.under_way and (not after.under_way or _identity(before) != _identity(after))


def _identity(record: Record) -> tuple[Revision | None, float]:
    return record.candidate, record.started


def _name(record: Record) -> str:
    return f"the rollout of {record.candidate.version if record.candidate else 'nothing'}"


def _list(record: Record) -> str:
    return ", ".join(f"{each.revision.version} {each.outcome}" for each in record.history) or "nothing"


def _wrong(story: Story, before: Record, after: Record, entry: Ended) -> str:
    """Say where an entry differs from the rollout that it is about."""
    mine = [each for each in story.records if each.under_way and _identity(each) == _identity(before)]
    highest = max((each.weight for each in mine if each.phase != "RollingBack"), default=0)
    wrong = (
        ("its revision", entry.revision, before.candidate),
        ("its beginning", entry.started, before.started),
        ("its highest weight", entry.highest, highest),
        ("its outcome", entry.outcome, _outcome(story, before, after)),
    )
    for what, there, right in wrong:
        if there != right:
            return f"the entry of {entry.revision.version} says {what} was {there}, but it was {right}"
    return ""


def _untimely(story: Story, before: Record, after: Record, entry: Ended, weather: Weather) -> str:
    """Say which time of an entry is not the one at which it was recorded."""
    begun = next(each.time for each in story.records if _identity(each) == _identity(before))
    if not entry.started <= begun <= weather.by_then(entry.started, SOON, story.app):
        return (
            f"the entry says that it began at {clock(entry.started)}, but it was recorded at {clock(begun)}"
        )
    lately = entry.ended <= after.time <= weather.by_then(entry.ended, SOON, story.app)
    if entry.ended < max(before.time - SOON, entry.started) or not lately:
        return f"the entry says that it ended at {clock(entry.ended)}, recorded at {clock(after.time)}"
    return ""


def _outcome(story: Story, before: Record, after: Record) -> str:
    """Give the outcome that the records and the routes tell."""
    version = before.candidate.version if before.candidate else ""
    led = [each.leads for each in _standing(story, after.time)]
    if after.phase == "Promoted" and after.stable == before.candidate:
        whole = all(version in versions(leads) and not any(map(_is_split, leads)) for leads in led)
        return "Promoted" if whole else f"not Promoted, since not all routes lead to {version}"
    if before.phase == "RollingBack" and after.phase == "RolledBack":
        if any(version in versions(leads) for leads in led):
            return f"not {before.ending}, since a route still leads to {version}"
        return before.ending or "Cancelled"
    return "Superseded"


def _standing(story: Story, time: float) -> list[Division]:
    """Give how the objects divided that Crossfade was the last to change, at a time."""
    last = {each.key: each for each in story.divisions if each.time <= time}
    return [each for each in last.values() if each.ours]


def _is_split(lead: Lead) -> bool:
    return len({part.version for part in lead.parts if part.version is not None and part.weight}) > 1
