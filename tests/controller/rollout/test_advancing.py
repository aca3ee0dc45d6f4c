"""Steps that end by evidence instead of by time."""

from dataclasses import replace

import pytest

from config.status import Held, HeldReason, Phase, Status
from situations import (
    ANALYSIS,
    MINUTE,
    SAFE,
    SECOND,
    STAGE,
    T0,
    TOO_FEW,
    shifting,
    spec,
    status,
    tick,
)


class TestAdvanceByEvidence:
    ABOUT = spec(analysis={**ANALYSIS, "advance": "Evidence"})

    def test_a_step_ends_as_soon_as_it_is_shown_to_be_safe(self) -> None:
        before = shifting(10, step_started_at=T0 - SECOND)
        assert tick(before, self.ABOUT, judgement=SAFE).status.weight == 50
        got = tick(before, self.ABOUT, judgement=TOO_FEW)
        assert got.status.held == Held(HeldReason.TOO_FEW_REQUESTS, "v2 at 10%: errors: 5% bad", T0)

    @pytest.mark.parametrize(
        "before",
        [
            pytest.param(status(Phase.TESTING), id="Testing"),
            pytest.param(shifting(100), id="100%"),
            pytest.param(status(Phase.BAKING), id="Baking"),
        ],
    )
    def test_what_cannot_be_compared_keeps_its_soak(self, before: Status) -> None:
        about = spec(
            analysis={**ANALYSIS, "advance": "Evidence"},
            testing={"match": [STAGE], "duration": "1m"},
            baking={"duration": "1m"},
        )
        got = tick(replace(before, step_started_at=T0 - SECOND), about, judgement=SAFE)
        assert (got.status.phase, got.status.weight) == (before.phase, before.weight)
        assert "soaking for 1m" in got.because

    def test_a_dry_run_keeps_its_soak(self) -> None:
        about = spec(analysis={**ANALYSIS, "advance": "Evidence", "dryRun": True})
        before = shifting(10, step_started_at=T0 - MINUTE + SECOND)
        assert tick(before, about, judgement=replace(SAFE, acts=False)).status.weight == 10
        late = replace(before, step_started_at=T0 - MINUTE)
        assert tick(late, about, judgement=replace(SAFE, acts=False)).status.weight == 50
