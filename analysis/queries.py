"""PromQL from the metrics of a Canary: strings in, strings out."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from config.canary import Analysis, HistogramMetric, QueryMetric, RatioMetric
from config.placeholders import PLACEHOLDER
from config.status import Revision


Role = Literal["candidate", "stable"]
ROLES: tuple[Role, ...] = ("candidate", "stable")
MARK = "crossfade_query"
"""The label by which the answers of joined queries are told apart."""

_STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
_TOKEN = re.compile(rf"(?P<string>{_STRING})|(?P<comment>#[^\n]*)|{PLACEHOLDER.pattern}")
_REGEX_MEANING = re.compile(r"([\\.+*?()\[\]{}^$|])")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression with the name under which its answer comes back."""

    id: str
    expression: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the queries of one evaluation are about."""

    name: str
    namespace: str
    upstream: str
    stable: Revision | None
    candidate: Revision | None
    window: dt.timedelta
    """The `{{ window }}` of rates, in whole seconds when it is written."""

    def values(self, role: Role) -> Mapping[str, str]:
        """Give what the placeholders stand for when one of the versions is asked about."""
        asked = self.candidate if role == "candidate" else self.stable
        return {
            "version": asked.version if asked else "",
            "deployment": asked.deployment if asked else "",
            "stable": self.stable.version if self.stable else "",
            "candidate": self.candidate.version if self.candidate else "",
            "namespace": self.namespace,
            "name": self.name,
            "upstream": self.upstream,
            "window": f"{max(1, round(self.window.total_seconds()))}s",
        }


def resolve(expression: str, values: Mapping[str, str]) -> str:
    """Fill in the placeholders.

    Inside a string a value cannot end the string, and inside a regular
    expression (`=~`, `!~`) it stands for itself.

    Raises:
        ValueError: a value cannot be written where its placeholder stands.

    """

    def filled(found: re.Match[str]) -> str:
        if found["comment"] is not None:
            return ""
        if found["string"] is None:
            return values[found[3]]
        operator = expression[: found.start()].rstrip()[-2:]
        return _filled_string(found["string"], values, is_regex=operator in {"=~", "!~"})

    return _TOKEN.sub(filled, expression)


def queries_for(analysis: Analysis, subject: Subject) -> tuple[Query, ...]:
    """Give all queries of one evaluation: every metric, for both versions.

    An id changes with its expression, so that counters are never compared with
    those of another question.
    """
    return tuple(
        Query(_identity(name, role, part, resolved), resolved)
        for name, role, part, expression in _parts(analysis)
        for resolved in (resolve(expression, subject.values(role)),)
    )


def origin(query_id: str) -> tuple[str, str, str]:
    """Give metric, role and part that an id names: `errors`, `candidate`, `bad`."""
    metric, role, part, _ = query_id.split("/")
    return metric, role, part


def join(queries: Sequence[Query]) -> str:
    """Make one expression of several; each series of the answer is marked with its query's id."""
    return "\nor\n".join(
        f'label_replace((\n{query.expression}\n), "{MARK}", {_quoted(query.id)}, "", "")' for query in queries
    )


def _parts(analysis: Analysis) -> Iterator[tuple[str, Role, str, str]]:
    for metric in analysis.metrics:
        for role in ROLES:
            match metric:
                case RatioMetric(ratio=ratio):
                    yield metric.name, role, "bad", ratio.bad
                    yield metric.name, role, "total", ratio.total
                case HistogramMetric(histogram=histogram):
                    yield metric.name, role, "buckets", histogram.buckets
                case QueryMetric(query=query):
                    yield metric.name, role, "value", query


def _identity(name: str, role: Role, part: str, expression: str) -> str:
    return f"{name}/{role}/{part}/{hashlib.sha256(expression.encode()).hexdigest()[:8]}"


def _filled_string(string: str, values: Mapping[str, str], *, is_regex: bool) -> str:
    quote = string[0]

    def filled(found: re.Match[str]) -> str:
        value = values[found[1]]
        if is_regex:
            value = _REGEX_MEANING.sub(r"\\\1", value)
        if quote == "`":
            if "`" in value:
                raise ValueError(f"{value!r} cannot stand between backquotes; use double quotes")
            return value
        return _escaped(value, quote)

    return PLACEHOLDER.sub(filled, string)


def _quoted(text: str) -> str:
    return f'"{_escaped(text, chr(34))}"'


def _escaped(value: str, quote: str) -> str:
    return value.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")
