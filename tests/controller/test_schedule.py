"""Who is looked at when: nothing told is missed, nobody waits for somebody else's trouble."""

import collections
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import structlog

from controller.clock import SystemClock, steady
from controller.errors import Unavailable
from controller.ports import Key
from controller.schedule import Rhythm, Schedule, Tick


WEB, SHOP = Key("prod", "web"), Key("prod", "shop")
NEVER = Rhythm(resync=dt.timedelta(hours=1))
HASTY = Rhythm(dt.timedelta(hours=1), dt.timedelta(milliseconds=5), dt.timedelta(milliseconds=20))


class Seen:
    """What the ticks did, and a way to hold them up."""

    def __init__(self) -> None:
        self.ticks: list[Key] = []
        self.outcomes: list[str] = []
        self.late: list[float] = []
        self.busy: collections.Counter[Key] = collections.Counter()
        self.most_at_once = 0
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def holding(self, key: Key) -> None:
        """Tick: say that it has begun, and wait to be let on."""
        self.ticks.append(key)
        self.busy[key] += 1
        self.most_at_once = max(self.most_at_once, self.busy[key])
        self.begun.release()
        assert self.go_on.acquire(timeout=20)
        self.busy[key] -= 1

    def passing(self, key: Key) -> None:
        """Tick: nothing to do."""
        self.ticks.append(key)

    def outcome(self, outcome: str, seconds: float, late: float) -> None:
        assert seconds >= 0
        self.late.append(late)
        self.outcomes.append(outcome)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.002)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@contextmanager
def running(tick: Tick, seen: Seen, rhythm: Rhythm = NEVER, workers: int = 4) -> Iterator[Schedule]:
    schedule = Schedule(tick, SystemClock(), workers=workers, observe=seen.outcome, rhythm=rhythm)
    schedule.start()
    try:
        yield schedule
    finally:
        for _ in range(100):
            seen.go_on.release()
        if schedule.alive:
            assert schedule.stop(20)


def test_a_new_canary_is_looked_at_at_once(seen: Seen) -> None:
    with running(seen.passing, seen) as schedule:
        schedule.add(WEB)
        eventually(lambda: seen.ticks == [WEB])
        eventually(lambda: seen.outcomes == ["done"])


def test_canaries_known_before_the_start_are_looked_at_then(seen: Seen) -> None:
    schedule = Schedule(seen.passing, SystemClock(), workers=1, observe=seen.outcome)
    schedule.add(WEB)
    schedule.add(SHOP)
    schedule.start()
    eventually(lambda: sorted(seen.ticks) == [SHOP, WEB])
    schedule.stop()


@pytest.mark.parametrize(
    "away", [dt.timedelta(milliseconds=20), dt.timedelta(hours=-1)], ids=["soon", "past"]
)
def test_the_ticks_answer_is_the_time_of_the_next(seen: Seen, away: dt.timedelta) -> None:
    def tick(key: Key) -> dt.datetime | None:
        seen.ticks.append(key)
        return SystemClock().now() + away if len(seen.ticks) < 4 else None

    with running(tick, seen) as schedule:
        schedule.add(WEB)
        eventually(lambda: len(seen.ticks) == 4)


def test_nobody_is_forgotten_without_an_answer(seen: Seen) -> None:
    with running(seen.passing, seen, Rhythm(resync=dt.timedelta(milliseconds=20))) as schedule:
        schedule.add(WEB)
        eventually(lambda: len(seen.ticks) > 3)


def test_wake_ups_during_a_tick_make_exactly_one_more(seen: Seen) -> None:
    with running(seen.holding, seen) as schedule:
        schedule.add(WEB)
        assert seen.begun.acquire(timeout=20)
        for _ in range(5):
            schedule.wake(WEB)
        seen.go_on.release()
        assert seen.begun.acquire(timeout=20)
        assert seen.ticks == [WEB, WEB]
        seen.go_on.release()
        eventually(lambda: seen.outcomes == ["done", "done"])
        schedule.add(SHOP)  # whatever else was due would have begun before this one
        assert seen.begun.acquire(timeout=20)
        assert seen.ticks == [WEB, WEB, SHOP]
    assert seen.most_at_once == 1


def test_a_tick_that_outlasts_its_heartbeat_stays_alone(seen: Seen) -> None:
    def tick(key: Key) -> None:
        seen.passing(key) if key == SHOP else seen.holding(key)

    with running(tick, seen, Rhythm(resync=dt.timedelta(milliseconds=10))) as schedule:
        schedule.add(WEB)
        assert seen.begun.acquire(timeout=20)
        schedule.add(SHOP)
        eventually(lambda: seen.ticks.count(SHOP) > 5)
        assert seen.ticks.count(WEB) == 1


def test_even_an_order_to_exit_does_not_end_the_ticks_of_a_canary(seen: Seen) -> None:
    def tick(key: Key) -> None:
        seen.passing(key)
        if len(seen.ticks) == 1:
            raise SystemExit

    with running(tick, seen) as schedule:
        schedule.add(WEB)
        eventually(lambda: len(seen.ticks) == 1 and not schedule._running)
        schedule.wake(WEB)
        eventually(lambda: len(seen.ticks) == 2)


def test_a_canary_that_comes_back_during_its_last_tick_is_looked_at_again(seen: Seen) -> None:
    with running(seen.holding, seen) as schedule:
        schedule.add(WEB)
        assert seen.begun.acquire(timeout=20)
        schedule.remove(WEB)
        schedule.add(WEB)
        seen.go_on.release()
        assert seen.begun.acquire(timeout=20)
    assert seen.most_at_once == 1


def test_a_canary_that_is_gone_is_not_looked_at(seen: Seen) -> None:
    def tick(key: Key) -> dt.datetime:
        seen.holding(key)
        return SystemClock().now()

    with running(tick, seen) as schedule:
        schedule.add(WEB)
        assert seen.begun.acquire(timeout=20)
        schedule.remove(WEB)
        schedule.remove(WEB)
        seen.go_on.release()
        eventually(lambda: seen.outcomes == ["done"])
        schedule.wake(WEB)
        schedule.add(SHOP)
        assert seen.begun.acquire(timeout=20)
        assert seen.ticks == [WEB, SHOP]


@pytest.mark.parametrize(
    ("error", "outcome", "event"),
    [
        pytest.param(Unavailable("no answer"), "failed", "tick.failed", id="an edge"),
        pytest.param(ZeroDivisionError("1/0"), "crashed", "tick.crashed", id="a mistake"),
    ],
)
def test_trouble_stays_with_its_canary(seen: Seen, error: Exception, outcome: str, event: str) -> None:
    def tick(key: Key) -> None:
        seen.ticks.append(key)
        if key == WEB and seen.ticks.count(WEB) < 4:
            raise error

    with structlog.testing.capture_logs() as logs, running(tick, seen, HASTY, workers=1) as schedule:
        schedule.add(WEB)
        schedule.add(SHOP)
        eventually(lambda: seen.ticks.count(WEB) == 4)
        eventually(lambda: len(seen.outcomes) == 5)
    assert seen.ticks.count(SHOP) == 1
    assert schedule._failures == {}
    assert sorted(seen.outcomes) == sorted([outcome] * 3 + ["done"] * 2)
    told = [entry for entry in logs if entry["event"] == event]
    assert len(told) == 3
    assert all(entry["canary"] == "prod/web" for entry in told)
    assert all(bool(entry.get("exc_info")) == (outcome == "crashed") for entry in told)


def test_the_pause_after_errors_grows_to_a_bound_and_is_forgotten(seen: Seen) -> None:
    class Noon:
        def now(self) -> dt.datetime:
            return dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)

    schedule = Schedule(seen.passing, Noon(), workers=1, observe=seen.outcome)
    pauses = [(schedule._retry("prod/web") - Noon().now()).total_seconds() for _ in range(60)]
    expected = [0.5, 1, 2, 4, 8, 16, 32, *[60] * 53]
    for pause, longest in zip(pauses, expected, strict=True):
        assert 0.8 * longest <= pause <= longest
    assert (schedule._retry("prod/shop") - Noon().now()).total_seconds() <= 0.5


class Leaping:
    """A clock that can be set."""

    ahead = dt.timedelta(0)

    def now(self) -> dt.datetime:
        return SystemClock().now() + self.ahead


def test_who_waits_for_a_worker_is_late(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Leaping()
    monkeypatch.setattr("controller.schedule.steady", lambda: steady() + clock.ahead.total_seconds())
    schedule = Schedule(seen.holding, clock, workers=1, observe=seen.outcome, rhythm=NEVER)
    schedule.start()
    schedule.add(WEB)
    assert seen.begun.acquire(timeout=20)
    schedule.add(SHOP)
    clock.ahead = dt.timedelta(minutes=1)
    seen.go_on.release()
    assert seen.begun.acquire(timeout=20)
    seen.go_on.release()
    eventually(lambda: len(seen.late) == 2)
    assert seen.late[0] < 60 <= seen.late[1]
    assert schedule.stop(20)


class TestAClockThatIsSet:
    """What is due in a minute must not become due in an hour and a minute."""

    @pytest.mark.parametrize("leap", [dt.timedelta(hours=-1), dt.timedelta(hours=1)], ids=["back", "forward"])
    def test_wakes_everybody_who_is_not_late_by_that(
        self, seen: Seen, leap: dt.timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Leaping()
        monkeypatch.setattr(
            "apscheduler.schedulers.base.datetime", SimpleNamespace(now=lambda _: clock.now())
        )

        def tick(key: Key) -> dt.datetime:
            seen.ticks.append(key)
            return clock.now() + dt.timedelta(minutes=1)

        rhythm = Rhythm(resync=dt.timedelta(hours=1), glance=dt.timedelta(milliseconds=5))
        schedule = Schedule(tick, clock, workers=1, observe=seen.outcome, rhythm=rhythm)
        schedule.start()
        schedule.add(WEB)
        schedule.add(SHOP)
        eventually(lambda: len(seen.outcomes) == 2)
        with structlog.testing.capture_logs() as logs:
            clock.ahead = leap
            eventually(lambda: len(seen.outcomes) == 4)
            assert schedule.stop(20)
        assert sorted(seen.ticks[2:]) == [SHOP, WEB]
        assert max(seen.late) < 60
        (line,) = (line for line in logs if line["event"] == "clock.set")
        assert round(line["seconds"]) == leap.total_seconds()

    def test_is_told_from_one_that_drifts(self, seen: Seen) -> None:
        clock = Leaping()
        schedule = Schedule(seen.passing, clock, workers=1, observe=seen.outcome)
        schedule.add(WEB)
        due = dict(schedule._due)
        for _ in range(100):
            clock.ahead -= dt.timedelta(seconds=0.9)
            schedule._heed_clock()
        assert schedule._due == due
        clock.ahead -= dt.timedelta(seconds=1.1)
        schedule._heed_clock()
        assert schedule._due[str(WEB)] < due[str(WEB)]

    def test_is_noticed_although_nothing_is_due(self, seen: Seen) -> None:
        schedule = Schedule(seen.passing, SystemClock(), workers=1, observe=seen.outcome)
        schedule.start()
        assert schedule._scheduler._process_jobs() == Rhythm().glance.total_seconds()
        schedule.add(WEB)
        eventually(lambda: seen.outcomes)
        assert schedule._scheduler._process_jobs() == Rhythm().glance.total_seconds()
        assert schedule.stop(20)


def test_what_was_due_is_forgotten_with_its_canary(seen: Seen) -> None:
    schedule = Schedule(seen.passing, SystemClock(), workers=1, observe=seen.outcome)
    schedule.add(WEB)
    assert schedule._due
    schedule.remove(WEB)
    assert not schedule._due


def test_stopping_finishes_the_tick_in_hand_and_begins_no_other(seen: Seen) -> None:
    ended: list[bool] = []
    with running(seen.holding, seen, workers=1) as schedule:
        schedule.add(WEB)
        assert seen.begun.acquire(timeout=20)
        schedule.add(SHOP)
        schedule.wake(WEB)
        stopping = threading.Thread(target=lambda: ended.append(schedule.stop(20)))
        stopping.start()
        eventually(lambda: not schedule.alive)
        assert ended == []
        seen.go_on.release()
        stopping.join(20)
        assert ended == [True]
        schedule.add(SHOP)
        schedule.wake(WEB)
        schedule.remove(WEB)
    assert seen.ticks == [WEB]
    assert seen.outcomes == ["done"]


def test_stopping_does_not_wait_for_ever(seen: Seen) -> None:
    with running(seen.holding, seen) as schedule:
        schedule.add(WEB)
        assert seen.begun.acquire(timeout=20)
        assert not schedule.stop(0.01)


def test_what_was_told_last_is_always_seen() -> None:
    """Many changes from many threads while ticks run: the last state of each Canary is seen by a tick."""
    keys = [Key("prod", str(number)) for number in range(5)]
    told: dict[Key, int] = dict.fromkeys(keys, 0)
    known: dict[Key, int] = dict.fromkeys(keys, -1)
    seen = Seen()

    def tick(key: Key) -> dt.datetime | None:
        assert seen.busy[key] == 0
        seen.busy[key] += 1
        known[key] = told[key]
        seen.busy[key] -= 1
        return SystemClock().now() + dt.timedelta(hours=1) if known[key] % 2 else None

    with running(tick, seen, workers=2) as schedule:
        for key in keys:
            schedule.add(key)

        def tell(key: Key) -> None:
            for _ in range(300):
                told[key] += 1
                schedule.wake(key)

        threads = [threading.Thread(target=tell, args=[key]) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: known == told)
    assert set(seen.outcomes) == {"done"}
