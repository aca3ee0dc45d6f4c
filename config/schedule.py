"""When the weight may rise: weekly windows and dated ones, on the clocks of the place that they name.

The clock on a wall is no line: in spring it jumps over an hour, in autumn it
shows one twice. A time that is jumped over is the moment of the jump. Of a time
that is shown twice the careful one counts: a window in which weight may rise
opens with the second and closes with the first, a freeze the other way round.
"""

import datetime as dt
import difflib
import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from config.model import Model, rules
from config.problems import FieldError, found


Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

_DAYS: tuple[Day, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ONE_DAY = dt.timedelta(days=1)
_AHEAD = 9
"""Days within which a weekly window begins again, whatever the clocks do."""
_PATIENCE = 100
"""Windows that are looked at in turn before none counts as being in sight."""

_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE = r"20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MOMENT = rf"^(?:{_CLOCK}|24:00|{_DATE}T{_CLOCK})$"
_EXAMPLES = 'a time of day looks like "09:00", a date like "2026-12-20T00:00"'
_MIXED = "from and to are both times of day (09:00) or both dates (2026-12-20T00:00)"
_EMPTY = "from and to are the same; a whole day is from 00:00 to 24:00"
_BACKWARDS = "to is not after from; a dated window ends after it begins"
_UNDATED = "days go with times of day; leave them out beside dates"
_NONE = "name at least one window in allow or freeze"
_LATE = '24:00 ends a day; as a beginning write "00:00"'


def _moment_text(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_MOMENT, value):
        raise ValueError(f"{found(value)}; {_EXAMPLES}, in quotes")
    if "T" in value:
        try:
            dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"{found(value)}; there is no such day") from error
    return value


def _known_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        known = zoneinfo.available_timezones()
        near = difflib.get_close_matches(name, sorted(known), n=1) or ["Europe/Berlin"]
        raise ValueError(f"found {name!r}; a time zone looks like {near[0]} or UTC") from error
    return name


Moment = Annotated[
    str,
    BeforeValidator(_moment_text),
    WithJsonSchema({"type": "string", "pattern": _MOMENT.replace("?:", ""), "maxLength": 16}),
]
Zone = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_known_zone)]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time: it begins with `start`, and `end` is the first moment after it; both in UTC."""

    start: dt.datetime
    end: dt.datetime
    zone: str
    """The time zone that people named it in."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing may rise before `until`, in UTC; None: no window is in sight."""

    until: dt.datetime | None
    zone: str

    def words(self, now: dt.datetime) -> str:
        """Say it for people: `until Mon 09:00 Europe/Berlin`, with the date from a week on."""
        if self.until is None:
            return "and no window is in sight"
        there = self.until.astimezone(zoneinfo.ZoneInfo(self.zone))
        date = f" {there:%Y-%m-%d}" if self.until - now >= 6 * _ONE_DAY else ""
        return f"until {_DAYS[there.weekday()]}{date} {there:%H:%M} {self.zone}"


class Window(Model):
    """Hours of some days of every week, or one stretch of time between two dates."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.from.contains('T') == self.to.contains('T')", _MIXED),
            ("self.from != self.to", _EMPTY),
            ("self.from != '24:00'", _LATE),
            ("!self.from.contains('T') || !self.to.contains('T') || self.from <= self.to", _BACKWARDS),
            ("!has(self.days) || !self.from.contains('T')", _UNDATED),
        )
    )

    days: tuple[Day, ...] = Field(default=(), max_length=7)
    """Of a weekly window: the days on which it begins, such as [Mon, Tue]; default: every day."""
    from_: Moment = Field(alias="from")
    """When it begins: "09:00", or "2026-12-20T00:00" for a window that comes once."""
    to: Moment
    """The first moment after it, in the same form; a time of day before `from` is one of the next day."""
    timezone: Zone = "UTC"
    """Whose clocks these times are read on, such as Europe/Berlin; summer time is followed."""

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if ("T" in self.from_) != ("T" in self.to):
            raise FieldError(f"found {self.to!r} beside from {self.from_!r}; {_MIXED}", "to")
        if self.from_ == self.to:
            raise FieldError(f"found {self.to!r}; {_EMPTY}", "to")
        if self.from_ == "24:00":
            raise FieldError(f"found '24:00'; {_LATE}", "from")
        if "T" in self.from_ and self.to < self.from_:
            raise FieldError(f"found {self.to!r}; {_BACKWARDS}", "to")
        if "T" in self.from_ and self.days:
            raise FieldError(f"found a list of {len(self.days)}; {_UNDATED}", "days")
        for at, day in enumerate(self.days):
            if day in self.days[:at]:
                raise FieldError(f"{day} is named twice", "days", at)
        return self

    def spans(self, around: dt.datetime, *, freezing: bool) -> Iterator[Span]:
        """Give what of it may cover `around` or come next, in order; a freeze takes the longer way."""
        zone = zoneinfo.ZoneInfo(self.timezone)
        for begin, finish in self._on_the_wall(around.astimezone(zone).date()):
            start = _instant(begin, zone, second=not freezing)
            end = _instant(finish, zone, second=freezing)
            if start < end:
                yield Span(start, end, self.timezone)

    def _on_the_wall(self, today: dt.date) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        if "T" in self.from_:
            yield dt.datetime.fromisoformat(self.from_), dt.datetime.fromisoformat(self.to)
            return
        for ahead in range(-1, _AHEAD):
            day = today + ahead * _ONE_DAY
            if self.days and _DAYS[day.weekday()] not in self.days:
                continue
            last = day + _ONE_DAY if self.to <= self.from_ else day
            yield _at(day, self.from_), _at(last, self.to)


def _schema_of_schedule(schema: dict[str, Any]) -> None:
    schema |= rules(("has(self.allow) || has(self.freeze)", _NONE))


class Schedule(Model):
    """When the candidate may be given more; going back is always allowed, and so is what follows 100%."""

    model_config = ConfigDict(json_schema_extra=_schema_of_schedule)

    allow: tuple[Window, ...] = Field(default=(), max_length=32)
    """The weight may rise within any of these only; default: at any time."""
    freeze: tuple[Window, ...] = Field(default=(), max_length=32)
    """It may not rise within any of these, whatever `allow` says."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.allow and not self.freeze:
            raise ValueError(f"found no window; {_NONE}")
        return self

    def closed(self, now: dt.datetime) -> Closed | None:
        """Say until when nothing may rise; None: it may now."""
        moment, zone = now, ""
        for _ in range(_PATIENCE):
            if (frozen := _covering(self.freeze, moment, freezing=True)) is not None:
                moment, zone = frozen.end, frozen.zone
            elif not self.allow or _covering(self.allow, moment, freezing=False) is not None:
                return Closed(moment, zone) if zone else None
            elif (ahead := _next(self.allow, moment)) is not None:
                moment, zone = ahead.start, ahead.zone
            else:
                break
        return Closed(None, zone)


def _covering(windows: Sequence[Window], moment: dt.datetime, *, freezing: bool) -> Span | None:
    """Find the window that a moment lies in; of several the one that lasts longest."""
    spans = (span for window in windows for span in window.spans(moment, freezing=freezing))
    covering = (span for span in spans if span.start <= moment < span.end)
    return max(covering, key=lambda span: span.end, default=None)


def _next(windows: Sequence[Window], moment: dt.datetime) -> Span | None:
    spans = (span for window in windows for span in window.spans(moment, freezing=False))
    return min((span for span in spans if span.start > moment), key=lambda span: span.start, default=None)


def _at(day: dt.date, clock: str) -> dt.datetime:
    if clock == "24:00":
        return dt.datetime.combine(day + _ONE_DAY, dt.time())
    return dt.datetime.combine(day, dt.time.fromisoformat(clock))


def _instant(wall: dt.datetime, zone: zoneinfo.ZoneInfo, *, second: bool) -> dt.datetime:
    """Say when a clock shows this: the first or second moment of two, the jump over it if there is none."""
    one = wall.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    other = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    if one <= other:
        return other if second else one
    return _jump(other, one, zone)


def _jump(before: dt.datetime, after: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Find the moment at which the offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > dt.timedelta(seconds=1):
        middle = before + dt.timedelta(seconds=(after - before) // dt.timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
