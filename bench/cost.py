"""What a Canary costs: calls to the Kubernetes API, requests to Prometheus, processor time."""

import functools
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.counting import OURS, READS, WRITES, Calls, processor_seconds, queries_answered, ticks
from bench.fleet import Fleet
from releases import Application, Controller
from sandbox.apiserver.testing import ApiServer


NOWHERE = "http://127.0.0.1:9"
"""Where no Prometheus answers: idle Canaries ask nothing."""
ROUNDS = 5
PATIENCE = 120.0
CALM = 2.0
"""Seconds without a tick after which nothing is left to be done."""

Kinds = dict[str, int]
"""How many calls of each verb and resource: `patch virtualservices.gateway.solo.io`."""


@dataclass(frozen=True)
class Idle:
    """Canaries that were made to look a few times although nothing had happened."""

    canaries: int
    opening: Kinds
    """Lists and watches that the controller began with."""
    ticks: int
    reads: Kinds
    writes: Kinds
    processor: float
    """Seconds of the controller's processor time per tick."""


@dataclass(frozen=True)
class Advancing:
    """One release from the new Deployment to the end of the old one."""

    ticks: int
    reads: Kinds
    writes: Kinds
    most_writes: int
    """From one record of the status up to the next, which is what one tick may write."""
    evaluations: int
    queries: int
    """Requests to Prometheus."""


def idle(canaries: int, rounds: int = ROUNDS) -> Idle:
    """Let this many Canaries look at an unchanged world, each of them `rounds` times."""
    with tempfile.TemporaryDirectory() as name, ApiServer(Path(name)) as server:
        fleet = Fleet(server, canaries)
        fleet.install()
        with Controller(server.kubeconfig, NOWHERE, Path(name)) as controller:
            controller.wait_until_started()
            opening = Calls.of(server.url)
            fleet.launch()
            looked = _calm(controller)
            before, used = Calls.of(server.url), processor_seconds(controller.pid)
            for done in range(1, rounds + 1):
                fleet.touch()
                _until(functools.partial(_looked, controller, looked + done * canaries))
            used = processor_seconds(controller.pid) - used
            ended, calls = _calm(controller) - looked, Calls.of(server.url).since(before)
    return Idle(
        canaries, opening.only({"list", "watch"}), ended, calls.only(READS), calls.only(WRITES), used / ended
    )


def advancing(app: Application, controller: Controller) -> Advancing:
    """Release a good version of an application that is at rest."""
    cluster = app.cluster
    looked, read = _calm(controller), Calls.of(cluster.apiserver)
    asked, written = queries_answered(cluster.prometheus), len(list(_writes(app)))
    with app.load():
        app.deploy("v2")
        app.ended("v2")
        app.until(lambda status: not status.get("retiring"))
    ended = _calm(controller) - looked
    writes = list(_writes(app))[written:]
    records = [write for write in writes if write["subresource"] == "status"]
    weighed = {record["object"]["status"].get("evaluatedAt") for record in records} - {None}
    return Advancing(
        ticks=ended,
        reads=Calls.of(cluster.apiserver).since(read).only(READS),
        writes=dict(Counter(_kind(write) for write in writes)),
        most_writes=max(_between_records(writes)),
        evaluations=len(weighed),
        queries=queries_answered(cluster.prometheus) - asked,
    )


def _writes(app: Application) -> Iterator[dict[str, Any]]:
    """Give what the controller wrote about an application, events included, in order."""
    for line in app.cluster.audit_log.read_text().splitlines():
        write = json.loads(line)
        about = write["namespace"] == app.namespace or write["name"] == app.name
        if about and write["userAgent"].startswith(OURS):
            yield write


def _between_records(writes: list[dict[str, Any]]) -> Iterator[int]:
    ordinals = itertools.accumulate(write["subresource"] == "status" for write in writes)
    return iter(Counter(ordinals).values())


def _kind(write: dict[str, Any]) -> str:
    resource = "/".join(filter(None, (write["resource"], write["subresource"])))
    return f"{write['verb']} {resource}"


def _calm(controller: Controller) -> int:
    """Wait until nothing has been looked at for a while; give how many ticks there have been."""
    last, since = -1, time.monotonic()
    deadline = since + PATIENCE
    while time.monotonic() < min(since + CALM, deadline):
        if (now := ticks(controller.probes)) != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)
    return last


def _looked(controller: Controller, often: int) -> bool:
    return ticks(controller.probes) >= often


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s")
        time.sleep(0.02)
