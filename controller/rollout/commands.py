"""Orders of humans: each is carried out once, and remembered by its id."""

from dataclasses import replace

from config.status import Ending, Hurry, Outcome, Status
from controller.rollout import choice
from controller.rollout.observation import Command, Do
from controller.rollout.situation import Situation


def obey(at: Situation) -> tuple[Status, str]:
    """Take a new command to heart; give the status that follows and a few words for the log."""
    command = at.seen.command
    if command is None or command.id == at.status.last_command:
        return at.status, ""
    status = replace(at.status, last_command=command.id)
    signed = f"by {command.by}" + (f" ({command.reason})" if command.reason else "")
    match command.do:
        case Do.ABORT if at.in_flight:
            ending = Ending(Outcome.ROLLED_BACK, f"aborted {signed}", command.by)
            return replace(status, ending=ending), f"aborted {signed}"
        case Do.APPROVE if at.in_flight:
            return replace(status, approved=True), f"approved {signed}"
        case Do.PROMOTE | Do.PROMOTE_FULL if at.in_flight and at.seen.stopped:
            return status, f"nothing hurried {signed}"
        case Do.PROMOTE if at.in_flight:
            return replace(status, hurry=Hurry.STEP, paused=False), f"hurried {signed}"
        case Do.PROMOTE_FULL if at.in_flight:
            return replace(status, hurry=Hurry.FULL, paused=False), f"hurried to the end {signed}"
        case Do.PAUSE:
            return replace(status, paused=True, hurry=Hurry.NO), f"paused {signed}"
        case Do.RESUME:
            return replace(status, paused=False, refusal="", reasserted=0), f"resumed {signed}"
        case Do.RETRY:
            return _retry(at, status, command, signed)
        case _:
            return status, f"nothing to {command.do} {signed}: no rollout is under way"


def _retry(at: Situation, status: Status, command: Command, signed: str) -> tuple[Status, str]:
    wanted = choice.wanted(at.spec, at.seen.workloads, at.status.replaced)
    revision = choice.revision_of(wanted) if wanted else None
    if revision is None or revision not in status.rejected:
        return status, f"nothing to {command.do} {signed}: no rejected version waits"
    rejected = tuple(each for each in status.rejected if each != revision)
    return replace(status, rejected=rejected), f"{revision.version} is tried again {signed}"
