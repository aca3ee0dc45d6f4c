"""The form of the routes in each phase."""

import pytest

from config.status import Phase, Status
from controller.rollout.form import intended_form
from controller.rollout.moves import Form
from situations import MATCH, STAGE, shifting, spec, status


TO_V2 = "gloo-system/echo-v2"
OTHER = MATCH.model_validate({"methods": ["PUT"]})


@pytest.mark.parametrize(
    ("before", "form"),
    [
        pytest.param(Status(), None, id="nobody knows what serves"),
        pytest.param(status(Phase.IDLE), Form("v1"), id="at rest"),
        pytest.param(status(Phase.PREPARING), Form("v1", prepared="v2"), id="preparing"),
        pytest.param(
            status(Phase.SHADOWING), Form("v1", "v2", shadowing=2.5), id="shadowing: no testing routes yet"
        ),
        pytest.param(
            status(Phase.SHADOWING, shadowed=("gloo-system/echo-v9", TO_V2), testing=(OTHER,)),
            Form("v1", "v2", retired=(OTHER,), shadowing=2.5, unshadowed=("gloo-system/echo-v9",)),
            id="what an earlier rollout left has to go",
        ),
        pytest.param(
            status(Phase.TESTING, shadowed=(TO_V2,)),
            Form("v1", "v2", testing=(MATCH,), unshadowed=(TO_V2,)),
            id="testing after shadowing",
        ),
        pytest.param(
            shifting(25, shadowed=(TO_V2,)),
            Form("v1", "v2", 25, (MATCH,), unshadowed=(TO_V2,)),
            id="25% after shadowing",
        ),
        pytest.param(
            status(Phase.FINISHING, shadowed=(TO_V2,)),
            Form("v2", retired=(MATCH,), unshadowed=(TO_V2,)),
            id="finishing after shadowing",
        ),
        pytest.param(
            status(Phase.ROLLING_BACK, shadowed=(TO_V2,)),
            Form("v1", unshadowed=(TO_V2,)),
            id="going back from shadowing",
        ),
        pytest.param(status(Phase.TESTING), Form("v1", "v2", testing=(MATCH,)), id="testing"),
        pytest.param(shifting(0), Form("v1", "v2", 0, (MATCH,)), id="divided at 0%"),
        pytest.param(shifting(25), Form("v1", "v2", 25, (MATCH,)), id="25%"),
        pytest.param(status(Phase.BAKING), Form("v1", "v2", 100, (MATCH,)), id="baking"),
        pytest.param(status(Phase.FINISHING), Form("v2", retired=(MATCH,)), id="finishing"),
        pytest.param(
            status(Phase.ROLLING_BACK, testing=(MATCH, OTHER)),
            Form("v1", retired=(MATCH, OTHER)),
            id="going back: every match that was ever written has to go",
        ),
        pytest.param(
            shifting(25, testing=(OTHER,)),
            Form("v1", "v2", 25, (MATCH,), (OTHER,)),
            id="a match that is no longer asked for has to go",
        ),
    ],
)
def test_each_phase_intends_one_form(before: Status, form: Form | None) -> None:
    copied = {"destinations": "Upstreams", "shadowing": {"percentage": 2.5}}
    assert intended_form(spec(testing={"match": [STAGE]}, **copied), before) == form


def test_shadowing_that_is_no_longer_asked_for_ends() -> None:
    assert intended_form(spec(), status(Phase.SHADOWING)) == Form("v1", unshadowed=(TO_V2,))
