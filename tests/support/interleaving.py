"""Runs several actors in every order in which their calls could reach a server.

An actor is a function that pauses before each of its calls. Of two neighbouring calls
about different objects only one order is run: the other one ends in the same world.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


Pause = Callable[[str], None]
"""Called before a call, with the name of the object that the call is about."""
Actor = Callable[[Pause], None]
PATIENCE = 60.0


class _Abandoned(BaseException):
    """Another schedule has covered the rest."""


@dataclass
class _Player:
    """One actor in a thread of its own, which runs only when it is its turn."""

    actor: Actor
    about: str | None = ""
    """What its next call is about; None once it is done."""
    error: BaseException | None = None
    _turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _done: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _abandoned: bool = False

    def begin(self) -> None:
        """Run up to the first call."""
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        assert self._done.acquire(timeout=PATIENCE)

    def step(self) -> None:
        """Make the call, and run up to the next one."""
        self._turn.release()
        assert self._done.acquire(timeout=PATIENCE)
        if self.error is not None:
            raise self.error

    def leave(self) -> None:
        """End it where it stands."""
        if self.about is not None:
            self._abandoned = True
            self._turn.release()
            self._thread.join(PATIENCE)

    def _play(self) -> None:
        try:
            self.actor(self._pause)
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001  # it is raised again where the test can see it
            self.error = error
        self.about = None
        self._done.release()

    def _pause(self, about: str) -> None:
        self.about = about
        self._done.release()
        self._turn.acquire()
        if self._abandoned:
            raise _Abandoned


def orders(setting: Callable[[], tuple[Sequence[Actor], Callable[[str], None]]]) -> int:
    """Run the actors of a fresh setting in every order; give how many orders there were.

    `setting` gives the actors and a function that judges the end of a run; it is told
    the order, for the failure's message.
    """
    count, prefix = 0, list[int]()
    while True:
        actors, judge = setting()
        taken, options, whole = _run(actors, prefix)
        if whole:
            count += 1
            judge("".join(map(str, taken)))
        later = next(_untried(taken, options), None)
        if later is None:
            return count
        prefix = later


def _run(actors: Sequence[Actor], prefix: Sequence[int]) -> tuple[list[int], list[list[int]], bool]:
    """Follow a prefix, then always the first choice; tell what was chosen, among what, and if to the end."""
    players = [_Player(actor) for actor in actors]
    taken, options, last = list[int](), list[list[int]](), (-1, "")
    try:
        for player in players:
            player.begin()
        while any(player.about is not None for player in players):
            choices = [at for at, player in enumerate(players) if _is_worth(at, player.about, last)]
            if not choices:
                return taken, options, False
            chosen = prefix[len(taken)] if len(taken) < len(prefix) else choices[0]
            last = chosen, players[chosen].about or ""
            taken.append(chosen)
            options.append(choices)
            players[chosen].step()
        return taken, options, True
    finally:
        for player in players:
            player.leave()


def _is_worth(at: int, about: str | None, last: tuple[int, str]) -> bool:
    """Tell whether this call now is no mere exchange of two that have nothing to do with each other."""
    before, object_before = last
    return about is not None and (at >= before or about == object_before)


def _untried(taken: Sequence[int], options: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    for depth in reversed(range(len(taken))):
        for choice in options[depth]:
            if choice > taken[depth]:
                yield [*taken[:depth], choice]
                break
