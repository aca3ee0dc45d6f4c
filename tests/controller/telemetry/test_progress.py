"""What happens in rollouts is counted once, by whoever recorded it."""

import ast
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.status import HistoryEntry, Outcome, Phase, Revision, Status
from controller import rollout
from controller.ports import CanaryObject, Key
from controller.rollout.observation import Do
from controller.telemetry.causes import Cause, cause_of
from controller.telemetry.metrics import Metrics
from controller.telemetry.progress import Progress
from world import CanaryPort, World, adopted


@dataclass(frozen=True)
class Listening(CanaryPort):
    """The Canaries in memory; somebody hears of what is recorded."""

    heard: Callable[[CanaryObject, Status], None]

    def record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        recorded = super().record(canary, status)
        self.heard(canary, status)
        return recorded


def counted(world: World) -> Metrics:
    """Let the world's controller count from now on."""
    metrics = Metrics()
    canaries = Listening(world, Progress(metrics, lambda _: world.document).recorded)
    world.reconciler = replace(world.reconciler, canaries=canaries)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if sample.name == f"crossfade_{name}" and sample.labels == labels:
                return float(sample.value)
    raise LookupError(name)


def by_label(metrics: Metrics, name: str) -> dict[str, float]:
    """Give the values of a family with one label, without zeros."""
    samples = [
        sample
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == f"crossfade_{name}" and sample.value
    ]
    return {next(iter(sample.labels.values())): sample.value for sample in samples}


def in_phase(world: World, phase: Phase) -> Callable[[], bool]:
    return lambda: world.status.phase is phase


def released(**error_rates: float) -> tuple[World, Metrics]:
    """Give a world where v1 is adopted, v2 was just deployed, and nobody tests."""
    world = adopted(testing=None)
    metrics = counted(world)
    world.weather.deploy("v2")
    world.error_rates |= error_rates
    return world, metrics


def test_a_good_release() -> None:
    world, metrics = released()
    world.run(in_phase(world, Phase.PROMOTED))
    entry = world.status.history[0]
    assert by_label(metrics, "rollbacks_total") == {}
    assert by_label(metrics, "rollout_seconds_count") == {"Promoted": 1}
    assert by_label(metrics, "rollout_seconds_sum") == {
        "Promoted": (entry.ended_at - entry.started_at).total_seconds()
    }
    assert value(metrics, "detection_seconds_count") == 0
    assert by_label(metrics, "holds_total") == {}
    evaluations = by_label(metrics, "evaluations_total")
    assert "Harmful" not in evaluations
    assert sum(evaluations.values()) == world.status.weighed.windows


def test_a_bad_release_and_how_long_users_met_it() -> None:
    world, metrics = released(v2=0.04)
    evaluated: list[dt.datetime | None] = [None]
    bad_after: set[int] = set()

    def back() -> bool:
        if not world.status.bad:
            evaluated[0] = world.status.evaluated_at
        bad_after.add(world.status.bad)
        return world.status.phase is Phase.ROLLED_BACK

    world.run(back)
    entry = world.status.history[0]
    assert evaluated[0] is not None
    assert len(bad_after) > 2
    assert by_label(metrics, "rollbacks_total") == {"Harmful": 1}
    assert by_label(metrics, "rollout_seconds_count") == {"RolledBack": 1}
    assert by_label(metrics, "evaluations_total")["Harmful"] == 1
    assert value(metrics, "detection_seconds_count") == 1
    assert value(metrics, "detection_seconds_sum") == (entry.ended_at - evaluated[0]).total_seconds()


def test_what_was_not_seen_to_begin_has_no_detection_time() -> None:
    world, _ = released(v2=0.5)
    world.run(lambda: world.status.bad > 0)
    metrics = counted(world)
    world.run(in_phase(world, Phase.ROLLED_BACK))
    assert by_label(metrics, "rollbacks_total") == {"Harmful": 1}
    assert value(metrics, "detection_seconds_count") == 0


def test_a_human_who_aborts_is_no_detection() -> None:
    world, metrics = released(v2=0.01)
    world.run(lambda: world.status.bad > 0)
    world.order(Do.ABORT)
    world.run(in_phase(world, Phase.ROLLED_BACK))
    assert by_label(metrics, "rollbacks_total") == {"Aborted": 1}
    assert value(metrics, "detection_seconds_count") == 0


def test_a_second_rollout_begins_anew() -> None:
    world, metrics = released(v2=0.01, v3=0.5)
    world.run(lambda: world.status.bad > 0)
    world.advance(dt.timedelta(hours=3))
    world.weather.deploy("v3")
    world.run(lambda: len(world.status.history) == 2)
    assert by_label(metrics, "rollbacks_total") == {"Superseded": 1, "Harmful": 1}
    assert value(metrics, "detection_seconds_sum") < 600


def test_waiting_for_one_thing_is_counted_once() -> None:
    world, metrics = released()
    world.run(lambda: world.status.weight == 20)
    world.edit(paused=True)
    world.run(lambda: world.status.held is not None and world.status.held.reason == "Paused")
    before = world.operations["record"]
    for _ in range(5):
        world.advance(dt.timedelta(seconds=30))
        world.tick()
    assert world.operations["record"] > before + 3
    assert by_label(metrics, "holds_total")["Paused"] == 1


def test_canaries_that_are_gone_are_forgotten() -> None:
    now = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
    known = {Key("shop", "web"), Key("shop", "api")}
    progress = Progress(Metrics(), lambda key: key if key in known else None)
    bad = Status(phase=Phase.TESTING, started_at=now, evaluated_at=now, bad=1)
    for name in ("web", "api"):
        canary = replace(World().document, key=Key("shop", name), status={"phase": "Testing"})
        progress.recorded(replace(canary, status={**canary.status, "startedAt": now.isoformat()}), bad)
        known.discard(Key("shop", "web"))
    assert list(progress._first_bad) == [Key("shop", "api")]


def entry(outcome: Outcome, reason: str) -> HistoryEntry:
    now = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
    return HistoryEntry(Revision("v2", "2", "web-v2"), outcome, reason, "crossfade", now, now, 5)


def reasons_to_roll_back() -> list[str]:
    """Give how the reason begins wherever the rules end a rollout as RolledBack, as far as it is fixed."""
    found = []
    for path in sorted(Path(rollout.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name("Ending"),
                    args=[
                        ast.Attribute(attr="ROLLED_BACK"),
                        ast.JoinedStr([ast.Constant(str(words)), *_]),
                        *_,
                    ],
                ):
                    found.append(words)
                case ast.Call(func=ast.Name("Ending"), args=[ast.Attribute(attr="ROLLED_BACK"), call, *_]):
                    found.append(ast.unparse(call))
                case _:
                    pass
    return found


def test_every_reason_of_the_rules_has_a_word() -> None:
    found = reasons_to_roll_back()
    assert found.count("_blind_for_long(at)") == 1
    written = [words.replace("_blind_for_long(at)", "blind for 5m") for words in found]
    causes = [cause_of(entry(Outcome.ROLLED_BACK, words + "...")) for words in written]
    assert sorted(set(causes), key=str) == sorted(
        {Cause.HARMFUL, Cause.BLIND, Cause.NOT_READY, Cause.ABORTED}, key=str
    )


@pytest.mark.parametrize(
    ("outcome", "reason", "cause"),
    [
        (Outcome.PROMOTED, "passed every step", None),
        (Outcome.CANCELLED, "harmful: no matter", Cause.CANCELLED),
        (Outcome.SUPERSEDED, "v3 is wanted instead", Cause.SUPERSEDED),
        (Outcome.ROLLED_BACK, "harmful: errors: 5% bad", Cause.HARMFUL),
        (Outcome.ROLLED_BACK, "blind for 5m: errors: no data", Cause.BLIND),
        (Outcome.ROLLED_BACK, "not ready within 10m, web-v2: 0 of 1 pods ready", Cause.NOT_READY),
        (Outcome.ROLLED_BACK, "aborted by ada (harmful: I think)", Cause.ABORTED),
        (Outcome.ROLLED_BACK, "words of a later version", Cause.OTHER),
    ],
)
def test_causes(outcome: Outcome, reason: str, cause: Cause | None) -> None:
    assert cause_of(entry(outcome, reason)) is cause
