"""Numbers about the service, and about the Canaries that there are."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from config.status import Status
from controller.ports import CanaryObject, Key
from controller.telemetry.metrics import Metrics


class Cached:
    """The Canaries that a watch knows."""

    def __init__(self, **statuses: dict[str, Any]) -> None:
        self.statuses = statuses

    def all(self) -> Sequence[CanaryObject]:
        now = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
        return [
            CanaryObject(
                Key("shop", name),
                name,
                "1",
                1,
                now,
                annotations={},
                finalizers=(),
                deleting=False,
                spec={},
                status=status,
            )
            for name, status in self.statuses.items()
        ]

    def rivals(self, canary: CanaryObject) -> Sequence[CanaryObject]:
        return ()

    def get(self, key: Key) -> CanaryObject | None:
        raise NotImplementedError

    def refresh(self, key: Key) -> CanaryObject | None:
        raise NotImplementedError

    def record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        raise NotImplementedError

    def clear_command(self, canary: CanaryObject, command_id: str) -> None:
        raise NotImplementedError

    def set_finalizer(self, canary: CanaryObject, *, present: bool) -> CanaryObject:
        raise NotImplementedError


def samples(metrics: Metrics) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_ticks_and_requests_are_counted_by_how_they_ended() -> None:
    metrics = Metrics()
    metrics.tick("done", 0.02)
    metrics.tick("done", 0.3)
    metrics.tick("crashed", 0.1)
    metrics.kubernetes_request("patch", "deployments.apps", 200)
    metrics.kubernetes_request("patch", "deployments.apps", 0)
    metrics.prometheus_request("failed")
    found = samples(metrics)
    assert found["crossfade_ticks_total{outcome=done}"] == 2
    assert found["crossfade_ticks_total{outcome=crashed}"] == 1
    assert found["crossfade_tick_seconds_bucket{le=0.025}"] == 1
    assert found["crossfade_tick_seconds_count{}"] == 3
    patches = "crossfade_kubernetes_requests_total{{code={},resource=deployments.apps,verb=patch}}"
    assert (found[patches.format(200)], found[patches.format(0)]) == (1, 1)
    assert found["crossfade_prometheus_requests_total{outcome=failed}"] == 1


def test_two_processes_do_not_share_their_numbers() -> None:
    Metrics().tick("done", 1)
    assert "crossfade_ticks_total{outcome=done}" not in samples(Metrics())


def test_each_canary_tells_its_weights_and_phase() -> None:
    metrics = Metrics()
    metrics.follow(Cached(web={"phase": "Shifting", "weight": 25, "weightSeen": 10}, new={}))
    found = {name: value for name, value in samples(metrics).items() if "canary" in name}
    assert found == {
        "crossfade_canary_weight{name=web,namespace=shop}": 25,
        "crossfade_canary_weight_seen{name=web,namespace=shop}": 10,
        "crossfade_canary_phase{name=web,namespace=shop,phase=Shifting}": 1,
    }


def test_the_series_of_a_canary_that_is_gone_are_gone() -> None:
    metrics = Metrics()
    cached = Cached(web={"phase": "Idle", "weight": 0}, shop={"phase": "Idle", "weight": 0})
    metrics.follow(cached)
    assert "crossfade_canary_weight{name=web,namespace=shop}" in samples(metrics)
    del cached.statuses["web"]
    found = samples(metrics)
    assert "crossfade_canary_weight{name=web,namespace=shop}" not in found
    assert "crossfade_canary_weight{name=shop,namespace=shop}" in found
