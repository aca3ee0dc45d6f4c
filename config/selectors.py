"""Label selectors in the syntax of `kubectl -l`: which Canaries one of several controllers looks after.

Parsed here and not left to the API server, because a controller that looks after
some Canaries has to see the others as well: they may claim what it moves.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal


_KEY = r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUALITY = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==|=|!=)\s*(?P<value>{_VALUE})")
_EXISTENCE = re.compile(rf"(?P<not>!?)\s*(?P<key>{_KEY})")
_BETWEEN = re.compile(r",(?![^(]*\))")
_LOOK = "a selector looks like team=shop, tier!=test, env in (a, b), env notin (c), key or !key"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Literal["in", "notin", "exists", "absent"]
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels fulfil it; as in Kubernetes, a label that is not there fulfils `notin`."""
        found = labels.get(self.key)
        match self.operator:
            case "in":
                return found in self.values
            case "notin":
                return found not in self.values
            case "exists":
                return found is not None
            case "absent":
                return found is None


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions that all have to hold; none: everything is selected."""

    requirements: tuple[Requirement, ...] = ()
    text: str = ""
    """As it was written."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        return all(requirement.holds(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        """Show as it was written."""
        return self.text


EVERYTHING = Selector()


def parse_selector(text: str) -> Selector:
    """Read a selector such as `team=shop,tier notin (test, trial)`; blank: everything.

    Raises:
        ValueError: it is no selector; the message names the part that is wrong and shows what is right.

    """
    parts = [part.strip() for part in _BETWEEN.split(text)] if text.strip() else []
    return Selector(tuple(map(_requirement, parts)), text.strip())


def _requirement(text: str) -> Requirement:
    if found := _SET.fullmatch(text):
        values = frozenset(_values(found["values"], text))
        return Requirement(found["key"], "in" if found["operator"] == "in" else "notin", values)
    if found := _EQUALITY.fullmatch(text):
        operator: Literal["in", "notin"] = "notin" if found["operator"] == "!=" else "in"
        return Requirement(found["key"], operator, frozenset([found["value"]]))
    if found := _EXISTENCE.fullmatch(text):
        return Requirement(found["key"], "absent" if found["not"] else "exists")
    raise ValueError(f"found {text!r}; {_LOOK}")


def _values(text: str, whole: str) -> Iterator[str]:
    for value in (each.strip() for each in text.split(",")):
        if not re.fullmatch(_VALUE, value):
            raise ValueError(f"found {value!r} in {whole!r}; a value has letters, digits, '-', '_' and '.'")
        yield value
