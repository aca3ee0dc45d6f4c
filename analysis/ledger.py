"""All that is kept of one rollout: what it began with, its windows, and by which settings they were judged.

It is bounded. The oldest windows go first; what the tests knew after them takes
their place, so that the rest can still be judged again.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from analysis.record import Record, Replayed, UnreadableRecordError, compact, number_of, replay
from config.metrics import Analysis


MOST_WINDOWS = 400
MOST_BYTES = 500_000
"""Of all texts together: half of what a ConfigMap can hold."""
PARTS = 4
"""The oldest one of as many parts goes when there are too many, so that it happens rarely."""

_ROLLOUT, _SETTINGS, _WINDOW = "rollout", "analysis-", "w"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is kept of one rollout, all of it JSON."""

    rollout: Mapping[str, Any]
    """`candidate`, `stable` and `startedAt`; a rollout begins only once at a time."""
    beginning: Record | None = None
    """What the tests knew before the first window that can be judged again; None: nobody knows."""
    windows: tuple[Record, ...] = ()
    """Ascending."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the windows were judged by, by name."""

    @property
    def last(self) -> int:
        """The number of the last window that is accounted for; 0: none."""
        return max([self._begun, *(number_of(each) for each in self.windows[-1:])])

    @property
    def _begun(self) -> int:
        return 0 if self.beginning is None else number_of(self.beginning)

    def replay(self) -> Iterable[Replayed]:
        """Judge again what can be judged again.

        Raises:
            UnreadableRecordError: a record that is missing, or cannot be read.

        """
        if self.beginning is None:
            raise UnreadableRecordError("it is not known what the rollout began with")
        return replay(self.beginning, self.windows, self.analyses())

    def analyses(self) -> dict[str, Analysis]:
        """Read the settings.

        Raises:
            UnreadableRecordError: they are none.

        """
        found = {}
        for name, document in self.settings.items():
            try:
                found[name] = Analysis.model_validate(document)
            except ValidationError as error:
                reason = str(error.errors()[0]["msg"])
                raise UnreadableRecordError(f"the settings {name} cannot be read: {reason}") from error
        return found

    def with_windows(self, windows: Sequence[Record], settings: Mapping[str, Any], now: Record) -> "Ledger":
        """Add the windows that are new; records that have number 0 are what the rollout began with.

        Args:
            windows: Ascending, without a gap among them.
            settings: All that they were judged by.
            now: What the tests know after the last of them. Where windows between the
                known ones and these are lost, only later ones can be judged again.

        """
        beginning = next((each for each in windows if number_of(each) == 0), self.beginning)
        fresh = [each for each in windows if number_of(each) > self.last]
        lost = bool(fresh) and number_of(fresh[0]) > self.last + 1
        return replace(
            self,
            beginning=now if lost or beginning is None else beginning,
            windows=(*self.windows, *fresh),
            settings={**self.settings, **settings},
        )

    def bounded(self) -> "Ledger":
        """Let go of the oldest windows, if there are too many, and of settings that nothing refers to."""
        bounded = self
        while bounded.windows and (len(bounded.windows) > MOST_WINDOWS or bounded.size > MOST_BYTES):
            bounded = bounded._without_oldest()
        return bounded

    @property
    def size(self) -> int:
        """Bytes of all texts together."""
        return sum(map(size_of, self.texts().items()))

    def _without_oldest(self) -> "Ledger":
        oldest = max(1, len(self.windows) // PARTS)
        old, kept = self.windows[:oldest], self.windows[oldest:]
        beginning = self.beginning
        if beginning is not None and self._begun < number_of(old[-1]):
            try:
                beginning = compact(beginning, old, self.analyses())
            except UnreadableRecordError:
                beginning = None
        needed = {str(each.get("analysis")) for each in (*kept, *([beginning] if beginning else []))}
        settings = {name: document for name, document in self.settings.items() if name in needed}
        return Ledger(self.rollout, beginning, kept, settings)

    def texts(self) -> dict[str, str]:
        """Write it as texts by key, as a ConfigMap holds them."""
        beginning = {} if self.beginning is None else {"begin": self.beginning}
        return {
            _ROLLOUT: _json({**self.rollout, **beginning}),
            **{f"{_SETTINGS}{name}": _json(document) for name, document in self.settings.items()},
            **{key_of(each): _json(each) for each in self.windows},
        }

    def document(self) -> dict[str, Any]:
        """Write it as one document, as a file holds it."""
        return {
            "rollout": dict(self.rollout),
            "begin": self.beginning,
            "analyses": dict(self.settings),
            "windows": list(self.windows),
        }


def of_texts(texts: Mapping[str, str]) -> Ledger:
    """Read what `Ledger.texts` wrote; keys of others are passed over.

    Raises:
        UnreadableRecordError: a text is not what it was.

    """
    rollout, settings, windows = {}, {}, []
    for key, text in texts.items():
        if key == _ROLLOUT:
            rollout = _object(key, text)
        elif key.startswith(_SETTINGS):
            settings[key.removeprefix(_SETTINGS)] = _object(key, text)
        elif is_window(key):
            windows.append(_object(key, text))
    beginning = rollout.pop("begin", None)
    return _checked(rollout, beginning, windows, settings)


def of_document(document: object) -> Ledger:
    """Read what `Ledger.document` gave.

    Raises:
        UnreadableRecordError: this is something else.

    """
    match document:
        case {
            "rollout": dict(rollout),
            "begin": dict() | None as beginning,
            "analyses": dict(settings),
            "windows": list(windows),
        }:
            return _checked(rollout, beginning, windows, settings)
        case _:
            raise UnreadableRecordError("no windows as --save writes them")


def key_of(window: Record) -> str:
    """Name a window's text: `w000012`."""
    return f"{_WINDOW}{number_of(window):06}"


def is_window(key: str) -> bool:
    """Tell the names of windows from others."""
    return key.startswith(_WINDOW) and key.removeprefix(_WINDOW).isdecimal()


def number_in(key: str) -> int:
    """Read the number of a window from its name."""
    return int(key.removeprefix(_WINDOW))


def size_of(item: tuple[str, str]) -> int:
    """Count the bytes of a key and its text, which is ASCII as `Ledger.texts` writes it."""
    key, text = item
    return len(key) + len(text)


def _checked(
    rollout: Mapping[str, Any], beginning: object, windows: Sequence[object], settings: Mapping[str, Any]
) -> Ledger:
    records = [each for each in windows if isinstance(each, dict)]
    if len(records) < len(windows) or not (beginning is None or isinstance(beginning, dict)):
        raise UnreadableRecordError("a record that is no object")
    if beginning is not None:
        number_of(beginning)
    ordered = tuple(sorted(records, key=number_of))
    try:
        dt.datetime.fromisoformat(rollout["startedAt"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableRecordError("it is not said when the rollout began") from error
    return Ledger(rollout, beginning, ordered, settings)


def _object(key: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UnreadableRecordError(f"{key} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableRecordError(f"{key} is no object")
    return found


def _json(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
