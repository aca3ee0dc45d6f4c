"""The demo from the first process to the exit code."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox import clock, supervisor
from sandbox.cluster import SandboxError
from sandbox.demo.summary import Story, show
from sandbox.demo.watching import DemoError, Watch
from sandbox.kube import DEPLOYMENTS, Kube
from sandbox.load import Load, Traffic
from sandbox.process import Identity, wait_until


MANIFESTS = Path(__file__).with_name("manifests")
USERS = 200.0
TESTERS = 10.0
"""Requests a second."""
CONTROLLER_LOG = "controller.log"

KEPT = """\
It is left running, with some load. Look around:

  export KUBECONFIG={kubeconfig} PATH={bin}:$PATH
  kubectl get canaries -A
  kubectl -n echo describe canary echo
  kubectl -n gloo-system get virtualservice echo -o yaml
  crossfade history echo -n echo
  kubectl -n echo set env deployment/echo-v3 FIXED=1     # a change: it is tried again
  crossfade status echo -n echo --watch
  curl {gateway}/    and    curl -H 'stage: canary' {gateway}/
  less {log}

Prometheus is at {prometheus}. When you have seen enough:  crossfade sandbox down{flag}"""


def run(folder: Path, name: str, *, keep: bool) -> int:
    """Tell the story; give the exit code: 0 only if both releases ended as they should."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    began = clock.now()
    console.rule("[bold]Crossfade: a good release and a bad one")
    with ExitStack() as stack:
        try:
            console.print("Starting a local cluster: real Envoy, real Prometheus, real kubectl", style="dim")
            state = supervisor.up(folder, name, "1s")
            if not keep:
                stack.callback(supervisor.down, folder)
            watch = Watch(Kube(Path(state["kubeconfig"]), manager="demo"), console, began)
            story = _tell(watch, state, folder, stack)
        except (DemoError, SandboxError) as error:
            console.print(f"[red]The demo failed:[/] {error}", highlight=False, soft_wrap=True)
            return 1
        show(story, console)
        if keep:
            _leave(state, folder, name, console)
        return 1 if story.complaints() else 0


def _tell(watch: Watch, state: dict[str, Any], folder: Path, stack: ExitStack) -> Story:
    kubectl = _Kubectl(state["kubeconfig"], watch)
    watch.say("it is up; applying the application as it runs today")
    kubectl.apply_text(subprocess.check_output([_program("crossfade"), "crd"], text=True))  # noqa: S603
    kubectl.apply("echo.yaml")
    kubectl("wait", "-n", "echo", "deployment/echo-v1", "--for=condition=Available", "--timeout=30s")
    supervisor.accompany(folder, "controller", _controller(state, folder))
    users = stack.enter_context(_sending(state, USERS, "/shop"))
    testers = stack.enter_context(_sending(state, TESTERS, "/", {"stage": "canary"}))
    watch.say(f"users send {USERS:g} requests/s to /shop, testers {TESTERS:g}/s to / with 'stage: canary'")
    kubectl.apply("canary.yaml")
    watch.until(lambda status: status.get("phase") == "Idle", 30)

    kubectl.apply("echo-v2.yaml")
    watch.until(lambda status: status.get("phase") not in {"Idle", "Promoted"}, 30)
    good = watch.until(lambda status: status.get("phase") in {"Promoted", "RolledBack"}, 90)
    old_replicas = _scaled_down(watch)

    kubectl.apply("echo-v3.yaml")
    watch.until(lambda status: status.get("phase") != "Promoted", 30)
    bad = watch.until(lambda status: status.get("phase") in {"Promoted", "RolledBack"}, 90)
    history = watch.status().get("history", [])
    outcomes = {entry["revision"]["version"]: entry["outcome"] for entry in history}
    return Story(good, bad, users.stop(), testers.stop(), old_replicas, outcomes)


def _scaled_down(watch: Watch) -> int:
    def replicas() -> int:
        return int(watch.kube.get(DEPLOYMENTS, ("echo", "echo-v1"))["spec"]["replicas"])

    wait_until(lambda: replicas() == 0, 10)
    return replicas()


@contextmanager
def _sending(
    state: dict[str, Any], rps: float, path: str, headers: dict[str, str] | None = None
) -> Iterator[Load]:
    load = Load(Traffic(state["gateway"] + path, rps, headers or {}))
    load.start()
    try:
        yield load
    finally:
        load.stop()


def _controller(state: dict[str, Any], folder: Path) -> int:
    """Start the service as a user would, and give its process id."""
    environment = {
        **os.environ,
        "KUBECONFIG": state["kubeconfig"],
        "CROSSFADE_PROMETHEUS_URL": state["prometheus"],
        "CROSSFADE_LISTEN_PORT": "0",
    }
    with (folder / CONTROLLER_LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command
            [_program("crossfade"), "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    if Identity.of(process.pid) is None:
        raise DemoError(f"the controller ended at once; see {log.name}")
    return process.pid


def _leave(state: dict[str, Any], folder: Path, name: str, console: Console) -> None:
    process = subprocess.Popen(  # noqa: S603  # our own command
        [_program("crossfade"), "sandbox", "load", "--dir", str(folder), "--rps", "20"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    supervisor.accompany(folder, "load", process.pid)
    flag = f" --dir {folder}" if folder != supervisor.folder_of(name) else f" --name {name}"
    console.print()
    text = KEPT.format(**state, bin=Path(sys.executable).parent, log=folder / CONTROLLER_LOG, flag=flag)
    console.print(text, highlight=False, soft_wrap=True, markup=False)


class _Kubectl:
    """Real kubectl; what it is told is shown."""

    def __init__(self, kubeconfig: str, watch: Watch) -> None:
        self._environment = {**os.environ, "KUBECONFIG": kubeconfig}
        self._watch = watch

    def apply(self, manifest: str) -> None:
        self._watch.say(f"[bold]$ kubectl apply -f {manifest}[/]")
        self("apply", "-f", str(MANIFESTS / manifest))

    def apply_text(self, text: str) -> None:
        self._watch.say("[bold]$ crossfade crd | kubectl apply -f -[/]")
        self("apply", "-f", "-", text=text)

    def __call__(self, *arguments: str, text: str = "") -> None:
        command = [_program("kubectl"), *arguments]
        done = subprocess.run(  # noqa: S603  # our own command line
            command, env=self._environment, input=text, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")


def _program(name: str) -> str:
    """Find a program beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoError(f"{name} is neither beside {sys.executable} nor on PATH")
    return found
