"""Weights of a managed route are percentages of 100; whoever else is on it keeps their share."""

from collections import Counter
from collections.abc import Iterator

from chaos.chronicle import Division, Step, Story
from chaos.findings import Breach, Invariant
from chaos.shares import HOLDERS, Lead, leads


class Weights:
    """A witness."""

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
                for told in _wrong(before, lead):
                    self.breaches.append(self._breach(step, story, found, told))

    def _breach(self, step: Step, story: Story, found: list[Lead], told: str) -> Breach:
        now = Division(step.write.time, step.write.key, ours=True, leads=tuple(found))
        earlier = (standing.words(),) if (standing := story.standing.get(step.write.key)) else ()
        lines = (*earlier, now.words())
        return Breach(Invariant.WEIGHTS, story.app, step.write.time, told, lines=lines)


def changed(before: list[Lead], after: list[Lead]) -> list[Lead]:
    """Give the routes that are not as any route was before."""
    known = Counter(before)
    return [lead for lead in after if not known[lead]]


def _wrong(before: list[Lead], lead: Lead) -> Iterator[str]:
    if lead.empty:
        yield "a route was left without any destination"
    if not lead.leads:
        return
    if any(part.weight < 0 for part in lead.parts):
        yield "a weight is negative"
    elif lead.total == 0:
        yield "the weights of a route sum up to 0"
    elif len(lead.parts) > 1 and not lead.elsewhere() and lead.total != 100:
        yield f"the weights of a route sum up to {lead.total}, not to 100"
    same = [each for each in before if each.skeleton == lead.skeleton]
    if len(same) == 1 and same[0].elsewhere() != lead.elsewhere():
        yield "another destination on a managed route got another share"
