"""The settings file may be edited while the service runs: what can follow does, the rest is named.

Settings decide what is watched, asked and listened on; parts of a running
rollout that changed under it would be a surprise, so only the log's level and
the presets follow, and these from the next rollout on. A file that is broken
changes nothing at all.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog

from config.settings import Settings, SettingsError, differing
from controller.live import Live
from controller.telemetry.logging import set_level


PERIOD = 10.0
"""Seconds between two looks. The file is read, not watched: a mounted ConfigMap is replaced as a whole."""

FOLLOWING = frozenset({"logLevel", "presets"})
"""What a running service takes over."""

_log = structlog.get_logger(__name__)

Load = Callable[[], Settings]


class Reload:
    """Compares the settings that are in force with those that are written now."""

    def __init__(self, load: Load, settings: Settings, live: Live) -> None:
        self._load = load
        self._live = live
        self._started = self._seen = settings
        self._refused: str | None = None

    def look(self) -> None:
        """Read the settings once more and follow them as far as possible; tell each change once."""
        try:
            found = self._load()
        except SettingsError as error:
            if str(error) != self._refused:
                _log.error(
                    "settings.refused", error=str(error), detail="the settings of before stay in force"
                )
            self._refused, self._live.valid = str(error), False
            return
        self._live.valid = True
        if found == self._seen and self._refused is None:
            return
        changed = differing(self._seen, found)
        self._seen, self._refused = found, None
        set_level(found.log_level)
        self._live.replace(found.presets)
        restart = [name for name in differing(self._started, found) if name not in FOLLOWING]
        tell = _log.warning if restart else _log.info
        tell(
            "settings.changed",
            in_force=[name for name in changed if name in FOLLOWING],
            need_restart=restart,
        )


@contextlib.contextmanager
def followed(load: Load, settings: Settings, live: Live) -> Iterator[None]:
    """Look at the settings every ten seconds until the block ends."""
    reload, stop = Reload(load, settings, live), threading.Event()

    def work() -> None:
        while not stop.wait(PERIOD):
            reload.look()

    thread = threading.Thread(target=work, name="settings", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
