"""What the doctor makes of a survey, and which better conditions it finds for a metric that finds nothing."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from analysis.queries import Subject
from analysis.samples import Answer, Failure, Sample
from analysis.survey import Survey
from analysis.verdict import Memory
from clinic import NOW, SHOP, V1, Clinic, canary, wrong
from config.status import Weighed
from controller.doctor.case import Case, Fault, Measured
from controller.doctor.finding import Edit, Finding, Patch, Severity
from controller.doctor.metrics import alone, better_labels, check_metrics, doubtful, placed
from controller.kube.resources import CANARIES


SUBJECT = Subject("echo", SHOP, "echo", V1, None, dt.timedelta(seconds=10))
NOTHING = 'spec.analysis.metrics[0].ratio.total: stable cannot be measured: no series; without version="v1"'


def survey(scrape: float | None = 5.0, problem: str = "", unanswered: str = "") -> Survey:
    return Survey(Memory((), Weighed(scrape=scrape)), NOW, problem, unanswered)


def faulty(instead: dict[str, str], number: int = 0) -> Measured:
    fault = Fault(number, placed(NOTHING, number), instead)
    return Measured(survey(problem=NOTHING), faults=(fault,))


def case(measured: Measured, **spec: Any) -> tuple[Clinic, Case]:
    clinic = Clinic()
    clinic.put(CANARIES, canary(**spec))
    return clinic, replace(clinic.case(), measured=measured)


def found(measured: Measured, **spec: Any) -> list[Finding]:
    return list(check_metrics(case(measured, **spec)[1]))


def test_what_was_not_asked_is_a_note_that_says_why() -> None:
    (finding,) = found(Measured(unasked="say where Prometheus answers"))
    assert (finding.check, finding.severity) == ("metrics", Severity.NOTE)
    assert "say where Prometheus answers" in finding.words


def test_prometheus_that_does_not_answer_is_a_problem_and_nothing_else_is_said() -> None:
    (finding,) = found(Measured(survey(unanswered="Prometheus did not answer: refused")))
    assert (finding.check, finding.severity) == ("prometheus", Severity.PROBLEM)
    assert "refused" in finding.words


@pytest.mark.parametrize(
    ("interval", "scrape", "right"),
    [
        ("10s", 5.0, None),
        ("5s", 5.0, None),
        ("5s", 5.1, "6s"),
        ("1s", 60.0, "1m"),
        ("15s", 90.0, "1m30s"),
    ],
)
def test_an_interval_shorter_than_the_scrapes_is_made_longer(
    interval: str, scrape: float, right: str | None
) -> None:
    analysis = {**canary()["spec"]["analysis"], "interval": interval}
    clinic, one = case(Measured(survey(scrape)), analysis=analysis)
    bad = wrong(check_metrics(one))
    if right is None:
        assert bad == []
        return
    (finding,) = bad
    assert (finding.check, finding.severity) == ("scrape-interval", Severity.WARNING)
    clinic.cure(finding)
    assert clinic.objects[CANARIES][SHOP, "echo"]["spec"]["analysis"]["interval"] == right
    assert wrong(check_metrics(replace(clinic.case(), measured=one.measured))) == []


def test_where_the_scrapes_cannot_be_told_nothing_is_said_of_them() -> None:
    assert [finding.check for finding in found(Measured(survey(None)))] == ["prometheus", "metrics"]


def test_a_metric_is_asked_for_by_a_label_that_tells_versions_apart() -> None:
    clinic, one = case(faulty({"version": 'ver="{{ version }}"'}))
    (finding,) = wrong(check_metrics(one))
    assert (finding.check, finding.severity) == ("metrics", Severity.PROBLEM)
    clinic.cure(finding)
    (metric,) = clinic.objects[CANARIES][SHOP, "echo"]["spec"]["analysis"]["metrics"]
    assert metric["ratio"] == {"bad": 'bad{ver="{{ version }}"}', "total": 'all{ver="{{ version }}"}'}


def test_of_several_metrics_the_others_stay_and_a_preset_is_written_out() -> None:
    metrics = [{"name": "load", "query": "vector(1)", "max": 2}, {"preset": "http-errors", "max": "1%"}]
    instead = {"version": 'pod=~"{{ deployment }}-[a-z0-9]+-[a-z0-9]+"'}
    clinic, one = case(faulty(instead, 1), analysis={"metrics": metrics})
    (finding,) = wrong(check_metrics(one))
    clinic.cure(finding)
    after = clinic.objects[CANARIES][SHOP, "echo"]["spec"]["analysis"]["metrics"]
    assert after[0] == metrics[0]
    assert (after[1]["name"], after[1]["max"]) == ("http-errors", "1%")
    assert 'pod=~"{{ deployment }}-[a-z0-9]+-[a-z0-9]+"' in after[1]["ratio"]["total"]
    assert "preset" not in after[1]
    assert clinic.case().spec.analysis.metrics[1].name == "http-errors"


@pytest.mark.parametrize(
    "metric",
    [
        {"name": "slow", "histogram": {"buckets": 'b_bucket{version="{{ version }}"}'}},
        {"name": "queue", "query": 'max(q{version="{{ version }}"})', "max": 3},
    ],
)
def test_every_kind_of_metric_can_be_asked_otherwise(metric: dict[str, Any]) -> None:
    measured = faulty({"version": 'ver="{{ version }}"'})
    clinic, one = case(measured, analysis={"metrics": [metric]})
    (finding,) = wrong(check_metrics(one))
    clinic.cure(finding)
    (after,) = clinic.objects[CANARIES][SHOP, "echo"]["spec"]["analysis"]["metrics"]
    assert str(after) == str(metric).replace("version=", "ver=")


def test_a_metric_that_does_not_ask_by_that_label_is_left_to_people() -> None:
    measured = faulty({"app": 'ver="{{ version }}"'})
    assert [finding.fix for finding in wrong(found(measured))] == [None]


def test_what_names_no_metric_is_left_to_people() -> None:
    (finding,) = wrong(found(Measured(survey(problem="something else"))))
    assert (finding.words, finding.fix) == ("something else", None)


def test_of_a_file_it_is_said_what_to_write() -> None:
    _, one = case(faulty({"version": 'ver="{{ version }}"'}))
    (finding,) = wrong(check_metrics(replace(one, file="echo.yaml")))
    assert isinstance(finding.fix, Edit)
    assert finding.fix.command.startswith("# in echo.yaml:\n# spec:\n#   analysis:\n#     metrics:\n")
    (in_cluster,) = wrong(check_metrics(one))
    assert isinstance(in_cluster.fix, Patch)


def test_every_metric_that_finds_nothing_is_told_with_its_place() -> None:
    faults = tuple(Fault(number, placed(NOTHING, number)) for number in (0, 2))
    told = [each.words for each in wrong(found(Measured(survey(problem=NOTHING), faults=faults)))]
    assert told == [NOTHING, NOTHING.replace("[0]", "[2]")]


def test_only_a_metric_of_stable_that_finds_nothing_is_asked_about_again() -> None:
    (analysis,) = alone(Clinic().case().spec)
    assert doubtful(analysis, SUBJECT, "spec.analysis.metrics[0].max.seconds: 3 is not a bucket bound") == ()
    assert doubtful(analysis, SUBJECT, "") == ()
    asked = {query.id: query.expression for query in doubtful(analysis, SUBJECT, NOTHING)}
    assert asked == {"version#0": "topk(50, bad{})", "version#1": "topk(50, all{})"}


def sample(**labels: str) -> Sample:
    return Sample(labels, 1.0)


@pytest.mark.parametrize(
    ("answers", "better"),
    [
        pytest.param(
            {"version#0": (sample(ver="v1", app="echo"),)}, {"version": 'ver="{{ version }}"'}, id="same"
        ),
        pytest.param(
            {"version#0": (sample(pod="echo-v1-5d4f-x7k2p"),)},
            {"version": 'pod=~"{{ deployment }}-[a-z0-9]+-[a-z0-9]+"'},
            id="pods",
        ),
        pytest.param({"version#0": (sample(pod="echo-v1-canary-5d4f-x7k2p"),)}, {}, id="pods of another"),
        pytest.param({"version#0": (sample(version="v1"),)}, {}, id="the very label"),
        pytest.param({"version#0": (sample(ver="v10"),)}, {}, id="another version"),
        pytest.param({"version#0": Failure("no")}, {}, id="unanswered"),
        pytest.param(
            {"version#0": (), "version#1": (sample(release="v1"),)},
            {"version": 'release="{{ version }}"'},
            id="the second part",
        ),
    ],
)
def test_labels_that_hold_the_version_or_the_pods_are_found(
    answers: dict[str, Answer], better: dict[str, str]
) -> None:
    assert better_labels(SUBJECT, answers) == better


def test_without_a_stable_version_no_label_is_better() -> None:
    assert better_labels(replace(SUBJECT, stable=None), {"version#0": (sample(ver="v1"),)}) == {}
