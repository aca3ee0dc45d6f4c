"""Specs, statuses and observations with calm defaults: a test names only what it is about."""

import datetime as dt
from dataclasses import replace
from typing import Any

from analysis.survey import Survey
from analysis.verdict import Judgement, Memory
from config.canary import CanarySpec, TestingMatch
from config.status import (
    HeldReason,
    MetricStatus,
    Phase,
    Revision,
    Status,
    Verdict,
    Weighed,
)
from controller.rollout.decide import decide
from controller.rollout.observation import Acceptance, Observation, Routes, Workload
from controller.rollout.situation import Decision


T0 = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
SOON = SECOND / 10
"""When what has just changed is looked at again."""
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)

V1 = Revision("v1", "hash-v1", "echo-v1")
V2 = Revision("v2", "hash-v2", "echo-v2")
V3 = Revision("v3", "hash-v3", "echo-v3")
STAGE = {"headers": [{"name": "stage", "value": "canary"}]}
MATCH = TestingMatch.model_validate(STAGE)

IN_FORM = Routes(in_form=True, version="v1", acceptance=Acceptance.ACCEPTED, shape="v1")
ADRIFT = replace(IN_FORM, in_form=False, version=None, weight=70, shape="v1 30, v2 70")

ANALYSIS: dict[str, Any] = {
    "metrics": [
        {
            "name": "errors",
            "ratio": {
                "bad": 'bad{version="{{ version }}"}',
                "total": 'total{version="{{ version }}"}',
            },
            "max": "1%",
        }
    ]
}
_SPEC: dict[str, Any] = {
    "workload": {"selector": {"app": "echo"}},
    "upstream": {"name": "echo", "namespace": "gloo-system"},
    "routes": [{"name": "echo", "namespace": "gloo-system"}],
    "testing": {"match": [STAGE]},
    "shifting": {"steps": [10, 50, 100], "interval": "1m"},
    "analysis": ANALYSIS,
}


def spec(**fields: Any) -> CanarySpec:
    """Give the default spec with these fields in place of its own; None takes a field away."""
    given = {**_SPEC, **fields}
    return CanarySpec.model_validate({name: value for name, value in given.items() if value is not None})


def running(
    revision: Revision, *, wanted: int = 2, ready: int | None = None, counted: bool = True
) -> Workload:
    """Give the Deployment of a revision; higher versions are younger."""
    age = dt.timedelta(days=9 - int(revision.version[-1]))
    pods = wanted if ready is None else ready
    return Workload(revision.deployment, revision.version, revision.hash, T0 - age, wanted, pods, counted)


def status(phase: Phase, **fields: Any) -> Status:
    """Give the status of a rollout from v1 to v2 in this phase, settled an hour ago."""
    under_way = phase not in {Phase.IDLE, Phase.PROMOTED}
    testing = phase in {Phase.TESTING, Phase.SHIFTING, Phase.BAKING, Phase.FINISHING}
    carrying = testing or phase is Phase.SHADOWING
    fresh = Status(
        phase=phase,
        stable=V1,
        candidate=V2 if under_way else None,
        weight=100 if phase in {Phase.BAKING, Phase.FINISHING} else 0,
        reason="as before",
        started_at=T0 - 2 * MINUTE if under_way else None,
        intended_at=T0 - HOUR,
        step_started_at=T0 - HOUR,
        ready_when_raised=2 if carrying else 0,
        testing=(MATCH,) if testing else (),
        shadowed=("gloo-system/echo-v2",) if phase is Phase.SHADOWING else (),
        surveyed_at=T0 - 2 * HOUR if carrying else None,
        evaluated_at=T0 - 5 * SECOND if carrying else None,
    )
    return replace(fresh, **fields)


def shifting(weight: int, **fields: Any) -> Status:
    """Give the status of a rollout at this weight."""
    return status(Phase.SHIFTING, weight=weight, highest_weight=weight, **fields)


def seen(**fields: Any) -> Observation:
    """Give an observation at T0 with both versions ready and the routes as intended."""
    calm = Observation(
        now=T0, generation=1, workloads=(running(V1), running(V2)), routes=IN_FORM, finalizer=True
    )
    return replace(calm, **fields)


def judged(verdict: Verdict, waits_for: HeldReason | None = None, **fields: Any) -> Judgement:
    """Give one evaluation of one metric, as of T0."""
    odds = 20.0 if waits_for is HeldReason.OUT_OF_BOUNDS else 0.5
    metric = MetricStatus("errors", verdict, "5% bad", odds=odds, requests=40, bad=2)
    usual: dict[str, Any] = {
        "verdict": verdict,
        "because": "errors: 5% bad",
        "waits_for": waits_for,
        "memory": Memory((metric,), Weighed(windows=7)),
        "requests": 40,
        "bad": 2,
        "excess": 1.25,
        "at": T0,
    }
    return Judgement(**{**usual, **fields})


SAFE = judged(Verdict.SAFE)
CALM = judged(Verdict.UNDECIDED)
"""Enough was measured, nothing speaks against the candidate, safety is not shown."""
TOO_FEW = judged(Verdict.UNDECIDED, HeldReason.TOO_FEW_REQUESTS)
LEANING = judged(Verdict.UNDECIDED, HeldReason.OUT_OF_BOUNDS)
DIVIDED = judged(Verdict.UNDECIDED, HeldReason.SPLIT_MISMATCH)
HARMFUL = judged(Verdict.HARMFUL, HeldReason.OUT_OF_BOUNDS)
NO_DATA = judged(Verdict.BLIND, HeldReason.BLIND)
"""Prometheus answered, but has nothing about the candidate."""
BLIND = replace(NO_DATA, answered=False)
SURVEYED = Survey(Memory((MetricStatus("errors", dispersion=2.0),), Weighed(scrape=5.0)), T0)


def tick(before: Status, about: CanarySpec | None = None, **observed: Any) -> Decision:
    """Decide once."""
    return decide(about or spec(), before, seen(**observed))
