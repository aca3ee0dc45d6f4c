"""Windows on the clocks of a place: what they cover, when the next one opens, and what cannot be meant."""

import datetime as dt
import zoneinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.load import load_spec
from config.problems import SpecError
from config.schedule import Closed, Schedule


BERLIN = "Europe/Berlin"
MINUTE = dt.timedelta(minutes=1)
OFFICE = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "09:00", "to": "17:00", "timezone": BERLIN}
CHRISTMAS = {"from": "2026-12-20T00:00", "to": "2027-01-04T00:00", "timezone": BERLIN}


def utc(text: str) -> dt.datetime:
    """Read `2026-11-27 15:59` as UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def schedule(**windows: Any) -> Schedule:
    return Schedule.model_validate(windows)


def words(about: Schedule, now: str) -> str | None:
    closed = about.closed(utc(now))
    return closed.words(utc(now)) if closed else None


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-11-27 07:59", "until Fri 09:00 Europe/Berlin"),
        ("2026-11-27 08:00", None),
        ("2026-11-27 15:59", None),
        ("2026-11-27 16:00", "until Mon 09:00 Europe/Berlin"),
        ("2026-11-29 12:00", "until Mon 09:00 Europe/Berlin"),
        ("2026-07-01 06:59", "until Wed 09:00 Europe/Berlin"),
        ("2026-07-01 07:00", None),  # summer time
        ("2026-12-18 15:59", None),
        ("2026-12-18 16:00", "until Mon 2027-01-04 09:00 Europe/Berlin"),
        ("2026-12-30 10:00", "until Mon 09:00 Europe/Berlin"),
    ],
)
def test_the_working_week_and_a_long_freeze(now: str, said: str | None) -> None:
    assert words(schedule(allow=[OFFICE], freeze=[CHRISTMAS]), now) == said


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-11-27 21:59", "until Fri 22:00 UTC"),  # a Friday
        ("2026-11-27 22:00", None),
        ("2026-11-28 01:59", None),
        ("2026-11-28 02:00", "until Fri 2026-12-04 22:00 UTC"),
        ("2026-11-28 22:00", "until Fri 2026-12-04 22:00 UTC"),
        ("2026-11-28 22:30", "until Fri 22:00 UTC"),
        ("2026-11-27 01:00", "until Fri 22:00 UTC"),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(now: str, said: str | None) -> None:
    assert words(schedule(allow=[{"days": ["Fri"], "from": "22:00", "to": "02:00"}]), now) == said


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-26 12:00", None),
        ("2026-11-27 16:00", "2026-11-30 08:00"),
        ("2026-11-28 23:59", "2026-11-30 08:00"),
        ("2026-11-30 07:59", "2026-11-30 08:00"),
        ("2026-11-30 08:00", None),
    ],
)
def test_freezes_that_follow_each_other_are_one(now: str, until: str | None) -> None:
    weekend = schedule(
        freeze=[
            {"days": ["Fri"], "from": "16:00", "to": "24:00"},
            {"days": ["Sat", "Sun"], "from": "00:00", "to": "24:00"},
            {"days": ["Mon"], "from": "00:00", "to": "08:00"},
        ]
    )
    closed = weekend.closed(utc(now))
    assert (closed.until if closed else None) == (utc(until) if until else None)


def test_a_freeze_wins_over_what_is_allowed() -> None:
    lunch = schedule(allow=[OFFICE], freeze=[{"from": "12:00", "to": "13:00", "timezone": BERLIN}])
    assert words(lunch, "2026-11-27 11:30") == "until Fri 13:00 Europe/Berlin"
    assert words(lunch, "2026-11-27 12:00") is None


def test_of_windows_that_overlap_the_last_end_counts() -> None:
    both = schedule(freeze=[{"from": "10:00", "to": "12:00"}, {"from": "11:00", "to": "14:00"}])
    assert words(both, "2026-11-27 10:30") == "until Fri 14:00 UTC"
    assert words(both, "2026-11-27 11:30") == "until Fri 14:00 UTC"


@pytest.mark.parametrize(
    "windows",
    [
        {"allow": [{"from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}]},
        {"freeze": [{"from": "00:00", "to": "24:00"}]},
        {"allow": [OFFICE], "freeze": [{"from": "08:00", "to": "20:00", "timezone": BERLIN}]},
    ],
    ids=["over", "frozen-for-ever", "nothing-left"],
)
def test_one_that_never_opens_is_found_out(windows: dict[str, Any]) -> None:
    assert words(schedule(**windows), "2026-11-27 12:00") == "and no window is in sight"


SPRING, AUTUMN = "2026-03-29", "2026-10-25"
"""In Berlin the clock jumps from 02:00 to 03:00 at 01:00 UTC, and back from 03:00 to 02:00 at 01:00 UTC."""


@pytest.mark.parametrize(
    ("night", "hours", "allowed", "frozen"),
    [
        (SPRING, ("01:30", "02:30"), ("00:30", "01:00"), ("00:30", "01:00")),
        (SPRING, ("02:30", "04:00"), ("01:00", "02:00"), ("01:00", "02:00")),
        (SPRING, ("02:15", "02:45"), None, None),
        (AUTUMN, ("01:30", "02:30"), ("23:30", "00:30"), ("23:30", "01:30")),
        (AUTUMN, ("02:30", "04:00"), ("01:30", "03:00"), ("00:30", "03:00")),
        (AUTUMN, ("02:15", "02:45"), None, ("00:15", "01:45")),
        (AUTUMN, ("01:30", "04:00"), ("23:30", "03:00"), ("23:30", "03:00")),
    ],
)
def test_the_missing_and_the_doubled_hour(
    night: str, hours: tuple[str, str], allowed: tuple[str, str] | None, frozen: tuple[str, str] | None
) -> None:
    """A missing time is the moment of the jump; of a doubled one the careful one counts."""
    window = {"from": hours[0], "to": hours[1], "timezone": BERLIN}
    begin = utc(f"{night} 00:00") - 60 * MINUTE
    minutes = [begin + number * MINUTE for number in range(300)]

    def covered(span: tuple[str, str] | None) -> list[dt.datetime]:
        if span is None:
            return []
        start, end = (utc(f"{night} {clock}") for clock in span)
        start -= dt.timedelta(days=1) if span[0].startswith("23") else dt.timedelta(0)
        return [minute for minute in minutes if start <= minute < end]

    allow, freeze = schedule(allow=[window]), schedule(freeze=[window])
    assert [minute for minute in minutes if allow.closed(minute) is None] == covered(allowed)
    assert [minute for minute in minutes if freeze.closed(minute) is not None] == covered(frozen)


CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
DAYS = st.lists(st.sampled_from(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]), max_size=4, unique=True)
WINDOWS = st.builds(
    lambda days, start, end, zone: {"days": days, "from": start, "to": end, "timezone": zone},
    DAYS, CLOCKS, CLOCKS, ZONES,
).filter(lambda window: window["from"] != window["to"])  # fmt: skip
MOMENTS = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001  # as asked


def on_the_wall(window: dict[str, Any], moment: dt.datetime) -> bool:
    """Tell whether the clock on the wall stands within the window."""
    there = moment.astimezone(zoneinfo.ZoneInfo(window["timezone"]))
    clock, today = f"{there:%H:%M}", f"{there:%a}"
    yesterday = f"{there.date() - dt.timedelta(days=1):%a}"
    begins = {day for day in (today, yesterday) if not window["days"] or day in window["days"]}
    if window["from"] < window["to"]:
        return today in begins and window["from"] <= clock < window["to"]
    return (today in begins and clock >= window["from"]) or (yesterday in begins and clock < window["to"])


def _same_clocks(moment: dt.datetime, zones: list[str]) -> bool:
    """Tell whether no clock is changed around this moment."""
    around = (moment - dt.timedelta(days=2), moment, moment + dt.timedelta(days=2))
    return all(
        len({each.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset() for each in around}) == 1 for zone in zones
    )


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.lists(WINDOWS, min_size=1, max_size=3), st.lists(WINDOWS, max_size=2), MOMENTS)
def test_it_says_what_the_clock_on_the_wall_says(
    allow: list[dict[str, Any]], freeze: list[dict[str, Any]], moment: dt.datetime
) -> None:
    about = schedule(allow=allow, freeze=freeze)

    def is_open(when: dt.datetime) -> bool:
        return any(on_the_wall(each, when) for each in allow) and not any(
            on_the_wall(each, when) for each in freeze
        )

    zones = [each["timezone"] for each in (*allow, *freeze)]
    closed = about.closed(moment)
    if _same_clocks(moment, zones):
        assert (closed is None) is is_open(moment)
    if closed is not None and closed.until is not None:
        assert closed.until > moment
        assert about.closed(closed.until) is None
        assert about.closed(closed.until - dt.timedelta(seconds=1)) is not None
        step = (closed.until - moment) / 7
        assert all(about.closed(moment + number * step) == closed for number in range(7))


def _load(given: object) -> None:
    load_spec(
        {
            "workload": {"selector": {"app": "web"}},
            "upstream": {"name": "web", "namespace": "gloo-system"},
            "routes": [{"name": "web", "namespace": "gloo-system"}],
            "analysis": {"metrics": [{"preset": "http-errors", "max": "1%"}]},
            "schedule": given,
        }
    )


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({}, "spec.schedule", "name at least one window in allow or freeze"),
        (
            {"allow": [{"from": "9:00", "to": "17:00"}]},
            "spec.schedule.allow[0].from",
            "found '9:00'; a time of day looks like",
        ),
        (
            {"allow": [{"from": 1020, "to": "17:00"}]},
            "spec.schedule.allow[0].from",
            "found 1020; a time of day",
        ),
        (
            {"allow": [{"from": "09:00", "to": "09:00"}]},
            "spec.schedule.allow[0].to",
            "a whole day is from 00:00 to 24:00",
        ),
        (
            {"allow": [{"from": "24:00", "to": "09:00"}]},
            "spec.schedule.allow[0].from",
            'as a beginning write "00:00"',
        ),
        ({"allow": [{"from": "09:00", "to": "25:00"}]}, "spec.schedule.allow[0].to", "found '25:00'"),
        (
            {"freeze": [{"from": "2026-12-20T00:00", "to": "17:00"}]},
            "spec.schedule.freeze[0].to",
            "both times of day",
        ),
        (
            {"freeze": [{"from": "2026-12-20T00:00", "to": "2026-12-19T00:00"}]},
            "spec.schedule.freeze[0].to",
            "to is not after from",
        ),
        (
            {"freeze": [{"from": "2026-02-30T00:00", "to": "2026-12-19T00:00"}]},
            "spec.schedule.freeze[0].from",
            "there is no such day",
        ),
        (
            {"freeze": [{**CHRISTMAS, "days": ["Mon"]}]},
            "spec.schedule.freeze[0].days",
            "leave them out beside dates",
        ),
        (
            {"allow": [{**OFFICE, "days": ["Mon", "Tue", "Mon"]}]},
            "spec.schedule.allow[0].days[2]",
            "Mon is named twice",
        ),
        ({"allow": [{**OFFICE, "days": ["Monday"]}]}, "spec.schedule.allow[0].days[0]", "Monday"),
        (
            {"allow": [{**OFFICE, "timezone": "Europe/Berln"}]},
            "spec.schedule.allow[0].timezone",
            "found 'Europe/Berln'; a time zone looks like Europe/Berlin or UTC",
        ),
        (
            {"allow": [{**OFFICE, "timezone": "Europe"}]},
            "spec.schedule.allow[0].timezone",
            "found 'Europe'; a time zone",
        ),
        (
            {"allow": [{**OFFICE, "timezone": "../etc/passwd"}]},
            "spec.schedule.allow[0].timezone",
            "a time zone looks like",
        ),
        ({"allow": [{**OFFICE, "untl": "17:00"}]}, "spec.schedule.allow[0].untl", ""),
    ],
)
def test_what_cannot_be_meant_is_refused(given: object, path: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        _load(given)
    (problem,) = caught.value.errors
    assert (problem.path, message in problem.message) == (path, True), problem


def test_it_survives_being_stored() -> None:
    about = schedule(allow=[OFFICE], freeze=[CHRISTMAS])
    stored = about.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert stored["freeze"] == [CHRISTMAS]
    assert schedule(**stored) == about


def test_the_same_moment_is_told_in_the_place_of_the_window() -> None:
    assert (
        Closed(utc("2026-11-30 08:00"), "Asia/Tokyo").words(utc("2026-11-29 08:00"))
        == "until Mon 17:00 Asia/Tokyo"
    )
