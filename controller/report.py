"""What people are told about a decision: conditions and events, in the words of the decision."""

import datetime as dt
from dataclasses import dataclass

from config.status import Condition, Held, HeldReason, Phase, Status, Verdict


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people should be able to read in `kubectl describe`."""

    type: str
    """Normal or Warning."""
    reason: str
    """CamelCase."""
    message: str


def conditions(status: Status, now: dt.datetime) -> tuple[Condition, ...]:
    """Derive the conditions, kstatus-compatible; a transition time moves only with its condition."""
    known = {condition.type: condition for condition in status.conditions}
    held, resting = status.held, status.phase in {Phase.IDLE, Phase.PROMOTED}
    stalled = held is not None and held.reason is HeldReason.STALLED
    why = str(held.reason) if held else str(status.phase)
    promoted = {Phase.PROMOTED: "True", Phase.ROLLED_BACK: "False"}.get(status.phase, "Unknown")
    moving = not resting and status.phase is not Phase.ROLLED_BACK and not stalled
    states = (
        ("Ready", _truth(resting and held is None), why),
        ("Reconciling", _truth(moving), str(status.phase)),
        ("Stalled", _truth(stalled), why),
        ("Held", _truth(held is not None), why),
        ("Promoted", promoted, str(status.phase)),
    )
    return tuple(
        Condition(
            type=kind,
            status=truth,
            reason=reason,
            message=held.message
            if kind in {"Held", "Stalled"} and held and truth == "True"
            else status.reason,
            last_transition_time=_since(known.get(kind), truth, now),
            observed_generation=status.observed_generation,
        )
        for kind, truth, reason in states
    )


def event(before: Status, after: Status) -> Event | None:
    """Name the one change that people would want to hear of; None if nothing changed for them."""
    commanded = after.last_command != before.last_command
    if (words := _would_have(before, after)) and after.phase is not Phase.ROLLING_BACK:
        return Event("Warning", "WouldHaveRolledBack", words)
    if after.phase is not before.phase:
        return _phase_changed(before, after)
    if after.candidate != before.candidate:
        return Event("Normal", "StartedOver", after.reason)
    if after.weight != before.weight:
        kind = "Normal" if after.weight > before.weight else "Warning"
        return Event(kind, "Advanced" if after.weight > before.weight else "SteppedBack", after.reason)
    if after.reasserted > before.reasserted:
        return Event("Warning", "PutBack", after.reason)
    if after.held is not None and _is_new(before.held, after.held):
        words = after.reason if commanded else after.held.message
        return Event("Warning" if after.held.needs_human else "Normal", after.held.reason, words)
    if commanded:
        return Event("Normal", "Commanded", after.reason)
    if after.verdict is not before.verdict and after.verdict is not None:
        alarming = after.verdict in {Verdict.HARMFUL, Verdict.BLIND}
        return Event("Warning" if alarming else "Normal", f"Verdict{after.verdict}", after.reason)
    return None


def _phase_changed(before: Status, after: Status) -> Event:
    backwards = before.phase is Phase.BAKING and after.phase is Phase.SHIFTING
    alarming = after.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK} or bool(after.refusal) or backwards
    match after.phase:
        case Phase.PREPARING:
            reason = "NewRevision" if after.candidate else "Adopting"
        case Phase.IDLE:
            reason = "Adopted"
        case Phase.SHIFTING if before.phase is Phase.BAKING:
            reason = "SteppedBack"
        case _:
            reason = str(after.phase)
    return Event("Warning" if alarming else "Normal", reason, after.reason)


def _would_have(before: Status, after: Status) -> str:
    """Say what a dry run, or a metric that only reports, has just found; empty if nothing new."""
    if after.would_have and not before.would_have:
        return after.reason
    known = {metric.name for metric in before.metrics if metric.would_roll_back_at}
    found = [each for each in after.metrics if each.would_roll_back_at and each.name not in known]
    words = [f"{metric.name} would have rolled back: {metric.message}" for metric in found]
    return "; ".join([after.reason, *words]) if words else ""


def _is_new(before: Held | None, after: Held) -> bool:
    return (
        before is None or before.reason is not after.reason or (after.needs_human and not before.needs_human)
    )


def _truth(value: bool) -> str:  # noqa: FBT001  # a truth value is what it translates
    return "True" if value else "False"


def _since(known: Condition | None, truth: str, now: dt.datetime) -> dt.datetime:
    return known.last_transition_time if known and known.status == truth else now
