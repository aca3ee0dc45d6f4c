"""Windows as people and programs can read them later, and the same verdicts from them again.

A record is JSON, made to be read by people too. It holds what was counted;
what was said of it is kept beside that, so that a replay can be held against it.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from pydantic import TypeAdapter

from analysis.judge import judge
from analysis.readings import Counts, Latencies, MetricReading, NoData, Number, Reading
from analysis.samples import Failure
from analysis.verdict import Judgement, Memory
from analysis.window import Window
from config.metrics import Analysis
from config.status import Phase


Record = dict[str, Any]

_MEMORY = TypeAdapter(Memory)


class UnreadableRecordError(ValueError):
    """A record that this version did not write; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A window judged once more."""

    record: Record
    judgement: Judgement
    differs: str
    """What comes out otherwise than it was said; empty if nothing does."""


def begin(memory: Memory, analysis: Analysis) -> Record:
    """Write down what the tests know before the next window; before the first one it has number 0."""
    return beginning(memory, name_of(analysis))


def beginning(memory: Memory, settings: str) -> Record:
    """Do the same, with settings that have their name already."""
    return {
        "number": memory.weighed.windows,
        "analysis": settings,
        "memory": _MEMORY.dump_python(memory, mode="json", by_alias=True, exclude_defaults=True),
    }


def record(window: Window, judgement: Judgement, analysis: Analysis) -> Record:
    """Write down a window, and what was said of it."""
    return {
        "number": judgement.memory.weighed.windows,
        "analysis": name_of(analysis),
        **({} if window.since is None else {"since": window.since.isoformat()}),
        "until": window.until.isoformat(),
        "phase": str(window.phase),
        "weight": window.weight,
        "settled": window.settled,
        **({"testers": True} if window.testers else {}),
        "readings": {
            name: {"candidate": _written(reading.candidate), "stable": _written(reading.stable)}
            for name, reading in window.readings.items()
        },
        "said": said(judgement),
    }


def said(judgement: Judgement) -> Record:
    """Give what a replay has to come to again: verdicts, reasons and odds.

    `sum` stands for everything that the tests know then, to the last digit.
    """
    return {
        "verdict": str(judgement.verdict),
        "because": judgement.because,
        **({} if judgement.waits_for is None else {"waitsFor": str(judgement.waits_for)}),
        "metrics": {
            metric.name: {
                "verdict": str(metric.verdict),
                **({} if metric.odds is None else {"odds": metric.odds}),
            }
            for metric in judgement.memory.metrics
        },
        "sum": _fingerprint(judgement.memory),
    }


def name_of(analysis: Analysis) -> str:
    """Name the settings by which a window was judged: 8 hex digits, the same for the same settings."""
    return _digest(analysis.model_dump_json(by_alias=True))


def memory_of(beginning: Record) -> Memory:
    """Read back what the tests knew.

    Raises:
        UnreadableRecordError: `begin` made no such record.

    """
    try:
        return _MEMORY.validate_python(beginning["memory"])
    except (LookupError, TypeError, ValueError) as error:
        raise UnreadableRecordError(f"the beginning cannot be read: {_first_line(error)}") from error


def window_of(written: Record) -> Window:
    """Read a window back; which queries were sent is not part of it.

    Raises:
        UnreadableRecordError: `record` made no such record.

    """
    try:
        since = written.get("since")
        return Window(
            since=None if since is None else dt.datetime.fromisoformat(since),
            until=dt.datetime.fromisoformat(written["until"]),
            phase=Phase(written["phase"]),
            weight=int(written["weight"]),
            settled=bool(written["settled"]),
            testers=bool(written.get("testers")),
            readings={
                name: MetricReading(_read(both["candidate"]), _read(both["stable"]), "")
                for name, both in written["readings"].items()
            },
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableRecordError(f"{_called(written)} cannot be read: {_first_line(error)}") from error


def replay(
    beginning: Record, records: Iterable[Record], analyses: Mapping[str, Analysis]
) -> Iterator[Replayed]:
    """Judge windows again, in order, by nothing but what was stored.

    Those that had been judged at the beginning are passed over.

    Args:
        beginning: As `begin` made it.
        records: As `record` made them, in any number, ascending.
        analyses: The settings, by name.

    Raises:
        UnreadableRecordError: a record that cannot be read or is missing, or whose settings are.

    """
    memory = memory_of(beginning)
    for each in records:
        number, due = number_of(each), memory.weighed.windows + 1
        if number < due:
            continue
        if number > due:
            raise UnreadableRecordError(f"window {due} is missing")
        analysis = analyses.get(str(each.get("analysis")))
        if analysis is None:
            raise UnreadableRecordError(
                f"{_called(each)}: the settings {each.get('analysis')} that it was judged by are missing"
            )
        judgement = _judged(analysis, memory, each)
        memory = judgement.memory
        yield Replayed(each, judgement, _difference(each.get("said"), said(judgement)))


def compact(beginning: Record, records: Iterable[Record], analyses: Mapping[str, Analysis]) -> Record:
    """Move the beginning behind these windows, so that they need not be kept; see `replay`."""
    for each in replay(beginning, records, analyses):
        beginning = begin(each.judgement.memory, analyses[each.record["analysis"]])
    return beginning


def number_of(written: Record) -> int:
    """Give a record's place in its rollout; 0 is the beginning.

    Raises:
        UnreadableRecordError: it has none.

    """
    number = written.get("number")
    if not isinstance(number, int):
        raise UnreadableRecordError(f"a record without a number: {_short(written)}")
    return number


def _judged(analysis: Analysis, memory: Memory, written: Record) -> Judgement:
    window = window_of(written)
    if missing := [metric.name for metric in analysis.metrics if metric.name not in window.readings]:
        raise UnreadableRecordError(f"{_called(written)} has nothing about {missing[0]}")
    try:
        return judge(analysis, memory, window)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UnreadableRecordError(f"{_called(written)} cannot be judged: {_first_line(error)}") from error


def _difference(before: object, again: Record) -> str:
    if not isinstance(before, Mapping):
        return "what was said of it is missing"
    old, new = _flat(before), _flat(again)
    differing = [place for place in dict.fromkeys((*new, *old)) if old.get(place) != new.get(place)]
    return "; ".join(
        f"{place}: said {_short(old.get(place))}, now {_short(new.get(place))}" for place in differing
    )


def _flat(said: Mapping[str, Any]) -> dict[str, object]:
    """Give what was said by its place: `verdict`, `errors odds`."""
    found = {place: value for place, value in said.items() if place != "metrics"}
    for name, metric in _items(said.get("metrics")):
        found.update({f"{name} {place}": value for place, value in _items(metric)})
    return found


def _items(value: object) -> Iterable[tuple[str, object]]:
    return value.items() if isinstance(value, Mapping) else ()


def _called(written: Record) -> str:
    return f"window {written.get('number')}"


def _first_line(error: Exception) -> str:
    named = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return named.partition("\n")[0]


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:200]


def _fingerprint(memory: Memory) -> str:
    document = _MEMORY.dump_python(memory, mode="json", by_alias=True, exclude_defaults=True)
    for metric in document.get("metrics", ()):
        metric.pop("query", None)
    return _digest(json.dumps(document, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _written(reading: Reading) -> Record:
    match reading:
        case Counts(requests, bad, note, series):
            return {"requests": requests, "bad": bad, **_aside(note, series=series)}
        case Latencies(requests, slower, note, series):
            slow = [list(each) for each in slower]
            return {"requests": requests, "slower": slow, **_aside(note, series=series)}
        case Number(value):
            return {"value": value}
        case NoData():
            return {"noData": reading.reason}
        case Failure():
            return {"failed": reading.reason, **({"refused": True} if reading.refused else {})}
        case _:
            assert_never(reading)


def _aside(note: str, *, series: bool) -> Record:
    return {**({"note": note} if note else {}), **({} if series else {"series": False})}


def _read(written: Record) -> Reading:
    match written:
        case {"requests": requests, "bad": bad}:
            return Counts(int(requests), int(bad), written.get("note", ""), written.get("series", True))
        case {"requests": requests, "slower": slower}:
            slow = tuple((float(bound), int(count)) for bound, count in slower)
            return Latencies(int(requests), slow, written.get("note", ""), written.get("series", True))
        case {"value": value}:
            return Number(float(value))
        case {"noData": reason}:
            return NoData(str(reason))
        case {"failed": reason}:
            return Failure(str(reason), refused=bool(written.get("refused")))
        case _:
            raise UnreadableRecordError(f"no reading: {_short(written)}")
