"""PromQL from the metrics of a Canary: strings in, strings out."""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from config.metrics import Analysis, HistogramMetric, Metric, RatioMetric
from config.placeholders import quoted, resolve
from config.status import Revision


Role = Literal["candidate", "stable"]
ROLES: tuple[Role, ...] = ("candidate", "stable")
MARK = "crossfade_query"
"""The label by which the answers of joined queries are told apart."""


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
    cluster_of: Callable[[str], str] | None = None
    """Gives the name by which Envoy counts the requests to a version; None: nobody asks Envoy."""

    def values(self, role: Role) -> Mapping[str, str]:
        """Give what the placeholders stand for when one of the versions is asked about."""
        asked = self.candidate if role == "candidate" else self.stable
        cluster = (
            {} if self.cluster_of is None else {"cluster": self.cluster_of(asked.version) if asked else ""}
        )
        return {
            **cluster,
            "version": asked.version if asked else "",
            "deployment": asked.deployment if asked else "",
            "stable": self.stable.version if self.stable else "",
            "candidate": self.candidate.version if self.candidate else "",
            "namespace": self.namespace,
            "name": self.name,
            "upstream": self.upstream,
            "window": f"{max(1, round(self.window.total_seconds()))}s",
        }


class Origin(NamedTuple):
    """What a query was asked for."""

    metric: str
    role: Role
    part: str
    """`bad` and `total` of a ratio, `buckets` of a histogram, `value` of a query."""
    question: str
    """The same for all parts of a metric, as long as the same is asked about the same version."""


def origin(query_id: str) -> Origin:
    """Read the id of a query: `errors/candidate/bad/1a2b3c4d`."""
    metric, role, part, fingerprint = query_id.split("/")
    about: Role = "candidate" if role == "candidate" else "stable"
    return Origin(metric, about, part, f"{metric}/{role}/{fingerprint}")


def queries_for(analysis: Analysis, subject: Subject) -> tuple[Query, ...]:
    """Give all queries of one evaluation: every metric, for both versions."""
    return tuple(_queries_for(analysis, subject))


def join(queries: Sequence[Query]) -> str:
    """Make one expression of several; each series of the answer is marked with its query's id."""
    return "\nor\n".join(
        f'label_replace((\n{query.expression}\n), "{MARK}", {quoted(query.id)}, "", "")' for query in queries
    )


def _queries_for(analysis: Analysis, subject: Subject) -> Iterator[Query]:
    for metric in analysis.metrics:
        for role in ROLES:
            values = subject.values(role)
            fingerprint = _fingerprint(metric, values)
            for part, expression in _parts(metric).items():
                yield Query(f"{metric.name}/{role}/{part}/{fingerprint}", resolve(expression, values))


def _parts(metric: Metric) -> Mapping[str, str]:
    if isinstance(metric, RatioMetric):
        return {"bad": metric.ratio.bad, "total": metric.ratio.total}
    if isinstance(metric, HistogramMetric):
        return {"buckets": metric.histogram.buckets}
    return {"value": metric.query}


def _fingerprint(metric: Metric, values: Mapping[str, str]) -> str:
    """Tell questions apart; one that only asks about a longer window is the same."""
    asked = "\n".join(resolve(each, {**values, "window": ""}) for each in _parts(metric).values())
    return hashlib.sha256(asked.encode()).hexdigest()[:8]
