import copy
from typing import Any

import pytest

from canaries import MINIMAL
from config.canary import CanarySpec
from config.load import load_spec
from config.status import Outcome
from controller.rehearsal.forecast import (
    Forecast,
    Plan,
    Quantiles,
    affordable,
    highest,
    impossible,
    weights_over_time,
)
from controller.rehearsal.rehearse import Run
from controller.rehearsal.traffic import Effect, Lognormal, Traffic
from metrics import errors, latency


ERRORS, LATENCY = errors(), latency()
QUERY = {"name": "memory", "query": 'max(memory{version="{{ version }}"})', "max": 1}
TRAFFIC = Traffic(200.0, scrape=5.0)


def spec(*metrics: dict[str, Any], **fields: Any) -> CanarySpec:
    document = copy.deepcopy(MINIMAL["spec"]) | {"shifting": {"steps": [10, 50], "interval": "30s"}}
    document["analysis"] = {"metrics": list(metrics or (ERRORS,)), **fields.pop("analysis", {})}
    return load_spec(document | fields)


def run(outcome: Outcome | None = Outcome.PROMOTED, **fields: Any) -> Run:
    usual = Run(
        outcome, 60.0, 100, 1000, 3, ((0, 0.0), (10, 1.0), (100, 40.0)), 0.0, needed_human=False, reason=""
    )
    return Run(**{**{name: getattr(usual, name) for name in Run.__slots__}, **fields})


def test_quantiles_are_taken_by_rank() -> None:
    assert Quantiles.of(range(1, 11)) == Quantiles(5, 9)
    assert Quantiles.of([7.0]) == Quantiles(7.0, 7.0)
    assert Quantiles.of([]) is None


@pytest.mark.parametrize(
    ("interval", "runs"),
    [
        pytest.param("1m", 200, id="12 windows of 10s"),
        pytest.param("10m", 100, id="120"),
        pytest.param("2h", 40, id="1,440"),
    ],
)
def test_long_rollouts_are_rehearsed_less_often(interval: str, runs: int) -> None:
    assert affordable(spec(shifting={"steps": [10], "interval": interval})) == runs


@pytest.mark.parametrize(
    ("hits", "tries", "bound"),
    [
        (0, 10, 1 - 0.05 ** (1 / 10)),
        (0, 300, 1 - 0.05 ** (1 / 300)),
        (9, 10, 0.95 ** (1 / 10)),
        (1, 10, 0.394163),
        (3, 100, 0.075709),
        (10, 10, 1.0),
    ],
)
def test_the_bound_on_a_chance_is_that_of_clopper_and_pearson(hits: int, tries: int, bound: float) -> None:
    assert highest(hits, tries) == pytest.approx(bound, rel=1e-4)


def test_a_forecast_counts_its_runs() -> None:
    back = run(Outcome.ROLLED_BACK, took=20.0)
    held, stuck = run(needed_human=True), run(None)
    found = Forecast(Effect(errors=0.05), (back, run(), held, stuck))
    assert found.rolled_back == (back,)
    assert found.promoted == (run(), held)
    assert found.caught == 0.25
    assert found.held == 0.5
    assert found.unseen
    assert found.chance() == (0.25, highest(1, 4))
    assert not Forecast(Effect(), (back, run())).unseen


def test_weights_come_with_the_time_at_which_they_are_first_given() -> None:
    runs = [run(steps=((0, 0.0), (5, at), (10, 50.0), (5, 60.0), (100, 90.0))) for at in (1.0, 3.0, 2.0)]
    assert weights_over_time(runs) == [(5, 2.0), (10, 50.0), (100, 90.0)]


def test_a_plan_tries_what_the_metrics_could_see() -> None:
    def names(*metrics: dict[str, Any], base_error: float = 0.001) -> list[str]:
        planned = Plan(spec(*metrics), Traffic(10.0, base_error=base_error), 1)
        return [effect.name for effect in planned.effects]

    good, errors = "as good as stable", ["0.2% errors", "0.5% errors", "1% errors", "5% errors"]
    slow = ["all requests 2x slower", "5% of requests 10x slower"]
    assert names(ERRORS, LATENCY) == [good, *errors, *slow]
    assert names(ERRORS) == [good, *errors]
    assert names(LATENCY) == [good, *slow]
    assert names(QUERY) == [good]
    assert names({**ERRORS, "dryRun": True}, LATENCY) == [good, *slow]
    assert names(ERRORS, base_error=0.005) == [good, "1% errors", "5% errors"]


def test_a_plan_says_what_it_takes_for_granted() -> None:
    def notes(*metrics: dict[str, Any], **fields: Any) -> str:
        return "\n".join(Plan(spec(*metrics, **fields), TRAFFIC, 1).notes)

    assert notes(ERRORS, LATENCY) == ""
    assert notes(ERRORS) == "no histogram metric acts: slow requests are not seen at all"
    assert notes(LATENCY) == "no ratio metric acts: failing requests are not seen at all"
    assert "memory: what a free query answers cannot be simulated" in notes(ERRORS, LATENCY, QUERY)
    reporting = notes({**ERRORS, "dryRun": True}, LATENCY)
    assert "errors: only reports (dryRun)" in reporting
    assert "no ratio metric acts" in reporting
    assert "without dryRun" in notes(ERRORS, LATENCY, analysis={"dryRun": True})
    assert "without it" in notes(ERRORS, LATENCY, paused=True)
    frozen = {"freeze": [{"from": "00:00", "to": "24:00"}]}
    assert "schedule: it goes on in its windows only" in notes(ERRORS, LATENCY, schedule=frozen)
    manual = {"steps": [{"weight": 10, "approval": "Manual"}]}
    assert "approvals" in notes(ERRORS, LATENCY, shifting=manual)
    testing = {**MINIMAL["spec"]["testing"], "approval": "Manual"}
    assert "approvals" in notes(ERRORS, LATENCY, testing=testing)


def test_dry_runs_and_pauses_are_planned_as_if_they_acted() -> None:
    frozen = {"freeze": [{"from": "00:00", "to": "24:00"}]}
    planned = Plan(spec(ERRORS, analysis={"dryRun": True}, paused=True, schedule=frozen), TRAFFIC, 5)
    _, *bad = planned.carry_out()
    assert bad[-1].caught == 1.0


def test_a_plan_finds_what_is_bad_and_leaves_alone_what_is_good() -> None:
    told: list[float] = []
    planned = Plan(spec(ERRORS, LATENCY), TRAFFIC, 12, slowdowns=((0.1, 10.0),))
    forecasts = planned.carry_out(on_progress=told.append)
    assert [each.effect for each in forecasts] == list(planned.effects)
    good, *bad = forecasts
    assert len(good.runs) == 12
    assert {len(each.runs) for each in bad} == {6}
    assert told == sorted(told)
    assert (len(told), told[-1]) == (2 + len(bad), 1.0)
    caught = {each.effect.name: each.caught for each in forecasts}
    assert caught["as good as stable"] == 0.0
    assert caught["5% errors"] == caught["10% of requests 10x slower"] == 1.0
    assert caught["0.2% errors"] < caught["1% errors"]
    took = {each.effect.name: Quantiles.of(run.took for run in each.rolled_back) for each in forecasts}
    one, five = took["1% errors"], took["5% errors"]
    assert one is not None
    assert five is not None
    assert five.median < one.median


def test_the_work_may_be_shared() -> None:
    planned = Plan(spec(ERRORS), TRAFFIC, 11)
    assert planned.carry_out(workers=2) == planned.carry_out(workers=1)


def test_another_seed_is_another_plan() -> None:
    plans = [Plan(spec(ERRORS), TRAFFIC, 3, seed=seed).carry_out() for seed in (1, 2)]
    assert plans[0] != plans[1]


def test_runs_of_a_plan_differ() -> None:
    good, *_ = Plan(spec(ERRORS), TRAFFIC, 12).carry_out()
    assert len({(each.users, each.took, each.steps) for each in good.runs}) > 9


def test_a_limit_that_stable_breaks_itself_is_named() -> None:
    assert impossible(spec(ERRORS, LATENCY), TRAFFIC) == ""
    found = impossible(spec(ERRORS), Traffic(1.0, base_error=0.01))
    assert found.startswith("spec.analysis.metrics[0].max: errors may be <= 1%")
    assert "1% of stable's requests fail already" in found
    slow = Traffic(1.0, latency=Lognormal(0.1, 0.6))
    found = impossible(spec(ERRORS, LATENCY), slow)
    assert found.startswith("spec.analysis.metrics[1].max: latency may be p99 <= 0.5s")
    assert "take longer than 0.5s already" in found
    boundless = [{name: value for name, value in each.items() if name != "max"} for each in (ERRORS, LATENCY)]
    assert impossible(spec(*boundless), Traffic(1.0, base_error=0.5, latency=slow.latency)) == ""
