"""The names that an expression may leave open, such as `{{ version }}`, and how values get there.

Configuration refuses names without a meaning at the door; analysis fills in what is asked about.
"""

import re
from collections.abc import Mapping


WITH_UPSTREAMS = frozenset({"cluster"})
"""The ones that exist only where every version has an Upstream of its own: its cluster in Envoy."""
PLACEHOLDERS = WITH_UPSTREAMS | {
    "version",
    "stable",
    "candidate",
    "deployment",
    "namespace",
    "name",
    "upstream",
    "window",
}
TELLING_APART = frozenset({"version", "deployment", "candidate", "cluster"})
"""The ones of which a counter needs at least one, or both versions are counted as one."""

PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
"""Group 1 is the name."""

_STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
_TOKEN = re.compile(
    rf"(?P<regex>[=!]~(?:\s|#[^\n]*)*)?(?P<string>{_STRING})|(?P<comment>#[^\n]*)|{PLACEHOLDER.pattern}"
)
_REGEX_MEANING = re.compile(r"([\\.+*?()\[\]{}^$|])")
_WORD = re.compile(r"[0-9A-Za-z_:]*")


def placeholders_in(text: str) -> tuple[str, ...]:
    """Give the names between double braces in order of appearance, known or not."""
    return tuple(PLACEHOLDER.findall(text))


def resolve(expression: str, values: Mapping[str, str], *, patterns: bool = False) -> str:
    """Fill in the placeholders that have a value, and take the comments out.

    In a string a value cannot end the string, and in a regular expression (`=~`,
    `!~`) it stands for itself, unless the values may be `patterns`. Elsewhere only
    a single word can stand: any other value is not filled in, and Prometheus
    refuses the braces.
    """

    def filled(found: re.Match[str]) -> str:
        if found["string"] is not None:
            regex = found["regex"] or ""
            return regex + _filled_string(found["string"], values, literally=bool(regex) and not patterns)
        if found["comment"] is not None:
            return ""
        value = values.get(found[4])
        return value if value is not None and _WORD.fullmatch(value) else found[0]

    return _TOKEN.sub(filled, expression)


def quoted(text: str) -> str:
    """Write a string as PromQL has it."""
    return f'"{_escaped(text, chr(34))}"'


def _filled_string(string: str, values: Mapping[str, str], *, literally: bool) -> str:
    quote = string[0]

    def meant(found: re.Match[str]) -> str:
        value = values.get(found[1])
        if value is None:
            return found[0]
        return _REGEX_MEANING.sub(r"\\\1", value) if literally else value

    if quote == "`":  # takes no escapes: written with the other quotes
        return quoted(PLACEHOLDER.sub(meant, string[1:-1])) if PLACEHOLDER.search(string) else string
    return PLACEHOLDER.sub(lambda found: _escaped(meant(found), quote), string)


def _escaped(value: str, quote: str) -> str:
    return value.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")
