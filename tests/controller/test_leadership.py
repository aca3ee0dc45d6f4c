"""What a process does with the news that it leads, or no longer does."""

import contextlib
import datetime as dt
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from config.selectors import EVERYTHING
from controller.app import Service
from controller.errors import Deposed
from controller.kube.shard import Shard
from controller.live import Live
from controller.ports import Key
from controller.telemetry.traces import NoTraces


KEY = Key("echo", "echo")
NEXT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def service(*, leading: bool, deposed: bool = False) -> tuple[Any, list[object]]:
    """Give a service without a cluster, and what it does."""
    done: list[object] = []

    def tick(key: Key) -> dt.datetime:
        if deposed:
            raise Deposed("Lease a/b: no longer held by one")
        done.append(key)
        return NEXT

    made: Any = object.__new__(Service)
    made._shard = Shard(EVERYTHING)
    made._watch_canaries = SimpleNamespace(get=lambda *_: None)
    made._live = Live()
    made._traces = NoTraces()
    made._canaries = SimpleNamespace(get=lambda _: None)
    made._leadership = SimpleNamespace(leading=leading, acting=lambda: contextlib.nullcontext(leading))
    made._reconciler = SimpleNamespace(tick=tick)
    made._metrics = SimpleNamespace(
        tick=lambda *given: done.append(given),
        lead=lambda *, leading: done.append(leading),
        settings=lambda *, valid: None,
        text=lambda: b"all",
    )
    return cast("Any", made), done


def test_who_leads_ticks_and_counts() -> None:
    leader, done = service(leading=True)
    assert leader._tick(KEY) == NEXT
    leader._ticked("done", 0.1, 0.0)
    assert done == [KEY, ("done", 0.1, 0.0)]


def test_who_stands_by_does_neither() -> None:
    standby, done = service(leading=False)
    assert standby._tick(KEY) is None
    standby._ticked("done", 0.1, 0.0)
    assert done == []


def test_a_tick_that_is_overtaken_ends_where_it_stands_and_is_no_crash() -> None:
    deposed, done = service(leading=True, deposed=True)
    with structlog.testing.capture_logs() as logs:
        assert deposed._tick(KEY) is None
    assert done == []
    assert [(line["event"], line["canary"], line["log_level"]) for line in logs] == [
        ("tick.ended", "echo/echo", "warning")
    ]


@pytest.mark.parametrize("leading", [True, False])
def test_metrics_say_who_leads_at_the_moment_they_are_asked(*, leading: bool) -> None:
    process, done = service(leading=leading)
    assert process._measured() == b"all"
    assert done == [leading]
