"""What people get wrong about the evidence, and what they are told; `max`, presets and templates apart."""

from typing import Any

import pytest

from config.load import load_spec
from config.problems import SpecError


COUNTER = 'requests_total{version="{{ version }}"}'
RATIO: dict[str, Any] = {"name": "errors", "ratio": {"bad": COUNTER, "total": COUNTER}}
LATENCY: dict[str, Any] = {"name": "slow", "histogram": {"buckets": COUNTER}}
SHARE = "a share is more than 0% and less than 100%"


def analysis(*metrics: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Give a spec with this analysis."""
    return {
        "workload": {"selector": {"app": "echo"}},
        "upstream": {"name": "echo", "namespace": "gloo-system"},
        "routes": [{"name": "echo", "namespace": "gloo-system"}],
        "analysis": {"metrics": list(metrics or [RATIO]), **fields},
    }


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("falseRollbackRate", 0, f"found 0; {SHARE}"),
        ("falseRollbackRate", "0%", f"found '0%'; {SHARE}"),
        ("falseRollbackRate", "60%", "found '60%'; at most 50%: 1% is one good release in a hundred"),
        ("falseRollbackRate", 0.7, "found 0.7; at most 50%: 1% is one good release in a hundred"),
        ("falseRollbackRate", 1, "found 1; write 1% or 0.01"),
        ("falseRollbackRate", "low", "found 'low'; a share looks like 1% or 0.01"),
        ("mustNotExceed", 1.25, "found 1.25; must be more than 1.25"),
        ("mustNotExceed", "3", "found '3'; a number is needed"),
        ("harmBudget", 0, "found 0; must be at least 1"),
        ("harmBudget", 1.5, "found 1.5; a whole number is needed"),
        ("minRequests", 0, "found 0; must be at least 1"),
        ("settle", "-5s", "found '-5s'; a duration looks like 30s, 1m30s or 2h"),
        ("advance", "evidence", "found 'evidence'; must be Soak or Evidence; did you mean Evidence?"),
        ("dryRun", "yes", "found 'yes'; must be true or false"),
    ],
)
def test_a_number_that_makes_no_sense_is_told_with_what_would(field: str, value: object, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(analysis(**{field: value}))
    assert str(caught.value) == f"spec.analysis.{field}: {said}"


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        (
            {"then": "Pause"},
            "then",
            "found 'Pause'; must be Hold, Retreat or Rollback",
        ),
        (
            {"then": "rollback"},
            "then",
            "found 'rollback'; must be Hold, Retreat or Rollback; did you mean Rollback?",
        ),
        ({"after": 300}, "after", "found 300; a duration looks like 30s, 1m30s or 2h"),
    ],
)
def test_what_blindness_leads_to_is_one_of_three(fields: dict[str, object], path: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(analysis(blind=fields))
    assert str(caught.value) == f"spec.analysis.blind.{path}: {said}"


REPLACED = (
    "only a query fails several times in a row; here requests are counted, "
    "and max, tolerate and falseRollbackRate say when it goes back"
)


@pytest.mark.parametrize(
    ("metric", "path", "said"),
    [
        pytest.param(
            {**RATIO, "tolerate": 0.9},
            "tolerate",
            "found 0.9; at least 1, as bad as stable; 1.5 is half as bad again",
            id="better than stable",
        ),
        pytest.param({**RATIO, "tolerate": "2"}, "tolerate", "found '2'; a number is needed", id="text"),
        pytest.param(
            {**RATIO, "tolerate": 2000}, "tolerate", "found 2000; must be at most 1000", id="anything"
        ),
        pytest.param({**RATIO, "failureLimit": 3}, "failureLimit", REPLACED, id="failures of a ratio"),
        pytest.param({**LATENCY, "failureLimit": 3}, "failureLimit", REPLACED, id="failures of a histogram"),
        pytest.param(
            {"preset": "http-errors", "failureLimit": 3}, "failureLimit", REPLACED, id="failures of a preset"
        ),
        pytest.param(
            {**LATENCY, "max": {"quantile": 99, "seconds": 1}},
            "max.quantile",
            "found 99; write 0.99",
            id="quantile in percent",
        ),
        pytest.param(
            {**LATENCY, "max": {"quantile": 100, "seconds": 1}},
            "max.quantile",
            "found 100; a quantile is more than 0 and less than 1",
            id="all of them",
        ),
        pytest.param(
            {**LATENCY, "max": {"quantile": 0.9, "seconds": 0}},
            "max.seconds",
            "found 0; must be more than 0",
            id="no time",
        ),
        pytest.param(
            {**RATIO, "dryRun": "yes"}, "dryRun", "found 'yes'; must be true or false", id="dry run"
        ),
    ],
)
def test_a_metric_that_makes_no_sense_is_told_with_what_would(
    metric: dict[str, Any], path: str, said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(analysis(metric))
    assert str(caught.value) == f"spec.analysis.metrics[0].{path}: {said}"


def test_a_counted_metric_needs_no_limit_but_stable() -> None:
    found = load_spec(analysis(RATIO, LATENCY)).analysis
    assert [metric.max for metric in found.metrics] == [None, None]
    assert (found.false_rollback_rate, found.must_not_exceed, found.harm_budget) == (0.01, 3, None)


@pytest.mark.parametrize(("written", "rate"), [("1%", 0.01), (0.5, 0.5), ("50%", 0.5), ("0.01%", 0.0001)])
def test_the_rate_of_false_rollbacks_is_a_share(written: object, rate: float) -> None:
    found = load_spec(analysis(falseRollbackRate=written)).analysis
    assert found.false_rollback_rate == pytest.approx(rate)
