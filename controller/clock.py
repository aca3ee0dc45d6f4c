"""The one place where the time of day is read; everybody else is handed it."""

import datetime as dt


class SystemClock:
    """Implements `controller.ports.Clock`."""

    def now(self) -> dt.datetime:
        """Give the current time, aware, in UTC."""
        return dt.datetime.now(dt.UTC)  # noqa: TID251  # somebody has to
