"""The names that a query may leave open, such as `{{ version }}`.

Configuration refuses any other name at the door; analysis fills these in.
"""

import re


PLACEHOLDERS = frozenset(
    {"version", "stable", "candidate", "deployment", "namespace", "name", "upstream", "window"}
)
TELLING_APART = frozenset({"version", "deployment", "candidate"})
"""The ones of which a counter needs at least one, or both versions are counted as one."""

PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
"""Group 1 is the name."""


def placeholders_in(text: str) -> tuple[str, ...]:
    """Give the names between double braces in order of appearance, known or not."""
    return tuple(PLACEHOLDER.findall(text))
