"""Specs, statuses and observations with calm defaults: a test names only what it is about."""

import datetime as dt
from dataclasses import replace
from typing import Any

from analysis.verdict import Judgement
from config.canary import CanarySpec, TestingMatch
from config.status import MetricStatus, Phase, Revision, Status, Verdict
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

_SPEC: dict[str, Any] = {
    "workload": {"selector": {"app": "echo"}},
    "upstream": {"name": "echo", "namespace": "gloo-system"},
    "routes": [{"name": "echo", "namespace": "gloo-system"}],
    "testing": {"match": [STAGE]},
    "shifting": {"steps": [10, 50, 100], "interval": "1m"},
    "analysis": {
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
    },
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
    carrying = phase in {Phase.TESTING, Phase.SHIFTING, Phase.BAKING, Phase.FINISHING}
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
        testing=(MATCH,) if carrying else (),
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


def judged(verdict: Verdict, *, failures: int = 0, answered: bool = True, at: dt.datetime = T0) -> Judgement:
    """Give one evaluation of one metric."""
    metric = MetricStatus("errors", verdict, "5% bad", failures=failures, passes=1)
    return Judgement(verdict, "errors: 5% bad", (metric,), 40, 2, at, answered)


SAFE = judged(Verdict.SAFE)
UNDECIDED = judged(Verdict.UNDECIDED)
HARMFUL = judged(Verdict.HARMFUL, failures=3)
BLIND = judged(Verdict.BLIND)


def tick(before: Status, about: CanarySpec | None = None, **observed: Any) -> Decision:
    """Decide once."""
    return decide(about or spec(), before, seen(**observed))
