"""What a user wants to know at the end: what happened when, who was hurt, and how long it took."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox.demo.watching import Change


SCRAPE = 1.0
EVALUATION = 1.0
PATCH = 0.1
FLOOR = SCRAPE + EVALUATION + PATCH
"""Seconds that nobody can do without: see it, weigh it, write it."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that was observed, from outside of the controller."""

    good: list[Change]
    bad: list[Change]
    users: dict[str, Any]
    """What those without the header saw: a load report."""
    testers: dict[str, Any]
    old_replicas: int
    """Of v1 after v2 was promoted."""
    outcomes: dict[str, str]
    """From the Canary's history: version -> outcome."""

    @property
    def failed_by_candidate(self) -> int:
        """Requests that failed because v3 was tried."""
        return sum(_tally(report, "v3")["failed"] for report in (self.users, self.testers))

    @property
    def failed_otherwise(self) -> int:
        """Requests that failed although v3 did not answer them."""
        failed: int = self.users["failed"] + self.testers["failed"]
        return failed - self.failed_by_candidate

    @property
    def seconds_to_zero(self) -> float | None:
        """From the first failed request of a user to the last answer that a user got from v3."""
        tally = _tally(self.users, "v3")
        return None if tally["firstFailed"] is None else float(tally["last"] - tally["firstFailed"])

    def complaints(self) -> list[str]:
        """Name all that was not as it should be; empty if both releases ended rightly."""
        wrong = []
        for version, outcome in (("v2", "Promoted"), ("v3", "RolledBack")):
            if self.outcomes.get(version) != outcome:
                wrong.append(f"{version} should be {outcome}, found {self.outcomes.get(version, 'nothing')}")
        if self.old_replicas:
            wrong.append(f"v1 should be scaled to 0, found {self.old_replicas} replicas")
        if self.failed_otherwise:
            wrong.append(f"{self.failed_otherwise} requests failed that v3 had no part in")
        if self.seconds_to_zero is None:
            wrong.append("v3 was rolled back although no user had seen it fail")
        return wrong


def show(story: Story, console: Console) -> None:
    """Print the summary."""
    console.print()
    console.rule("[bold]Summary")
    table = Table(box=None, show_header=False, padding=(0, 2))
    good, bad = story.good, story.bad
    table.add_row("v2, a good version", f"promoted in {good[-1].at - good[0].at:.1f} s; v1 is scaled to 0")
    table.add_row("v3, fails 5% of the users", f"rolled back after {bad[-1].at - bad[0].at:.1f} s")
    table.add_row("", f"[dim]{bad[-1].reason}[/]")
    served = story.users["requests"] + story.testers["requests"]
    table.add_row("requests served", f"{served} ({story.testers['requests']} of them by testers' header)")
    table.add_row("failed because of v3", f"{story.failed_by_candidate}")
    if (seconds := story.seconds_to_zero) is not None:
        times = f"{seconds / FLOOR:.1f} times the floor of one scrape, one evaluation and one patch"
        table.add_row("first failure to weight 0", f"{seconds:.1f} s, {times}")
    noticed = (
        f"[red]{story.failed_otherwise} failed requests[/]" if story.failed_otherwise else "[green]nothing[/]"
    )
    table.add_row("stable's users noticed", f"{noticed}; p99 {_p99(story.users)}")
    console.print(table)
    for complaint in story.complaints():
        console.print(f"[red]Not as it should be:[/] {complaint}")


def _tally(report: dict[str, Any], version: str) -> dict[str, Any]:
    nothing = {"requests": 0, "failed": 0, "firstFailed": None, "last": None}
    tally: dict[str, Any] = report["versions"].get(version, nothing)
    return tally


def _p99(report: dict[str, Any]) -> str:
    shown = (
        f"{version} {tally['latency']['p99'] * 1000:.0f} ms"
        for version, tally in report["versions"].items()
        if version in {"v1", "v2"}
    )
    return ", ".join(shown)
