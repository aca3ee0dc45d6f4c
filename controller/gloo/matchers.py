"""Which requests a route is for: Gloo's matchers, compared and narrowed.

A matcher is a path, plus conditions that must all hold: headers, query
parameters, and one of several methods. A route has alternatives of these; none
at all means every path.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.canary import TestingMatch, ValueMatch


Matcher = Mapping[str, Any]

_ANY_PATH: Matcher = {"prefix": "/"}
_CONDITIONS = ("headers", "queryParameters", "methods")


def matchers_of(route: Mapping[str, Any]) -> Sequence[Matcher]:
    """Give a route's matchers, with Gloo's default for a route without any."""
    return route.get("matchers") or (_ANY_PATH,)


def extended(matchers: Sequence[Matcher], match: TestingMatch) -> list[dict[str, Any]]:
    """Narrow every matcher by the conditions of `match`; one that could then match nothing is left out."""
    return [narrowed for matcher in matchers for narrowed in _extended(matcher, match)]


def _extended(matcher: Matcher, match: TestingMatch) -> Iterator[dict[str, Any]]:
    narrowed = dict(matcher)
    if match.headers:
        narrowed["headers"] = [*_list(matcher, "headers"), *map(_condition, match.headers)]
    if match.query_parameters:
        parameters = map(_condition, match.query_parameters)
        narrowed["queryParameters"] = [*_list(matcher, "queryParameters"), *parameters]
    if match.methods:
        allowed = _list(matcher, "methods") or match.methods
        narrowed["methods"] = [method for method in allowed if method in match.methods]
        if not narrowed["methods"]:
            return
    yield narrowed


def _condition(wanted: ValueMatch) -> dict[str, Any]:
    condition: dict[str, Any] = {"name": wanted.name}
    if wanted.regex is not None:
        condition |= {"value": wanted.regex, "regex": True}
    if wanted.value is not None:
        condition["value"] = wanted.value
    if wanted.invert:
        condition["invertMatch"] = True
    return condition


def same(some: Sequence[Matcher], others: Sequence[Matcher]) -> bool:
    """Tell whether both lists say the same; the order of alternatives and of conditions does not matter."""
    left, right = [_meaning(each) for each in some], [_meaning(each) for each in others]
    return len(left) == len(right) and all(left.count(each) == right.count(each) for each in left)


def narrows(some: Sequence[Matcher], others: Sequence[Matcher]) -> bool:
    """Tell whether each of `some` is one of `others` under further conditions, on the very same path."""
    wider = [_meaning(each) for each in others]
    return all(any(_meaning(each).narrows(than) for than in wider) for each in some) and not same(
        some, others
    )


@dataclass(frozen=True, slots=True)
class _Meaning:
    path: str
    headers: Counter[str]
    parameters: Counter[str]
    methods: frozenset[str]
    """Empty: any."""

    def narrows(self, than: "_Meaning") -> bool:
        return (
            self.path == than.path
            and self.headers >= than.headers
            and self.parameters >= than.parameters
            and (not than.methods or (bool(self.methods) and self.methods <= than.methods))
        )


def _meaning(matcher: Matcher) -> _Meaning:
    path = {key: value for key, value in matcher.items() if key not in _CONDITIONS}
    return _Meaning(
        json.dumps(path, sort_keys=True),
        Counter(map(_text, _list(matcher, "headers"))),
        Counter(map(_text, _list(matcher, "queryParameters"))),
        frozenset(_list(matcher, "methods")),
    )


def _text(condition: Mapping[str, Any]) -> str:
    """Write as canonical text; a field at protobuf's default (`regex: false`) is as good as absent."""
    return json.dumps({key: value for key, value in condition.items() if value}, sort_keys=True)


def _list(matcher: Matcher, field: str) -> Sequence[Any]:
    return matcher.get(field) or ()
