"""Which Canaries one of several controllers looks after, and what it says of one whose labels were changed.

The other controllers' Canaries are seen too, for two reasons: they may claim what
our own want, and of a release that nobody looks after somebody has to tell.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import replace

from config.selectors import Selector
from config.status import Held, HeldReason, Status, load_status
from controller.kube.resources import Document
from controller.ports import Key
from controller.report import conditions
from controller.rollout.phase import AT_REST


class Whose(enum.Enum):
    """Who looks after a Canary now that it has changed."""

    OURS = enum.auto()
    LEFT = enum.auto()
    """No longer this controller, which did so far."""
    OTHERS = enum.auto()
    NOBODYS = enum.auto()
    """It is gone."""


class Shard:
    """The Canaries that a selector picks. Thread-safe, as long as each Canary is told of by one thread."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._looked_after: set[Key] = set()
        self._leaving: set[Key] = set()

    def mine(self, document: Document) -> bool:
        """Tell whether a Canary is looked after here."""
        return self._selector.selects(labels_of(document))

    def told(self, document: Document) -> bool:
        """Tell whether metrics are to tell of a Canary: also of others', while something is released."""
        return self.mine(document) or under_way(load_status(document.get("status")))

    def changed(self, key: Key, document: Document | None) -> Whose:
        """Take in what a Canary is now; None: it is gone."""
        if document is not None and self.mine(document):
            self._looked_after.add(key)
            self._leaving.discard(key)
            return Whose.OURS
        left = key in self._looked_after
        self._looked_after.discard(key)
        if document is None:
            self._leaving.discard(key)
            return Whose.NOBODYS
        if left:
            self._leaving.add(key)
        return Whose.LEFT if left else Whose.OTHERS

    def is_leaving(self, key: Key) -> bool:
        """Tell whether it is still to be said that a Canary has left."""
        return key in self._leaving

    def has_left(self, key: Key) -> None:
        """Take note that it was said, or is on others to say."""
        self._leaving.discard(key)

    def farewell(self, document: Document, now: dt.datetime) -> Status | None:
        """Give the status that says that nobody here looks after a Canary any more.

        None if it is looked after here, or if nothing is under way that could be left half-done.
        Whoever looks after it next goes on from the rest of the status, and says what it does in
        place of this; if nobody does, this is what people find.
        """
        status = load_status(document.get("status"))
        if self.mine(document) or status.candidate is None or not under_way(status):
            return None
        words = (
            f"{status.candidate.version} stays at {status.weight}%: found the labels "
            f"{_written(labels_of(document))}, but the controller that was releasing it selects "
            f"{self._selector}; put the label back, or let another controller select it"
        )
        held = Held(HeldReason.STALLED, words, now, needs_human=True)
        after = replace(status, held=held, reason=words)
        return replace(after, conditions=conditions(after, now))


def under_way(status: Status) -> bool:
    """Tell whether a version is being released, or taken back."""
    return status.candidate is not None and status.phase not in AT_REST


def labels_of(document: Document) -> Mapping[str, str]:
    """Give the labels of an object."""
    found: Mapping[str, str] = document["metadata"].get("labels") or {}
    return found


def _written(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"
