"""A chaos run from the first process to the folder that the referee reads."""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
import yaml

from chaos import records
from chaos.controllers import NAMESPACE, Controller, rights
from chaos.diary import Diary
from chaos.estate import TESTERS, Estate, number_of
from chaos.hands import CROSSFADE, KUBECTL, Hands
from chaos.lane import LOOKING, Lane
from chaos.lookout import Lookout
from chaos.records import What
from chaos.script import WORLD, Script
from chaos.world import World
from sandbox.cluster import Cluster
from sandbox.load import Load, Traffic
from sandbox.process import wait_until


SCRIPT = "script.jsonl"
USERS = 20.0
TESTING = 4.0
"""Requests a second of an application's users, and of its testers."""
SETTING_UP = 60.0
"""Seconds for all applications to be adopted."""
PAST = 25.0
"""Seconds that the first version serves before it is adopted: they tell how evenly its answers come."""
ENDING = 150.0
"""Seconds in which every rollout must end once nothing is broken any more."""
SETTLING = 5.0
"""Seconds at rest: where the newest version was rejected and stopped, the one before it may be tried."""


class StageError(Exception):
    """The run could not be set up, or something of its own gave up; the message says what."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a run is wanted: where its records go, and who is told how it gets on."""

    folder: Path
    rollouts: int | None
    """It may end as soon as so many have ended."""
    say: Callable[[str], None]


def play(script: Script, wish: Wish) -> list[str]:
    """Let a script happen on a new sandbox, its records left in the folder; give what is wrong at once.

    Raises:
        StageError: an application could not be set up.
        sandbox.cluster.SandboxError: the sandbox could not.
    """
    folder = wish.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SCRIPT).write_text("".join(f"{line}\n" for line in script.lines()))
    with Cluster(folder / "cluster", authorization="rbac") as cluster, Lookout(cluster) as lookout:
        stage = Stage(script, wish, cluster, lookout)
        with contextlib.ExitStack() as stack:
            stage.set_up(stack)
            wrong = [*stage.chaos(), *stage.quiet()]
    _collect(cluster, folder)
    return wrong


class Stage:
    """A sandbox that is up, and who acts on it."""

    def __init__(self, script: Script, wish: Wish, cluster: Cluster, lookout: Lookout) -> None:
        self._script = script
        self._wish = wish
        self._cluster = cluster
        self._lookout = lookout
        self._diary = Diary(wish.folder)
        self._over = threading.Event()
        estates = [Estate(name, number_of(name)) for name in script.head.applications]
        self._hands = [Hands(cluster, each, self._diary, lookout.canary) for each in estates]
        self._lanes = [
            Lane(each, script.lane(each.estate.name), lookout.canary, self._over) for each in self._hands
        ]
        numbers = range(2 if script.head.pair else 1)
        self._controllers = [Controller(cluster, each, pair=script.head.pair) for each in numbers]

    def set_up(self, stack: contextlib.ExitStack) -> None:
        """Install the definitions, the applications and the controllers, and let users in.

        Raises:
            StageError: an application was not adopted.
        """
        self._wish.say(f"setting up {len(self._hands)} applications")
        definitions = subprocess.check_output([CROSSFADE, "crd"], text=True)  # noqa: S603  # our own
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        _apply(self._cluster, definitions)
        _apply(self._cluster, yaml.safe_dump_all([namespace, *rights()]))
        for controller in self._controllers:
            stack.callback(controller.kill)
            controller.start()
        for each in self._hands:
            each.install()
        if not wait_until(lambda: all(map(self._answers, self._hands)), SETTING_UP, pause=LOOKING):
            raise StageError(f"not every application answers within {SETTING_UP:g} s")
        for load in _loads(self._hands, self._cluster, self._wish.folder):
            stack.enter_context(load)
        time.sleep(PAST)
        for each in self._hands:
            each.adopt()
        if not wait_until(lambda: all(each.at_rest() for each in self._lanes), SETTING_UP, pause=LOOKING):
            waiting = [each.name for each in self._lanes if not each.at_rest()]
            raise StageError(f"not adopted within {SETTING_UP:g} s: {', '.join(waiting)}")

    def chaos(self) -> list[str]:
        """Let all lanes happen at once; give who gave up."""
        minutes = self._script.head.minutes
        self._wish.say(f"{minutes:g} minutes of chaos begin")
        threads = [threading.Thread(target=each.run, name=each.name, daemon=True) for each in self._lanes]
        for thread in threads:
            thread.start()
        world = World(self._cluster, self._controllers, self._diary)
        try:
            world.run(self._script.lane(WORLD), minutes * 60, self._enough)
        finally:
            self._over.set()
        for thread in threads:
            thread.join()
        return [each.failure for each in self._lanes if each.failure]

    def quiet(self) -> list[str]:
        """Break nothing any more, wait until every release is over; give what did not end."""
        self._wish.say("nothing is broken any more: every rollout has to end now")
        with self._diary.deed(What.QUIET):
            for each in self._controllers:
                each.start()
            self._wait_for_the_end()
            stuck = [f"{each.name}: {each.told()}" for each in self._lanes if not each.at_rest()]
        codes = [each.stop() for each in self._controllers]
        wrong = [f"a controller ended with exit code {code}" for code in codes if code]
        crashes = [each.log for each in self._controllers if "tick.crashed" in each.said()]
        return [*stuck, *wrong, *(f"a tick crashed: see {log}" for log in crashes)]

    def _wait_for_the_end(self) -> None:
        """Wait until nothing is under way any more, and nothing new begins either."""
        deadline, resting = time.monotonic() + ENDING, 0.0
        while (now := time.monotonic()) < deadline and not (resting and now - resting > SETTLING):
            for each in self._lanes:
                each.finish()
            rests = all(each.at_rest() for each in self._lanes)
            resting = (resting or now) if rests else 0.0
            time.sleep(LOOKING)

    def _answers(self, hands: Hands) -> bool:
        headers = {"Host": hands.estate.host}
        with contextlib.suppress(requests.RequestException):
            return requests.get(self._cluster.gateway, headers=headers, timeout=2).ok
        return False

    def _enough(self) -> bool:
        return self._wish.rollouts is not None and self._lookout.ended >= self._wish.rollouts


def _loads(hands: Sequence[Hands], cluster: Cluster, folder: Path) -> Iterator[Load]:
    journals = folder / records.LOAD
    journals.mkdir(exist_ok=True)
    for each in hands:
        name, headers = each.estate.name, {"Host": each.estate.host}
        yield Load(Traffic(cluster.gateway + "/", USERS, headers), journals / f"{name}.users.jsonl")
        if each.estate.shape.testing:
            traffic = Traffic(cluster.gateway + records.TESTERS, TESTING, headers | TESTERS)
            yield Load(traffic, journals / f"{name}.testers.jsonl")


def _apply(cluster: Cluster, text: str) -> None:
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    command = [str(KUBECTL), "apply", "-f", "-"]
    done = subprocess.run(  # noqa: S603  # our own command line
        command, input=text, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageError(f"kubectl apply: {done.stderr}")


def _collect(cluster: Cluster, folder: Path) -> None:
    shutil.copyfile(cluster.audit_log, folder / records.AUDIT)
    shutil.copyfile(cluster.access_log, folder / records.ACCESS)
