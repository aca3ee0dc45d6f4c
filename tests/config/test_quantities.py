import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.quantities import format_duration, format_share, parse_duration, parse_share, parse_weight


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("1d", 86400),
        ("0s", 0),
        ("1h1m1s1ms", 3661.001),
    ],
)
def test_durations_read_like_those_of_kubernetes(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(
    "junk", ["", "5", "5 s", "s", "-1s", "1w", "1s\n", "9" * 40 + "s", 5, 0, True, None, []]
)
def test_what_is_no_duration_is_refused_with_an_example(junk: object) -> None:
    with pytest.raises(ValueError, match="a duration looks like 30s, 1m30s or 2h"):
        parse_duration(junk)


@pytest.mark.parametrize("text", ["3651d", "9999999999d", "9" * 30 + "h"])
def test_a_duration_that_leads_out_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"found '{text}'; a duration is at most 3650d"):
        parse_duration(text)


@given(st.timedeltas(min_value=dt.timedelta(0), max_value=dt.timedelta(days=365)))
def test_a_written_duration_reads_as_itself_to_the_millisecond(duration: dt.timedelta) -> None:
    again = parse_duration(format_duration(duration))
    assert abs(again - duration) <= dt.timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "share"), [("1%", 0.01), ("0.25%", 0.0025), (0.01, 0.01), ("99.9%", 0.999), ("50%", 0.5)]
)
def test_a_share_is_a_percentage_or_a_fraction(value: object, share: float) -> None:
    assert parse_share(value) == pytest.approx(share)


@pytest.mark.parametrize(
    ("junk", "said"),
    [
        (1, "found 1; write 1% or 0.01"),
        (5, "found 5; write 5% or 0.05"),
        (2.5, "found 2.5; write 2.5% or 0.025"),
        (0, "more than 0% and less than 100%"),
        ("0%", "more than 0% and less than 100%"),
        ("100%", "more than 0% and less than 100%"),
        (100, "more than 0% and less than 100%"),
        (-0.1, "more than 0% and less than 100%"),
        (float("nan"), "more than 0% and less than 100%"),
        ("1", "a share looks like 1% or 0.01"),
        (True, "a share looks like 1% or 0.01"),
        (None, "a share looks like 1% or 0.01"),
    ],
)
def test_what_is_no_share_is_refused_with_what_was_meant(junk: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_share(junk)


@given(st.integers(min_value=1, max_value=9999))
def test_a_written_share_reads_as_itself(hundredths: int) -> None:
    assert parse_share(format_share(hundredths / 10_000)) == pytest.approx(hundredths / 10_000)


@pytest.mark.parametrize("junk", [0, 101, -1, 1.0, "5", True, None])
def test_what_is_no_weight_is_refused(junk: object) -> None:
    with pytest.raises(ValueError, match="a weight is a whole number from 1 to 100"):
        parse_weight(junk)
