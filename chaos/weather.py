"""What was broken when, and so until when something may take.

After a fault ends the controller needs a moment to notice: a watch is opened again, a lease runs out, a
process starts. That is no excuse for a wrong decision, only for a late one.
"""

import math
from collections.abc import Collection, Sequence

from chaos.records import Deed, Part, What


_AFTER = {Part.CONTROLLER: 25.0, Part.APISERVER: 12.0, Part.PROMETHEUS: 10.0}
"""Seconds; a new leader waits for the lease of one that was killed, a watch for its next attempt."""
_SHORTLY = 3.0
EVERYTHING = frozenset(Part)


class Weather:
    """The faults of a run, and what humans did in it."""

    def __init__(self, deeds: Sequence[Deed]) -> None:
        self._deeds = sorted(deeds, key=lambda deed: deed.began)

    def of(self, what: What, app: str = "") -> list[Deed]:
        """Give the deeds of one kind, about one application or all, oldest first."""
        return [deed for deed in self._deeds if deed.what is what and app in {"", deed.app}]

    def faults(
        self, begin: float, end: float, app: str = "", parts: Collection[Part] = EVERYTHING
    ) -> list[Deed]:
        """Give what was broken, or only just repaired, between two moments."""
        return [
            deed
            for deed in self._deeds
            if deed.what is What.FAULT
            and deed.app in {"", app}
            and Part(deed.details["part"]) in parts
            and deed.began <= end
            and begin <= _noticed(deed)
        ]

    def by_then(
        self, begin: float, bound: float, app: str = "", parts: Collection[Part] = EVERYTHING
    ) -> float:
        """Say until when something has to have happened that takes at most `bound` seconds in peace.

        Faults that were repaired before may still be felt.
        """
        return _end(begin, bound, self.faults(begin, math.inf, app, parts))

    def answered_by(self, begin: float, bound: float, app: str, parts: Collection[Part]) -> float:
        """Say the same where everything that was broken before is known to work again at the beginning."""
        faults = self.faults(begin, math.inf, app, parts)
        return _end(begin, bound, [fault for fault in faults if fault.ended >= begin])

    def touched(self, app: str, begin: float, end: float) -> list[Deed]:
        """Give what humans released, edited or ordered of an application between two moments."""
        kinds = {What.RELEASE, What.EDIT, What.ORDER}
        return [
            deed
            for deed in self._deeds
            if deed.what in kinds and deed.app == app and deed.overlaps(begin, end)
        ]


def _end(begin: float, bound: float, faults: Sequence[Deed]) -> float:
    """Begin to count anew with every fault that begins before the time is over."""
    end = begin
    for fault in faults:
        if fault.began > end + bound:
            break
        end = max(end, _noticed(fault))
    return end + bound


def _noticed(fault: Deed) -> float:
    return fault.ended + _AFTER.get(Part(fault.details["part"]), _SHORTLY)
