"""`crossfade status`: one look, or a live view until the end; the exit code says how it went."""

import datetime as dt
import queue
import time
from typing import Annotated

import typer
from rich.live import Live

from config.status import HeldReason
from controller.cli.get import DataFormat, as_data, without_bookkeeping
from controller.cli.reading import Canary, ExitCode, canary_of, exit_code
from controller.cli.session import CommandError, Name, Session, duration
from controller.cli.stop import stopped
from controller.cli.view import line, screen
from controller.clock import SystemClock
from controller.kube.resources import CANARIES, Document
from controller.kube.watch import Watched


FRAME = 0.5
"""Seconds between two frames of the live view when nothing happens."""


def status(  # noqa: PLR0913  # one parameter an option
    session: Session,
    name: Name = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until the rollout has ended.")] = False,
    timeout: Annotated[
        dt.timedelta | None,
        typer.Option(parser=duration, metavar="DURATION", help="Stop watching after this long, such as 10m."),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="The version that is meant, even if nobody has noticed it yet."),
    ] = None,
    output: DataFormat = None,
) -> int:
    """Show how a rollout goes, and tell by the exit code how it went.

    0 promoted, or nothing to do. 1 wrong usage, or the cluster cannot be asked.
    2 rolled back. 3 not finished (yet, or within --timeout).
    4 held, and a human is needed. 5 the spec is invalid.

    With --watch a terminal shows a live view, anything else gets one line per change.
    In a pipeline name the version just applied: --release v2.
    A rollout that needs a human ends the watch with 4, but not on a terminal: the human is there.
    """
    canary = session.canary(name)
    if output is not None:
        typer.echo(as_data(without_bookkeeping(canary.document), output))
        return exit_code(canary, release)
    held = canary.status.held
    if (held is None or held.reason is not HeldReason.STOPPED) and (words := stopped(session)):
        typer.echo(words, err=True)
    if watch:
        return Watching(session, canary, timeout, release).until_the_end()
    session.console.print(screen(canary, SystemClock().now()))
    return exit_code(canary, release)


class Watching:
    """One rollout followed until it ends."""

    def __init__(
        self, session: Session, canary: Canary, timeout: dt.timedelta | None, release: str | None
    ) -> None:
        self._session = session
        self._release = release
        self._canary = canary
        self._deadline = time.monotonic() + timeout.total_seconds() if timeout is not None else None
        self._changes: queue.SimpleQueue[Document | None] = queue.SimpleQueue()
        self._watched = Watched(session.cluster, CANARIES, canary.key.namespace)

    def until_the_end(self) -> ExitCode:
        """Show every change.

        Raises:
            CommandError: the Canary has been deleted.

        """
        self._watched.subscribe(self._changed)
        self._watched.start()
        try:
            return self._live() if self._session.console.is_terminal else self._lines()
        finally:
            self._watched.stop(timeout=1)

    def _changed(self, namespace: str, name: str, document: Document | None) -> None:
        if (namespace, name) == self._canary.key:
            self._changes.put(document)

    def _live(self) -> ExitCode:
        clock = SystemClock()
        with Live(console=self._session.console, auto_refresh=False) as live:
            while True:
                live.update(screen(self._canary, clock.now()), refresh=True)
                code = exit_code(self._canary, self._release)
                if code not in (ExitCode.UNFINISHED, ExitCode.NEEDS_HUMAN) or self._is_over():
                    return code
                self._wait()

    def _lines(self) -> ExitCode:
        said = ""
        while True:
            if (words := line(self._canary)) != said:
                typer.echo(f"{SystemClock().now():%H:%M:%S} {words}")
                said = words
            code = exit_code(self._canary, self._release)
            if code is not ExitCode.UNFINISHED or self._is_over():
                return code
            self._wait()

    def _is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _wait(self) -> None:
        """Take the next change; after a frame without one, what is known: it may be gone since the start."""
        left = FRAME if self._deadline is None else min(FRAME, max(0.0, self._deadline - time.monotonic()))
        try:
            document = self._changes.get(timeout=left)
        except queue.Empty:
            if not self._watched.synced:
                return
            document = self._watched.get(*self._canary.key)
        if document is None:
            raise CommandError(f"{self._canary.key} has been deleted")
        self._canary = canary_of(document)
