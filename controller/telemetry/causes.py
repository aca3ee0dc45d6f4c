"""Why rollouts went back, as few words that a metric can be counted by."""

import enum

from config.status import HistoryEntry, Outcome


class Cause(enum.StrEnum):
    """Why a rollout went back to stable."""

    HARMFUL = "Harmful"
    """The evidence said so."""
    BLIND = "Blind"
    """Nothing could be measured for long."""
    NOT_READY = "NotReady"
    """Pods of the candidate were missing, at the start for too long or while they carried traffic."""
    ABORTED = "Aborted"
    """A human said so."""
    CANCELLED = "Cancelled"
    """What was being released, or its Canary, was taken away."""
    SUPERSEDED = "Superseded"
    """Something else is to be released instead."""
    OTHER = "Other"


_BY_FIRST_WORDS = {
    "harmful:": Cause.HARMFUL,
    "blind for": Cause.BLIND,
    "not ready": Cause.NOT_READY,
    "aborted ": Cause.ABORTED,
}


def cause_of(entry: HistoryEntry) -> Cause | None:
    """Name why an ended rollout went back; None if it was promoted."""
    match entry.outcome:
        case Outcome.PROMOTED:
            return None
        case Outcome.CANCELLED:
            return Cause.CANCELLED
        case Outcome.SUPERSEDED:
            return Cause.SUPERSEDED
        case Outcome.ROLLED_BACK:
            found = (cause for words, cause in _BY_FIRST_WORDS.items() if entry.reason.startswith(words))
            return next(found, Cause.OTHER)
