"""The local process behind a pod: started, probed, restarted with a short back-off, drained and ended."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.clock import Clock
from sandbox.kube import Document
from sandbox.kubelet.pods import Exit, Life, container_of, port_of
from sandbox.kubelet.probes import EAGER, Probe
from sandbox.process import tethered


APP = Path(__file__).parents[1] / "demo_app.py"
BACK_OFF = (0.5, 10.0)  # seconds before the first restart, and at most; each one doubles it
HEALTHY = 10.0  # a run of so many seconds makes the next back-off the first again


@dataclass(frozen=True, slots=True)
class Host:
    """What a container needs of its kubelet; `drain` is the seconds between unready and SIGTERM."""

    clock: Clock
    logs: Path
    targets: Path
    drain: float
    changed: Callable[[], None]


class Container:
    """One pod's process. `life` says how it is; `host.changed` is called when that changes."""

    def __init__(self, pod: Document, address: str, host: Host) -> None:
        self._pod = pod
        self._host = host
        self._leaving = asyncio.Event()
        status = (pod.get("status") or {}).get("containerStatuses") or []
        restarts = status[0]["restartCount"] + 1 if status else 0  # known already: the kubelet was restarted
        self.life = Life(address=address, begun=host.clock(), restarts=restarts)
        self._task = asyncio.create_task(self._live())

    def leave(self) -> None:
        """Begin to end: first unready and drained, then SIGTERM, then SIGKILL."""
        if not self._leaving.is_set():
            self._leaving.set()
            self._become(replace(self.life, ready=False))

    @property
    def gone(self) -> bool:
        """Say whether nothing of it is left."""
        return self._task.done()

    async def _live(self) -> None:
        back_off = BACK_OFF[0]
        while not self._leaving.is_set():
            began = time.monotonic()
            end = await self._run_once()
            policy = self._pod["spec"].get("restartPolicy", "Always")
            over = policy == "Never" or (policy == "OnFailure" and end.code == 0)
            self._become(self.life.exited(end, over=over))
            if over:
                await self._leaving.wait()
                return
            back_off = BACK_OFF[0] if time.monotonic() - began > HEALTHY else back_off
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), back_off)
            back_off = min(2 * back_off, BACK_OFF[1])
            self.life = replace(self.life, restarts=self.life.restarts + 1)

    async def _run_once(self) -> Exit:
        started = self._host.clock()
        process = await self._start()
        self._become(self.life.running(started))
        probing = asyncio.create_task(self._probe())
        leaving = asyncio.create_task(self._end(process))
        code = await process.wait()
        for task in (probing, leaving):
            task.cancel()
        return Exit(code if code >= 0 else 128 - code, started, self._host.clock())

    async def _start(self) -> asyncio.subprocess.Process:
        metadata = self._pod["metadata"]
        with (self._host.logs / f"{metadata['namespace']}_{metadata['name']}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *tethered(command(self._pod)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment(self._pod, self.life.address)},
                start_new_session=True,
            )

    async def _probe(self) -> None:
        probe = Probe.of(self._pod)
        failures = 0
        await asyncio.sleep(probe.delay)
        while True:
            good = await probe.succeeds(self.life.address)
            failures = 0 if good else failures + 1
            if (
                good != self.life.ready
                and (good or failures >= probe.failures)
                and not self._leaving.is_set()
            ):
                self._become(replace(self.life, ready=good))
            await asyncio.sleep(probe.period if self.life.ready else min(EAGER, probe.period))

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        await self._leaving.wait()
        await asyncio.sleep(self._host.drain)  # by then no new request comes
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            await asyncio.sleep(min(self._pod["spec"].get("terminationGracePeriodSeconds", 30), 30))
            process.kill()

    def _become(self, life: Life) -> None:
        self.life = life
        self._host.changed()


def command(pod: Document) -> list[str]:
    """Return what to run: the container's own command, or the application that stands in for every image."""
    container = container_of(pod)
    arguments = list(container.get("args") or [])
    if own := container.get("command"):
        return [*own, *arguments]
    return [sys.executable, "-S", "-E", str(APP), *arguments]


def environment(pod: Document, address: str) -> dict[str, str]:
    """Return the container's variables; of references those to the pod's own fields are resolved."""
    metadata, container = pod["metadata"], container_of(pod)
    labels = metadata.get("labels") or {}
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "status.podIP": address,
        **{f"metadata.labels['{name}']": value for name, value in labels.items()},
    }
    given = {}
    for variable in container.get("env") or []:
        path = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
        given[variable["name"]] = fields.get(path, "") if path else variable.get("value", "")
    port = port_of(pod)
    return {
        **given,
        **({"POD_PORT": str(port)} if port else {}),
        "POD_IP": address,
        "POD_NAME": metadata["name"],
        "POD_NAMESPACE": metadata["namespace"],
        "POD_LABELS": json.dumps(labels),
        "POD_IMAGE": container.get("image", ""),
    }
