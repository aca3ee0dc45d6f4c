from dataclasses import replace

import pytest

from canaries import GENERATION, ROLLED_BACK, V1, V2, document, held, resting, status
from config.status import HeldReason, HistoryEntry, Outcome, Phase, Status
from controller.cli.reading import Canary, ExitCode, canary_of, exit_code


def ended(outcome: Outcome) -> HistoryEntry:
    return HistoryEntry(
        ROLLED_BACK.revision, outcome, "", "", ROLLED_BACK.started_at, ROLLED_BACK.ended_at, 25
    )


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param(resting(Phase.PROMOTED), ExitCode.OK, id="promoted"),
        pytest.param(resting(Phase.IDLE), ExitCode.OK, id="nothing to do"),
        pytest.param(status(), ExitCode.UNFINISHED, id="under way"),
        pytest.param(status(phase=Phase.ROLLING_BACK), ExitCode.UNFINISHED, id="rolling back"),
        pytest.param(status(phase=Phase.FINISHING), ExitCode.UNFINISHED, id="finishing"),
        pytest.param(None, ExitCode.UNFINISHED, id="not looked at yet"),
        pytest.param(Status(), ExitCode.UNFINISHED, id="adopting"),
        pytest.param(
            resting(Phase.ROLLED_BACK, history=(ended(Outcome.ROLLED_BACK),)),
            ExitCode.ROLLED_BACK,
            id="rolled back",
        ),
        pytest.param(
            resting(Phase.ROLLED_BACK, history=(ended(Outcome.CANCELLED),)),
            ExitCode.ROLLED_BACK,
            id="cancelled",
        ),
        pytest.param(resting(Phase.ROLLED_BACK), ExitCode.ROLLED_BACK, id="rolled back, history lost"),
        pytest.param(
            resting(Phase.ROLLED_BACK, history=(ended(Outcome.SUPERSEDED),)),
            ExitCode.UNFINISHED,
            id="the next version is about to begin",
        ),
        pytest.param(
            status(held=held(HeldReason.AWAITING_APPROVAL, needs_human=True)),
            ExitCode.NEEDS_HUMAN,
            id="awaiting approval",
        ),
        pytest.param(
            status(held=held(HeldReason.BLIND, needs_human=False)), ExitCode.UNFINISHED, id="held for a while"
        ),
        pytest.param(
            resting(Phase.PROMOTED, observed_generation=GENERATION - 1),
            ExitCode.UNFINISHED,
            id="an edit has not been seen yet",
        ),
    ],
)
def test_the_exit_code_says_how_the_rollout_went(seen: Status | None, code: ExitCode) -> None:
    assert exit_code(canary_of(document(seen))) is code


def test_a_promoted_version_that_is_not_the_one_asked_for_is_not_the_end() -> None:
    workload = {"selector": {"app": "echo"}, "version": "v2"}
    assert exit_code(canary_of(document(resting(Phase.PROMOTED), workload=workload))) is ExitCode.UNFINISHED
    done = resting(Phase.PROMOTED, stable=V2)
    assert exit_code(canary_of(document(done, workload=workload))) is ExitCode.OK


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param(resting(Phase.PROMOTED, stable=V1), ExitCode.UNFINISHED, id="not noticed yet"),
        pytest.param(status(candidate=V2), ExitCode.UNFINISHED, id="under way"),
        pytest.param(resting(Phase.PROMOTED, stable=V2), ExitCode.OK, id="promoted"),
        pytest.param(
            resting(Phase.ROLLED_BACK, stable=V1, history=(replace(ROLLED_BACK, revision=V2),)),
            ExitCode.ROLLED_BACK,
            id="rolled back",
        ),
        pytest.param(
            status(candidate=V1, stable=V2), ExitCode.OK, id="promoted, and another one is under way"
        ),
        pytest.param(
            status(candidate=V2, held=held(HeldReason.PAUSED, needs_human=True)),
            ExitCode.NEEDS_HUMAN,
            id="waits for a human",
        ),
    ],
)
def test_the_exit_code_is_about_the_release_that_is_meant(seen: Status, code: ExitCode) -> None:
    assert exit_code(canary_of(document(seen)), "v2") is code


def test_an_invalid_spec_is_told_before_anything_else() -> None:
    canary = canary_of(document(resting(Phase.PROMOTED), paused="yes"))
    assert exit_code(canary) is ExitCode.INVALID
    assert canary.sentence == "invalid: spec.paused: found 'yes'; must be true or false"


def test_a_status_that_is_junk_reads_as_not_looked_at() -> None:
    canary = canary_of({**document(None), "status": {"phase": 5}})
    assert canary.sentence == "no controller has looked at it yet"


def test_control_characters_do_not_reach_the_terminal() -> None:
    canary = canary_of(document(status(reason="aborted by \x1b[2Jmallory\r\n")))
    assert canary.sentence == "aborted by  [2Jmallory  "


def templated(seen: Status, **metric: object) -> Canary:
    reference = {"templateRef": {"name": "errors"}, **metric}
    return canary_of(document(seen, analysis={"metrics": [reference]}))


def test_a_template_that_only_the_controller_knows_is_no_problem() -> None:
    seen = templated(status())
    assert (seen.problem, seen.spec) == ("", None)
    assert exit_code(seen) is ExitCode.UNFINISHED


def test_a_preset_that_only_the_controller_knows_is_no_problem() -> None:
    canary = canary_of(document(resting(Phase.IDLE), analysis={"metrics": [{"preset": "shop-errors"}]}))
    assert (canary.spec, canary.problem, exit_code(canary)) == (None, "", ExitCode.OK)
    wrong = canary_of(document(resting(Phase.IDLE), analysis={"metrics": [{"preset": 5}]}))
    assert "metrics[0].preset: found 5" in wrong.problem


def test_a_rollout_under_way_tells_what_its_templates_stand_for() -> None:
    observed = document(None)["spec"]
    seen = templated(status(observed_spec=observed))
    assert seen.problem == ""
    assert seen.spec == canary_of(document(None)).spec


def test_what_else_is_wrong_beside_a_template_is_told() -> None:
    seen = templated(status(observed_spec=document(None)["spec"]), dryRun="yes")
    assert seen.problem == "spec.analysis.metrics[0].dryRun: found 'yes'; must be true or false"
    assert seen.spec is None
    assert exit_code(seen) is ExitCode.INVALID
