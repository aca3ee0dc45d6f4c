"""What is taken over while the service runs reaches its ticks, wakes Canaries and shows in metrics."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.settings import load_settings
from controller import app
from controller.kube.lease import Alone
from controller.live import Live
from controller.ports import Key
from controller.telemetry.metrics import Metrics
from controller.telemetry.traces import NoTraces


ONE = {"queue": {"query": "up", "min": 1}}
OTHER = {"queue": {"query": "up", "min": 2}}


def built(live: Live, monkeypatch: pytest.MonkeyPatch) -> Any:  # a Service
    """Build a service with two Canaries that is not started and listens nowhere."""
    monkeypatch.setattr(app, "Server", lambda *_: None)
    service: Any = app.Service(load_settings(), cast("Any", SimpleNamespace()), Metrics(), Alone(), live)
    keys = [Key("shop", "one"), Key("shop", "two")]
    service._canaries = SimpleNamespace(all=lambda: [SimpleNamespace(key=key) for key in keys])
    woken: list[Key] = []
    service._schedule = SimpleNamespace(wake=woken.append)
    service.woken = woken
    return service


def test_other_presets_wake_every_canary_and_are_what_ticks_know(monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(ONE)
    service = built(live, monkeypatch)
    live.replace(dict(ONE))
    assert service.woken == []
    assert service._reconciler.platform.presets() == ONE
    live.replace(OTHER)
    assert service._reconciler.platform.presets() == OTHER
    assert service.woken == [Key("shop", "one"), Key("shop", "two")]


def test_metrics_say_whether_the_settings_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(valid=False)
    service = built(live, monkeypatch)
    assert b"crossfade_settings_valid 0.0" in service._measured()
    live.valid = True
    assert b"crossfade_settings_valid 1.0" in service._measured()


def test_the_ticks_are_traced_by_what_the_service_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = NoTraces()
    monkeypatch.setattr(app, "traces", lambda _: found)
    service = built(Live(), monkeypatch)
    assert service._reconciler.tracing is service._traces is found
