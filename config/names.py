"""Names as Kubernetes and HTTP allow them."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field


_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_LABEL = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_PATH_PREFIX = r"^/\S*$"
_TOKEN = r"^[!-~]+$"  # noqa: S105  # no secret: the characters that HTTP allows in a header's name

PATTERNS_IN_WORDS = {
    _NAME: "a name has lower case letters, digits, '-' and '.', and begins and ends with a letter or digit",
    _LABEL: "a label has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit",
    _LABEL_KEY: "a label's key looks like app or example.org/app",
    _TOKEN: "a name without spaces is needed",
    _PATH_PREFIX: "a path begins with / and has no spaces",
    _VARIABLE: "a variable has letters, digits and '_', and begins with no digit",
}


def _seen(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"found {text[:40]!a}; text that can be seen is needed")
    return text


Visible = AfterValidator(_seen)
"""No control characters, nothing without width, nothing that turns the direction of writing."""

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=_NAME)]
Label = Annotated[str, Field(min_length=1, max_length=63, pattern=_LABEL)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=_LABEL_KEY)]
ShortName = Annotated[str, Field(min_length=1, max_length=63, pattern=_NAME)]
"""One that is a label as well."""
Variable = Annotated[str, Field(min_length=1, max_length=63, pattern=_VARIABLE)]
Token = Annotated[str, Field(min_length=1, max_length=256, pattern=_TOKEN)]
RouteName = Annotated[str, Field(min_length=1, max_length=256), Visible]
PathPrefix = Annotated[str, Field(min_length=1, max_length=1024, pattern=_PATH_PREFIX), Visible]


def name_with_version(name: str, version: str) -> str:
    """Name an object of one version: `echo` of `v1.2` is `echo-v1-2`.

    A version is a label, and may hold what names must not. Dots go as well: they
    would cut the name in Envoy's statistics short.
    """
    return f"{name}-{re.sub('[^a-z0-9-]', '-', version.lower())}"
