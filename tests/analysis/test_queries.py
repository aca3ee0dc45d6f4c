"""Placeholders, ids, and many expressions as one; what Prometheus makes of them is in test_promql.py."""

import datetime as dt
from dataclasses import replace

import pytest

from analysis.queries import ROLES, Query, join, origin, queries_for
from config.metrics import Analysis
from config.placeholders import PLACEHOLDERS, WITH_UPSTREAMS
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
    assert set(VALUES) == set(SUBJECT.values("stable")) == PLACEHOLDERS - WITH_UPSTREAMS


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


def test_the_cluster_is_that_of_the_version_being_asked_about() -> None:
    subject = replace(SUBJECT, cluster_of="echo-{}_gloo-system".format)
    assert set(subject.values("candidate")) == PLACEHOLDERS
    assert subject.values("candidate")["cluster"] == "echo-v2_gloo-system"
    assert subject.values("stable")["cluster"] == "echo-v1_gloo-system"
    assert replace(subject, stable=None).values("stable")["cluster"] == ""


def test_a_version_that_is_not_there_stands_for_nothing() -> None:
    values = replace(SUBJECT, stable=None).values("stable")
    assert (values["version"], values["deployment"], values["stable"]) == ("", "", "")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(90, "90s"), (300, "300s"), (0.2, "1s"), (61.5, "62s")],
)
def test_the_window_is_written_in_whole_seconds_and_is_never_empty(seconds: float, written: str) -> None:
    assert replace(SUBJECT, window=dt.timedelta(seconds=seconds)).values("stable")["window"] == written


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
