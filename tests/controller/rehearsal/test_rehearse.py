"""A rehearsal decides as the controller does; these tests are about what it makes up around that."""

import copy
from typing import Any

import pytest

from canaries import MINIMAL
from config.canary import CanarySpec
from config.load import load_spec
from config.status import Outcome
from controller.rehearsal.rehearse import bounds_of, patience, rehearse, soaks
from controller.rehearsal.traffic import BOUNDS, Effect, Measured, Traffic
from metrics import errors, latency


TRAFFIC = Traffic(200.0, scrape=5.0)
ERRORS, LATENCY = errors(), latency()
QUERY = {"name": "memory", "query": 'max(memory{version="{{ version }}"})', "min": 0.2, "max": 0.8}


def spec(*metrics: dict[str, Any], **fields: Any) -> CanarySpec:
    document = copy.deepcopy(MINIMAL["spec"]) | {"shifting": {"steps": [5, 50], "interval": "30s"}} | fields
    document["analysis"] = {"metrics": list(metrics or (ERRORS,)), **fields.get("analysis", {})}
    return load_spec(document)


def test_the_same_seed_gives_the_same_run() -> None:
    run = rehearse(spec(ERRORS, LATENCY), TRAFFIC, Effect(errors=0.01), "7")
    assert run == rehearse(spec(ERRORS, LATENCY), TRAFFIC, Effect(errors=0.01), "7")
    assert run != rehearse(spec(ERRORS, LATENCY), TRAFFIC, Effect(errors=0.01), "8")


def test_a_good_version_climbs_the_ladder_and_is_promoted() -> None:
    canary = spec(ERRORS, LATENCY, testing=MINIMAL["spec"]["testing"])
    run = rehearse(canary, TRAFFIC, Effect(), "1")
    assert run.outcome is Outcome.PROMOTED
    weights = [weight for weight, _ in run.steps]
    assert weights == [0, 0, 5, 50, 100, 100]
    times = [at for _, at in run.steps]
    assert times == sorted(times)
    for (_, begun), (_, ended) in zip(run.steps[2:], run.steps[3:], strict=False):
        assert ended - begun >= 30
    assert run.took >= soaks(canary).total_seconds() == 90
    assert run.users > 30 * 100
    assert run.harmed < 40


@pytest.mark.parametrize("scrape", [15.0, 30.0])
def test_versions_that_are_scraped_at_different_moments_look_divided_as_asked(scrape: float) -> None:
    canary = spec(shifting={"steps": [10, 50], "interval": "1m"})
    for seed in range(8):
        assert not rehearse(canary, Traffic(400.0, scrape=scrape), Effect(), str(seed)).needed_human


def test_a_broken_version_meets_few_users() -> None:
    run = rehearse(spec(), TRAFFIC, Effect(errors=0.5), "1")
    assert run.outcome is Outcome.ROLLED_BACK
    assert run.weight == 5
    assert run.took < 30
    assert run.steps[-1][0] == 0
    assert 0 < run.harmed < run.users < 30 * 200 * 0.08
    assert "errors" in run.reason


def test_a_slow_version_is_found_by_its_histogram_only() -> None:
    slow = Effect(slowed=0.3, slowdown=20.0)
    found = rehearse(spec(LATENCY), TRAFFIC, slow, "1")
    assert found.outcome is Outcome.ROLLED_BACK
    assert "latency" in found.reason
    assert rehearse(spec(ERRORS), TRAFFIC, slow, "1").outcome is Outcome.PROMOTED


def test_users_who_come_too_rarely_keep_it_where_it_is() -> None:
    canary = spec(shifting={"steps": [5, 50], "interval": "30s", "timeout": "5m"}, testing=None)
    run = rehearse(canary, Traffic(0.2), Effect(), "1")
    assert run.outcome is None
    assert run.weight == 5
    assert run.needed_human
    assert "of 100 requests at this step" in run.reason
    waited = patience(canary).total_seconds() - run.steps[-1][1]
    assert run.longest_hold == pytest.approx(waited, abs=60)
    assert run.took == pytest.approx(patience(canary).total_seconds(), abs=15)


def test_patience_is_over_when_every_step_has_used_up_its_timeout() -> None:
    shifting = {"steps": [5, 50], "interval": "30s", "timeout": "5m"}
    testing = {**MINIMAL["spec"]["testing"], "duration": "10s"}
    assert patience(spec(shifting=shifting, testing=None)).total_seconds() == 90 + 3 * 300
    assert patience(spec(shifting=shifting, testing=testing)).total_seconds() == 100 + 4 * 300
    assert patience(spec(shifting=None, testing=None)).total_seconds() == 1800
    copied = {"destinations": "Upstreams", "shadowing": {"percentage": 10, "duration": "20s"}}
    assert patience(spec(shifting=shifting, testing=testing, **copied)).total_seconds() == 120 + 5 * 300


def test_testers_are_counted_on_in_canary_testing() -> None:
    canary = spec(testing={**MINIMAL["spec"]["testing"], "requests": 20})
    run = rehearse(canary, Traffic(200.0, scrape=5.0, testers=1.0), Effect(), "1")
    assert run.outcome is Outcome.PROMOTED
    assert run.steps[1][1] >= 20
    nobody = rehearse(canary, Traffic(200.0, scrape=5.0, testers=0.0), Effect(), "1")
    assert (nobody.outcome, nobody.users, nobody.needed_human) == (None, 0, True)


def test_copies_show_what_is_wrong_before_anybody_meets_it() -> None:
    copied = {"percentage": 10, "duration": "1m"}
    canary = spec(destinations="Upstreams", shadowing=copied, testing=None)
    good = rehearse(canary, TRAFFIC, Effect(), "1")
    assert good.outcome is Outcome.PROMOTED
    assert good.took >= soaks(canary).total_seconds() == 60 + 2 * 30 + 30
    weight, first = next(step for step in good.steps if step[0])
    assert (weight, first >= 60) == (5, True)
    bad = rehearse(canary, TRAFFIC, Effect(errors=0.1), "1")
    assert (bad.outcome, bad.weight, bad.users, bad.harmed) == (Outcome.ROLLED_BACK, 0, 0, 0)


def test_approvals_are_given_at_once_and_are_no_hold() -> None:
    steps = [{"weight": 5, "approval": "Manual"}, 50]
    testing = {**MINIMAL["spec"]["testing"], "approval": "Manual"}
    run = rehearse(
        spec(testing=testing, shifting={"steps": steps, "interval": "30s"}), TRAFFIC, Effect(), "1"
    )
    assert run.outcome is Outcome.PROMOTED
    assert not run.needed_human


def test_what_free_queries_answer_is_taken_to_pass() -> None:
    unbounded = {**QUERY, "name": "queue", "min": None}
    assert rehearse(spec(ERRORS, QUERY, unbounded), TRAFFIC, Effect(), "1").outcome is Outcome.PROMOTED


def test_named_versions_are_released_like_any_other() -> None:
    workload = {**MINIMAL["spec"]["workload"], "version": "v2", "stable": "v2"}
    assert rehearse(spec(workload=workload), TRAFFIC, Effect(), "1").outcome is Outcome.PROMOTED


def test_stable_is_surveyed_before_anybody_is_exposed() -> None:
    """Without it, bursts would send 3 of these 30 good versions back."""
    bursty = Traffic(200.0, base_error=0.005, burst=5.0, scrape=5.0)
    outcomes = [rehearse(spec(), bursty, Effect(), str(seed)).outcome for seed in range(30)]
    assert outcomes.count(Outcome.ROLLED_BACK) == 0


def test_bounds_are_those_of_the_histogram_and_the_limits() -> None:
    odd = {**LATENCY, "max": {"quantile": 0.99, "seconds": 0.3}}
    assert bounds_of(spec(ERRORS).analysis, TRAFFIC) == ()
    assert bounds_of(spec(ERRORS, LATENCY).analysis, TRAFFIC) == BOUNDS
    assert bounds_of(spec(odd).analysis, TRAFFIC) == tuple(sorted((*BOUNDS, 0.3)))
    known = Traffic(1.0, latency=Measured((0.1, 0.5), (0.5, 0.1)))
    assert bounds_of(spec(LATENCY).analysis, known) == (0.1, 0.5)
