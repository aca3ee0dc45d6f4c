"""Any matcher under any match, judged by which requests fit."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from config import canary
from controller.gloo.matchers import extended, narrows, same


Json = dict[str, Any]
Values = Mapping[str, str]

NAMES = ("a", "b")
VALUES = ("1", "2", "12")
PATTERNS = ("1", "1.", ".*2", "1|2")
METHODS = ("GET", "PUT", "POST")

# What Gloo's matchers mean to Envoy.


def fits(matcher: Json, path: str, request: Json) -> bool:
    return (
        (path.startswith(matcher["prefix"]) if "prefix" in matcher else path == matcher["exact"])
        and all(holds(each, request["headers"]) for each in matcher.get("headers") or [])
        and all(holds(each, request["query"]) for each in matcher.get("queryParameters") or [])
        and request["method"] in (matcher.get("methods") or METHODS)
    )


def holds(condition: Json, given_values: Values) -> bool:
    """Tell whether one condition holds; a missing value is neither equal nor unequal."""
    found, value = given_values.get(condition["name"]), condition.get("value")
    inverted = bool(condition.get("invertMatch"))
    if not value:
        return (found is None) is inverted
    pattern = value if condition.get("regex") else re.escape(value)
    return found is not None and bool(re.fullmatch(pattern, found)) is not inverted


# What a Canary's match means to people.


def chooses(match: canary.TestingMatch, request: Json) -> bool:
    return (
        all(says(each, request["headers"].get(each.name)) for each in match.headers)
        and all(says(each, request["query"].get(each.name)) for each in match.query_parameters)
        and (not match.methods or request["method"] in match.methods)
    )


def says(wanted: canary.ValueMatch, found: str | None) -> bool:
    match wanted:
        case canary.ValueMatch(present=True, invert=True):
            return found is None
        case _ if found is None:
            return False
        case canary.ValueMatch(present=True):
            return True
        case canary.ValueMatch(value=str() as value, invert=invert):
            return (found == value) is not invert
        case canary.ValueMatch(regex=regex, invert=invert):
            return bool(re.fullmatch(regex or "", found)) is not invert


CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(NAMES)},
        optional={
            "value": st.sampled_from(("", *PATTERNS)),
            "regex": st.booleans(),
            "invertMatch": st.booleans(),
        },
    ),
    max_size=2,
)
MATCHERS = st.lists(
    st.fixed_dictionaries(
        {"prefix": st.sampled_from(["/", "/x"])},
        optional={
            "headers": CONDITIONS,
            "queryParameters": CONDITIONS.map(
                lambda each: [{key: one[key] for key in one if key != "invertMatch"} for one in each]
            ),
            "methods": st.lists(st.sampled_from(METHODS), max_size=2, unique=True),
        },
    )
    | st.just({"exact": "/x"}),
    min_size=1,
    max_size=3,
)
HOW = st.one_of(
    st.sampled_from(VALUES).map(lambda value: {"value": value}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"regex": pattern}),
    st.just({"present": True}),
)
WANTED = st.builds(lambda name, how: {"name": name, **how}, st.sampled_from(NAMES), HOW)
HEADERS = st.lists(
    st.builds(lambda one, invert: {**one, "invert": invert}, WANTED, st.booleans()), max_size=2
)
MATCHES = (
    st.fixed_dictionaries(
        {},
        optional={
            "headers": HEADERS,
            "queryParameters": st.lists(WANTED, max_size=2),
            "methods": st.lists(st.sampled_from(METHODS), max_size=2, unique=True),
        },
    )
    .filter(lambda match: any(match.values()))
    .map(canary.TestingMatch.model_validate)
)
GIVEN = st.dictionaries(st.sampled_from(NAMES), st.sampled_from((*VALUES, "3")))
REQUESTS = st.fixed_dictionaries({"method": st.sampled_from(METHODS), "headers": GIVEN, "query": GIVEN})


@settings(max_examples=400, deadline=None)
@given(
    matchers=MATCHERS,
    match=MATCHES,
    path=st.sampled_from(["/", "/x", "/xy"]),
    requests=st.lists(REQUESTS, min_size=1, max_size=8),
)
def test_a_testing_route_is_for_the_testers_among_its_requests(
    matchers: list[Json], match: canary.TestingMatch, path: str, requests: Sequence[Json]
) -> None:
    narrowed = extended(matchers, match)
    for request in requests:
        theirs = [matcher for matcher in matchers if fits(matcher, path, request)]
        assert any(fits(each, path, request) for each in narrowed) is (
            bool(theirs) and chooses(match, request)
        )


@settings(max_examples=200, deadline=None)
@given(matchers=MATCHERS, match=MATCHES, seed=st.integers(0, 9))
def test_it_is_known_again_in_any_order_and_as_narrower_than_its_main_route(
    matchers: list[Json], match: canary.TestingMatch, seed: int
) -> None:
    narrowed = extended(matchers, match)
    shuffled = [
        {**each, "headers": random.Random(seed).sample(each.get("headers", []), len(each.get("headers", [])))}  # noqa: S311
        for each in random.Random(seed).sample(narrowed, len(narrowed))  # noqa: S311
    ]
    assert same(narrowed, shuffled)
    if not same(narrowed, matchers):
        assert not narrowed or narrows(narrowed, matchers)
        assert not narrows(matchers, narrowed) or same(narrowed, [])
