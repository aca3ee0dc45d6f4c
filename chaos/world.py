"""What breaks in a chaos run: begun and ended by the clock, from the thread that holds the sandbox.

Processes are tied to the thread that starts them, so everything that may start one is done here.
"""

import contextlib
import heapq
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from chaos.controllers import STOP, Controller
from chaos.diary import Diary
from chaos.records import CONTROLLER, Deed, Part, What
from chaos.script import Deed as Planned
from sandbox import clock
from sandbox.cluster import Cluster
from sandbox.kube import UNREACHABLE, Kube, Resource


CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
ATTEMPTS = 20
"""How often the API server is asked to stop or to go on, a quarter of a second apart."""

Undo = Callable[[], None]


@dataclass(order=True, slots=True)
class _Broken:
    """A fault that is going on, and when it ends."""

    until: float
    number: int
    undo: Undo = field(compare=False)
    deeds: list[Deed] = field(compare=False)


class World:
    """Breaks what a script says; `run` returns when the time is over, with all whole again."""

    def __init__(self, cluster: Cluster, controllers: Sequence[Controller], diary: Diary) -> None:
        self._cluster = cluster
        self._controllers = controllers
        self._diary = diary
        self._kube = Kube(cluster.kubeconfig, manager="chaos")
        self._broken: list[_Broken] = []
        self._numbers = itertools.count()

    def run(self, planned: Sequence[Planned], seconds: float, enough: Callable[[], bool]) -> None:
        """Break what is planned, for so many seconds or until there is `enough`; then mend everything."""
        began = time.monotonic()
        waiting = list(planned)
        try:
            while (now := time.monotonic() - began) < seconds and not enough():
                self._mend(now)
                while waiting and waiting[0].after <= now and not self._must_wait(waiting[0]):
                    self._break(waiting.pop(0), now)
                time.sleep(0.05)
        finally:
            self._mend(math.inf)

    def _break(self, planned: Planned, now: float) -> None:
        details = dict(planned.details)
        begun = clock.now()
        undo, what, told = self._begin(planned.do, details)
        deeds = [Deed(what, begun, begun, details=each) for each in told]
        until = now + float(details["seconds"])
        heapq.heappush(self._broken, _Broken(until, next(self._numbers), undo, deeds))

    def _mend(self, now: float) -> None:
        """End what is due; what needs the API server in order to start waits until that is back."""
        while self._broken and self._broken[0].until <= now:
            broken = heapq.heappop(self._broken)
            if (back := self._apiserver_back()) and _needs_apiserver(broken):
                broken.until = back
                broken.number = next(self._numbers)
                heapq.heappush(self._broken, broken)
                continue
            broken.undo()
            for each in broken.deeds:
                self._diary.note(Deed(each.what, each.began, clock.now(), each.app, each.details))

    def _must_wait(self, planned: Planned) -> bool:
        """Tell whether it cannot be begun before the API server is back."""
        return planned.do in {"api", "stop"} and self._apiserver_back() > 0

    def _apiserver_back(self) -> float:
        """Say when the API server can be reached again, in seconds of the run; 0: it can be."""
        return max((each.until for each in self._broken if _breaks(each, Part.APISERVER)), default=0.0)

    def _begin(self, do: str, details: dict[str, Any]) -> tuple[Undo, What, list[dict[str, Any]]]:
        """Break something; give how to mend it, and what to note."""
        match do:
            case "api":
                return self._storm(details["faults"])
            case "stop":
                return self._stop_the_line(), What.STOP, [{}]
            case "controller":
                controller = self._controllers[details["which"] % len(self._controllers)]
                undo = _hurt(controller, details["how"])
            case part:
                undo = self._hurt(part, details["how"])
        return undo, What.FAULT, [{"part": Part(do), "kind": details["how"]}]

    def _storm(self, faults: list[dict[str, Any]]) -> tuple[Undo, What, list[dict[str, Any]]]:
        """Let the API server fail the controller; without an API server there is nothing to fail."""
        url = f"{self._cluster.apiserver}/sandbox/faults"
        wanted = [{**each, "times": None, "userAgent": CONTROLLER} for each in faults]
        with contextlib.suppress(requests.RequestException):
            requests.put(url, data=json.dumps(wanted), timeout=2)

        def undo() -> None:
            for _ in range(ATTEMPTS):
                with contextlib.suppress(requests.RequestException):
                    requests.delete(url, timeout=2).raise_for_status()
                    return
                time.sleep(0.25)

        told = [{"part": Part.APISERVER, "kind": _kind(each)} for each in faults]
        return undo, What.FAULT, told

    def _stop_the_line(self) -> Undo:
        namespace, name = STOP
        document = {
            "metadata": {"namespace": namespace, "name": name},
            "data": {"reason": "chaos"},
        }

        def stop() -> object:
            return self._kube.create(CONFIG_MAPS, document)

        def go_on() -> object:
            uid = self._kube.get(CONFIG_MAPS, STOP)["metadata"]["uid"]
            return self._kube.delete(CONFIG_MAPS, STOP, uid)

        _attempt(stop)
        return lambda: _attempt(go_on)

    def _hurt(self, part: str, how: str) -> Undo:
        match how:
            case "frozen":
                self._cluster.freeze(part)
                return lambda: self._cluster.thaw(part)
            case "killed":
                self._cluster.kill(part)
            case _:
                self._cluster.stop(part)
        return lambda: self._cluster.start(part)


def _breaks(broken: _Broken, part: Part) -> bool:
    """Tell whether this part cannot be reached because of it."""
    gone = {"frozen", "killed", "stopped"}
    return any(each.details.get("part") == part and each.details["kind"] in gone for each in broken.deeds)


def _needs_apiserver(broken: _Broken) -> bool:
    """Tell whether it cannot be mended, not even by itself, while the API server is away."""
    if _breaks(broken, Part.APISERVER):
        return False
    parts = {Part.GLOO, Part.APISERVER, Part.CONTROLLER}
    return any(each.what is What.STOP or each.details["part"] in parts for each in broken.deeds)


def _hurt(controller: Controller, how: str) -> Undo:
    match how:
        case "frozen":
            controller.freeze()
            return controller.thaw
        case "killed":
            controller.kill()
        case _:
            controller.terminate()
    return controller.start_again


def _kind(fault: dict[str, Any]) -> str:
    name = str(fault["fault"])
    return f"{name} {fault['code']}" if name == "answer" else name


def _attempt(what: Callable[[], object]) -> None:
    for _ in range(ATTEMPTS):
        try:
            what()
        except UNREACHABLE as error:
            if getattr(error, "status", None) in {404, 409}:
                return  # an attempt before this one did it, and its answer was lost
        else:
            return
        time.sleep(0.25)
