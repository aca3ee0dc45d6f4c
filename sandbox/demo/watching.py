"""How the demo sees a Canary: its status through the Kubernetes API, and every change of it as a line."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape

from sandbox import clock
from sandbox.kube import UNREACHABLE, Kube, Resource


CANARIES = Resource("crossfade.dev", "v1alpha1", "canaries", "Canary")
BAR = 20
COLORS = {"Promoted": "green", "RollingBack": "red", "RolledBack": "red", "Idle": "dim"}
PAUSE = 0.1


class DemoError(Exception):
    """The demo did not go as it should; the message says where."""


@dataclass(frozen=True, slots=True)
class Change:
    """A moment at which phase or weight of the Canary changed."""

    at: float
    """Seconds since 1970."""
    phase: str
    weight: int
    candidate: str
    reason: str


@dataclass(slots=True)
class Watch:
    """Reads one Canary again and again, and shows what changes."""

    kube: Kube
    console: Console
    began: float
    namespace: str = "echo"
    name: str = "echo"
    _shown: tuple[str, int] | None = None

    def until(self, done: Callable[[dict[str, Any]], bool], patience: float) -> list[Change]:
        """Show changes until the status is as wanted; give them all.

        Raises:
            DemoError: it did not become so in time.

        """
        changes: list[Change] = []
        deadline = time.monotonic() + patience
        while True:
            status = self.status()
            change = _change(status)
            if not changes or (change.phase, change.weight) != self._shown:
                changes.append(change)
            if (change.phase, change.weight) != self._shown and status:
                self._shown = change.phase, change.weight
                self._show(change, status)
            if done(status):
                return changes
            if time.monotonic() > deadline:
                raise DemoError(f"after {patience:g} s the Canary is still {change.phase}: {change.reason}")
            time.sleep(PAUSE)

    def status(self) -> dict[str, Any]:
        """Give the Canary's status; empty while there is none."""
        try:
            status: dict[str, Any] = self.kube.get(CANARIES, (self.namespace, self.name)).get("status") or {}
        except UNREACHABLE:
            return {}
        return status

    def say(self, text: str) -> None:
        """Print a line with the time since the beginning."""
        self.console.print(
            f"[dim]{clock.now() - self.began:6.1f} s[/]  {text}", highlight=False, soft_wrap=True
        )

    def _show(self, change: Change, status: dict[str, Any]) -> None:
        stable = (status.get("stable") or {}).get("version", "")
        filled = round(BAR * change.weight / 100)
        bar = f"[magenta]{'█' * filled}[/][blue]{'░' * (BAR - filled)}[/]"
        share = " " * (BAR + 16)
        if change.candidate:
            share = f"{stable:>3} → {change.candidate:<3} {bar} {change.weight:>3}%"
        color = COLORS.get(change.phase, "cyan")
        self.say(f"[{color}]{change.phase:<11}[/] {share}  {escape(change.reason)}")


def _change(status: dict[str, Any]) -> Change:
    return Change(
        at=clock.now(),
        phase=status.get("phase", "-"),
        weight=status.get("weight", 0),
        candidate=(status.get("candidate") or {}).get("version", ""),
        reason=status.get("reason", ""),
    )
