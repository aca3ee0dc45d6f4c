import math
from random import Random

import pytest

from analysis.dispersion import dispersion, observed
from analysis.evidence import Arm
from config.status import Dispersion
from controller.rehearsal.stream import Stream
from controller.rehearsal.traffic import Effect, Lognormal, Measured, Traffic


BOUNDS = (0.05, 0.1, 0.5)
LATENCY = Lognormal(0.06, 0.3)


GOOD = Effect()


def stream(traffic: Traffic, effect: Effect = GOOD) -> Stream:
    return Stream(traffic, effect, BOUNDS, Random(1))  # noqa: S311


def test_the_gateway_divides_the_requests_once_it_has_followed() -> None:
    found = stream(Traffic(100.0, lag=10.0, scrape=1.0))
    found.route(0.25, testing=False)
    found.advance(9.0)
    assert found.users == found.seen("candidate").requests == 0
    found.advance(1010.0)
    assert found.users == pytest.approx(25_000, rel=0.03)
    assert found.seen("candidate").requests == pytest.approx(found.users, rel=0.01)
    assert found.seen("stable").requests == pytest.approx(76_000, rel=0.03)


def test_nobody_meets_the_candidate_after_it_was_taken_off() -> None:
    found = stream(Traffic(100.0))
    found.route(1.0, testing=False)
    found.advance(10.0)
    found.route(0.0, testing=False)
    found.advance(11.0)
    users = found.users
    assert users > 0
    found.advance(100.0)
    assert found.users == users


def test_testers_come_on_top_and_are_no_users() -> None:
    found = stream(Traffic(10.0, testers=5.0, scrape=1.0), Effect(errors=0.5))
    found.route(0.0, testing=True)
    found.advance(201.0)
    assert found.seen("candidate").requests == pytest.approx(1000, rel=0.1)
    assert found.seen("candidate").bad > 400
    assert found.users == found.harmed == 0


def test_copies_come_on_top_and_nobody_gets_their_answers() -> None:
    found = stream(Traffic(100.0, scrape=1.0), Effect(errors=0.5))
    found.route(0.0, testing=False, copied=0.1)
    found.advance(101.0)
    assert found.seen("candidate").requests == pytest.approx(1000, rel=0.1)
    assert found.seen("stable").requests == pytest.approx(10_000, rel=0.1)
    assert found.seen("candidate").bad > 400
    assert found.users == found.harmed == 0
    found.route(0.0, testing=False)
    found.advance(103.0)
    before = found.seen("candidate").requests
    found.advance(200.0)
    assert found.seen("candidate").requests == before


def test_prometheus_sees_what_was_there_at_the_last_scrape() -> None:
    found = stream(Traffic(100.0, scrape=15.0))
    seen = {found.seen("stable").requests}
    for second in range(1, 61):
        found.advance(float(second))
        seen.add(found.seen("stable").requests)
    assert len(seen) == 5
    assert 60 * 100 - max(seen) < 15 * 100 + 300


def test_versions_are_scraped_at_different_times() -> None:
    found = stream(Traffic(100.0, scrape=30.0, lag=0.0))
    found.route(0.5, testing=False)
    both = set()
    for second in range(1, 31):
        found.advance(float(second))
        both.add((found.seen("candidate").requests > 0, found.seen("stable").requests > 0))
    assert both >= {(False, False), (True, True)}
    assert len(both) == 3


def test_each_version_fails_as_often_as_it_should() -> None:
    found = stream(Traffic(1000.0, base_error=0.01, scrape=1.0), Effect(errors=0.05))
    found.route(0.5, testing=False)
    found.advance(301.0)
    candidate, stable = found.seen("candidate"), found.seen("stable")
    assert candidate.bad / candidate.requests == pytest.approx(0.05, rel=0.05)
    assert stable.bad / stable.requests == pytest.approx(0.01, rel=0.1)
    assert found.harmed == pytest.approx(candidate.bad, rel=0.02)


def test_a_version_that_fails_less_than_stable_is_as_good_as_stable() -> None:
    found = stream(Traffic(1000.0, base_error=0.1, scrape=1.0), Effect(errors=0.05))
    found.route(0.5, testing=False)
    found.advance(101.0)
    candidate = found.seen("candidate")
    assert candidate.bad / candidate.requests == pytest.approx(0.1, rel=0.1)


def test_bursts_keep_the_mean_and_make_it_uneven() -> None:
    found = stream(Traffic(200.0, base_error=0.01, burst=5.0, scrape=10.0))
    sums, before = Dispersion(), found.seen("stable")
    for number in range(1, 1201):
        found.advance(10.0 * number)
        now = found.seen("stable")
        sums = observed(sums, Arm(now.requests - before.requests, now.bad - before.bad))
        before = now
    assert sums.bad / sums.requests == pytest.approx(0.01, rel=0.08)
    assert dispersion(sums) == pytest.approx(2 * 5 - 1, rel=0.2)


def test_a_burst_goes_on_in_the_next_requests() -> None:
    found = stream(Traffic(1.0, base_error=0.3, burst=10.0, scrape=1.0))
    for second in range(1, 4001):
        found.advance(float(second))
    totals = found.seen("stable")
    assert totals.bad / totals.requests == pytest.approx(0.3, rel=0.25)


def test_slow_requests_are_counted_by_every_bound() -> None:
    effect = Effect(slowed=0.2, slowdown=10.0)
    found = stream(Traffic(1000.0, latency=LATENCY, scrape=1.0), effect)
    found.route(0.5, testing=False)
    found.advance(201.0)
    for role, shares in (
        ("stable", [LATENCY.slower(bound) for bound in BOUNDS]),
        ("candidate", [0.8 * LATENCY.slower(b) + 0.2 * LATENCY.slower(b / 10) for b in BOUNDS]),
    ):
        totals = found.seen(role)
        for slower, share in zip(totals.slower, shares, strict=True):
            assert slower / totals.requests == pytest.approx(share, rel=0.05, abs=0.0005)
    assert found.harmed == pytest.approx(0.2 * found.users, rel=0.03)


def test_drift_is_a_wave_through_both_versions() -> None:
    traffic = Traffic(1.0, base_error=0.01, drift=5.0, drift_period=100.0)
    shares = [traffic.failing(second, 0.0) for second in range(100)]
    assert max(shares) / min(shares) == pytest.approx(5.0, rel=0.01)
    assert math.sqrt(max(shares) * min(shares)) == pytest.approx(0.01, rel=0.01)
    assert traffic.failing(100.0, 0.0) == pytest.approx(traffic.failing(0.0, 0.0))
    assert traffic.failing(0.0, 0.25) == max(shares)
    assert Traffic(1.0, base_error=0.9, drift=5.0).failing(300.0, 0.0) == 0.95


def test_two_quantiles_make_a_distribution() -> None:
    assert LATENCY.slower(0.06) == pytest.approx(0.5)
    assert LATENCY.slower(0.3) == pytest.approx(0.01)


def test_buckets_make_a_distribution() -> None:
    found = Measured((0.1, 0.4, 1.6), (0.5, 0.1, 0.0))
    assert [found.slower(bound) for bound in found.bounds] == [0.5, 0.1, 0.0]
    assert found.slower(0.2) == pytest.approx(0.3)
    assert found.slower(0.05) == pytest.approx(0.75)
    assert found.slower(2.0) == 0.0
    assert Measured((0.1,), (0.2,)).slower(0.2) == 0.0


@pytest.mark.parametrize(
    ("effect", "name"),
    [
        (Effect(), "as good as stable"),
        (Effect(errors=0.005), "0.5% errors"),
        (Effect(slowed=1.0, slowdown=2.0), "all requests 2x slower"),
        (Effect(errors=0.05, slowed=0.05, slowdown=10.0), "5% errors, 5% of requests 10x slower"),
    ],
)
def test_effects_have_names(effect: Effect, name: str) -> None:
    assert effect.name == name
