"""The kubelet stand-in as a process, with the controllers of Deployments, Jobs and Services.

`python -m sandbox.kubelet --kubeconfig FILE --dir FOLDER --pods 127.1.2.0/24 --targets FILE`, on any server.
"""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from sandbox import clock
from sandbox.kube import Kube
from sandbox.kubelet.addresses import Addresses
from sandbox.kubelet.agent import RESOURCES, Agent
from sandbox.kubelet.containers import Host
from sandbox.mirror import Mirror


TICK = 1.0  # seconds: deadlines pass without anything having changed
PAUSE = 0.3  # seconds until a failed write is tried again
SETTLE = 0.01  # seconds: changes that come together are dealt with together


async def run(options: argparse.Namespace) -> None:
    """Sync until SIGTERM; the processes of all pods end with this one."""
    loop = asyncio.get_running_loop()
    stopping = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, stopping.cancel)
    changed = asyncio.Event()
    kube = Kube(options.kubeconfig, manager="kubelet")

    def wake() -> None:
        loop.call_soon_threadsafe(changed.set)

    mirror = Mirror(kube, RESOURCES, wake)
    host = Host(clock.now, options.dir, options.targets, options.drain, changed.set)
    agent = Agent(kube, mirror, Addresses(options.pods), host)
    mirror.start()
    while not stopping.cancelled():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), PAUSE if agent.failed else TICK)
        await asyncio.sleep(SETTLE)
        changed.clear()
        if mirror.complete:
            await agent.sync()
            if options.ready_file:
                options.ready_file.touch()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kubelet", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--dir", type=Path, required=True, help="where pods' output goes")
    parser.add_argument("--pods", required=True, help="the loopback network of the pods' addresses")
    parser.add_argument("--targets", type=Path, required=True, help="what Prometheus is to scrape, kept here")
    parser.add_argument("--drain", type=float, default=2.0, help="seconds between unready and SIGTERM")
    parser.add_argument("--ready-file", type=Path, help="written once the first look is over")
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
