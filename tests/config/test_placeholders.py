"""Filling in: a value stays where it was put; what Prometheus makes of it is in the tests of analysis."""

import types
from collections.abc import Mapping
from pathlib import Path

import pytest

from config import placeholders
from config.placeholders import resolve


VALUES = {"version": "1.2", "name": "echo", "window": "90s"}
HOSTILE = {"version": "\"'`\\\n.+"}

CASES = {
    "in a string": ('a{v="{{ version }}"}', VALUES, 'a{v="1.2"}'),
    "in single quotes, without spaces": ("a{v='{{version}}'}", VALUES, "a{v='1.2'}"),
    "two in a string": ('a{v="x-{{ version }}-{{ name }}"}', VALUES, 'a{v="x-1.2-echo"}'),
    "in a regular expression": ('a{v=~"{{ version }}-.*"}', VALUES, 'a{v=~"1\\\\.2-.*"}'),
    "in a negated one, with a space": ('a{v!~ "{{ version }}"}', VALUES, 'a{v!~ "1\\\\.2"}'),
    "in a regular expression after a comment": (
        'a{v=~ # which?\n"{{ version }}"}',
        VALUES,
        'a{v=~ # which?\n"1\\\\.2"}',
    ),
    "in backquotes": ("a{v=`{{ version }}`}", VALUES, 'a{v="1.2"}'),
    "in backquoted regex": ("a{v=~`\\d{{ version }}`}", VALUES, 'a{v=~"\\\\d1\\\\.2"}'),
    "backquotes without a placeholder stay": ("a{v=`\\d`}", VALUES, "a{v=`\\d`}"),
    "a duration": ("rate(a[{{ window }}])", VALUES, "rate(a[90s])"),
    "a word within a name": ("a_{{ name }}_total", VALUES, "a_echo_total"),
    "comments go": ("a{} # {{ version }} isn't it", VALUES, "a{} "),
    "no comment in a string": ('a{v="# {{ name }}"} # x', VALUES, 'a{v="# echo"} '),
    "after an escaped quote": ('a{v="\\"{{ name }}"}', VALUES, 'a{v="\\"echo"}'),
    "a hostile value in double quotes": ('a{v="{{ version }}"}', HOSTILE, 'a{v="\\"\'`\\\\\\n.+"}'),
    "a hostile value in single quotes": ("a{v='{{ version }}'}", HOSTILE, "a{v='\"\\'`\\\\\\n.+'}"),
    "a hostile value in backquotes": ("a{v=`{{ version }}`}", HOSTILE, 'a{v="\\"\'`\\\\\\n.+"}'),
    "a hostile value in a regular expression": (
        'a{v=~"{{ version }}"}',
        HOSTILE,
        'a{v=~"\\"\'`\\\\\\\\\\n\\\\.\\\\+"}',
    ),
    "a minus would subtract": ("a_{{ name }}_total", {"name": "my-app"}, "a_{{ name }}_total"),
    "a string that was never closed": (
        'a{v="{{ version }}',
        {"version": '"} or vector(1) #'},
        'a{v="{{ version }}',
    ),
    "what has no value stays": ("a[{{ it }}]", VALUES, "a[{{ it }}]"),
    "what has no value stays in its string": ('a{v="{{ it }}-{{ name }}"}', VALUES, 'a{v="{{ it }}-echo"}'),
    "what has no value stays in backquotes": (
        "a{v=`\\d{{ it }}-{{ name }}`}",
        VALUES,
        'a{v="\\\\d{{ it }}-echo"}',
    ),
}


@pytest.mark.parametrize(("expression", "values", "filled"), CASES.values(), ids=CASES)
def test_placeholders_are_filled_in_where_they_stand(
    expression: str, values: Mapping[str, str], filled: str
) -> None:
    assert resolve(expression, values) == filled


def test_a_value_that_may_be_a_pattern_still_cannot_end_its_string() -> None:
    filled = resolve('a{v=~"{{ version }}", w="{{ version }}"}', {"version": '5.."}'}, patterns=True)
    assert filled == 'a{v=~"5..\\"}", w="5..\\"}"}'


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        pytest.param('.replace(quote, f"\\\\{quote}")', "", id="a value ends its string"),
        pytest.param(
            'value.replace("\\\\", "\\\\\\\\")', "value", id="a value escapes the end of its string"
        ),
        pytest.param('.replace("\\n", "\\\\n")', "", id="a value breaks the line"),
        pytest.param("literally=bool(regex) and", "literally=False and", id="a value is a pattern"),
        pytest.param("literally=bool(regex) and", "literally=True and", id="no value is a pattern"),
        pytest.param(" and _WORD.fullmatch(value)", "", id="a value may be anything outside of strings"),
        pytest.param('if quote == "`":', "if False:", id="backquotes take escapes"),
        pytest.param('return ""', "return found[0]", id="comments stay"),
        pytest.param(" if PLACEHOLDER.search(string) else string", "", id="all backquotes are rewritten"),
    ],
)
def test_every_mistake_in_filling_in_is_noticed(line: str, becomes: str) -> None:
    source = Path(placeholders.__file__)
    text = source.read_text()
    assert text.count(line) == 1, f"{line!r} is no longer the one place to break"
    broken = types.ModuleType("broken")
    exec(compile(text.replace(line, becomes), source, "exec"), broken.__dict__)  # noqa: S102  # our own code
    assert any(broken.resolve(expression, values) != filled for expression, values, filled in CASES.values())
