"""The property test is worth something: it notices every one of these mistakes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from machine import Rollouts
from mutants import Mutant, planted


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


MUTANTS = {
    "evidence is not asked for": Mutant("going_on", "        case None:\n", "        case _ if True:\n"),
    "blind passes": Mutant("going_on", "        case None:\n", "        case None | HeldReason.BLIND:\n"),
    "too few requests pass": Mutant(
        "going_on", "        case None:\n", "        case None | HeldReason.TOO_FEW_REQUESTS:\n"
    ),
    "a wrong division passes": Mutant(
        "going_on", "        case None:\n", "        case None | HeldReason.SPLIT_MISMATCH:\n"
    ),
    "an earlier verdict is good enough": Mutant(
        "going_on",
        "    return _soaking(at) or _unproven(at)\n\n\ndef",
        '    return _soaking(at) or (str(at.status.verdict) != "Safe" and _unproven(at))\n\n\ndef',
    ),
    "the first step opens unasked": Mutant(
        "going_on",
        "    if judgement is None or not judgement.answered or judgement",
        "    if judgement is not None and judgement",
    ),
    "the first step opens unanswered": Mutant(
        "going_on", "if judgement is None or not judgement.answered or", "if judgement is None or"
    ),
    "a doubt opens the first step": Mutant("going_on", "judgement.waits_for in _DOUBTS:", "False:"),
    "stable is not surveyed": Mutant(
        "going_on", "if at.status.hurry is Hurry.NO and (unsurveyed :=", "if False and (unsurveyed :="
    ),
    "a survey's problem is passed over": Mutant(
        "going_on",
        "    if survey.problem and not survey.lacking:\n",
        "    if survey.problem and not survey.lacking:\n        return None\n    if False:\n",
    ),
    "an unanswered survey will do": Mutant(
        "decide", "    if survey.problem or survey.unanswered:", "    if survey.problem:"
    ),
    "an old survey will do": Mutant(
        "going_back", "        surveyed_at=None,", "        surveyed_at=at.status.surveyed_at,"
    ),
    "a silent Gloo is waited for without end": Mutant(
        "going_on", "silent = at.unanswered and at.status.weight > 0", "silent = False"
    ),
    "Gloo has no time to answer": Mutant(
        "situation", "return self._written_at + ANSWER if", "return self._written_at + GRACE if"
    ),
    "silence is a refusal": Mutant(
        "going_on", "        refusal=words,", "        refusal=words or silence(),"
    ),
    "shadowing is skipped": Mutant("going_on", "    if at.spec.shadowing:\n", "    if False:\n"),
    "shadowing does not soak": Mutant(
        "going_on",
        "        waiting = _soaking(at) or _unproven(at)\n    if",
        "        waiting = _unproven(at)\n    if",
    ),
    "copies are not judged": Mutant(
        "going_on",
        "        waiting = _soaking(at) or _unproven(at)\n    if",
        "        waiting = _soaking(at)\n    if",
    ),
    "too few copies pass": Mutant(
        "going_on",
        "        waiting = _soaking(at) or _unproven(at)\n    if",
        "        waiting = _soaking(at) or _doubtful(at)\n    if",
    ),
    "nothing is copied": Mutant(
        "form", "case Phase.SHADOWING if spec.shadowing:", "case Phase.SHADOWING if False:"
    ),
    "copies go on": Mutant("form", "retired=status.testing, unshadowed=shadowed)", "retired=status.testing)"),
    "copies go on while others are sent there": Mutant(
        "form", "None, matches, retired, unshadowed=shadowed)", "None, matches, retired)"
    ),
    "what is copied to is forgotten": Mutant(
        "decide", "    copied = _copied_to(at.spec, move)\n", "    copied: tuple[()] = ()\n"
    ),
    "copies count as requests": Mutant(
        "decide", "seen_by_people = status.phase is not Phase.SHADOWING", "seen_by_people = True"
    ),
    "a shadowing of somebody else is passed over": Mutant(
        "situation", "return self.seen.routes.own_shadowing if self.spec.shadowing and ahead else", "return"
    ),
    "blind is long at once": Mutant(
        "situation",
        "self.blind_until is not None and self.seen.now >= self.blind_until",
        "self.blind_until is not None",
    ),
    "nobody retreats": Mutant("decide", "step_back, retreat, _reassert", "step_back, _reassert"),
    "a retreat raises": Mutant("going_back", "        weight=lowest,", "        weight=100,"),
    "a retreat goes all the way": Mutant("going_back", "        weight=lowest,", "        weight=0,"),
    "a retreat onto nothing": Mutant(
        "going_back",
        "    because = _blind_for_long(at)\n    if not _way_back(at):",
        "    because = _blind_for_long(at)\n    if False:",
    ),
    "everybody retreats": Mutant("going_back", 'blind.then != "Retreat"', 'blind.then == "Rollback"'),
    "everybody rolls back when blind": Mutant("going_back", 'blind.then != "Rollback"', 'blind.then == "x"'),
    "nobody rolls back when blind": Mutant("going_back", "        or _blind(at)\n", ""),
    "an old blindness is acted on": Mutant(
        "going_back", "at.seen.judgement is not None and at.long_blind", "at.long_blind"
    ),
    "blind is never over": Mutant("decide", "if blind else None,", "if blind else status.blind_since,"),
    "blindness begins again and again": Mutant(
        "decide", "min(status.blind_since or judgement.at, judgement.at)", "judgement.at"
    ),
    "blind for a candidate that nobody is sent to": Mutant(
        "decide", " and (status.weight > 0 or not judgement.answered)", ""
    ),
    "blindness is taken along": Mutant(
        "going_on", "        blind_since=None,\n        reasserted=0,", "        reasserted=0,"
    ),
    "a long blindness is not shown": Mutant(
        "going_on", "\n    return _blind_for_long(at)\n", "\n    return None\n"
    ),
    "a dry run acts": Mutant(
        "going_back", "if judgement is None or not judgement.acts or", "if judgement is None or"
    ),
    "a dry run acts when blind": Mutant("situation", "WEIGHED or self.dry_run:", "WEIGHED:"),
    "dry metrics act when blind": Mutant(
        "situation",
        "analysis.dry_run or all(metric.dry_run for metric in analysis.metrics)",
        "analysis.dry_run",
    ),
    "a dry run does not soak": Mutant(
        "going_on", "at.status.weight < 100 and not at.dry_run:", "at.status.weight < 100:"
    ),
    "nothing soaks at 100%": Mutant(
        "going_on", "at.status.weight < 100 and not at.dry_run:", "not at.dry_run:"
    ),
    "what it would have done is overwritten": Mutant(
        "decide",
        "status.would_have or _would_have(status, judgement)",
        "_would_have(status, judgement) or status.would_have",
    ),
    "what it would have done although it did": Mutant(
        "decide", "    if judgement.acts or judgement.verdict", "    if judgement.verdict"
    ),
    "what it would have done is kept quiet": Mutant(
        "decide", "    if at.in_flight and status.would_have not in because:", "    if False:"
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
    "rises although stopped": Mutant("gates", "if at.seen.stopped else None", "if False else None"),
    "a hurry outlives a stop": Mutant("decide", "    if at.seen.stopped:\n", "    if False:\n"),
    "what served is taken away while stopped": Mutant(
        "at_rest", "not at.settled or at.seen.stopped:", "not at.settled:"
    ),
    "rises outside the schedule": Mutant("gates", "    if closed is None:\n", "    if True:\n"),
    "only the first rise heeds the schedule": Mutant(
        "going_on", "    if phase not in _AFTER_THE_LAST_RISE and", "    if False and"
    ),
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
    "a newer version is overlooked": Mutant("going_back", "        or _superseded(at)\n", ""),
    "no deadline": Mutant("going_back", "        or _too_late(at)\n", ""),
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
        "going_on",
        "        hurry=Hurry.NO,\n        reasserted=0,\n    )\n    form",
        "        reasserted=0,\n    )\n    form",
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
KNOWN = {
    "a doubt opens the first step": 7,
    "a dry run acts when blind": 2,
    "a hurry outlives a stop": 3,
    "a long blindness is not shown": 2,
    "a pause keeps harm": 7,
    "a problem keeps harm": 2,
    "a rejected revision starts over": 3,
    "a rejected version is released over and over": 3,
    "a retreat goes all the way": 2,
    "a retreat onto nothing": 2,
    "a retreat raises": 2,
    "a silent Gloo is waited for without end": 4,
    "a survey's problem is passed over": 1,
    "a wrong division passes": 5,
    "an unanswered survey will do": 1,
    "blindness is taken along": 2,
    "deletion is overlooked": 2,
    "dry metrics act when blind": 2,
    "everybody retreats": 6,
    "nobody retreats": 2,
    "only the first rise heeds the schedule": 1,
    "rises although stopped": 2,
    "silence is a refusal": 4,
    "too few copies pass": 1,
    "too few requests pass": 1,
    "what served is taken away while stopped": 2,
}
"""Beginnings that are known to find a mistake, to be tried first; any other may find it as well."""
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


def hunt(machine: type[Rollouts], first: int) -> None:
    """Look from several beginnings: within one, examples resemble each other."""
    for beginning in sorted(range(30), key=lambda each: each != first):
        run_state_machine_as_test(seed(beginning)(machine), settings=GENERATE)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_property_test_notices(name: str, tmp_path: Path) -> None:
    with planted(MUTANTS[name], tmp_path) as broken, pytest.raises(AssertionError):
        hunt(broken, KNOWN.get(name, 0))


def test_a_faithful_copy_passes(tmp_path: Path) -> None:
    untouched = Mutant("decide", "do nothing.", "do nothing.")
    with planted(untouched, tmp_path) as copy:
        run_state_machine_as_test(seed(0)(copy), settings=GENERATE)
