"""Tells people what went wrong: of each breach only what was done to that release and broken meanwhile.

Pure: records in, lines out.
"""

import json
from collections.abc import Iterator, Sequence

from chaos.chronicle import clock
from chaos.findings import Breach
from chaos.records import Deed, What
from chaos.script import Script


MOST = 20
"""Breaches that are told in full, and deeds of each; the rest is counted."""
BEFORE = 15.0
"""Seconds before a breach that are told where no release is to blame."""
AFTER = 20.0
"""Seconds that a shortened script goes on after its breach."""
_LEFT_OUT = frozenset({"meant", "said", "deployment"})


def told(breaches: Sequence[Breach], deeds: Sequence[Deed]) -> Iterator[str]:
    """Tell each breach with the deeds that concern it."""
    for breach in breaches[:MOST]:
        yield breach.words()
        lines = [*_lines(breach, deeds)]
        yield from lines[-MOST:]
        if len(lines) > MOST:
            yield f"    and {len(lines) - MOST} deeds before that"
    if len(breaches) > MOST:
        yield f"and {len(breaches) - MOST} more"


def shortened(script: Script, breaches: Sequence[Breach], deeds: Sequence[Deed]) -> Script | None:
    """Give the part of a script that led to the first breach; None if it is about no application."""
    names = script.head.applications
    first = next((breach for breach in breaches if breach.app in names), None)
    began = max((deed.ended for deed in deeds if deed.what is What.APPLICATION), default=None)
    if first is None or began is None:
        return None
    return script.only({first.app}, max(0.0, first.time - began) + AFTER)


def _lines(breach: Breach, deeds: Sequence[Deed]) -> Iterator[str]:
    begin, end = breach.time - BEFORE, breach.time + 1
    for deed in deeds:
        released = deed.what is What.RELEASE and deed.details["version"] == breach.release
        if deed.app == breach.app and released:
            begin = min(deed.began, breach.time)
    for deed in deeds:
        if deed.app in {"", breach.app} and deed.what is not What.QUIET and deed.overlaps(begin, end):
            details = {name: value for name, value in deed.details.items() if name not in _LEFT_OUT}
            lasted = f"{deed.ended - deed.began:5.1f} s"
            yield f"      {clock(deed.began)} {lasted} {deed.what} {json.dumps(details)}"
