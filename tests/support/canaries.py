"""Canaries as documents of an API server, with the statuses that a command line gets to see."""

import datetime as dt
from pathlib import Path
from typing import Any

import yaml

import config
from config.status import (
    Held,
    HeldReason,
    HistoryEntry,
    MetricStatus,
    Outcome,
    Phase,
    Revision,
    Status,
    Verdict,
    dump_status,
)


MINIMAL: dict[str, Any] = yaml.safe_load(
    (Path(config.__file__).parent / "examples" / "minimal.yaml").read_text()
)
NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
GENERATION = 4
MINUTE = dt.timedelta(minutes=1)

V1 = Revision("v1", "1111aaaa2222", "echo-v1")
V2 = Revision("v2", "3333bbbb4444", "echo-v2")
V3 = Revision("v3", "5555cccc6666", "echo-v3")

PROMOTED = HistoryEntry(
    V1, Outcome.PROMOTED, "passed every step", "crossfade", NOW - 90 * MINUTE, NOW - 80 * MINUTE, 100, 4000, 3
)
ROLLED_BACK = HistoryEntry(
    V3,
    Outcome.ROLLED_BACK,
    "errors: 5.1% bad, at most 1% allowed (6 of 118 requests)",
    "crossfade",
    NOW - 30 * MINUTE,
    NOW - 25 * MINUTE,
    25,
    118,
    6,
)
ERRORS = MetricStatus(
    "errors",
    Verdict.UNDECIDED,
    "0.84% bad (1 of 118 requests), stable 0.1%; odds of harm 1:3, 400:1 roll back",
    value=0.0084,
    stable_value=0.001,
    limit="<= 1%, <= 1.5 x stable",
    odds=0.32,
    requests=118,
    bad=1,
)


def status(**fields: Any) -> Status:  # each field has its own type
    """Give the status of a rollout of v2 at 25%; name what is different."""
    usual: dict[str, Any] = {
        "phase": Phase.SHIFTING,
        "stable": V1,
        "candidate": V2,
        "weight": 25,
        "weight_seen": 25,
        "step": "3/5",
        "verdict": Verdict.UNDECIDED,
        "reason": "v2 at 25%: soaking for 1m",
        "observed_generation": GENERATION,
    }
    return Status(**{**usual, **fields})


def resting(phase: Phase = Phase.PROMOTED, **fields: Any) -> Status:  # as above
    """Give the status between rollouts."""
    usual = {"candidate": None, "weight": 0, "weight_seen": None, "step": "", "reason": "v1 serves"}
    return status(**{"phase": phase, **usual, **fields})


def held(reason: HeldReason, *, needs_human: bool) -> Held:
    """Give a hold that began three minutes ago."""
    return Held(reason, f"held for {reason}", NOW - 3 * MINUTE, needs_human)


def document(of: Status | None, **spec: object) -> dict[str, Any]:
    """Give a Canary like the smallest example."""
    metadata = {
        "name": "echo",
        "namespace": "shop",
        "generation": GENERATION,
        "creationTimestamp": "2026-03-01T10:00:00Z",
    }
    found = {} if of is None else {"status": dump_status(of)}
    return {**MINIMAL, "metadata": metadata, "spec": {**MINIMAL["spec"], **spec}, **found}
