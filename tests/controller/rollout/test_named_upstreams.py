"""A rollout from one Upstream to another: the same rules, but nothing to decommission."""

from dataclasses import replace
from typing import Any

from config.canary import CanarySpec
from config.status import HeldReason, Phase, Revision, Status
from controller.rollout.moves import Form, WriteRoutes
from controller.rollout.observation import Routes, Workload
from controller.rollout.situation import Decision
from situations import ANALYSIS, IN_FORM, SAFE, T0, status, tick


OLD = Revision("onprem", "hash-1", "gloo-system/onprem")
NEW = Revision("cloud", "hash-2", "gloo-system/cloud")


def upstream(revision: Revision, *, ready: int = 1) -> Workload:
    name, version = revision.deployment, revision.version
    return Workload(name, version, revision.hash, T0, 1, ready, kind="Upstream")


def spec(stable: str = "onprem", candidate: str | None = "cloud") -> CanarySpec:
    versions = {"stable": {"name": stable, "namespace": "gloo-system"}}
    if candidate:
        versions["candidate"] = {"name": candidate, "namespace": "gloo-system"}
    routes = [{"name": "echo", "namespace": "gloo-system"}]
    return CanarySpec.model_validate({"versions": versions, "routes": routes, "analysis": ANALYSIS})


BOTH = (upstream(OLD), upstream(NEW))


def decided(before: Status, about: CanarySpec | None = None, **observed: Any) -> Decision:
    return tick(before, about or spec(), **{"workloads": BOTH, "routes": IN_FORM, **observed})


def of(phase: Phase, **fields: Any) -> Status:
    under_way = phase not in {Phase.IDLE, Phase.PROMOTED}
    return status(phase, **{"stable": OLD, "candidate": NEW if under_way else None, **fields})


def test_the_one_that_the_routes_lead_to_is_adopted() -> None:
    got = decided(Status(), routes=Routes(version="onprem"))
    assert (got.status.stable, got.move) == (OLD, None)


def test_where_the_routes_do_not_tell_the_one_named_stable_is() -> None:
    got = decided(Status(), routes=Routes(shape="onprem 50, cloud 50"))
    assert (got.status.stable, got.move) == (OLD, WriteRoutes(Form("onprem")))


def test_the_one_named_candidate_is_released_however_old() -> None:
    got = decided(of(Phase.IDLE), finalizer=False)
    assert (got.status.phase, got.status.candidate) == (Phase.PREPARING, NEW)
    assert got.because == "found cloud in gloo-system/cloud; onprem is stable"


def test_without_a_candidate_nothing_is_released() -> None:
    for about in (spec(candidate=None), spec("cloud", None)):
        stable = OLD if about.versions and about.versions.stable.name == "onprem" else NEW
        got = decided(of(Phase.IDLE, stable=stable), about, finalizer=False)
        assert (got.status.phase, got.move) == (Phase.IDLE, None)


def test_what_serves_now_stays_although_it_is_still_called_the_candidate() -> None:
    got = decided(of(Phase.PROMOTED, stable=NEW, replaced=(OLD,)), finalizer=False)
    assert (got.status.phase, got.because) == (Phase.PROMOTED, "cloud serves everybody")


def test_the_way_back_is_a_release_like_any_other() -> None:
    before = of(Phase.PROMOTED, stable=NEW, replaced=(OLD,))
    got = decided(before, spec("cloud", "onprem"), finalizer=False)
    assert (got.status.phase, got.status.candidate) == (Phase.PREPARING, OLD)


def test_nothing_opens_before_gloo_has_accepted_it() -> None:
    got = decided(of(Phase.PREPARING), workloads=(BOTH[0], upstream(NEW, ready=0)))
    assert got.status.held is not None
    assert got.status.held.reason is HeldReason.NOT_READY
    assert got.because == "waiting for cloud: Upstream gloo-system/cloud is not accepted by Gloo"


def test_one_that_gloo_no_longer_accepts_goes_back() -> None:
    got = decided(of(Phase.SHIFTING, weight=50), workloads=(BOTH[0], upstream(NEW, ready=0)))
    assert got.status.phase is Phase.ROLLING_BACK
    assert "Upstream gloo-system/cloud is not accepted by Gloo" in got.because


def test_one_that_is_deleted_goes_back() -> None:
    got = decided(of(Phase.SHIFTING, weight=50), workloads=BOTH[:1])
    assert got.status.phase is Phase.ROLLING_BACK
    assert "Upstream gloo-system/cloud was deleted" in got.because


def test_one_that_changes_starts_over() -> None:
    changed = replace(BOTH[1], hash="hash-3")
    got = decided(of(Phase.SHIFTING, weight=50), workloads=(BOTH[0], changed), judgement=SAFE)
    assert (got.status.phase, got.status.weight) == (Phase.PREPARING, 0)
    assert got.status.candidate == replace(NEW, hash="hash-3")


def test_nothing_is_decommissioned() -> None:
    got = decided(of(Phase.FINISHING))
    assert (got.status.phase, got.status.stable, got.status.retiring) == (Phase.PROMOTED, NEW, ())
