"""A query that finds nothing: which of its conditions nothing fulfils, and what is there instead."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.queries import Query
from analysis.samples import Answer, Failure


MOST_NAMED = 8
"""Values of a label."""
MOST_SELECTORS = 4
"""Of an expression: presets join two."""

_STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
_SELECTOR = re.compile(rf"{_STRING}|([A-Za-z_:][\w:]*|)\s*\{{((?:{_STRING}|[^{{}}\"'`])*)\}}")
_MATCHER = re.compile(rf"\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*({_STRING})\s*,?")


class Condition(NamedTuple):
    """One matcher of a selector: the label that it is about, and how it is written."""

    label: str
    text: str


class Selector(NamedTuple):
    """A metric's name and the conditions on its labels."""

    name: str
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        """Write it as PromQL has it: `requests_total{version="v1"}`."""
        return f"{self.name}{{{', '.join(condition.text for condition in self.conditions)}}}"

    def only(self, *conditions: Condition) -> "Selector":
        """Give the selector with these conditions, and no others."""
        return Selector(self.name, conditions)

    def without(self, condition: Condition) -> "Selector":
        """Give the selector with one condition less."""
        return Selector(self.name, tuple(each for each in self.conditions if each != condition))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One condition of a selector, and the queries that tell what is found without it."""

    selector: Selector
    condition: Condition
    without: Query
    """All others hold; series counted by this one's label."""
    alone: Query
    """It alone holds; series counted."""
    everywhere: Query
    """None holds; series counted by this one's label."""

    @property
    def queries(self) -> tuple[Query, ...]:
        """Give all that is to be asked."""
        return self.without, self.alone, self.everywhere


def selectors_in(expression: str) -> tuple[Selector, ...]:
    """Give the selectors of an expression that have conditions, the first few, each once."""
    found = (_selector(match) for match in _SELECTOR.finditer(expression) if match[2])
    return tuple(dict.fromkeys(found))[:MOST_SELECTORS]


def suspicions(query: Query) -> tuple[Suspicion, ...]:
    """Doubt the conditions of a query's selectors, one at a time, the last ones first."""
    return tuple(_suspicions(query))


def diagnose(asked: Sequence[Suspicion], answers: Mapping[str, Answer]) -> str:
    """Say in a clause why nothing is found: `no series; without version="v1" there are 3, ...`."""
    for suspicion in asked:
        if found := _found(answers, suspicion.without):
            instead = _instead(suspicion.condition.label, found)
            return f"no series; without {suspicion.condition.text} there are {sum(found.values())}, {instead}"
    for selector in dict.fromkeys(suspicion.selector for suspicion in asked):
        own = [suspicion for suspicion in asked if suspicion.selector == selector]
        if everywhere := _found(answers, own[0].everywhere):
            return f"no series; {_fulfilled(own, answers, sum(everywhere.values()))}"
    names = " or ".join(dict.fromkeys(each.selector.name for each in asked if each.selector.name))
    called = f", and none is called {names}" if names else ""
    return f"no series{called}: is the application scraped, and has it answered anything?"


def _selector(match: re.Match[str]) -> Selector:
    conditions = (Condition(each[1], f"{each[1]}{each[2]}{each[3]}") for each in _MATCHER.finditer(match[2]))
    return Selector(match[1], tuple(conditions))


def _suspicions(query: Query) -> Iterator[Suspicion]:
    for selector in selectors_in(query.expression):
        for condition in reversed(selector.conditions):
            label, others = condition.label, selector.without(condition)
            expressions = (
                f"count by ({label}) ({others})",
                f"count({selector.only(condition)})",
                f"count by ({label}) ({selector.only()})",
            )
            queries = (
                Query(f"{query.id}#{selector} {condition.text} {at}", expression)
                for at, expression in enumerate(expressions)
            )
            yield Suspicion(selector, condition, *queries)


def _found(answers: Mapping[str, Answer], query: Query) -> dict[str, int]:
    """Give the number of series by the value of the one label that they were counted by."""
    answer = answers.get(query.id, ())
    if isinstance(answer, Failure):
        return {}
    return {next(iter(sample.labels.values()), ""): round(sample.value) for sample in answer}


def _fulfilled(own: Sequence[Suspicion], answers: Mapping[str, Answer], series: int) -> str:
    """Say which conditions of one selector no series fulfils; more than one of them is wrong."""
    wrong = [
        f"{each.condition.text}, {_instead(each.condition.label, _found(answers, each.everywhere))}"
        for each in own
        if not _found(answers, each.alone)
    ]
    if not wrong:
        return f"{series} are called {own[0].selector.name}, but none of them fulfils all conditions"
    return f"of {series} called {own[0].selector.name} none fulfils {'; nor '.join(wrong)}"


def _instead(label: str, found: Mapping[str, int]) -> str:
    values = sorted(value for value in found if value)
    if not values:
        return f"and none of them carries a label {label}"
    named = ", ".join(values[:MOST_NAMED]) + (", ..." if len(values) > MOST_NAMED else "")
    return f"and their {label} is {named}"
