import datetime as dt
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.queries import MARK
from analysis.samples import Moment, Sample, UnreadableError
from analysis.span import MOST_POINTS, Instant, Span, spans


START = dt.datetime(2026, 3, 1, 12, 0, 0, 125_000, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def series(*points: tuple[float, str], **labels: str) -> dict[str, Any]:
    """Points as seconds after the start, and values."""
    return {"metric": labels, "values": [[START.timestamp() + second, value] for second, value in points]}


def test_an_instant_is_asked_for_to_the_millisecond_and_never_from_a_cache() -> None:
    assert Instant(START).form() == {"time": "1772366400.125", "nocache": "1"}


def test_a_span_is_asked_for_with_its_first_and_its_last_instant() -> None:
    form = Span(START, dt.timedelta(seconds=86_400.5), 3).form()
    assert form == {
        "start": "1772366400.125", "end": "1772539201.125", "step": "86400.500", "nocache": "1",
    }  # fmt: skip


class TestSpans:
    @pytest.mark.parametrize(
        ("seconds", "steps"), [(0, [1]), (0.9, [1]), (1, [2]), (2.999, [3]), (-0.1, []), (-5, [])]
    )
    def test_the_end_is_asked_for_if_a_step_leads_there(self, seconds: float, steps: list[int]) -> None:
        found = list(spans(START, START + dt.timedelta(seconds=seconds), SECOND))
        assert [span.steps for span in found] == steps

    @given(steps=st.integers(1, 4 * MOST_POINTS), step=st.integers(1, 10**8))
    def test_no_instant_is_missed_or_asked_for_twice(self, steps: int, step: int) -> None:
        length = dt.timedelta(milliseconds=step)
        found = list(spans(START, START + (steps - 1) * length, length))
        assert all(0 < span.steps <= 11_000 for span in found)
        assert sum(span.steps for span in found) == steps
        assert found[0].start == START
        for one, other in itertools.pairwise(found):
            assert other.start == one.instants[-1] + length

    def test_what_prometheus_cannot_count_is_cut_off(self) -> None:
        start, step = START.replace(microsecond=125_999), dt.timedelta(microseconds=1_500_999)
        (span,) = spans(start, start + SECOND, step)
        assert (span.start, span.step) == (START, dt.timedelta(seconds=1.5))

    @pytest.mark.parametrize("step", [0.0, -1.0, 0.0009])
    def test_a_step_that_leads_nowhere_is_refused(self, step: float) -> None:
        with pytest.raises(ValueError, match=r"at least a millisecond is needed"):
            list(spans(START, START + SECOND, dt.timedelta(seconds=step)))


class TestReading:
    def test_every_instant_is_a_moment_also_without_samples(self) -> None:
        result = [series((0, "1"), (2, "3"), pod="a"), series((2, "NaN"), pod="b")]
        first, second, third = Span(START, SECOND, 3).read(result)
        assert first == Moment(START, (Sample({"pod": "a"}, 1.0),))
        assert second == Moment(START + SECOND, ())
        assert (third.at, third.samples[0]) == (START + 2 * SECOND, Sample({"pod": "a"}, 3.0))
        assert math.isnan(third.samples[1].value)

    def test_no_series_is_moments_without_samples(self) -> None:
        assert Span(START, SECOND, 2).read([]) == (Moment(START, ()), Moment(START + SECOND, ()))

    @pytest.mark.parametrize("second", [-1.0, 0.5, 0.002, 2.0])
    def test_an_instant_that_nobody_asked_for_spoils_the_answer(self, second: float) -> None:
        with pytest.raises(UnreadableError, match="an instant that nobody asked for: 17723"):
            Span(START, SECOND, 2).read([series((0, "1"), (second, "1"))])

    def test_each_of_the_joined_gets_its_own(self) -> None:
        result = [series((0, "1"), **{MARK: "a"}), series((0, "2"), (1, "3"), **{MARK: "b"})]
        assert Span(START, SECOND, 2).split(result, ["a", "b", "c"]) == {
            "a": (Moment(START, (Sample({}, 1.0),)), Moment(START + SECOND, ())),
            "b": (Moment(START, (Sample({}, 2.0),)), Moment(START + SECOND, (Sample({}, 3.0),))),
            "c": (Moment(START, ()), Moment(START + SECOND, ())),
        }

    def test_an_instant_reads_and_splits_a_vector(self) -> None:
        vector = [{"metric": {MARK: "a", "pod": "x"}, "value": [1, "4"]}]
        assert Instant(START).read(vector) == (Sample({MARK: "a", "pod": "x"}, 4.0),)
        assert Instant(START).split(vector, ["a"]) == {"a": (Sample({"pod": "x"}, 4.0),)}
