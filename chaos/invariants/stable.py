"""Stable is not stopped before the candidate was seen at 100% and was baked; nor is anything that serves."""

import itertools
import re

from chaos.chronicle import DEPLOYMENTS, Record, Step, Story, Template
from chaos.findings import Breach, Invariant
from chaos.shares import versions
from chaos.weather import Weather


LATE = 5.0
"""Seconds until routes that somebody else changed have to be noticed, in peace."""
EARLY = 0.05
"""Seconds that clocks may be read apart."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Stable:
    """A witness."""

    def __init__(self, weather: Weather) -> None:
        self.breaches: list[Breach] = []
        self._weather = weather

    def __call__(self, step: Step) -> None:
        """Look at one write."""
        write = step.write
        if not write.ours or write.resource != DEPLOYMENTS:
            return
        if not write.deletes and write.object["spec"].get("replicas", 1) > 0:
            return
        story = step.chronicle.story_of(write.namespace)
        known = story.templates.get(write.name)
        told = self._wrong(story, write.name, known[-1] if known else None, write.time)
        if told:
            lines = tuple(record.words() for record in story.records[-2:])
            what = f"{write.name} was {'deleted' if write.deletes else 'scaled to 0'}: {told}"
            version = known[-1].version if known else ""
            self.breaches.append(Breach(Invariant.STABLE, story.app, write.time, what, version, lines))

    def _wrong(self, story: Story, name: str, template: Template | None, time: float) -> str:
        now = story.now
        if now is None or now.stable is None or template is None:
            return "nothing was recorded before"
        if now.stable.deployment == name:
            return "it is stable"
        if now.under_way:
            return f"a rollout is under way ({now.phase})"
        if serving := self._serving(story, template.version, time):
            return serving
        for later, earlier in itertools.pairwise(reversed(story.records)):
            served = earlier.stable is not None and earlier.stable.deployment == name
            if served and later.stable is not None and later.stable.deployment != name:
                return _unfinished(story, later)
        rejected = any(
            entry.revision.deployment == name and entry.outcome != "Promoted" for entry in now.history
        )
        wanted = (now.spec.get("rollback") or {}).get("scaleDown") == "ScaleToZero"
        return "" if rejected and wanted else "it was neither replaced nor rolled back"

    def _serving(self, story: Story, version: str, time: float) -> str:
        for division in story.standing.values():
            leading = version in versions(division.leads)
            if leading and (division.ours or time > self._weather.by_then(division.time, LATE, story.app)):
                return f"a route leads to it: {division.words()}"
        return ""


def _unfinished(story: Story, promoted: Record) -> str:
    """Say what the rollout that replaced it had not done; `promoted` is the record that ended it."""
    mine = [each for each in story.records if each.started == promoted.started and each.under_way]
    if not any(each.seen == 100 for each in mine):
        return f"{promoted.stable.version if promoted.stable else ''} was never seen at 100%"
    hurried = any(
        order.do in {"promote", "promote-full"} and order.time >= promoted.started for order in story.orders
    )
    wanted = min((_seconds((each.spec.get("baking") or {}).get("duration", 0)) for each in mine), default=0.0)
    if hurried or not wanted:
        return ""
    baked = _longest_baking(mine)
    return "" if baked >= wanted - EARLY else f"it was baked for {baked:.1f} s, not for {wanted:g} s"


def _longest_baking(records: list[Record]) -> float:
    longest, since = 0.0, None
    for record in records:
        if record.phase == "Baking" and since is None:
            since = record.time
        elif record.phase == "Finishing" and since is not None:
            longest, since = max(longest, record.time - since), None
        elif record.phase not in {"Baking", "Finishing"}:
            since = None
    return longest


def _seconds(duration: object) -> float:
    """Read a duration as Kubernetes writes them."""
    if isinstance(duration, int | float):
        return float(duration)
    found = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(duration))
    return sum(float(number) * _UNITS[unit] for number, unit in found)
