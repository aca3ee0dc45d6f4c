"""The process that holds a sandbox which outlives its `up`, and how to begin and to end it.

`python -m sandbox.supervisor FOLDER NAME INTERVAL` keeps the sandbox until SIGTERM or SIGINT.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from sandbox.cluster import PARTS, STATE, Cluster, SandboxError
from sandbox.process import Identity, wait_until, write_atomically


LONGEST_START = 120.0  # seconds; the first time Prometheus may have to be fetched
LONGEST_END = 15.0
LOG = "supervisor.log"
COMPANIONS = "companions"


def folder_of(name: str) -> Path:
    """Return where the sandbox called `name` lives unless told otherwise."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return state / "crossfade" / "sandboxes" / name


def read(folder: Path) -> dict[str, Any]:
    """Return a sandbox's state: its addresses, and who belongs to it.

    Raises:
        SandboxError: there is none in `folder`.
    """
    try:
        return cast("dict[str, Any]", json.loads((folder / STATE).read_text()))
    except FileNotFoundError:
        raise SandboxError(f"no sandbox in {folder}; `crossfade sandbox up` starts one") from None


def alive(folder: Path) -> dict[str, bool]:
    """Say of the supervisor and of each part whether it runs."""
    state = read(folder)
    found = {"supervisor": state["supervisor"], **{part: state["processes"].get(part) for part in PARTS}}
    return {part: who is not None and Identity(**who).alive() for part, who in found.items()}


def up(folder: Path, name: str, scrape_interval: str) -> dict[str, Any]:
    """Start a sandbox that goes on without us, and return its state once it is ready.

    Raises:
        SandboxError: one runs there already, the folder holds something else, or a part did not start.
    """
    if (folder / STATE).exists():
        if alive(folder)["supervisor"]:
            raise SandboxError(f"sandbox {name} already runs in {folder}; `crossfade sandbox down` ends it")
        down(folder)  # what a crash has left
    elif folder.exists() and any(folder.iterdir()):
        raise SandboxError(f"{folder} is not empty and holds no sandbox; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sandbox.supervisor", str(folder), name, scrape_interval]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command line
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await(folder, process)
    except BaseException:  # Ctrl-C too leaves nothing behind
        if found := Identity.of(process.pid):
            found.end(LONGEST_END)
        process.wait()
        shutil.rmtree(folder)
        raise
    return read(folder)


def accompany(folder: Path, name: str, pid: int) -> None:
    """Let a process end with the sandbox in `folder`, although it is none of its parts."""
    found = Identity.of(pid)
    if found:
        companions = folder / COMPANIONS
        companions.mkdir(exist_ok=True)
        write_atomically(companions / f"{name}.json", json.dumps(asdict(found)))


def down(folder: Path) -> None:
    """End a sandbox, whatever is left of it, and remove its folder.

    Raises:
        SandboxError: there is none in `folder`.
    """
    state = read(folder)
    for companion in folder.glob(f"{COMPANIONS}/*.json"):
        Identity(**json.loads(companion.read_text())).end(LONGEST_END)
    if state["supervisor"]:
        Identity(**state["supervisor"]).end(LONGEST_END)
    left = [Identity(**who) for who in read(folder)["processes"].values()]
    for who in left:
        who.send(signal.SIGKILL)
    wait_until(lambda: not any(who.alive() for who in left), 5)
    shutil.rmtree(folder)


def _await(folder: Path, process: subprocess.Popen[bytes]) -> None:
    def settled() -> bool:
        return process.poll() is not None or ((folder / STATE).exists() and read(folder)["ready"])

    in_time = wait_until(settled, LONGEST_START)
    if not in_time or process.poll() is not None:
        raise SandboxError((folder / LOG).read_text().strip() or "the sandbox did not start in time")


def main() -> int:
    """Hold the sandbox until told to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder, name, scrape_interval = sys.argv[1:]
    try:
        with Cluster(Path(folder), name=name, scrape_interval=scrape_interval):
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except Exception as error:  # noqa: BLE001  # whoever started us shows it
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
