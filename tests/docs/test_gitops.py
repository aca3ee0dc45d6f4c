"""The examples for GitOps tools say of every status what a person would."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml
from lupa.lua51 import LuaRuntime

from config.load import load_canaries
from config.status import (
    Held,
    HeldReason,
    HistoryEntry,
    Outcome,
    Phase,
    Status,
    dump_status,
)
from controller.kube.client import FIELD_MANAGER
from controller.report import conditions
from situations import T0, V1, V2


EXAMPLES = Path(__file__).parents[2] / "config" / "examples" / "gitops"
HEALTH = "resource.customizations.health.crossfade.dev_Canary"
ENDED = {Outcome.ROLLED_BACK: "Degraded", Outcome.CANCELLED: "Healthy", Outcome.SUPERSEDED: "Healthy"}
WAITS_FOR_PEOPLE = {HeldReason.PAUSED, HeldReason.AWAITING_APPROVAL}


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text())


def canary(status: Status | None, *, generation: int = 2, **metadata: Any) -> dict[str, Any]:
    document: dict[str, Any] = {"metadata": {"name": "echo", "generation": generation, **metadata}}
    if status is not None:
        document["status"] = dump_status(status)
    return document


def status(phase: Phase, held: Held | None, outcome: Outcome | None = None) -> Status:
    """Give a status as the controller writes it, with the last rollout's outcome if there was one."""
    entry = [HistoryEntry(V2, outcome, "why", "ada", T0, T0, 20)] if outcome else []
    written = Status(
        phase=phase, stable=V1, held=held, reason="because", observed_generation=2, history=tuple(entry)
    )
    return replace(written, conditions=conditions(written, T0))


def argo_cd(document: dict[str, Any]) -> tuple[str, str]:
    """Run the health check as Argo CD does: Lua 5.1, the object as `obj`, a table as the answer."""
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    lua.globals()["obj"] = lua.table_from(document, recursive=True)
    answer = lua.execute(example("argocd-cm.yaml")["data"][HEALTH])
    return answer["status"], answer["message"]


def flux(document: dict[str, Any]) -> str:
    """Evaluate the expressions in Flux's order; what has no answer is waited for."""
    [rule] = example("flux-kustomization.yaml")["spec"]["healthCheckExprs"]
    for verdict in ("inProgress", "failed", "current"):
        try:
            if cel.evaluate(rule[verdict], document):
                return verdict
        except (RuntimeError, ValueError):
            return "inProgress"
    return "inProgress"


def expected(phase: Phase, held: Held | None) -> str:
    if held is not None and held.reason is HeldReason.STALLED:
        return "Degraded"
    if held is not None and held.needs_human:
        return "Suspended" if held.reason in WAITS_FOR_PEOPLE else "Degraded"
    return "Healthy" if phase in {Phase.IDLE, Phase.PROMOTED} and held is None else "Progressing"


PHASES = [phase for phase in Phase if phase is not Phase.ROLLED_BACK]
HELDS = [
    None,
    *(
        Held(reason, "waits", T0, needs_human)
        for reason, needs_human in itertools.product(HeldReason, (False, True))
    ),
]


@pytest.mark.parametrize("held", HELDS, ids=lambda held: held and f"{held.reason} {held.needs_human}")
@pytest.mark.parametrize("phase", PHASES)
def test_argo_cd_tells_every_phase_and_every_hold(phase: Phase, held: Held | None) -> None:
    assert argo_cd(canary(status(phase, held))) == (expected(phase, held), "because")


@pytest.mark.parametrize("held", HELDS, ids=lambda held: held and f"{held.reason} {held.needs_human}")
@pytest.mark.parametrize("phase", PHASES)
def test_flux_waits_fails_and_goes_on(phase: Phase, held: Held | None) -> None:
    stalled = held is not None and held.reason is HeldReason.STALLED
    current = phase in {Phase.IDLE, Phase.PROMOTED} and held is None
    wanted = "failed" if stalled else "current" if current else "inProgress"
    assert flux(canary(status(phase, held))) == wanted


@pytest.mark.parametrize(("outcome", "health"), ENDED.items())
def test_only_a_version_that_was_rejected_is_a_failure(outcome: Outcome, health: str) -> None:
    document = canary(status(Phase.ROLLED_BACK, None, outcome))
    assert argo_cd(document)[0] == health
    assert flux(document) == ("failed" if health == "Degraded" else "current")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param(canary(None), "waiting for Crossfade", id="no status"),
        pytest.param(canary(Status()), "waiting for Crossfade", id="an empty status"),
        pytest.param(
            canary(status(Phase.IDLE, None), generation=3),
            "waiting for Crossfade to see the change",
            id="an old status",
        ),
    ],
)
def test_what_was_not_seen_yet_is_waited_for(document: dict[str, Any], words: str) -> None:
    assert argo_cd(document) == ("Progressing", words)
    assert flux(document) == "inProgress"


def test_a_deleted_canary_is_on_its_way() -> None:
    document = canary(status(Phase.IDLE, None), deletionTimestamp="2026-03-01T12:00:00Z")
    assert argo_cd(document) == ("Progressing", "leaving the application to stable")


def test_the_fields_that_are_left_alone_are_those_of_our_manager() -> None:
    application = example("argocd-application.yaml")["spec"]
    rules = {(rule["group"], rule["kind"]): rule for rule in application["ignoreDifferences"]}
    assert all(rule["managedFieldsManagers"] == [FIELD_MANAGER] for rule in rules.values())
    assert "RespectIgnoreDifferences=true" in application["syncPolicy"]["syncOptions"]
    settings = example("argocd-cm.yaml")["data"]
    prefix = "resource.customizations.ignoreDifferences."
    everywhere = {
        tuple(key.removeprefix(prefix).rsplit("_", 1)): yaml.safe_load(value)["managedFieldsManagers"]
        for key, value in settings.items()
        if key.startswith(prefix)
    }
    assert everywhere == {key: [FIELD_MANAGER] for key in rules}


def test_the_routes_of_the_example_are_of_a_canary_that_is_valid() -> None:
    text = (EXAMPLES / "routes.yaml").read_text()
    [found] = load_canaries(text)
    _, table, _ = yaml.safe_load_all(text)
    [ref] = found.spec.routes
    assert (ref.kind, ref.namespace, ref.name) == (
        table["kind"],
        table["metadata"]["namespace"],
        table["metadata"]["name"],
    )
