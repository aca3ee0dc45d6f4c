"""What happens to one application, one deed after the other, in a thread of its own.

A release waits until the one before it is over, unless it is meant to supersede it. Somebody is always
there to approve what waits for approval, and to resume what only a human can resume.
"""

import threading
import time
from collections.abc import Sequence

from chaos.estate import Document
from chaos.hands import GaveUpError, Hands, Look
from chaos.script import Deed


RESTING = frozenset({"Idle", "Promoted", "RolledBack"})
RESUMED = frozenset({"Drift", "NotAccepted"})
"""What is held until somebody says that it may go on."""
PATIENCE = 90.0
"""Seconds for a release to end before the next one comes anyway."""
LOOKING = 0.3
"""Seconds between two looks at an application."""
SLOW = 2.0
"""Seconds that something waits for a human at least."""


class Lane:
    """One application's deeds; `run` is the thread's, `finish` is called again and again at the end."""

    def __init__(self, hands: Hands, deeds: Sequence[Deed], look: Look, over: threading.Event) -> None:
        self.name = hands.estate.name
        self.failure = ""
        """Why it ended before its time; empty if it did not."""
        self._hands = hands
        self._deeds = deeds
        self._look = look
        self._over = over
        self._version = "v1"
        self._waiting_since: float | None = None

    def run(self) -> None:
        """Do all deeds, until it is over."""
        try:
            for deed in self._deeds:
                if not self._wait_for(deed):
                    return
                self._do(deed)
        except GaveUpError as error:
            self.failure = str(error)

    def finish(self) -> None:
        """Do what the last release waits for a human to do."""
        try:
            self._attend(quiet=True)
        except GaveUpError as error:
            self.failure = str(error)

    def at_rest(self) -> bool:
        """Say whether the newest version has been released or rejected, and nothing is left to be done."""
        status = self._status
        known = {(entry.get("revision") or {}).get("version") for entry in status.get("history", ())}
        known.add((status.get("stable") or {}).get("version"))
        return status.get("phase") in RESTING and self._version in known and not status.get("retiring")

    def told(self) -> str:
        """Say how it stands: phase, weight, what is waited for, and why."""
        status = self._status
        where = f"{self._version} is not over: {status.get('phase')} {status.get('weight')}%"
        return f"{where}, {status.get('held') or {}}: {status.get('reason')}"

    @property
    def _status(self) -> Document:
        return self._look(self.name).get("status") or {}

    def _wait_for(self, deed: Deed) -> bool:
        """Wait for the moment of a deed; False if the run is over before that."""
        supersedes = deed.details.get("supersedes", False)
        if deed.do in {"release", "retry"} and not supersedes:
            deadline = time.monotonic() + PATIENCE
            while not self.at_rest() and time.monotonic() < deadline:
                if self._over.wait(LOOKING):
                    return False
                self._attend()
        deadline = time.monotonic() + deed.after
        while (left := deadline - time.monotonic()) > 0:
            if self._over.wait(min(left, LOOKING)):
                return False
            self._attend()
        return not self._over.is_set()

    def _do(self, deed: Deed) -> None:
        details = deed.details
        match deed.do:
            case "release":
                self._tidy()
                self._version = details["version"]
                self._hands.release(details["version"], details["trait"], list(details["arguments"]))
            case "order" if not self.at_rest():
                self._hands.order(details["do"], typed=details["typed"])
            case "retry" if self._status.get("rejected"):
                self._hands.order("retry")
                self._over.wait(1)
            case "edit-canary":
                self._hands.edit_canary(details["how"], list(details["steps"]))
            case "edit-routes":
                self._hands.edit_routes(details["how"])
            case "apply-from-git":
                self._hands.apply_from_git()
            case _:
                return  # an order that nobody needs any more

    def _tidy(self) -> None:
        status = self._status
        if self.at_rest():
            stable = (status.get("stable") or {}).get("version", "v1")
            self._hands.tidy({stable, self._version})

    def _attend(self, *, quiet: bool = False) -> None:
        """Do what the rollout waits for a human to do, after a while."""
        status = self._status
        held = status.get("held") or {}
        approves = held.get("reason") == "AwaitingApproval"
        resumes = held.get("reason") in RESUMED or (quiet and status.get("paused"))
        if not approves and not resumes:
            self._waiting_since = None
            return
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since < SLOW:
            return
        self._waiting_since = None
        self._hands.order("approve" if approves else "resume")
