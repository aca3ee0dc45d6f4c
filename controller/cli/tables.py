"""Columns of text as kubectl prints them, and the rows of Canaries. Pure."""

import datetime as dt
from collections.abc import Sequence

from config.status import HistoryEntry
from controller.cli.reading import Canary


GAP = "   "


def table(rows: Sequence[Sequence[str]], *, least: Sequence[int] = ()) -> tuple[list[str], list[int]]:
    """Align rows of equal length; give the lines and the columns' widths.

    `least` are widths to begin with, so that lines of a later call stand below these.
    """
    count = len(rows[0]) if rows else 0
    least = [*least, *([0] * count)]
    widths = [max([least[at], *(len(row[at]) for row in rows)]) for at in range(count)]
    lines = [GAP.join(cell.ljust(widths[at]) for at, cell in enumerate(row)).rstrip() for row in rows]
    return lines, widths


def canary_row(canary: Canary, now: dt.datetime, *, wide: bool) -> dict[str, str]:
    """Give a Canary's cells by column."""
    status = canary.status
    seen = "" if status.weight_seen is None else str(status.weight_seen)
    extra = {
        "SEEN": seen,
        "HELD": str(status.held.reason) if status.held else "",
        "REQUESTS": str(status.requests) if status.candidate else "",
    }
    return {
        "NAMESPACE": canary.key.namespace,
        "NAME": canary.key.name,
        "PHASE": "Invalid" if canary.problem else str(status.phase),
        "WEIGHT": str(status.weight),
        "STEP": status.step,
        "VERDICT": str(status.verdict or ""),
        "STABLE": status.stable.version if status.stable else "",
        "CANDIDATE": status.candidate.version if status.candidate else "",
        **(extra if wide else {}),
        "AGE": _age(canary, now),
        "REASON": canary.sentence,
    }


def history_row(entry: HistoryEntry, now: dt.datetime) -> dict[str, str]:
    """Give the cells of a rollout that has ended."""
    return {
        "REVISION": str(entry.revision),
        "OUTCOME": str(entry.outcome),
        "WEIGHT": f"{entry.highest_weight}%",
        "REQUESTS": str(entry.requests),
        "BAD": str(entry.bad),
        "TOOK": short(entry.ended_at - entry.started_at),
        "ENDED": f"{short(now - entry.ended_at)} ago",
        "BY": entry.by,
        "REASON": why(entry),
    }


def why(entry: HistoryEntry) -> str:
    """Say why a rollout ended as it did, and what a dry run would have done instead."""
    return f"{entry.reason}; {entry.would_have}" if entry.would_have else entry.reason


def short(duration: dt.timedelta) -> str:
    """Write a duration in its one or two largest units, as kubectl does: `42s`, `5m10s`, `3h`, `12d`."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 3:
        return f"{hours * 60 + minutes}m"
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


def _age(canary: Canary, now: dt.datetime) -> str:
    created = canary.metadata.get("creationTimestamp")
    return short(now - dt.datetime.fromisoformat(created)) if created else ""
