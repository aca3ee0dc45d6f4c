"""Keeps the store on disk, so that killing and restarting the server can be a test too.

SQLite does the hard part: what was committed survives the process's sudden death. It is not told to survive
the machine's, which no test asks for and every write would pay for.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from sandbox.apiserver.store import Event, Key


if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.apiserver.documents import Object


_TABLES = """
create table if not exists objects (
  grp text, plural text, namespace text, name text, object text,
  primary key (grp, plural, namespace, name)
);
create table if not exists events (
  version integer primary key, kind text,
  grp text, plural text, namespace text, name text, object text, previous text
);
"""


class SqliteJournal:
    """Objects and the last ``history`` events, in one file."""

    def __init__(self, path: Path, *, history: int = 10_000) -> None:
        self._history = history
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_TABLES)

    def append(self, event: Event) -> None:
        """Keep one event and its effect, both or neither."""
        run = self._database.execute
        run("begin")
        if event.kind == "DELETED":
            run("delete from objects where grp = ? and plural = ? and namespace = ? and name = ?", event.key)
        else:
            run("insert or replace into objects values (?, ?, ?, ?, ?)", (*event.key, _text(event.object)))
        row = (event.version, event.kind, *event.key, _text(event.object), _text(event.previous))
        run("insert into events values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        run("delete from events where version <= ?", (event.version - self._history,))
        run("commit")

    def load(self) -> tuple[int, dict[Key, Object], list[Event]]:
        """Return the last version, the objects, and the recent events, oldest first."""
        rows = self._database.execute("select grp, plural, namespace, name, object from objects")
        objects = {Key(*row[:4]): json.loads(row[4]) for row in rows}
        rows = self._database.execute("select * from events order by version")
        events = [
            Event(kind, Key(*place), json.loads(found), json.loads(previous), version)
            for version, kind, *place, found, previous in rows
        ]
        return (events[-1].version if events else 1), objects, events

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _text(found: Object | None) -> str:
    return json.dumps(found, separators=(",", ":"))
