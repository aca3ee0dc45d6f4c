"""Rollouts told window by window, as the controller records them: seeded, and judged by the very code."""

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.judge import judge
from analysis.readings import Counts, Latencies, MetricReading, NoData, Number, Reading
from analysis.record import Record, begin, record
from analysis.samples import Failure
from analysis.verdict import Judgement, Memory
from analysis.window import Window
from config.load import load_spec
from config.metrics import Analysis
from config.status import Phase, Revision, Status, Weighed
from metrics import errors, latency, saturation, well_known


NOW = dt.datetime(2026, 3, 1, 12, 0, 0, 125, tzinfo=dt.UTC)
TEN_SECONDS = dt.timedelta(seconds=10)
BOUNDS = (0.1, 0.25, 0.5, 1.0)
V1 = Revision("v1", "1111aaaa2222", "web-v1")
V2 = Revision("v2", "3333bbbb4444", "web-v2")


def spec(*metrics: dict[str, Any], **analysis: Any) -> dict[str, Any]:  # each field has its own type
    """Give the spec of a Canary by these metrics; usually all three kinds."""
    return {
        "workload": {"selector": {"app": "web"}},
        "upstream": {"name": "web", "namespace": "gloo-system"},
        "routes": [{"kind": "VirtualService", "name": "web", "namespace": "gloo-system"}],
        "analysis": {"metrics": list(metrics or (errors(), latency(), saturation())), **analysis},
    }


@dataclass
class Told:
    """A rollout of v2 that goes on for as many windows as are asked for."""

    spec: dict[str, Any] = field(default_factory=spec)
    bad: float = 0.004
    """Share of the candidate's requests that fail; stable's: 0.4%."""
    begun: dt.datetime = NOW
    memory: Memory = field(default_factory=lambda: Memory(weighed=Weighed(scrape=5.0)))
    said: list[Judgement] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    seed: int = 1
    surveyed: bool = True
    """Stable was seen to be calm before."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  # not for secrets
        if self.surveyed and not self.memory.metrics:
            known = tuple(well_known(metric, BOUNDS) for metric in self.analysis.metrics)
            self.memory = replace(self.memory, metrics=known)
        self.records.append(begin(self.memory, self.analysis))

    @property
    def analysis(self) -> Analysis:
        return load_spec(self.spec).analysis

    def go_on(self, windows: int = 1, *, weight: int = 10, settled: bool = True) -> "Told":
        """Judge more windows at this weight."""
        analysis = self.analysis
        for _ in range(windows):
            number = self.memory.weighed.windows
            window = Window(
                since=self.begun + TEN_SECONDS * number,
                until=self.begun + TEN_SECONDS * (number + 1),
                phase=Phase.SHIFTING,
                weight=weight,
                settled=settled,
                testers=False,
                readings={metric.name: self._reading(metric.name, weight) for metric in analysis.metrics},
            )
            self.judge(window, analysis)
        return self

    def blind(self, reason: str = "connection refused") -> "Told":
        """Let Prometheus not answer for one window."""
        analysis, number = self.analysis, self.memory.weighed.windows
        nothing = MetricReading(Failure(reason), Failure(reason), "")
        window = Window(
            since=self.begun + TEN_SECONDS * number,
            until=self.begun + TEN_SECONDS * (number + 1),
            phase=Phase.SHIFTING,
            weight=10,
            settled=True,
            testers=False,
            readings=dict.fromkeys((metric.name for metric in analysis.metrics), nothing),
        )
        self.judge(window, analysis)
        return self

    def judge(self, window: Window, analysis: Analysis) -> None:
        judgement = judge(analysis, self.memory, window)
        self.memory = judgement.memory
        self.said.append(judgement)
        self.records.append(record(window, judgement, analysis))

    def status(self, windows: Sequence[Record] | None = None, **fields: Any) -> Status:  # as above
        """Give the status after the last window; usually with the last twenty records in it."""
        last = self.said[-1] if self.said else None
        return replace(
            Status(
                phase=Phase.SHIFTING,
                stable=V1,
                candidate=V2,
                weight=10,
                weight_seen=10,
                verdict=last.verdict if last else None,
                started_at=self.begun,
                surveyed_at=self.begun,
                observed_spec=self.spec,
                metrics=self.memory.metrics,
                weighed=self.memory.weighed,
                windows=tuple(self.records[-20:] if windows is None else windows),
            ),
            **fields,
        )

    def _reading(self, name: str, weight: int) -> MetricReading:
        candidate = 4 * weight
        stable = 4 * (100 - weight)
        match name.partition("-")[0]:
            case "errors":
                return MetricReading(
                    self._counts(candidate, self.bad), self._counts(stable, 0.004), 'bad{version="v2"}'
                )
            case "latency":
                return MetricReading(self._latencies(candidate), self._latencies(stable), "buckets")
            case _:
                return MetricReading(self._number(), Number(0.25), "busy")

    def _number(self) -> Reading:
        return Number(self.random.uniform(0.2, 0.6)) if self.random.random() > 0.1 else NoData("no series")

    def _counts(self, requests: int, share: float) -> Counts:
        return Counts(requests, sum(self.random.random() < share for _ in range(requests)))

    def _latencies(self, requests: int) -> Latencies:
        took = [self.random.lognormvariate(-3, 1) for _ in range(requests)]
        slower = tuple((bound, sum(each > bound for each in took)) for bound in BOUNDS)
        return Latencies(requests, slower)
