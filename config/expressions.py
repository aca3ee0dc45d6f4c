"""What can be told of a PromQL expression without asking Prometheus.

The syntax is Prometheus' to judge. Here is refused what Prometheus would
answer gladly and wrongly: counters that have been turned into something else.
"""

import difflib
import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from config.placeholders import PLACEHOLDER, PLACEHOLDERS, TELLING_APART, placeholders_in


OPEN_NAMES = "open_names"
"""In the context of a validation: True accepts any name, as templates have variables of their own."""

_RATES = ("rate", "irate", "increase", "delta", "idelta", "histogram_quantile")
_SUMS = ("sum", "avg", "min", "max", "count", "group", "topk", "bottomk", "quantile", "stddev", "stdvar")
_QUOTED_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`|#[^\n]*')
_RATE = re.compile(rf"(?<![\w:])({'|'.join(_RATES)})\s*\(")
_SUM = re.compile(rf"(?<![\w:])({'|'.join(_SUMS)})\s*(?:\(|by\b|without\b)")


def check_expression(text: str, *, open_names: bool = False) -> str:
    """Accept an expression whose placeholders are all known, or at least could be variables.

    Raises:
        ValueError: an unknown placeholder, or braces that belong to none.

    """
    for name in placeholders_in(text):
        if name not in PLACEHOLDERS and not (open_names and name.isidentifier()):
            near = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
            hint = f"did you mean {{{{ {near[0]} }}}}? " if near else ""
            allowed = f"{', '.join(sorted(PLACEHOLDERS))}, and what templateVariables names"
            raise ValueError(f"unknown placeholder {{{{ {name} }}}}; {hint}allowed: {allowed}")
    rest = PLACEHOLDER.sub("", text)
    if "{{" in rest or "}}" in rest:
        raise ValueError("found double braces that do not close; a placeholder looks like {{ version }}")
    return text


def check_counter(text: str) -> str:
    """Accept an expression that can be a raw counter of one version, one series per pod.

    Raises:
        ValueError: rates and sums, and expressions that are the same for every version.

    """
    bare = _QUOTED_OR_COMMENT.sub("", text)
    if found := _RATE.search(bare):
        raise ValueError(
            f"found {found[1]}(); give the raw counter instead: "
            "Crossfade counts requests itself, exactly, between two evaluations"
        )
    if found := _SUM.search(bare):
        raise ValueError(
            f"found {found[1]}(); give one series per pod instead: Crossfade adds them up itself, "
            "and a pod that ends inside a sum would look like a counter that starts again"
        )
    if TELLING_APART.isdisjoint(placeholders_in(text)):
        raise ValueError(
            "counts all versions as one; select one of them, for example "
            'by {version="{{ version }}"} or {pod=~"{{ deployment }}-.*"}'
        )
    return text


def _checked(text: str, info: ValidationInfo) -> str:
    return check_expression(text, open_names=bool((info.context or {}).get(OPEN_NAMES)))


Expression = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_checked)]
CounterExpression = Annotated[Expression, AfterValidator(check_counter)]
