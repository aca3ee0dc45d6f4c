"""What is going to happen in a chaos run, written down before it begins, so that it can happen again.

A script has a lane for each application, which says what is released there and what humans do in
mid-rollout, and one lane for the world: what breaks, when and for how long. Lanes know nothing of each
other, so leaving out what concerns one application changes nothing for the others.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self, TypeVar


WORLD = "world"
"""The lane of what breaks, and of what is stopped for everybody."""

Details = Mapping[str, Any]
Line = TypeVar("Line", "Deed", "Head")


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do."""

    lane: str
    after: float
    """Seconds: in the world since the run began, of an application since its last deed was done."""
    do: str
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """What a script was made for; all of it follows from this."""

    seed: int
    minutes: float
    applications: tuple[str, ...]
    pair: bool
    """Two controllers that take turns by a Lease, instead of one."""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole run."""

    head: Head
    deeds: tuple[Deed, ...]

    def lane(self, name: str) -> list[Deed]:
        """Give the deeds of one lane, in order."""
        return [deed for deed in self.deeds if deed.lane == name]

    def only(self, applications: Collection[str], seconds: float) -> Self:
        """Give what concerns these applications, and of what breaks only the first so many seconds."""
        names = tuple(name for name in self.head.applications if name in applications)
        head = replace(self.head, applications=names, minutes=min(self.head.minutes, seconds / 60))
        deeds = (
            deed
            for deed in self.deeds
            if deed.lane in names or (deed.lane == WORLD and deed.after <= seconds)
        )
        return type(self)(head, tuple(deeds))

    def lines(self) -> Iterator[str]:
        """Write it as JSON lines: one that says what it is, then a deed a line."""
        yield json.dumps(asdict(self.head))
        for deed in self.deeds:
            yield json.dumps(asdict(deed))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `lines` wrote.

        Raises:
            ValueError: the text is no script; the message names the line.
        """
        numbered = enumerate(text.splitlines() or [""], start=1)
        head = _parsed(Head, next(numbered))
        head = Head(head.seed, head.minutes, tuple(head.applications), head.pair)
        return cls(head, tuple(_parsed(Deed, each) for each in numbered))


def _parsed(kind: type[Line], line: tuple[int, str]) -> Line:
    number, text = line
    try:
        return kind(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"line {number} is no {kind.__name__.lower()} of a chaos script: {error}") from error
