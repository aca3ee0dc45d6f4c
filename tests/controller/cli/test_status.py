import contextlib
import datetime as dt
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from canaries import ROLLED_BACK, V2, held, resting, status
from command_line import World, until
from config.status import HeldReason, Phase, Status
from controller.cli.session import CommandError, Session
from controller.cli.status import Watching
from controller.kube.resources import CANARIES


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param(resting(Phase.PROMOTED), 0, id="promoted"),
        pytest.param(resting(Phase.ROLLED_BACK, history=(ROLLED_BACK,)), 2, id="rolled back"),
        pytest.param(status(), 3, id="under way"),
        pytest.param(
            status(held=held(HeldReason.AWAITING_APPROVAL, needs_human=True)), 4, id="needs a human"
        ),
    ],
)
def test_one_look_gives_a_screen_and_an_exit_code(world: World, seen: Status, code: int) -> None:
    world.add(status=seen)
    result = world.crossfade("status")
    assert (result.code, result.err) == (code, "")
    assert f"{world.namespace}/echo  {seen.phase}" in result.out


def test_an_invalid_spec_has_an_exit_code_of_its_own(world: World) -> None:
    world.add(shifting={"steps": [50, 25]})
    result = world.crossfade("status")
    assert result.code == 5
    assert "spec.shifting.steps[1]: found 25 after 50; weights must rise" in re.sub(r"\s+", " ", result.out)


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield re.sub(r"^\d\d:\d\d:\d\d ", "", line).rstrip()


def test_watching_tells_each_change_in_a_line_until_the_end(world: World) -> None:
    world.add(status=status(weight=5, step="1/5", reason="v2 at 5%: soaking"))
    with world.start("status", "-w") as process:
        told = lines(process)
        assert next(told) == "Shifting 5% 1/5 Undecided: v2 at 5%: soaking"
        world.report(status(weight=100, step="5/5", reason="v2 at 100%: soaking"))
        assert next(told) == "Shifting 100% 5/5 Undecided: v2 at 100%: soaking"
        world.report(resting(Phase.PROMOTED, stable=V2, reason="promoted v2"))
        assert list(told) == ["Promoted: promoted v2"]
        assert process.wait(10) == 0


def test_watching_ends_where_a_human_is_needed(world: World) -> None:
    world.add(status=status())
    with world.start("status", "-w") as process:
        next(lines(process))
        world.report(status(held=held(HeldReason.AWAITING_APPROVAL, needs_human=True), reason="approve?"))
        assert process.wait(10) == 4


def test_watching_ends_when_the_time_is_over(world: World) -> None:
    world.add(status=status())
    began = time.monotonic()
    result = world.crossfade("status", "-w", "--timeout", "300ms")
    assert result.code == 3
    assert 0.3 <= time.monotonic() - began < 10
    assert len(result.out.splitlines()) == 1


def test_a_canary_that_is_deleted_while_it_is_watched_is_an_error(world: World) -> None:
    world.add(status=status())
    uid = world.cluster.read(CANARIES, world.namespace, "echo")["metadata"]["uid"]
    with world.start("status", "-w") as process:
        told = lines(process)
        next(told)
        world.cluster.delete(CANARIES, world.namespace, "echo", uid=uid)
        assert list(told) == [f"error: {world.namespace}/echo has been deleted"]
        assert process.wait(10) == 1


def test_a_canary_that_is_gone_before_the_watch_begins_is_an_error(world: World) -> None:
    world.add(status=status())
    session = Session(world.cluster, world.namespace)
    canary = session.canary("echo")
    world.cluster.delete(CANARIES, world.namespace, "echo", uid=canary.metadata["uid"])
    with pytest.raises(CommandError, match="has been deleted"):
        Watching(session, canary, dt.timedelta(seconds=30), None).until_the_end()


class Terminal:
    """A command on a real pseudo terminal."""

    def __init__(self, world: World, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        command = [*world.command, *arguments, "-n", world.namespace, "--kubeconfig", str(world.kubeconfig)]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self.text = ""

    def shows(self, words: str) -> None:
        """Wait until the words have been written since the last call."""
        until(lambda: words in self._read())
        self.text = self.text.partition(words)[2]

    def _read(self) -> str:
        with contextlib.suppress(OSError):  # nothing to read yet, or the other end is closed
            self.text += os.read(self._ours, 65536).decode(errors="replace")
        return self.text

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait(10)
        os.close(self._ours)


def test_a_terminal_shows_a_live_view_that_stays_while_a_human_decides(world: World) -> None:
    world.add(status=status(weight=5, step="1/5"))
    terminal = Terminal(world, "status", "-w")
    try:
        terminal.shows("step 1/5")
        terminal.shows("\x1b[")
        world.report(status(held=held(HeldReason.AWAITING_APPROVAL, needs_human=True)))
        terminal.shows("AwaitingApproval")
        assert terminal.process.poll() is None
        world.report(resting(Phase.ROLLED_BACK, history=(ROLLED_BACK,)))
        terminal.shows("RolledBack")
        assert terminal.process.wait(10) == 2
    finally:
        terminal.close()


def test_no_color_means_no_color(world: World) -> None:
    world.add(status=status())
    terminal = Terminal(world, "status", "--no-color")
    try:
        terminal.shows("why")
        assert "\x1b[3" not in terminal.text
    finally:
        terminal.close()
