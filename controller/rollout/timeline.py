"""What is remembered, on the clock as it is now: nothing of it lies in the future.

The time of day may be set back while a rollout is under way, or a controller with
another clock may have led before. Whoever then waits for what was noted to be an
hour old waits an hour longer: to put routes back, to believe Gloo's answer, to end
a soak. So what seems to lie ahead counts as having happened just now. The soak of a
step may begin anew by that; no time is ever taken for longer than it was.

The last evaluation keeps its time, by which its counters are known; the next one is
due at once (`decide`), and its window begins with itself (`measuring`).
"""

import datetime as dt
from dataclasses import replace

from config.status import Status


def caught_up(status: Status, now: dt.datetime) -> Status:
    """Give the status with everything that has happened no later than now."""
    noted: dict[str, dt.datetime | None] = {
        "started_at": status.started_at,
        "intended_at": status.intended_at,
        "step_started_at": status.step_started_at,
        "surveyed_at": status.surveyed_at,
        "blind_since": status.blind_since,
        "sighted_at": status.sighted_at,
        "reasserted_at": status.reasserted_at,
    }
    ahead = {name: now for name, moment in noted.items() if moment is not None and moment > now}
    if status.held is not None and status.held.since > now:
        status = replace(status, held=replace(status.held, since=now))
    return replace(status, **ahead) if ahead else status  # type: ignore[arg-type]  # all of these are moments
