"""Numbers about the service, and about the Canaries that there are."""

import datetime as dt
import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cached import Cached
from config.status import (
    Held,
    HeldReason,
    HistoryEntry,
    MetricStatus,
    Outcome,
    Phase,
    Revision,
    Status,
    Verdict,
    dump_status,
)
from controller.telemetry.causes import Cause
from controller.telemetry.metrics import Metrics


NOON = dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)


def samples(metrics: Metrics) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_ticks_and_requests_are_counted_by_how_they_ended() -> None:
    metrics = Metrics()
    metrics.tick("done", 0.02, 0)
    metrics.tick("done", 0.3, 7)
    metrics.tick("crashed", 0.1, 0.2)
    metrics.kubernetes_request("patch", "deployments.apps", 200)
    metrics.kubernetes_request("patch", "deployments.apps", 0)
    metrics.prometheus_request("failed")
    found = samples(metrics)
    assert found["crossfade_ticks_total{outcome=done}"] == 2
    assert found["crossfade_ticks_total{outcome=crashed}"] == 1
    assert found["crossfade_tick_seconds_bucket{le=0.025}"] == 1
    assert found["crossfade_tick_seconds_count{}"] == 3
    assert found["crossfade_tick_lateness_seconds_sum{}"] == 7.2
    patches = "crossfade_kubernetes_requests_total{{code={},resource=deployments.apps,verb=patch}}"
    assert (found[patches.format(200)], found[patches.format(0)]) == (1, 1)
    assert found["crossfade_prometheus_requests_total{outcome=failed}"] == 1


def test_two_processes_do_not_share_their_numbers() -> None:
    Metrics().tick("done", 1, 0)
    assert samples(Metrics())["crossfade_ticks_total{outcome=done}"] == 0


def test_the_first_of_a_kind_is_seen_by_increase() -> None:
    found = samples(Metrics())
    for name, label, values in (
        ("ticks_total", "outcome", ("done", "failed", "crashed")),
        ("prometheus_requests_total", "outcome", ("answered", "refused", "failed")),
        ("prometheus_queries_total", "outcome", ("answered", "failed")),
        ("evaluations_total", "verdict", Verdict),
        ("holds_total", "reason", HeldReason),
        ("rollbacks_total", "reason", Cause),
        ("rollout_seconds_count", "outcome", Outcome),
    ):
        assert [found[f"crossfade_{name}{{{label}={value}}}"] for value in values] == [0] * len(values)


def test_what_runs_and_whether_it_leads_is_told() -> None:
    metrics = Metrics()
    version = importlib.metadata.version("crossfade")
    build = f"crossfade_build_info{{python={platform.python_version()},version={version}}}"
    found = samples(metrics)
    assert (found[build], found["crossfade_leader{}"]) == (1, 1)
    assert found["process_resident_memory_bytes{}"] > 1e6
    metrics.lead(leading=False)
    assert samples(metrics)["crossfade_leader{}"] == 0


def told(**statuses: dict[str, Any]) -> dict[str, float]:
    """Give what is told of the Canary `web`, without zeros of state sets."""
    metrics = Metrics()
    metrics.follow(Cached(**statuses))
    return {
        f"{name.removeprefix('crossfade_canary_')}{{{labels}}}": value
        for name, labels, value in of_web(metrics)
        if value or not name.endswith(("phase", "verdict"))
    }


def of_web(metrics: Metrics) -> Iterator[tuple[str, str, float]]:
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            if (labels.pop("namespace", ""), labels.pop("name", "")) == ("shop", "web"):
                yield (
                    sample.name,
                    ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
                    sample.value,
                )


WAITING = Status(
    phase=Phase.SHIFTING,
    stable=Revision("v1", "1a", "web-v1"),
    candidate=Revision("v2", "2b", "web-v2"),
    weight=25,
    weight_seen=10,
    verdict=Verdict.UNDECIDED,
    started_at=NOON,
    next_evaluation_at=NOON + dt.timedelta(seconds=70),
    held=Held(HeldReason.PAUSED, "paused", NOON + dt.timedelta(seconds=60), needs_human=True),
    requests=120,
    bad=3,
    metrics=(
        MetricStatus("errors", value=0.025, stable_value=0.01, odds=4.5),
        MetricStatus("queue", Verdict.SAFE, value=7.0),
    ),
    history=(
        HistoryEntry(
            Revision("v0", "0", "web-v0"), Outcome.ROLLED_BACK, "harmful: 5xx", "crossfade", NOON, NOON, 5
        ),
        HistoryEntry(Revision("v1", "1", "web-v1"), Outcome.PROMOTED, "", "crossfade", NOON, NOON, 100),
    ),
)


def test_a_rollout_tells_its_state() -> None:
    noon = NOON.timestamp()
    assert told(web=dump_status(WAITING)) == {
        "info{candidate=v2,stable=v1}": 1,
        "phase{phase=Shifting}": 1,
        "weight{}": 25,
        "weight_seen{}": 10,
        "stable_weight{}": 75,
        "stable_weight_seen{}": 90,
        "verdict{verdict=Undecided}": 1,
        "held{reason=Paused}": 1,
        "held_since_timestamp_seconds{}": noon + 60,
        "needs_human{}": 1,
        "started_timestamp_seconds{}": noon,
        "next_evaluation_timestamp_seconds{}": noon + 70,
        "ended_timestamp_seconds{outcome=RolledBack}": noon,
        "requests{}": 120,
        "bad_requests{}": 3,
        "metric_verdict{metric=errors,verdict=Undecided}": 1,
        "metric_verdict{metric=queue,verdict=Safe}": 1,
        "metric_odds{metric=errors}": 4.5,
        "metric_value{metric=errors,role=candidate}": 0.025,
        "metric_value{metric=errors,role=stable}": 0.01,
        "metric_value{metric=queue,role=candidate}": 7,
    }


def test_phases_and_verdicts_are_state_sets() -> None:
    metrics = Metrics()
    metrics.follow(Cached(web=dump_status(WAITING)))
    found = samples(metrics)
    for name, labels, values in (
        ("phase", "name=web,namespace=shop,phase={}", Phase),
        ("verdict", "name=web,namespace=shop,verdict={}", Verdict),
        ("metric_verdict", "metric=queue,name=web,namespace=shop,verdict={}", Verdict),
    ):
        assert sum(found[f"crossfade_canary_{name}{{{labels.format(value)}}}"] for value in values) == 1


@pytest.mark.parametrize(
    ("status", "absent"),
    [
        (
            replace(WAITING, phase=Phase.PROMOTED),
            {"stable_weight", "stable_weight_seen", "started", "next_evaluation"},
        ),
        (replace(WAITING, phase=Phase.ROLLING_BACK), {"next_evaluation"}),
        (replace(WAITING, phase=Phase.PREPARING), {"next_evaluation"}),
        (replace(WAITING, held=None), {"held"}),
        (replace(WAITING, weight_seen=None), {"weight_seen", "stable_weight_seen"}),
        (replace(WAITING, candidate=None), {"stable_weight", "stable_weight_seen"}),
        (replace(WAITING, verdict=None), {"verdict"}),
        (replace(WAITING, history=()), {"ended"}),
    ],
    ids=["at rest", "going back", "preparing", "not held", "not seen", "no candidate", "no verdict", "first"],
)
def test_what_is_not_so_has_no_series(status: Status, absent: set[str]) -> None:
    found = {name.partition("{")[0] for name in told(web=dump_status(status))}
    whole = {name.partition("{")[0] for name in told(web=dump_status(WAITING))}
    assert {name.partition("_timestamp")[0].removesuffix("_since") for name in whole - found} == absent


def test_a_canary_that_nobody_has_looked_at_tells_nothing() -> None:
    assert told(web={}) == {}


@pytest.mark.parametrize(
    "junk", [{"held": 3}, {"weight": "x"}, {"history": [{}]}, {"metrics": [{"odds": 1}]}]
)
def test_junk_costs_nobody_elses_series(junk: dict[str, Any]) -> None:
    found = told(web=dump_status(WAITING), broken={"phase": "Idle", **junk})
    assert found == told(web=dump_status(WAITING))


def test_the_series_of_a_canary_that_is_gone_are_gone() -> None:
    metrics = Metrics()
    cached = Cached(web=dump_status(WAITING), shop=dump_status(WAITING))
    metrics.follow(cached)
    before = samples(metrics)
    gone = {name for name in before if "name=web" in name}
    del cached.statuses["web"]
    assert samples(metrics).keys() == before.keys() - gone
    assert gone


def test_a_canary_has_a_bounded_number_of_series_and_counters_have_none_of_it() -> None:
    metrics = Metrics()
    before = samples(metrics)
    metrics.follow(Cached(web=dump_status(WAITING)))
    added = samples(metrics).keys() - before.keys()
    assert all(name.startswith("crossfade_canary_") for name in added)
    assert len(added) <= 28 + 7 * len(WAITING.metrics)
    assert len(before) < 250


def test_all_families_are_known_before_there_is_a_canary() -> None:
    metrics = Metrics()
    metrics.follow(Cached())
    names = {family.name for family in text_string_to_metric_families(metrics.text().decode())}
    whole = {name.partition("{")[0] for name in told(web=dump_status(WAITING))}
    assert {f"crossfade_canary_{name}" for name in whole} <= names
