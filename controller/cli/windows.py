"""The windows of a rollout as a table, for one metric. Pure."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from analysis.readings import Counts, Latencies, NoData, Number, Reading
from analysis.record import Record, Replayed, UnreadableRecordError, number_of, window_of
from analysis.samples import Failure
from analysis.window import Window
from config.status import Phase, Verdict
from controller.cli.grounds import dig, odds
from controller.cli.reading import printable


NARROW = 28
"""Columns that notes want beside the numbers, unless all of them are shorter."""

_STYLES = {
    str(Verdict.SAFE): "green",
    str(Verdict.HARMFUL): "bold red",
    str(Verdict.BLIND): "magenta",
}
_ALARMING = {str(Verdict.HARMFUL), str(Verdict.BLIND)}


@dataclass(frozen=True, slots=True)
class Windows:
    """What was counted in each window for one metric, and what was said then; rich prints it.

    Notes stand beside the numbers where there is room for them, otherwise below.
    """

    records: Sequence[Record]
    """Ascending."""
    metric: str
    """Its name."""
    bound: float | None
    """Of a histogram: bad is slower than this, in seconds."""
    differing: Sequence[Replayed] = ()
    """Windows that are judged otherwise now."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out for the width that there is."""
        otherwise = {number_of(each.record) for each in self.differing}
        rows = [
            _row(each, self.metric, self.bound, "comes out otherwise now" * (number_of(each) in otherwise))
            for each in self.records
        ]
        numbers = self._table(rows)
        left = options.max_width - console.measure(numbers, options=options).maximum
        if left >= min(max((len(row.note) for row in rows), default=0), NARROW):
            yield self._table(rows, beside=True)
            return
        yield numbers
        yield ""
        yield _below(rows)

    def _table(self, rows: Sequence["_Row"], *, beside: bool = False) -> Table:
        bad = "BAD" if self.bound is None else f">{self.bound:g}s"
        shown = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        shown.add_column("TIME", no_wrap=True)
        shown.add_column("WHERE", no_wrap=True)
        for name in ("REQUESTS", bad, "STABLE", bad, "ODDS"):
            shown.add_column(name, justify="right", no_wrap=True)
        shown.add_column("VERDICT", no_wrap=True)
        if beside:
            shown.add_column("NOTE", overflow="fold")
        for row in rows:
            shown.add_row(row.time, *row.cells, *([row.note] if beside else []))
        return shown


class _Row(NamedTuple):
    time: str
    cells: Sequence[str | Text]
    note: str


def _below(rows: Sequence[_Row]) -> Table:
    """List the notes by time; one that stands in several windows on end is told once."""
    notes = Table.grid(padding=(0, 2))
    notes.add_column(no_wrap=True)
    notes.add_column(overflow="fold")
    for note, run in itertools.groupby(rows, key=lambda row: row.note):
        first, *others = run
        if note:
            notes.add_row(f"{first.time} to {others[-1].time}" if others else first.time, note)
    return notes


def _row(record: Record, metric: str, bound: float | None, note: str) -> _Row:
    try:
        window = window_of(record)
    except UnreadableRecordError as error:
        return _Row("-", [""] * 7, printable(str(error)))
    reading = window.readings.get(metric)
    candidate, stable = (reading.candidate, reading.stable) if reading else (NoData("not measured"),) * 2
    verdict = printable(str(dig(record, "said", "verdict")))
    notes = [
        note,
        "" if window.settled else "settling",
        *_notes(candidate, stable),
        _by_other(record, metric),
    ]
    cells: list[str | Text] = [
        _where(window),
        *_cells(candidate, bound),
        *_cells(stable, bound),
        _odds(dig(record, "said", "metrics", metric, "odds")),
        Text(verdict, _STYLES.get(verdict, "")),
    ]
    return _Row(f"{window.until:%H:%M:%S}", cells, printable("; ".join(filter(None, notes))))


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
