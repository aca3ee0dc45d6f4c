"""Findings as text for people, as data for programs, and as a shell script that puts them right."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from controller.doctor.finding import Apply, Command, Edit, Finding, Fix, Patch, Severity, one_line, written


class Line(NamedTuple):
    """A line of text, and how it should look."""

    text: str
    severity: Severity | None = None
    """None: a heading, or what belongs to the line above."""


Sections = Mapping[str, Sequence[Finding]]
"""What it is about (`cluster`, `Canary echo/echo`) -> what was found, in order."""

CLUSTER = "cluster"

_WIDTH = max(len(severity) for severity in Severity)
_PLURALS = {Severity.PROBLEM: "problems", Severity.WARNING: "warnings", Severity.NOTE: "notes"}


def as_lines(sections: Sections, *, fixes: bool = True) -> Iterator[Line]:
    """Write findings for people, each with its fix below it, and a summary at the end."""
    for heading, findings in sections.items():
        yield Line(heading)
        for finding in findings:
            yield Line(f"  {finding.severity:<{_WIDTH}}  {finding.sentence}", finding.severity)
            if fixes:
                yield from (Line(f"  {'':<{_WIDTH}}  {text}") for text in _cure(finding))
    yield Line(summary(sections))


def as_document(sections: Sections) -> dict[str, object]:
    """Give findings for programs; fields may be added, and keep their meaning."""
    counted = {
        plural: sum(finding.severity is severity for findings in sections.values() for finding in findings)
        for severity, plural in _PLURALS.items()
    }
    listed = [_plain(heading, finding) for heading, findings in sections.items() for finding in findings]
    return {**counted, "findings": listed}


def as_script(sections: Sections) -> str:
    """Write the fixes, each below what it is for, as a shell script; what has none is left out."""
    parts = ["#!/bin/sh\n# Read it before you run it.\nset -e\n"]
    for finding in (each for findings in sections.values() for each in findings):
        if finding.fix is None:
            continue
        comments = [f"{finding.severity}: {finding.sentence}"]
        if finding.effect:
            comments.append(one_line(finding.effect))
        lines = "".join(f"# {comment}\n" for comment in comments)
        parts.append(f"{lines}{finding.fix.command}\n")
    return "\n".join(parts) if len(parts) > 1 else "# nothing to put right\n"


def summary(sections: Sections) -> str:
    """Count what matters: `1 problem, 2 warnings`."""
    counts = []
    for severity, plural in _PLURALS.items():
        found = sum(each.severity is severity for findings in sections.values() for each in findings)
        if found:
            counts.append(f"{found} {severity if found == 1 else plural}")
    return ", ".join(counts) or "all is well"


def has_problems(sections: Sections) -> bool:
    """Tell whether anything would hold a release or let it reach the wrong users."""
    return any(each.severity is Severity.PROBLEM for findings in sections.values() for each in findings)


def _cure(finding: Finding) -> Iterator[str]:
    if finding.effect:
        yield f"({one_line(finding.effect)})"
    if finding.fix is not None:
        yield from finding.fix.command.splitlines()


def _plain(heading: str, finding: Finding) -> dict[str, object]:
    return {
        "section": heading,
        "check": finding.check,
        "severity": str(finding.severity),
        "about": finding.about,
        "message": one_line(finding.words),
        "fix": None if finding.fix is None else _fix(finding.fix),
        "effect": finding.effect,
    }


def _fix(fix: Fix) -> dict[str, object]:
    match fix:
        case Patch():
            merge = isinstance(fix.body, Mapping)
            where = {"resource": fix.resource, "namespace": fix.namespace, "name": fix.name}
            kind = {"kind": "mergePatch" if merge else "jsonPatch", "command": fix.command, **where}
            return {**kind, "patch": fix.body if merge else list(fix.body)}
        case Apply():
            return {"kind": "apply", "command": fix.command, "documents": list(fix.documents)}
        case Command():
            return {"kind": "command", "command": fix.command}
        case Edit():
            return {"kind": "edit", "file": fix.file, "yaml": written(fix.content)}
