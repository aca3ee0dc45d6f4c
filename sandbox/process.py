"""Start local processes that cannot outlive their parent, and end exactly those, never a stranger.

A process id alone is not an identity: the kernel reuses it. Id and start time together are.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, told apart from a later one with the same id by its start (clock ticks since boot)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Return who runs under `pid`; None if nobody does, or only a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # a program's name may hold spaces and brackets
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Say whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still is this process."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, patience: float) -> None:
        """Ask it to end, and after `patience` seconds end it."""
        self.send(signal.SIGTERM)
        if not wait_until(lambda: not self.alive(), patience):
            self.send(signal.SIGKILL)
            wait_until(lambda: not self.alive(), 5)


def tethered(argv: Sequence[str]) -> list[str]:
    """Return the command that runs `argv` as a child which dies with the calling process."""
    return [sys.executable, "-S", "-E", str(TETHER), str(os.getpid()), *argv]


def start(argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `argv` tethered to this process and thread, its output appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  # our own command line
            tethered(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
            start_new_session=True,  # Ctrl-C is the supervisor's to handle
        )


def wait_until(condition: Callable[[], bool], patience: float, pause: float = 0.02) -> bool:
    """Ask again and again for up to `patience` seconds; return whether it came true."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def write_atomically(path: Path, text: str) -> None:
    """Write `path` so that readers, and Envoy, only ever see the old or the new content."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
