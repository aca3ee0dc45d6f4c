"""Where time comes from: the time of day, which may be set at any moment, and one that only goes forward.

Everybody else is handed these.
"""

import datetime as dt
import time


class SystemClock:
    """Implements `controller.ports.Clock`."""

    def now(self) -> dt.datetime:
        """Give the current time, aware, in UTC."""
        return dt.datetime.now(dt.UTC)  # noqa: TID251  # somebody has to


def steady() -> float:
    """Give seconds that also pass while the machine is suspended, where the system can tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux only
    return time.monotonic() if boot is None else time.clock_gettime(boot)
