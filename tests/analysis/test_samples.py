import json
import math
from typing import Any

import pytest

from analysis.queries import MARK
from analysis.samples import NoNumberError, Sample, UnreadableError, read_matrix, read_result, split


def series(value: object, **labels: str) -> dict[str, object]:
    return {"metric": labels, "value": [1767225600.123, value]}


class TestReadResult:
    def test_each_series_keeps_all_its_labels_and_its_value(self) -> None:
        vector = [series("12", __name__="up", pod="a"), series("0.5", pod="b")]

        assert read_result(vector) == (
            Sample({"__name__": "up", "pod": "a"}, 12.0),
            Sample({"pod": "b"}, 0.5),
        )

    def test_no_series_is_an_answer(self) -> None:
        assert read_result([]) == ()

    def test_a_scalar_reads_as_one_series_without_labels(self) -> None:
        assert read_result([1767225600.123, "0.25"]) == (Sample({}, 0.25),)

    @pytest.mark.parametrize(
        ("written", "read"), [("+Inf", math.inf), ("-Inf", -math.inf), ("1e+21", 1e21), ("-0", 0.0)]
    )
    def test_numbers_are_read_as_prometheus_writes_them(self, written: str, read: float) -> None:
        assert [sample.value for sample in read_result([series(written)])] == [read]

    def test_nan_stays_nan(self) -> None:
        (sample,) = read_result([series("NaN")])

        assert math.isnan(sample.value)

    def test_a_native_histogram_is_the_fault_of_the_expression(self) -> None:
        with pytest.raises(NoNumberError, match="native histogram"):
            read_result([{"metric": {}, "histogram": [1, {"count": "5"}]}])

    @pytest.mark.parametrize(
        "result",
        [
            pytest.param(None, id="nothing"),
            pytest.param({}, id="no list"),
            pytest.param("up", id="text"),
            pytest.param(["1", "1"], id="a scalar at no time"),
            pytest.param([1, "one"], id="a scalar that is a word"),
            pytest.param([1, 1], id="a scalar that is no text"),
            pytest.param([1, "1", "2"], id="a scalar too many"),
            pytest.param(["up"], id="a series that is text"),
            pytest.param([{"value": [1, "1"]}], id="no labels"),
            pytest.param([{"metric": {}}], id="no value"),
            pytest.param([{"metric": {"pod": 1}, "value": [1, "1"]}], id="a label that is a number"),
            pytest.param([{"metric": {}, "values": [[1, "1"]]}], id="a range"),
            pytest.param([{"metric": {}, "value": [1]}], id="no number"),
            pytest.param([{"metric": {}, "value": [1, "1", "2"]}], id="one too many"),
            pytest.param([series(1)], id="a number that is no text"),
            pytest.param([series(None)], id="null"),
            pytest.param([series("")], id="an empty text"),
            pytest.param([series("twelve")], id="a word"),
        ],
    )
    def test_nothing_is_guessed_from_what_is_no_answer(self, result: object) -> None:
        with pytest.raises(UnreadableError):
            read_result(result)

    def test_the_same_series_twice_spoils_the_answer(self) -> None:
        with pytest.raises(UnreadableError, match=r"the same series twice.*pod"):
            read_result([series("1", pod="a", zone="b"), series("1", zone="b", pod="a")])

    def test_a_long_riddle_is_not_repeated_in_full(self) -> None:
        with pytest.raises(UnreadableError) as raised:
            read_result([series("x" * 100_000)])

        assert len(str(raised.value)) < 300

    def test_every_cut_of_an_answer_is_refused_or_the_answer_itself(self) -> None:
        """Take away any one piece: what is left must not read as fewer or other numbers."""
        whole = [series("12", pod="a"), series("7", pod="b")]
        for path in _paths(whole):
            if len(path) == 1:
                continue  # one series less is another answer, and a valid one
            if path[-1:] == ("pod",):
                continue  # so is a series with one label less
            with pytest.raises(UnreadableError):
                read_result(_without(whole, path))


def ranged(*points: tuple[object, object], **labels: str) -> dict[str, object]:
    return {"metric": labels, "values": [list(point) for point in points]}


class TestReadMatrix:
    def test_samples_are_gathered_by_their_instant(self) -> None:
        matrix = [ranged((1.5, "1"), (2.5, "2"), pod="a"), ranged((2.5, "+Inf"), pod="b")]

        assert read_matrix(matrix) == {
            1500: (Sample({"pod": "a"}, 1.0),),
            2500: (Sample({"pod": "a"}, 2.0), Sample({"pod": "b"}, math.inf)),
        }

    def test_no_series_is_an_answer(self) -> None:
        assert read_matrix([]) == {}

    def test_instants_that_a_float_cannot_hold_are_the_millisecond_that_was_meant(self) -> None:
        assert list(read_matrix([ranged((1767225600.123, "1"), (1767225600.281, "1"))])) == [
            1767225600123,
            1767225600281,
        ]

    def test_a_native_histogram_is_the_fault_of_the_expression(self) -> None:
        with pytest.raises(NoNumberError, match="native histogram"):
            read_matrix([{"metric": {}, "histograms": [[1, {"count": "5"}]]}])

    @pytest.mark.parametrize(
        "result",
        [
            pytest.param(None, id="nothing"),
            pytest.param({}, id="no list"),
            pytest.param([[1, "1"]], id="a point alone"),
            pytest.param([series("1")], id="a vector"),
            pytest.param([{"values": [[1, "1"]]}], id="no labels"),
            pytest.param([{"metric": {"pod": 1}, "values": [[1, "1"]]}], id="a label that is a number"),
            pytest.param([{"metric": {}, "values": None}], id="no values"),
            pytest.param([ranged(("1", "1"))], id="an instant that is text"),
            pytest.param([ranged((math.nan, "1"))], id="an instant that is no number"),
            pytest.param([ranged((math.inf, "1"))], id="an instant without end"),
            pytest.param([ranged((1, 1))], id="a number that is no text"),
            pytest.param([ranged((1, "one"))], id="a word"),
            pytest.param([{"metric": {}, "values": [[1]]}], id="no number"),
            pytest.param([ranged((1, "1"), pod="a"), ranged((1, "2"), pod="a")], id="the same series twice"),
            pytest.param([ranged((1, "1"), (1, "2"))], id="two numbers at one instant"),
        ],
    )
    def test_nothing_is_guessed_from_what_is_no_answer(self, result: object) -> None:
        with pytest.raises(UnreadableError):
            read_matrix(result)


class TestSplit:
    def test_each_query_gets_its_own_series_back_without_the_mark(self) -> None:
        samples = [Sample({MARK: "b", "pod": "1"}, 1.0), Sample({MARK: "a", "pod": "1"}, 2.0)]

        assert split(samples, ["a", "b", "c"]) == {
            "a": (Sample({"pod": "1"}, 2.0),),
            "b": (Sample({"pod": "1"}, 1.0),),
            "c": (),
        }

    @pytest.mark.parametrize(
        "labels",
        [
            pytest.param({MARK: "z"}, id="of an unknown query"),
            pytest.param({"pod": "1"}, id="without a mark"),
        ],
    )
    def test_a_series_that_nobody_asked_for_spoils_the_answer(self, labels: dict[str, str]) -> None:
        with pytest.raises(UnreadableError, match="nobody asked"):
            split([Sample(labels, 1.0)], ["a", "b"])

    def test_the_same_series_twice_spoils_the_answer(self) -> None:
        twice = [Sample({MARK: "a", "pod": "1"}, 1.0), Sample({"pod": "1", MARK: "a"}, 2.0)]

        with pytest.raises(UnreadableError, match=r"the same series twice.*pod"):
            split(twice, ["a"])

    def test_the_same_labels_in_two_queries_are_two_series(self) -> None:
        samples = [Sample({MARK: "a", "pod": "1"}, 1.0), Sample({MARK: "b", "pod": "1"}, 1.0)]

        assert [len(answer) for answer in split(samples, ["a", "b"]).values()] == [1, 1]


def _paths(data: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(data, dict):
        found = [step for key, value in data.items() for step in _paths(value, (*path, key))]
    elif isinstance(data, list):
        found = [step for at, value in enumerate(data) for step in _paths(value, (*path, at))]
    else:
        found = []
    return [path, *found] if path else found


def _without(data: object, path: tuple[Any, ...]) -> object:
    copy = json.loads(json.dumps(data))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return copy
