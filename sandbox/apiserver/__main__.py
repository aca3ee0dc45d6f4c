"""Runs the API server: ``python -m sandbox.apiserver --listen 127.0.0.1:0 --kubeconfig FILE``.

The kubeconfig is written when the server listens, in one step, so that whoever waits for the file may use it.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import ipaddress
import signal
from pathlib import Path
from typing import get_args

import yaml
from aiohttp import web

from sandbox import clock
from sandbox.apiserver.running import Authorization, Settings, start


def _now() -> dt.datetime:
    return dt.datetime.fromtimestamp(clock.now(), dt.UTC)


async def _serve(settings: Settings, kubeconfig: Path | None, address: tuple[str, int]) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with start(settings, _now) as app:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, *address).start()
            url = f"http://{address[0]}:{runner.addresses[0][1]}"
            if kubeconfig is not None:
                _write_kubeconfig(kubeconfig, url)
            print(url, flush=True)  # noqa: T201  # with port 0, how else would one know
            await stop.wait()
        finally:
            await runner.cleanup()


def _write_kubeconfig(path: Path, url: str) -> None:
    name = "crossfade-sandbox"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(yaml.safe_dump(config, sort_keys=False))
    draft.replace(path)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not ipaddress.ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address: the server lets everybody in")
    return host, int(port)


def main() -> None:
    """Run the server until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.apiserver", description=__doc__)
    parser.add_argument("--listen", type=_address, default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the objects here, for the next start")
    parser.add_argument("--audit", type=Path, metavar="FILE", help="append a JSON line per write")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="write this once listening")
    parser.add_argument(
        "--authorization",
        choices=get_args(Authorization),
        default="always-allow",
        help="rbac: service accounts may do what roles allow; whoever brings no token may do everything",
    )
    arguments = parser.parse_args()
    settings = Settings(arguments.data, arguments.audit, arguments.authorization)
    asyncio.run(_serve(settings, arguments.kubeconfig, arguments.listen))


if __name__ == "__main__":
    main()
