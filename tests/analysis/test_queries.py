"""Placeholders, ids, and many expressions as one; what Prometheus makes of them is in test_promql.py."""

import datetime as dt
from dataclasses import replace

import pytest

from analysis.queries import ROLES, Query, join, origin, queries_for, resolve
from config.canary import Analysis
from config.placeholders import PLACEHOLDERS
from metrics import SUBJECT, analysis, errors, latency, saturation


VALUES = SUBJECT.values("candidate")


def asked(about: Analysis, *, window: int = 90, candidate: str = "v2") -> dict[tuple[str, str, str], Query]:
    assert SUBJECT.candidate is not None
    subject = replace(
        SUBJECT,
        window=dt.timedelta(seconds=window),
        candidate=replace(SUBJECT.candidate, version=candidate),
    )
    return {origin(query.id)[:3]: query for query in queries_for(about, subject)}


def test_every_placeholder_has_a_value_for_both_versions() -> None:
    assert set(VALUES) == set(SUBJECT.values("stable")) == PLACEHOLDERS


@pytest.mark.parametrize(
    ("role", "values"),
    [
        ("candidate", {"version": "v2", "deployment": "echo-v2", "candidate": "v2", "stable": "v1"}),
        ("stable", {"version": "v1", "deployment": "echo-v1", "candidate": "v2", "stable": "v1"}),
    ],
)
def test_version_and_deployment_are_those_being_asked_about(role: str, values: dict[str, str]) -> None:
    got = SUBJECT.values("candidate" if role == "candidate" else "stable")
    assert {name: got[name] for name in values} == values
    assert (got["name"], got["namespace"], got["upstream"]) == ("echo", "shop", "echo-upstream")


def test_a_version_that_is_not_there_stands_for_nothing() -> None:
    values = replace(SUBJECT, stable=None).values("stable")
    assert (values["version"], values["deployment"], values["stable"]) == ("", "", "")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(90, "90s"), (300, "300s"), (0.2, "1s"), (61.5, "62s")],
)
def test_the_window_is_written_in_whole_seconds_and_is_never_empty(seconds: float, written: str) -> None:
    assert replace(SUBJECT, window=dt.timedelta(seconds=seconds)).values("stable")["window"] == written


@pytest.mark.parametrize(
    ("expression", "filled"),
    [
        pytest.param('a{v="{{ version }}"}', 'a{v="1.2"}', id="in a string"),
        pytest.param("a{v='{{version}}'}", "a{v='1.2'}", id="in single quotes, without spaces"),
        pytest.param('a{v="x-{{ version }}-{{ name }}"}', 'a{v="x-1.2-echo"}', id="two in a string"),
        pytest.param('a{v=~"{{ version }}-.*"}', 'a{v=~"1\\\\.2-.*"}', id="in a regular expression"),
        pytest.param('a{v!~ "{{ version }}"}', 'a{v!~ "1\\\\.2"}', id="in a negated one, with a space"),
        pytest.param(
            'a{v=~ # which?\n"{{ version }}"}',
            'a{v=~ # which?\n"1\\\\.2"}',
            id="in a regular expression after a comment",
        ),
        pytest.param("a{v=`{{ version }}`}", 'a{v="1.2"}', id="in backquotes"),
        pytest.param("a{v=~`\\d{{ version }}`}", 'a{v=~"\\\\d1\\\\.2"}', id="in backquoted regex"),
        pytest.param("a{v=`\\d`}", "a{v=`\\d`}", id="backquotes without a placeholder stay"),
        pytest.param("rate(a[{{ window }}])", "rate(a[90s])", id="a duration"),
        pytest.param("a_{{ name }}_total", "a_echo_total", id="a word within a name"),
        pytest.param("a{} # {{ version }} isn't it", "a{} ", id="comments go"),
        pytest.param('a{v="# {{ name }}"} # x', 'a{v="# echo"} ', id="no comment in a string"),
        pytest.param('a{v="\\"{{ name }}"}', 'a{v="\\"echo"}', id="after an escaped quote"),
    ],
)
def test_placeholders_are_filled_in_where_they_stand(expression: str, filled: str) -> None:
    assert resolve(expression, {**VALUES, "version": "1.2"}) == filled


@pytest.mark.parametrize(
    ("expression", "filled"),
    [
        pytest.param('a{v="{{ version }}"}', 'a{v="\\"\'`\\\\\\n.+"}', id="double quotes"),
        pytest.param("a{v='{{ version }}'}", "a{v='\"\\'`\\\\\\n.+'}", id="single quotes"),
        pytest.param("a{v=`{{ version }}`}", 'a{v="\\"\'`\\\\\\n.+"}', id="backquotes"),
        pytest.param(
            'a{v=~"{{ version }}"}', 'a{v=~"\\"\'`\\\\\\\\\\n\\\\.\\\\+"}', id="a regular expression"
        ),
    ],
)
def test_a_value_cannot_end_its_string(expression: str, filled: str) -> None:
    assert resolve(expression, {**VALUES, "version": "\"'`\\\n.+"}) == filled


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        pytest.param("a_{{ version }}_total", "my-app", id="a minus would subtract"),
        pytest.param('a{v="{{ version }}', '"} or vector(1) #', id="a string that was never closed"),
    ],
)
def test_what_is_not_one_word_is_not_filled_in_outside_of_strings(expression: str, name: str) -> None:
    assert resolve(expression, {**VALUES, "version": name}) == expression


def test_every_metric_is_asked_about_both_versions() -> None:
    got = asked(analysis(errors(), latency(), saturation()))
    parts = [("errors", "bad"), ("errors", "total"), ("latency", "buckets"), ("saturation", "value")]
    assert set(got) == {(name, role, part) for name, part in parts for role in ROLES}
    assert got["errors", "candidate", "bad"].expression == 'bad{version="v2"}'
    assert got["errors", "stable", "bad"].expression == 'bad{version="v1"}'
    assert got["latency", "candidate", "buckets"].expression == 'seconds_bucket{version="v2"}'
    assert got["saturation", "stable", "value"].expression == 'max(busy{version="v1"})'


def test_the_parts_of_a_metric_are_one_question_and_the_versions_are_two() -> None:
    got = {key: origin(query.id).question for key, query in asked(analysis()).items()}
    assert got["errors", "candidate", "bad"] == got["errors", "candidate", "total"]
    assert got["errors", "stable", "bad"] == got["errors", "stable", "total"]
    assert got["errors", "candidate", "bad"] != got["errors", "stable", "bad"]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param({"window": 120}, True, id="a longer window is the same question"),
        pytest.param({"candidate": "v3"}, False, id="another version is another one"),
    ],
)
def test_ids_last_as_long_as_the_same_is_asked(other: dict[str, int], *, same: bool) -> None:
    counters = {
        "bad": 'max_over_time(bad{version="{{ version }}"}[{{ window }}])',
        "total": 'total{version="{{ version }}"}',
    }
    about = analysis(errors(ratio=counters))
    key = ("errors", "candidate", "bad")
    before, after = asked(about)[key], asked(about, **other)[key]  # type: ignore[arg-type]  # a table's rows
    assert before.expression != after.expression
    assert (before.id == after.id) is same


def test_a_change_of_one_expression_makes_all_parts_another_question() -> None:
    changed = analysis(errors(ratio={"bad": 'worse{v="{{ version }}"}', "total": 'total{v="{{ version }}"}'}))
    key = ("errors", "candidate", "total")
    assert asked(analysis())[key].id != asked(changed)[key].id


def test_joined_expressions_stand_on_lines_of_their_own() -> None:
    joined = join([Query("a", "up"), Query("b", "down")])
    assert joined == (
        'label_replace((\nup\n), "crossfade_query", "a", "", "")\n'
        "or\n"
        'label_replace((\ndown\n), "crossfade_query", "b", "", "")'
    )
