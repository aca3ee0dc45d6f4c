"""No request of a user fails for another reason than what was released or what was broken."""

import itertools
import math
from collections.abc import Iterator, Sequence

from chaos.chronicle import CARRYING, Story, clock
from chaos.findings import Breach, Invariant
from chaos.records import Part, Second, Trait, What
from chaos.served import Served
from chaos.weather import Weather


NOBODY = "none"
FAREWELL = 15.0
"""Seconds within which requests that were under way when something broke may still fail."""
_DATA_PATH = frozenset({Part.ENVOY, Part.KUBELET})
_ILL = frozenset({Trait.BAD, Trait.CRASHING, Trait.SLOW})


def failures(second: Second) -> dict[str, int]:
    """Count what failed, by the version that answered: no answer, or a code that is no success."""
    found = {
        version: sum(count for code, count in codes.items() if not _fine(code))
        for version, codes in second.codes.items()
    }
    return {version: count for version, count in found.items() if count}


def unexplained(
    story: Story, seconds: Sequence[Second], served: Served, weather: Weather
) -> Iterator[Breach]:
    """Find failed requests that nothing explains: of each uninterrupted run of them the first."""
    until = -math.inf
    for second in seconds:
        for version, count in failures(second).items():
            if _explained(story, second, version, served, weather):
                continue
            if second.began > until:
                told = f"{count} requests failed ({_codes(second, version)}), answered by {version}"
                lines = (f"{clock(second.began)} {dict(second.codes)}", *_around(story, second.began))
                release = "" if version == NOBODY else version
                yield Breach(Invariant.USERS, story.app, second.began, told, release, lines)
            until = second.ended + 2


def _explained(story: Story, second: Second, version: str, served: Served, weather: Weather) -> bool:
    begin, end = second.began - FAREWELL, second.ended
    if weather.faults(begin, end, story.app, _DATA_PATH):
        return True
    ill = {
        str(deed.details["version"])
        for deed in weather.of(What.RELEASE, story.app)
        if Trait(deed.details["trait"]) in _ILL and deed.began <= end
    }
    if version != NOBODY:
        return version in ill
    exposed = any(_exposed(story, each, second, begin) for each in ill)
    met = not second.testers and any(served.times(story.app, each, begin, end) for each in ill)
    return exposed or met or _pods_taken(story, begin, end)


def _exposed(story: Story, version: str, second: Second, begin: float) -> bool:
    """Tell whether a version was a candidate that these users or testers may have been led to."""
    ends = [*(record.time for record in story.records[1:]), math.inf]
    return any(
        record.phase in CARRYING
        and (second.testers or record.share > 0)
        and record.candidate is not None
        and record.candidate.version == version
        and record.time <= second.ended
        and begin <= until
        for record, until in zip(story.records, ends, strict=True)
    )


def _pods_taken(story: Story, begin: float, end: float) -> bool:
    """Tell whether somebody else stopped or replaced pods that ran."""
    return any(
        earlier.replicas > 0 and (later.hash, later.replicas) != (earlier.hash, earlier.replicas)
        for templates in story.templates.values()
        for earlier, later in itertools.pairwise(templates)
        if not later.ours and begin <= later.time <= end
    )


def _fine(code: str) -> bool:
    return code.isdigit() and 200 <= int(code) < 400


def _codes(second: Second, version: str) -> str:
    return ", ".join(f"{code}: {count}" for code, count in second.codes[version].items() if not _fine(code))


def _around(story: Story, time: float) -> tuple[str, ...]:
    """Give what was recorded and written last before a moment."""
    records = [each for each in story.records if each.time <= time + 1]
    divisions = [each for each in story.divisions if each.time <= time + 1]
    return (*(each.words() for each in records[-1:]), *(each.words() for each in divisions[-1:]))
