"""The windows of a rollout as a table, for one metric. Pure."""

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from analysis.readings import Counts, Latencies, NoData, Number, Reading
from analysis.record import Record, Replayed, UnreadableRecordError, number_of, window_of
from analysis.samples import Failure
from analysis.window import Window
from config.status import Phase, Verdict
from controller.cli.grounds import dig, odds
from controller.cli.reading import printable


_STYLES = {
    str(Verdict.SAFE): "green",
    str(Verdict.HARMFUL): "bold red",
    str(Verdict.BLIND): "magenta",
}
_ALARMING = {str(Verdict.HARMFUL), str(Verdict.BLIND)}


def windows_table(
    windows: Sequence[Record], metric: str, bound: float | None, differing: Sequence[Replayed]
) -> Table:
    """Show what was counted in each window for one metric, and what was said then.

    Args:
        windows: Ascending.
        metric: Its name.
        bound: Of a histogram: bad is slower than this, in seconds.
        differing: Windows that are judged otherwise now.

    """
    bad = "BAD" if bound is None else f">{bound:g}s"
    shown = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    shown.add_column("TIME", no_wrap=True)
    shown.add_column("WHERE", no_wrap=True)
    for name in ("REQUESTS", bad, "STABLE", bad, "ODDS"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("VERDICT", no_wrap=True)
    shown.add_column("NOTE", overflow="fold")
    otherwise = {number_of(each.record) for each in differing}
    for each in windows:
        note = "comes out otherwise now" if number_of(each) in otherwise else ""
        shown.add_row(*_row(each, metric, bound, note))
    return shown


def _row(record: Record, metric: str, bound: float | None, note: str) -> list[str | Text]:
    try:
        window = window_of(record)
    except UnreadableRecordError as error:
        return ["-", "", "", "", "", "", "", "", printable(str(error))]
    reading = window.readings.get(metric)
    candidate, stable = (reading.candidate, reading.stable) if reading else (NoData("not measured"),) * 2
    verdict = printable(str(dig(record, "said", "verdict")))
    notes = [
        note,
        "" if window.settled else "settling",
        *_notes(candidate, stable),
        _by_other(record, metric),
    ]
    return [
        f"{window.until:%H:%M:%S}",
        _where(window),
        *_cells(candidate, bound),
        *_cells(stable, bound),
        _odds(dig(record, "said", "metrics", metric, "odds")),
        Text(verdict, _STYLES.get(verdict, "")),
        printable("; ".join(filter(None, notes))),
    ]


def _where(window: Window) -> str:
    return f"{window.weight}%" if window.phase is Phase.SHIFTING else str(window.phase)


def _cells(reading: Reading, bound: float | None) -> tuple[str, str]:
    match reading:
        case Counts(requests=requests, bad=bad):
            return f"{requests:,}", f"{bad:,}"
        case Latencies(requests=requests, slower=slower):
            slow = dict(slower).get(bound) if bound is not None else None
            return f"{requests:,}", "-" if slow is None else f"{slow:,}"
        case Number(value=value):
            return f"{value:.4g}", ""
        case NoData() | Failure():
            return "-", "-"


def _notes(candidate: Reading, stable: Reading) -> list[str]:
    """Say why something was not measured; once if it is the same for both versions."""
    found = dict.fromkeys(filter(None, (_note(candidate), _note(stable))))
    both = _note(candidate) == _note(stable)
    return list(found) if both or not _note(stable) else [_note(candidate), f"stable: {_note(stable)}"]


def _note(reading: Reading) -> str:
    match reading:
        case Counts(note=note) | Latencies(note=note):
            return note
        case NoData(reason=reason) | Failure(reason=reason):
            return reason
        case Number():
            return ""


def _by_other(record: Record, metric: str) -> str:
    """Say which other metric rolls back, or cannot be measured."""
    own, whole = dig(record, "said", "metrics", metric, "verdict"), dig(record, "said", "verdict")
    if own == whole or whole not in _ALARMING:
        return ""
    return f"because of {str(dig(record, 'said', 'because')).partition(':')[0]}"


def _odds(found: object) -> str:
    return odds(math.log(found)) if isinstance(found, int | float) and found > 0 else "-"
