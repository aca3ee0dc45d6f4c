"""A bad version is never promoted; a good one always is, unless what was done to it explains why not."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.chronicle import Ended, Record, Story
from chaos.findings import Breach, Invariant
from chaos.records import Deed, Part, Trait, What
from chaos.weather import Weather


SURE = 0.001
"""How unlikely a number of false rollbacks has to be until it is a breach."""
_HARMFUL = frozenset(Trait) - {Trait.GOOD}
_HURRIES = frozenset({"promote", "promote-full"})
_WAITS = frozenset({"Paused", "AwaitingApproval", "OutsideSchedule"})


@dataclass(frozen=True, slots=True)
class Release:
    """A version as it was released, and what became of it."""

    app: str
    version: str
    trait: Trait
    deed: Deed
    entry: Ended | None
    """None: no rollout of it has ended."""

    @property
    def outcome(self) -> str:
        """Name what became of it."""
        return self.entry.outcome if self.entry else "none"

    @property
    def falsely(self) -> bool:
        """It was good, and rolled back by evidence."""
        entry = self.entry
        harmful = entry is not None and entry.outcome == "RolledBack" and entry.reason.startswith("harmful")
        return self.trait is Trait.GOOD and harmful


def entries(story: Story) -> list[Ended]:
    """Give every entry that the history ever had, oldest first."""
    found: dict[tuple[object, float], Ended] = {}
    for record in story.records:
        for entry in reversed(record.history):
            found.setdefault((entry.revision, entry.started), entry)
    return sorted(found.values(), key=lambda entry: entry.ended)


def releases(story: Story, deeds: Sequence[Deed]) -> list[Release]:
    """Match what was released with what ended; every entry belongs to the release before it."""
    ours = [deed for deed in deeds if deed.what is What.RELEASE and deed.app == story.app]
    ends = entries(story)
    found = []
    for deed in ours:
        version = str(deed.details["version"])
        later = (
            each.began for each in ours if each.began > deed.began and each.details["version"] == version
        )
        until = next(later, math.inf)
        mine = [
            entry
            for entry in ends
            if entry.revision.version == version and deed.began - 1 <= entry.started < until
        ]
        best = next((each for each in mine if each.outcome == "Promoted"), mine[-1] if mine else None)
        found.append(Release(story.app, version, Trait(deed.details["trait"]), deed, best))
    return found


def promoted_although_harmful(story: Story, found: Sequence[Release]) -> Iterator[Breach]:
    """Find bad versions that were promoted without anybody's order."""
    for release in found:
        entry = release.entry
        if release.trait not in _HARMFUL or entry is None or entry.outcome != "Promoted":
            continue
        window = entry.started, entry.ended + 1
        forced = any(order.do in _HURRIES and window[0] <= order.time <= window[1] for order in story.orders)
        if not forced:
            told = f"a {release.trait} version was promoted, and nobody ordered it"
            lines = _of(story.records, entry)
            yield Breach(Invariant.HARM, story.app, entry.ended, told, release.version, lines)


def not_promoted(story: Story, found: Sequence[Release], weather: Weather) -> Iterator[Breach]:
    """Find good versions that were not promoted although nothing explains it, and rollouts without end."""
    last = story.now
    quiet = weather.of(What.QUIET)
    if quiet and last is not None and last.under_way and not _waits_for_a_human(story, last):
        version = last.candidate.version if last.candidate else ""
        seconds = quiet[-1].ended - quiet[-1].began
        told = (
            f"it is still under way {seconds:.0f} s after all faults have ended ({last.held or last.phase})"
        )
        yield Breach(Invariant.HEALTH, story.app, last.time, told, version, (last.words(),))
    for release in found:
        if release.trait is not Trait.GOOD or release.falsely or "failed" in release.deed.details:
            continue
        told = (
            _never_begun(story, release, weather) if release.entry is None else _lost(story, release, weather)
        )
        if told:
            time = release.entry.ended if release.entry else release.deed.ended
            lines = _of(story.records, release.entry) if release.entry else _last(story)
            yield Breach(Invariant.HEALTH, story.app, time, told, release.version, lines)


def too_many(found: Sequence[Release], rate: float) -> Breach | None:
    """Tell whether more good versions were rolled back by evidence than the rate lets expect."""
    judged = [
        each for each in found if each.trait is Trait.GOOD and (each.falsely or each.outcome == "Promoted")
    ]
    false = [each for each in judged if each.falsely]
    if not false or at_least(len(false), len(judged), rate) >= SURE:
        return None
    named = ", ".join(f"{each.app} {each.version}" for each in false[:5])
    told = (
        f"{len(false)} of {len(judged)} good versions were rolled back by evidence ({rate:g} may be): {named}"
    )
    first = false[0]
    return Breach(Invariant.HEALTH, first.app, first.deed.began, told, first.version)


def at_least(hits: int, trials: int, chance: float) -> float:
    """Give the probability of at least so many hits, exactly."""
    return 1 - sum(math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(hits))


def _never_begun(story: Story, release: Release, weather: Weather) -> str:
    last = story.now
    if last is None or (last.candidate and last.candidate.version == release.version and last.under_way):
        return ""  # told as a rollout without end, if it is one
    later = weather.touched(story.app, release.deed.ended, math.inf)
    displaced = any(deed.what in {What.RELEASE, What.EDIT} and deed is not release.deed for deed in later)
    if displaced or not weather.of(What.QUIET) or _waits_for_a_human(story, last):
        return ""
    return "a good version was released, and no rollout of it ever ended"


def _lost(story: Story, release: Release, weather: Weather) -> str:
    """Say why a good version should have been promoted; empty if it was, or what was done explains it."""
    entry = release.entry
    if entry is None or entry.outcome == "Promoted":
        return ""
    window = entry.started, entry.ended + 1
    if entry.outcome in {"Cancelled", "Superseded"}:
        done = weather.touched(story.app, release.deed.ended, window[1])
        explained = any(deed is not release.deed for deed in done)
        return "" if explained else f"it ended {entry.outcome} ({entry.reason}), and nobody wanted that"
    explained = _explained(story, entry, weather)
    return "" if explained else f"a good version was rolled back: {entry.reason}"


def _explained(story: Story, entry: Ended, weather: Weather) -> bool:
    begin, end = entry.started, entry.ended + 1
    match entry.reason.partition(" ")[0]:
        case "aborted":
            return any(order.do == "abort" and begin <= order.time <= end for order in story.orders)
        case "blind":
            return bool(weather.faults(begin, end, story.app))
        case "not":
            parts = {Part.KUBELET, Part.APISERVER}
            edited = any(deed.what is What.EDIT for deed in weather.touched(story.app, begin, end))
            return edited or bool(weather.faults(begin, end, story.app, parts))
        case _:
            return False


def _waits_for_a_human(story: Story, last: Record) -> bool:
    """Tell whether it is a human's turn, because humans wanted that."""
    paused = last.paused and any(order.do == "pause" for order in story.orders)
    return last.held in _WAITS and (paused or last.held != "Paused" or bool(last.spec.get("paused")))


def _of(records: Sequence[Record], entry: Ended) -> tuple[str, ...]:
    mine = [each for each in records if entry.started <= each.time <= entry.ended + 1]
    return tuple(each.words() for each in mine[-3:])


def _last(story: Story) -> tuple[str, ...]:
    return tuple(each.words() for each in story.records[-2:])
