"""When each Canary is looked at: one job per Canary, and no exception leaves it.

A job carries the Canary's name only. Its trigger is the slow heartbeat that
nothing needs but everything may rely on; a tick's answer and every wake-up pull
the next run forward. A wake-up that comes while the Canary is being looked at is
kept until that is over, so that what it told of is never missed.

The scheduler goes by the time of day. Where somebody sets that back by an hour,
everything that is due would be due an hour late: a rollback among it. So the clock
is looked at often, and every Canary as soon as it has been set.
"""

import contextlib
import datetime as dt
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from controller.clock import steady
from controller.errors import EdgeError
from controller.ports import Clock, Key


Tick = Callable[[Key], dt.datetime | None]
Outcome = Literal["done", "failed", "crashed"]
"""failed: an edge did; crashed: an error that nobody foresaw."""
Observer = Callable[[Outcome, float, float], None]
"""Called after every tick with its outcome, its seconds, and how many seconds late it began."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often to look without being asked, and how long to wait after errors."""

    resync: dt.timedelta = dt.timedelta(minutes=5)
    first_retry: dt.timedelta = dt.timedelta(seconds=0.5)
    longest_retry: dt.timedelta = dt.timedelta(minutes=1)
    glance: dt.timedelta = dt.timedelta(seconds=5)
    """How often to see whether the time of day was set."""


SET = 1.0
"""Seconds that the time of day and a steady clock may differ from one glance to the next."""
_RHYTHM = Rhythm()


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]  # untyped
    """Calls `before` whenever it looks for what is due, which it does at least every `glance` seconds."""

    def __init__(self, before: Callable[[], None], glance: float, **options: object) -> None:
        super().__init__(**options)
        self._before = before
        self._glance = glance

    def _process_jobs(self) -> float:
        self._before()
        seconds: float | None = super()._process_jobs()
        return self._glance if seconds is None else min(seconds, self._glance)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


class Schedule:
    """Runs `tick` for every known Canary. Thread-safe."""

    def __init__(
        self, tick: Tick, clock: Clock, *, workers: int, observe: Observer, rhythm: Rhythm = _RHYTHM
    ) -> None:
        self._tick = tick
        self._clock = clock
        self._observe = observe
        self._rhythm = rhythm
        self._changed = threading.Condition()  # guards what follows; taken before the scheduler's own locks
        self._running: set[str] = set()
        self._woken: set[str] = set()
        self._failures: dict[str, int] = {}
        self._due: dict[str, dt.datetime] = {}
        """When the next run was asked for; a heartbeat is nobody's wish, and never late."""
        self._stopping = False
        self._apart = self._clock_from_steady()
        self._scheduler = _Scheduler(
            self._heed_clock,
            rhythm.glance.total_seconds(),
            executors={"default": ThreadPoolExecutor(workers)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=dt.UTC,
        )
        self._scheduler.add_listener(self._ended, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)

    @property
    def alive(self) -> bool:
        """Tell whether the scheduler's own thread is at work."""
        alive: bool = self._scheduler.alive
        return alive

    def start(self) -> None:
        """Begin to look."""
        self._scheduler.start()

    def stop(self, timeout: float = 25.0) -> bool:
        """Begin no other tick and wait for those in hand, seconds at most; tell whether they have ended."""
        with self._changed:
            self._stopping = True
        self._scheduler.shutdown(wait=False)  # waiting there would keep the locks that ending ticks need
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout)

    def add(self, key: Key) -> None:
        """Look at this Canary now and from now on; one that is known already is woken."""
        seconds = self._rhythm.resync.total_seconds()
        with self._changed:
            if self._stopping:
                return
            if self._scheduler.get_job(str(key)) is None:
                heartbeat = IntervalTrigger(seconds=seconds, jitter=seconds / 10, timezone=dt.UTC)
                self._scheduler.add_job(self._run, heartbeat, args=[key], id=str(key))
            self._wake(str(key))

    def wake(self, key: Key) -> None:
        """Look at this Canary as soon as possible, and once more if it is being looked at now.

        Unknown Canaries stay unknown.
        """
        with self._changed:
            self._wake(str(key))

    def remove(self, key: Key) -> None:
        """Do not look at this Canary any more."""
        with self._changed:
            if self._stopping:
                return
            self._failures.pop(str(key), None)
            self._due.pop(str(key), None)
            with contextlib.suppress(JobLookupError):
                self._scheduler.remove_job(str(key))

    def _heed_clock(self) -> None:
        """Look at every Canary if the time of day was set; what was due then is due now."""
        apart = self._clock_from_steady()
        leap, self._apart = apart - self._apart, apart
        if abs(leap) < SET:
            return
        _log.warning("clock.set", seconds=round(leap, 1), detail="looking at every Canary")
        with self._changed:
            for job in self._scheduler.get_jobs():
                self._wake(job.id)

    def _clock_from_steady(self) -> float:
        return self._clock.now().timestamp() - steady()

    def _wake(self, job: str) -> None:
        if job in self._running:
            self._woken.add(job)
        else:
            self._run_at(job, self._clock.now())

    def _run(self, key: Key) -> dt.datetime | None:
        """Run one tick; give the time of the next, None for the heartbeat's."""
        job = str(key)
        with self._changed:
            # Asking for the job also waits until the scheduler has noted down this very run;
            # _ended could otherwise come before that, and the time of the next run be lost.
            if self._scheduler.get_job(job) is None:
                return None
            self._running.add(job)
            now = self._clock.now()
            late = max(0.0, (now - self._due.pop(job, now)).total_seconds())
        began = time.monotonic()
        outcome: Outcome = "done"
        try:
            then = self._tick(key)
            self._failures.pop(job, None)
        except EdgeError as error:
            outcome, then = "failed", self._retry(job)
            _log.warning("tick.failed", canary=job, error=str(error))
        except Exception:  # noqa: BLE001  # whatever it is, other Canaries must not suffer
            outcome, then = "crashed", self._retry(job)
            _log.exception("tick.crashed", canary=job)
        self._observe(outcome, time.monotonic() - began, late)
        return then

    def _ended(self, event: JobExecutionEvent) -> None:
        """Set the time of the next run, now that the scheduler would accept one."""
        job: str = event.job_id
        with self._changed:
            self._running.discard(job)
            self._changed.notify_all()
            if job in self._woken:
                self._woken.discard(job)
                self._run_at(job, self._clock.now())
            elif event.retval is not None:
                self._run_at(job, event.retval)

    def _run_at(self, job: str, when: dt.datetime) -> None:
        if self._stopping:
            return
        with contextlib.suppress(JobLookupError):  # removed in the meantime
            self._scheduler.modify_job(job, next_run_time=when)
            self._due[job] = when

    def _retry(self, job: str) -> dt.datetime:
        failures = self._failures.get(job, 0)
        self._failures[job] = failures + 1
        pause = min(self._rhythm.longest_retry, self._rhythm.first_retry * 2.0 ** min(failures, 20))
        return self._clock.now() + pause * random.uniform(0.8, 1.0)  # noqa: S311  # no secret
