"""What the referee has to say: breaches of what must always hold, each with what shows it."""

import enum
from dataclasses import dataclass

from chaos.chronicle import clock


class Invariant(enum.StrEnum):
    """What must hold whatever happens."""

    WEIGHTS = "weights"
    """The weights of a managed route are percentages of 100, no list is empty, others keep their share."""
    EARNED = "earned"
    """The candidate's share rises only after a passed evaluation of this revision and step, or by order."""
    HARM = "harm"
    """A bad version is never promoted, unless a human orders it."""
    HEALTH = "health"
    """A good version is promoted once faults end, unless what was done to it explains why not."""
    STABLE = "stable"
    """Stable is not stopped before the candidate was seen at 100% and was baked."""
    FOREIGN = "foreign"
    """What others wrote stays as they wrote it."""
    WAY_BACK = "way back"
    """A rollback reaches Envoy soon."""
    HISTORY = "history"
    """Every rollout has one entry in the history, which tells what happened."""
    USERS = "users"
    """No request of a user fails for another reason than what was released or broken."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that must not have happened."""

    invariant: Invariant
    app: str
    time: float
    told: str
    """One sentence."""
    release: str = ""
    """The version that it is about, if it is about one."""
    lines: tuple[str, ...] = ()
    """What shows it."""

    def words(self) -> str:
        """Show it to people."""
        about = f"{self.app} {self.release}".strip()
        shown = "".join(f"\n    {line}" for line in self.lines)
        return f"{self.invariant} {clock(self.time)} {about}: {self.told}{shown}"
