"""The candidate's share rises only after a passed evaluation of this very revision and step, or by order.

Two halves. Routes follow the record before them: no write gives a version more than was recorded for it
(`Intent`). And no record rises without evidence that is newer than the step (`unearned`).
"""

import itertools
from collections.abc import Iterator

from chaos.chronicle import CARRYING, Division, Record, Step, Story
from chaos.findings import Breach, Invariant
from chaos.invariants.weights import changed
from chaos.shares import ALL, HOLDERS, Lead, leads
from chaos.weather import Weather


LATE = 5.0
"""Seconds until a changed Deployment has to be noticed, in peace."""
_PASSED = frozenset({"Safe", "Undecided"})


class Intent:
    """A witness: every move is covered by the record before it."""

    def __init__(self) -> None:
        self.breaches: list[Breach] = []

    def __call__(self, step: Step) -> None:
        """Look at one write."""
        write = step.write
        if not write.ours or write.resource not in HOLDERS or write.deletes:
            return
        for story, found in step.chronicle.concerned(write.object, step.before):
            before = leads(step.before, story.addresses) if step.before else []
            for lead in changed(before, found):
                told = _uncovered(story.now, lead)
                if told:
                    now = Division(write.time, write.key, ours=True, leads=tuple(found))
                    lines = (*(record.words() for record in story.records[-2:]), now.words())
                    release = story.now.candidate.version if story.now and story.now.candidate else ""
                    self.breaches.append(
                        Breach(Invariant.EARNED, story.app, write.time, told, release, lines)
                    )


def unearned(story: Story, weather: Weather) -> Iterator[Breach]:
    """Find every record that rises without having earned it."""
    for before, after in itertools.pairwise(story.records):
        if told := _unearned(story, before, after) or _another(story, before, after, weather):
            release = after.candidate.version if after.candidate else ""
            lines = before.words(), after.words()
            yield Breach(Invariant.EARNED, story.app, after.time, told, release, lines)


def ordered(story: Story, before: Record, after: Record, *orders: str) -> bool:
    """Tell whether one of these orders was carried out in the second of two records."""
    taken = (order for order in story.orders if order.id == after.order != before.order)
    return any(order.do in orders for order in taken)


def hurried(story: Story, before: Record, after: Record) -> bool:
    """Tell whether a human wanted this rise: by an order just taken, or by one that is remembered."""
    promoted = ("promote", "promote-full")
    if ordered(story, before, after, *promoted):
        return True
    since = before.started
    given = any(order.do in promoted and order.time >= since for order in story.orders)
    return before.hurry != "No" and given


def _uncovered(record: Record | None, lead: Lead) -> str:
    if record is None or record.stable is None:
        return "routes were written before a stable version was recorded"
    stable = record.stable.version
    candidate = record.candidate.version if record.candidate else stable
    allowed = {stable: 100, candidate: 100 if stable == candidate else record.share}
    if lead.conditional and record.phase in CARRYING:
        allowed[candidate] = 100
    for part in lead.parts:
        version = part.version
        if version is None or not part.weight:
            continue
        share = lead.share(version) * 100
        if version == ALL:
            return "a route was written that leads to all versions"
        if share > allowed.get(version, 0):
            recorded = f"{record.phase} {record.weight}% was recorded"
            return f"{version} was given {float(share):g}% by a route, but {recorded}"
    return ""


def _unearned(story: Story, before: Record, after: Record) -> str:
    risen = after.share > before.share and after.phase in CARRYING
    left = before.phase in {"Shifting", "Baking"} and after.phase == "Finishing"
    if not (risen or left):
        return ""
    where = f"{before.phase} {before.weight}% -> {after.phase} {after.weight}%"
    if (before.candidate, before.started) != (after.candidate, after.started):
        return f"{where} in the moment in which another rollout began"
    if hurried(story, before, after):
        return ""
    return f"{where}: {told}" if (told := _unproven(story, before, after)) else ""


def _unproven(story: Story, before: Record, after: Record) -> str:
    if after.evaluated <= before.evaluated:
        return "nothing was weighed for it"
    if after.evaluated <= max(before.intended, before.begun):
        return "it was weighed before the step began"
    dry_run = (after.spec.get("analysis") or {}).get("dryRun", False)
    if before.weight and after.verdict not in _PASSED and not dry_run:
        return f"the verdict was {after.verdict}"
    if before.weight and not after.measured:
        return "nothing was counted at this step"
    if after.verdict == "Harmful" and not dry_run:
        return "the verdict was Harmful"
    if _approval(before) == "Manual" and not (before.approved or ordered(story, before, after, "approve")):
        return "nobody approved it"
    return ""


def _approval(record: Record) -> str:
    """Say whether leaving this step needs a human."""
    steps = (record.spec.get("shifting") or {}).get("steps")
    found = (
        each.get("approval", "Automatic")
        for each in (steps if isinstance(steps, list) else [])
        if isinstance(each, dict) and each.get("weight", 0) == record.weight
    )
    return next(found, "Automatic") if record.phase == "Shifting" else "Automatic"


def _another(story: Story, before: Record, after: Record, weather: Weather) -> str:
    """Say what runs instead of the candidate whose share rises, if it was changed long ago."""
    if after.share <= before.share or after.candidate is None:
        return ""
    known = [each for each in story.templates.get(after.candidate.deployment, ()) if each.time <= after.time]
    if not known or known[-1].hash == after.candidate.hash:
        return ""
    at = max((at for at, each in enumerate(known) if each.hash == after.candidate.hash), default=-1)
    since = known[at + 1].time
    if after.time <= weather.by_then(since, LATE, story.app):
        return ""
    runs = f"{after.candidate.deployment} runs {known[-1].hash}"
    return f"{after.candidate.version} ({after.candidate.hash}) rises, but {runs} since long"
