"""The form of the routes in each phase."""

import pytest

from config.status import Phase, Status
from controller.rollout.form import intended_form
from controller.rollout.moves import Form
from situations import MATCH, STAGE, shifting, spec, status


OTHER = MATCH.model_validate({"methods": ["PUT"]})


@pytest.mark.parametrize(
    ("before", "form"),
    [
        pytest.param(Status(), None, id="nobody knows what serves"),
        pytest.param(status(Phase.IDLE), Form("v1"), id="at rest"),
        pytest.param(status(Phase.PREPARING), Form("v1"), id="preparing"),
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
    assert intended_form(spec(testing={"match": [STAGE]}), before) == form
