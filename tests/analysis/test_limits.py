"""A free query against its bounds."""

from typing import Any

import pytest

from analysis.limits import bounds, check
from analysis.readings import Counts, Number, Reading
from config.metrics import QueryMetric
from config.status import MetricStatus, Verdict
from metrics import DOWN, NOTHING, metric, reading, saturation, slow


HARMFUL, SAFE, UNDECIDED, BLIND = Verdict.HARMFUL, Verdict.SAFE, Verdict.UNDECIDED, Verdict.BLIND


def query(**fields: Any) -> QueryMetric:
    found = metric(saturation(**fields))
    assert isinstance(found, QueryMetric)
    return found


def checked(*found: Reading, settled: bool = True, stable: Reading = NOTHING, **fields: Any) -> MetricStatus:
    """Check one value after the other."""
    status = MetricStatus("saturation")
    for each in found:
        status = check(query(**fields), status, reading(each, stable), settled=settled)
    return status


@pytest.mark.parametrize(
    ("given", "value", "failures", "message"),
    [
        pytest.param({"max": 0.8}, 0.8, 0, "value 0.8", id="at the maximum"),
        pytest.param({"max": 0.8}, 0.81, 1, "value 0.81, at most 0.8 allowed", id="above it"),
        pytest.param({"min": 0.95}, 0.95, 0, "value 0.95", id="at the minimum"),
        pytest.param({"min": 0.95}, 0.83, 1, "value 0.83, at least 0.95 wanted", id="below it"),
        pytest.param({"min": 1, "max": 2}, 1.5, 0, "value 1.5", id="between"),
        pytest.param({"min": 1, "max": 2}, 2.5, 1, "value 2.5, at most 2 allowed", id="above both"),
        pytest.param({"min": 1, "max": 2}, 0, 1, "value 0, at least 1 wanted", id="below both"),
        pytest.param({"max": 0}, -1, 0, "value -1", id="zero is a bound"),
        pytest.param({"min": 0}, -1, 1, "value -1, at least 0 wanted", id="zero is a lower bound"),
    ],
)
def test_every_evaluation_passes_or_fails(
    given: dict[str, Any], value: float, failures: int, message: str
) -> None:
    got = checked(Number(value), **given)
    row = ", failed 1 in a row, rolls back at 3" if failures else ""
    assert (got.failures, got.passes, got.message) == (failures, 1 - failures, message + row)
    assert got.verdict is (UNDECIDED if failures else SAFE)
    assert (got.value, got.query, got.tests) == (value, "asked", None)


def test_failures_in_a_row_are_harm_and_a_pass_ends_the_row() -> None:
    high, low = Number(0.9), Number(0.1)
    assert checked(high, high, low, high, high).verdict is UNDECIDED
    assert checked(high, high, low, high, high, high).verdict is HARMFUL


@pytest.mark.parametrize(("limit", "verdict"), [(3, UNDECIDED), (2, HARMFUL), (1, HARMFUL)])
def test_as_many_failures_in_a_row_as_the_limit_are_harm(limit: int, verdict: Verdict) -> None:
    got = checked(Number(0.9), Number(0.9), failureLimit=limit)
    assert got.verdict is verdict
    assert got.message == f"value 0.9, at most 0.8 allowed, failed 2 in a row, rolls back at {limit}"


def test_passes_are_counted_and_a_failure_after_them_is_not_safe() -> None:
    assert checked(Number(0.1), Number(0.2)).passes == 2
    assert checked(Number(0.1), Number(0.9)).verdict is UNDECIDED


class TestBeforeTheRoutesSettled:
    def test_a_pass_proves_nothing(self) -> None:
        got = checked(Number(0.1), settled=False)
        assert (got.passes, got.verdict) == (0, UNDECIDED)
        assert got.message == "value 0.1, within its bounds before the routes settled"

    def test_a_failure_counts(self) -> None:
        assert checked(*[Number(0.9)] * 3, settled=False).verdict is HARMFUL

    def test_a_pass_ends_a_row_of_failures(self) -> None:
        high, low = Number(0.9), Number(0.1)
        assert checked(high, high, low, high, settled=False).failures == 1


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(NOTHING, "no data: the query answered nothing", id="no data"),
        pytest.param(DOWN, DOWN.reason, id="could not ask"),
    ],
)
class TestNotMeasured:
    def test_is_neither_a_pass_nor_a_failure(self, found: Reading, message: str) -> None:
        got = checked(Number(0.1), Number(0.9), found)
        assert (got.passes, got.failures, got.value) == (1, 1, 0.9)
        assert (got.verdict, got.message) == (BLIND, message)

    def test_does_not_interrupt_failures_in_a_row(self, found: Reading, message: str) -> None:
        high = Number(0.9)
        assert checked(high, found, high, found, high).verdict is HARMFUL


def test_the_value_of_stable_is_for_people_and_kept_while_nothing_is_new() -> None:
    assert checked(Number(0.1), stable=Number(3)).stable_value == 3
    before = MetricStatus("saturation", stable_value=0.5)
    for nothing in (NOTHING, DOWN):
        assert check(query(), before, reading(Number(0.1), nothing), settled=True).stable_value == 0.5


@pytest.mark.parametrize("found", [Counts(1, 0), slow(1, 0, 0, 0)], ids=["counts", "latencies"])
def test_a_reading_of_another_kind_is_a_mistake_of_ours(found: Reading) -> None:
    with pytest.raises(TypeError, match="saturation cannot be judged by"):
        checked(found)


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        pytest.param({"max": 0.8}, "<= 0.8", id="maximum"),
        pytest.param({"min": 3}, ">= 3", id="minimum"),
        pytest.param({"min": 0.2, "max": 0.8}, "0.2 .. 0.8", id="both"),
    ],
)
def test_bounds_are_written_as_people_say_them(given: dict[str, float], limit: str) -> None:
    assert bounds(query(**given)) == limit
