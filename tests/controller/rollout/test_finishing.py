"""From 100% to the end: baked, cleaned up, promoted."""

from dataclasses import replace
from typing import Any

import pytest

from analysis.verdict import Judgement
from config.status import Hurry, Outcome, Phase, Retirement
from controller.rollout.moves import Form, WriteRoutes
from controller.rollout.observation import Acceptance, Routes
from situations import (
    CALM,
    HOUR,
    IN_FORM,
    MATCH,
    MINUTE,
    SAFE,
    SECOND,
    T0,
    TOO_FEW,
    V1,
    V2,
    V3,
    running,
    shifting,
    spec,
    status,
    tick,
)


class TestTheTop:
    def test_leads_to_baking(self) -> None:
        got = tick(shifting(100), spec(baking={"duration": "5m"}), judgement=SAFE)
        assert (got.status.phase, got.status.weight, got.move) == (Phase.BAKING, 100, None)
        assert got.status.step_started_at == T0

    def test_leads_to_finishing_without_baking(self) -> None:
        got = tick(shifting(100), judgement=SAFE)
        assert (got.status.phase, got.move) == (Phase.FINISHING, WriteRoutes(Form("v2", retired=(MATCH,))))

    @pytest.mark.parametrize(
        ("before", "judgement", "phase"),
        [
            pytest.param({"step_started_at": T0 - MINUTE}, SAFE, Phase.BAKING, id="not long enough"),
            pytest.param({}, TOO_FEW, Phase.BAKING, id="long enough, but unproven"),
            pytest.param({}, SAFE, Phase.FINISHING, id="long enough and safe"),
            pytest.param({}, CALM, Phase.FINISHING, id="long enough and nothing against it"),
            pytest.param({"step_started_at": T0, "hurry": Hurry.STEP}, SAFE, Phase.FINISHING, id="hurried"),
        ],
    )
    def test_bakes(self, before: dict[str, Any], judgement: Judgement, phase: Phase) -> None:
        got = tick(status(Phase.BAKING, **before), spec(baking={"duration": "5m"}), judgement=judgement)
        assert got.status.phase is phase
        assert (got.move is None) is (phase is Phase.BAKING)


class TestFinishing:
    def test_promotes_what_is_seen_on_the_routes(self) -> None:
        got = tick(
            status(
                Phase.FINISHING,
                requests=900,
                bad=2,
                excess=1.26,
                would_have="would have",
                highest_weight=100,
                rejected=(V2,),
            )
        )
        done = got.status
        assert (done.phase, done.stable, done.candidate, done.testing) == (Phase.PROMOTED, V2, None, ())
        assert done.rejected == ()
        assert done.retiring == (Retirement("echo-v1", "ScaleToZero", T0, "hash-v1"),)
        entry = done.history[0]
        assert (entry.revision, entry.outcome, entry.reason) == (V2, Outcome.PROMOTED, "passed every step")
        assert (entry.highest_weight, entry.requests, entry.bad) == (100, 900, 2)
        assert (entry.excess, entry.would_have) == (1.3, "would have")
        assert got.because == "promoted v2; v1 served before; would have"

    @pytest.mark.parametrize(
        ("promotion", "expected"),
        [
            pytest.param({"decommission": "Keep"}, (), id="keep"),
            pytest.param(
                {"decommission": "Delete", "after": "1h"},
                (Retirement("echo-v1", "Delete", T0 + HOUR, "hash-v1"),),
                id="delete later",
            ),
        ],
    )
    def test_says_what_becomes_of_the_old_version(
        self, promotion: dict[str, str], expected: tuple[Retirement, ...]
    ) -> None:
        assert tick(status(Phase.FINISHING), spec(promotion=promotion)).status.retiring == expected

    def test_remembers_what_was_replaced_and_forgets_what_serves_again(self) -> None:
        got = tick(status(Phase.FINISHING, replaced=(V2, V3)))
        assert got.status.replaced == (V1, V3)

    def test_an_old_version_that_is_gone_needs_no_retirement(self) -> None:
        assert tick(status(Phase.FINISHING), workloads=(running(V2),)).status.retiring == ()

    def test_a_hurried_promotion_says_so(self) -> None:
        done = tick(status(Phase.FINISHING, hurry=Hurry.FULL)).status
        assert done.history[0].reason == "hurried to the end by a human"
        assert done.hurry is Hurry.NO

    @pytest.mark.parametrize(
        "routes",
        [
            pytest.param(replace(IN_FORM, acceptance=Acceptance.PENDING), id="no answer from Gloo"),
            pytest.param(replace(IN_FORM, in_form=False, shape="v1 0, v2 100"), id="not seen yet"),
        ],
    )
    def test_is_not_promoted_before(self, routes: Routes) -> None:
        recent = status(Phase.FINISHING, intended_at=T0 - SECOND)
        assert tick(recent, routes=routes).status.phase is Phase.FINISHING

    def test_goes_on_although_a_newer_version_waits(self) -> None:
        newer = running(replace(V2, version="v3", deployment="echo-v3"))
        got = tick(status(Phase.FINISHING), workloads=(running(V1), running(V2), newer))
        assert got.status.phase is Phase.PROMOTED
