"""The property test is worth something: it notices every one of these mistakes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from machine import Rollouts
from mutants import Mutant, planted


MUTANTS = {
    "SAFE is not asked for": Mutant("going_on", "case Verdict.SAFE:", "case _ if True:"),
    "blind passes": Mutant("going_on", "case Verdict.SAFE:", "case Verdict.SAFE | Verdict.BLIND:"),
    "an earlier verdict is good enough": Mutant(
        "going_on",
        "waiting = _soaking(at) or _unproven(at) or _unapproved(at, approval)",
        "waiting = _soaking(at) or (at.status.verdict is not Verdict.SAFE and _unproven(at))",
    ),
    "the first step opens unasked": Mutant(
        "going_on",
        "    if judgement is None or not judgement.answered or any",
        "    if judgement is not None and any",
    ),
    "a failing metric opens the first step": Mutant(
        "going_on",
        "any(metric.failures for metric in judgement.metrics):\n        return _unproven",
        "False:\n        return _unproven",
    ),
    "the ladder may be climbed two rungs at once": Mutant(
        "going_on",
        "return min(step.weight for step in at.spec.ladder() if step.weight > at.status.weight)",
        "return sorted(s.weight for s in (*at.spec.ladder(),) * 2 if s.weight > at.status.weight)[-1]",
    ),
    "the ladder stands still": Mutant(
        "going_on", "if step.weight > at.status.weight)", "if step.weight >= at.status.weight)"
    ),
    "no soak": Mutant(
        "situation", "return own if own is not None else", "return own / 9 if own is not None else 0.1 *"
    ),
    "soak counts on after a drift": Mutant(
        "decide", "replace(at.status, step_started_at=None), at.seen.routes", "at.status, at.seen.routes"
    ),
    "settled without acceptance": Mutant(
        "situation",
        "routes.in_form and routes.acceptance is Acceptance.ACCEPTED and quiet",
        "routes.in_form and quiet",
    ),
    "no moment to object": Mutant("situation", "quiet = self.seen.now >= self.quiet_at", "quiet = True"),
    "rises although paused": Mutant("going_on", "if at.spec.paused or status.paused:", "if status.paused:"),
    "rises although refused": Mutant("going_on", "    if status.refusal:", "    if False:"),
    "rises in spite of a problem": Mutant("going_on", "    if at.problem:", "    if at.seen.routes.problem:"),
    "rises unready": Mutant(
        "situation", "workload.counted and 0 < workload.wanted <= workload.ready", "workload.ready > 0"
    ),
    "rises without a way back": Mutant(
        "going_on", "if at.stable is None or at.stable.ready == 0:", "if at.stable is None:"
    ),
    "harm is ignored": Mutant(
        "going_back", "judgement.verdict is not Verdict.HARMFUL", "judgement.verdict is not Verdict.BLIND"
    ),
    "a pause keeps harm": Mutant(
        "going_back", "    if not at.in_flight:\n", "    if not at.in_flight or at.spec.paused:\n"
    ),
    "a problem keeps harm": Mutant(
        "going_back", "    if not at.in_flight:\n", "    if not at.in_flight or at.seen.problem:\n"
    ),
    "going back waits for Gloo": Mutant(
        "going_back", "    if not at.in_flight:\n", "    if not at.in_flight or not at.settled:\n"
    ),
    "going back onto nothing": Mutant(
        "going_back", "at.status.phase is Phase.PREPARING or not answered", "True or not answered"
    ),
    "going back needs stable even if nobody answers": Mutant(
        "going_back",
        "at.status.phase is Phase.PREPARING or not answered",
        "at.status.phase is Phase.PREPARING",
    ),
    "an unready candidate keeps its traffic": Mutant("going_back", "READY_TO_KEEP:", "0:"),
    "a changed candidate goes on": Mutant(
        "going_back", "    if now == at.status.candidate or now", "    if now != at.status.candidate or now"
    ),
    "a rejected revision starts over": Mutant("going_back", " or now in at.status.rejected:", ":"),
    "a newer version is overlooked": Mutant(
        "going_back", "_mixed(at) or _superseded(at) or", "_mixed(at) or"
    ),
    "no deadline": Mutant("going_back", "_unready(at) or _too_late(at)", "_unready(at)"),
    "deletion is overlooked": Mutant("going_back", "    if at.seen.deleting:\n", "    if False:\n"),
    "weight is kept on the way back": Mutant(
        "going_back",
        "        weight=0,\n        held=None,\n        intended_at",
        "        held=None,\n        intended_at",
    ),
    "rolled back before it is seen": Mutant("going_back", "    if not at.settled:", "    if False:"),
    "promoted before it is seen": Mutant(
        "going_on", "    if not at.settled or status.stable is None:", "    if status.stable is None:"
    ),
    "a refused rise is not taken back": Mutant(
        "decide", "(_claimed, _deleted, adopt, go_back, step_back,", "(_claimed, _deleted, adopt, go_back,"
    ),
    "a hurry leaks to the next step": Mutant(
        "going_on",
        "hurry=at.status.hurry if at.status.hurry is Hurry.FULL else Hurry.NO",
        "hurry=at.status.hurry",
    ),
    "a hurry outlives a refusal": Mutant(
        "going_on", "        hurry=Hurry.NO,\n        metrics=", "        metrics="
    ),
    "a command is carried out again": Mutant(
        "commands", "command is None or command.id == at.status.last_command", "command is None"
    ),
    "a command is never cleared": Mutant(
        "decide", "        move = ClearCommand(seen.command.id)", "        pass"
    ),
    "routes are put back at once and for ever": Mutant(
        "decide", "    if at.seen.now < _again_at(status):", "    if False:"
    ),
    "drift is fought for ever": Mutant(
        "decide", "if status.reasserted >= REASSERTIONS and", "if status.reasserted < 0 and"
    ),
    "written testing routes are forgotten": Mutant(
        "decide",
        "written = move.form.testing if isinstance(move, WriteRoutes) else ()",
        "written: tuple[()] = ()",
    ),
    "the finalizer is forgotten": Mutant("at_rest", "    if at.seen.finalizer:", "    if False:"),
    "routes are divided without the finalizer": Mutant(
        "going_on", "    if not at.seen.finalizer:", "    if False:"
    ),
    "a rejected version is released over and over": Mutant(
        "at_rest", "    if revision in at.status.rejected:", "    if False:"
    ),
    "an older Canary is not respected": Mutant("decide", "    if not at.seen.claimed_by:", "    if True:"),
    "nobody wakes up": Mutant("decide", "    if soon:\n", "    if False:\n"),
    "wakes up in the past": Mutant(
        "decide", "for moment in moments if moment > now)", "for moment in moments)"
    ),
}
GENERATE = settings(
    max_examples=30,
    stateful_step_count=15,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
)


def hunt(machine: type[Rollouts]) -> None:
    """Look from several beginnings: within one, examples resemble each other."""
    for beginning in range(30):
        run_state_machine_as_test(seed(beginning)(machine), settings=GENERATE)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_property_test_notices(mutant: Mutant, tmp_path: Path) -> None:
    with planted(mutant, tmp_path) as broken, pytest.raises(AssertionError):
        hunt(broken)


def test_a_faithful_copy_passes(tmp_path: Path) -> None:
    untouched = Mutant("decide", "do nothing.", "do nothing.")
    with planted(untouched, tmp_path) as copy:
        run_state_machine_as_test(seed(0)(copy), settings=GENERATE)
