import pytest

from config import canary
from controller.gloo.matchers import extended, matchers_of, narrows, same


HEADER = {"name": "stage", "value": "canary"}


def match(**conditions: object) -> canary.TestingMatch:
    return canary.TestingMatch.model_validate(conditions)


@pytest.mark.parametrize(
    ("matcher", "conditions", "narrowed"),
    [
        pytest.param(
            {"prefix": "/"}, match(headers=[HEADER]), {"prefix": "/", "headers": [HEADER]}, id="a header"
        ),
        pytest.param(
            {"exact": "/x", "headers": [{"name": "a"}]},
            match(headers=[HEADER]),
            {"exact": "/x", "headers": [{"name": "a"}, HEADER]},
            id="a header on top of another",
        ),
        pytest.param(
            {"prefix": "/"},
            match(headers=[{"name": "stage", "regex": "can.*"}, {"name": "who", "present": True}]),
            {"prefix": "/", "headers": [{"name": "stage", "value": "can.*", "regex": True}, {"name": "who"}]},
            id="a regex and presence",
        ),
        pytest.param(
            {"prefix": "/"},
            match(
                headers=[
                    {**HEADER, "invert": True},
                    {"name": "bot", "present": True, "invert": True},
                    {"name": "team", "regex": "a|b", "invert": True},
                ]
            ),
            {
                "prefix": "/",
                "headers": [
                    {**HEADER, "invertMatch": True},
                    {"name": "bot", "invertMatch": True},
                    {"name": "team", "value": "a|b", "regex": True, "invertMatch": True},
                ],
            },
            id="what must not be there",
        ),
        pytest.param(
            {"prefix": "/"},
            match(queryParameters=[{"name": "v", "value": "2"}, {"name": "w", "regex": "."}]),
            {
                "prefix": "/",
                "queryParameters": [{"name": "v", "value": "2"}, {"name": "w", "value": ".", "regex": True}],
            },
            id="query parameters",
        ),
        pytest.param(
            {"prefix": "/"}, match(methods=["POST"]), {"prefix": "/", "methods": ["POST"]}, id="a method"
        ),
        pytest.param(
            {"prefix": "/", "methods": ["GET", "POST"]},
            match(methods=["POST", "PUT"]),
            {"prefix": "/", "methods": ["POST"]},
            id="the methods that both allow",
        ),
    ],
)
def test_a_testing_match_narrows_a_matcher_in_gloo_words(
    matcher: dict[str, object], conditions: canary.TestingMatch, narrowed: dict[str, object]
) -> None:
    assert extended([matcher], conditions) == [narrowed]


def test_a_matcher_that_no_request_could_fit_any_more_is_left_out() -> None:
    alternatives: list[dict[str, object]] = [{"prefix": "/a", "methods": ["GET"]}, {"prefix": "/b"}]
    assert extended(alternatives, match(methods=["PUT"])) == [{"prefix": "/b", "methods": ["PUT"]}]


@pytest.mark.parametrize("route", [{}, {"matchers": []}, {"matchers": None}])
def test_no_matchers_means_every_path(route: dict[str, object]) -> None:
    assert list(matchers_of(route)) == [{"prefix": "/"}]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        pytest.param([{"prefix": "/"}], [{"prefix": "/"}], True, id="identical"),
        pytest.param(
            [{"prefix": "/a"}, {"exact": "/b"}], [{"exact": "/b"}, {"prefix": "/a"}], True, id="order"
        ),
        pytest.param(
            [{"prefix": "/", "headers": [{"name": "a"}, {"name": "b"}]}],
            [{"prefix": "/", "headers": [{"name": "b", "regex": False, "value": ""}, {"name": "a"}]}],
            True,
            id="order of headers, and defaults written out",
        ),
        pytest.param([{"prefix": "/"}], [{"exact": "/"}], False, id="kind of path"),
        pytest.param([{"prefix": "/"}], [{"prefix": "/"}, {"prefix": "/"}], False, id="number"),
        pytest.param(
            [{"prefix": "/", "caseSensitive": False}], [{"prefix": "/"}], False, id="case sensitivity"
        ),
        pytest.param(
            [{"prefix": "/", "headers": [{"name": "a", "invertMatch": True}]}],
            [{"prefix": "/", "headers": [{"name": "a"}]}],
            False,
            id="an inverted header",
        ),
    ],
)
def test_matchers_are_compared_by_meaning(
    left: list[dict[str, object]],
    right: list[dict[str, object]],
    equal: bool,  # noqa: FBT001  # a column
) -> None:
    assert same(left, right) is equal
    assert same(right, left) is equal


@pytest.mark.parametrize(
    ("narrow", "wide", "holds"),
    [
        pytest.param({"prefix": "/", "headers": [HEADER]}, {"prefix": "/"}, True, id="one header more"),
        pytest.param(
            {"prefix": "/", "queryParameters": [HEADER]}, {"prefix": "/"}, True, id="a parameter more"
        ),
        pytest.param({"prefix": "/", "methods": ["GET"]}, {"prefix": "/"}, True, id="fewer methods"),
        pytest.param({"prefix": "/"}, {"prefix": "/", "methods": ["GET"]}, False, id="more methods"),
        pytest.param({"prefix": "/"}, {"prefix": "/"}, False, id="the same"),
        pytest.param({"prefix": "/"}, {"prefix": "/", "headers": [HEADER]}, False, id="wider"),
        pytest.param({"prefix": "/a", "headers": [HEADER]}, {"prefix": "/"}, False, id="another path"),
        pytest.param(
            {"prefix": "/", "headers": [{"name": "a"}]},
            {"prefix": "/", "headers": [HEADER]},
            False,
            id="another header",
        ),
        pytest.param(
            {"prefix": "/", "methods": ["PUT"]},
            {"prefix": "/", "methods": ["GET"]},
            False,
            id="another method",
        ),
        pytest.param(
            {"prefix": "/", "headers": [HEADER], "queryParameters": [{"name": "a"}]},
            {"prefix": "/", "queryParameters": [HEADER]},
            False,
            id="another parameter",
        ),
    ],
)
def test_narrower_is_the_same_path_under_more_conditions(
    narrow: dict[str, object],
    wide: dict[str, object],
    holds: bool,  # noqa: FBT001  # a column
) -> None:
    assert narrows([narrow], [wide]) is holds
