"""Writes down what was really done, and when: the referee believes nothing else that chaos says of itself."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos.records import DEEDS, Deed, What
from sandbox import clock


class Diary:
    """The file of deeds; deeds of several threads, each a line as soon as it is over."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DEEDS
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def deed(self, what: What, app: str = "", **details: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        """Note what is done inside; more details may be added to what it gives. Noted even if it fails."""
        began = clock.now()
        try:
            yield details
        except BaseException as error:
            details["failed"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.note(Deed(what, began, clock.now(), app, details))

    def note(self, deed: Deed) -> None:
        """Note a deed that is over."""
        with self._lock, self._path.open("a") as file:
            file.write(deed.line())
