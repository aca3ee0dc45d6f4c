"""What a backtest found, in words, as tables and as data. Pure."""

import datetime as dt
from collections.abc import Iterator

from analysis.backtest import Backtest, Release
from analysis.itself import Itself
from analysis.survey import WINDOWS
from config.quantities import format_duration, format_share
from controller.cli.tables import short, table


_MOST_TOLD = 5
"""Pretended rollouts that were rolled back."""


def as_text(name: str, found: Backtest) -> str:
    """Write everything for people: what it comes to, then each release, then stable against itself."""
    paragraphs = [list(_releases(name, found)), _table(found), list(_itself(found))]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def as_document(name: str, found: Backtest) -> dict[str, object]:
    """Give everything for programs; times in UTC, durations in seconds, shares from 0 to 1."""
    return {
        "canary": name,
        "since": _when(found.task.since),
        "until": _when(found.task.until),
        "versions": list(found.versions),
        "releases": [_release(each) for each in found.releases],
        "stableAgainstItself": _pretended(found.itself),
    }


def verdict(release: Release) -> str:
    """Say in a word or two what would have become of a release."""
    if release.problem:
        return "not judged"
    if release.rolled_back is not None:
        return "rolled back"
    if not release.requests:
        return "not measured"
    return "mostly blind" if 2 * release.blind > release.windows else "passed"


def _releases(name: str, found: Backtest) -> Iterator[str]:
    span = short(found.task.until - found.task.since)
    if not found.releases:
        yield f"{name}: no release in {span}; {', '.join(found.versions)} served all the time"
        return
    bad = [each for each in found.releases if each.rolled_back is not None]
    plural = "release" if len(found.releases) == 1 else "releases"
    which = "none" if not bad else str(len(bad))
    yield f"{name}: of {len(found.releases)} {plural} in {span} it would have rolled back {which}"
    for each in bad:
        at = f"{each.rolled_back:%Y-%m-%d %H:%M}"
        yield f"  {each.version} on {at}, {_after(each)} after its first request: {each.because}"
    yield "Times are in UTC. Which of them were really bad is for you to compare."


def _table(found: Backtest) -> list[str]:
    if not found.releases:
        return []
    rows = [("RELEASE", "AFTER", "FIRST REQUEST", "JUDGED", "REQUESTS", "VERDICT", "IN", "MOST AGAINST IT")]
    rows += [
        (
            each.version,
            each.stable,
            f"{each.first_request:%Y-%m-%d %H:%M}" if each.first_request else "",
            short(each.end - each.begin),
            f"{each.requests:,}",
            verdict(each),
            _after(each),
            _against(each),
        )
        for each in found.releases
    ]
    reasons = [f"{each.version}: {each.problem}" for each in found.releases if each.problem]
    return [*table(rows)[0], *reasons]


def _itself(found: Backtest) -> Iterator[str]:
    itself = found.itself
    if not itself.rollouts:
        least = f"{WINDOWS} windows with at least two pods, and a rollout's after them"
        yield f"Stable against itself: not tried; it takes {least}"
        if itself.undivided:
            yield f"  in {itself.undivided:,} windows there were not two pods"
        return
    low, high = itself.interval
    bad = len(itself.rolled_back)
    yield (
        f"Stable against itself, its pods in two halves: {bad:,} of {itself.rollouts:,} pretended rollouts "
        f"of {format_duration(itself.length)} rolled back"
    )
    allowed = found.task.analysis.false_rollback_rate
    yield (
        f"  false rollbacks {_percent(bad / itself.rollouts)}, 95% sure that {_percent(low)} to "
        f"{_percent(high)}; falseRollbackRate is {format_share(allowed)}"
    )
    if low > allowed:
        yield "  More than allowed: do the pods differ, or does stable itself exceed a limit? See below."
    yield (
        f"  {itself.windows:,} windows of {format_duration(itself.step)}: "
        f"{_percent(itself.leaning / itself.windows)} leaned towards harm, "
        f"{_percent(itself.blind / itself.windows)} could not be measured"
    )
    if itself.undivided:
        yield f"  {itself.undivided:,} more were left out: there were not two pods to compare"
    for each in itself.rolled_back[:_MOST_TOLD]:
        yield f"  {each.version} on {each.at:%Y-%m-%d %H:%M}: {each.because}"
    if bad > _MOST_TOLD:
        yield f"  and {bad - _MOST_TOLD:,} more"


def _after(release: Release) -> str:
    if release.rolled_back is None or release.first_request is None:
        return ""
    return short(release.rolled_back - release.first_request)


def _against(release: Release) -> str:
    if release.odds is None:
        return ""
    return f"{release.metric}, odds {f'{release.odds:,.0f}:1' if release.odds >= 1 else 'under 1:1'}"


def _release(release: Release) -> dict[str, object]:
    return {
        "version": release.version,
        "stable": release.stable,
        "verdict": verdict(release),
        "firstRequest": _when(release.first_request),
        "rolledBack": _when(release.rolled_back),
        "judgedFrom": _when(release.begin),
        "judgedUntil": _when(release.end),
        "because": release.problem or release.because,
        "metric": release.metric,
        "odds": release.odds,
        "requests": release.requests,
        "value": release.value,
        "stableRequests": release.stable_requests,
        "stableValue": release.stable_value,
        "windows": {"judged": release.windows, "blind": release.blind, "leaning": release.leaning},
    }


def _pretended(itself: Itself) -> dict[str, object]:
    low, high = itself.interval
    return {
        "rollouts": itself.rollouts,
        "rolledBack": [
            {"version": each.version, "at": _when(each.at), "because": each.because}
            for each in itself.rolled_back
        ],
        "interval95": [low, high],
        "windowSeconds": itself.step.total_seconds(),
        "rolloutSeconds": itself.length.total_seconds(),
        "windows": {
            "judged": itself.windows,
            "blind": itself.blind,
            "leaning": itself.leaning,
            "undivided": itself.undivided,
        },
    }


def _when(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None


def _percent(share: float) -> str:
    """Write a share; what is more than nothing never as 0%."""
    return "<0.01%" if 0 < share < 0.0001 else f"{share * 100:.2g}%" if share < 0.995 else "100%"
