"""`crossfade sandbox`: start a sandbox, look at it, send it traffic, let things go wrong, end it."""

import json
import signal
import threading
from pathlib import Path
from typing import Annotated, Any, NoReturn

import requests
import typer

from sandbox import supervisor
from sandbox.cluster import SandboxError
from sandbox.demo import story
from sandbox.load import Load, Traffic


app = typer.Typer(
    name="sandbox",
    help="A local cluster with real Envoy, Prometheus and kubectl, up in seconds.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Option(help="Several sandboxes can run side by side.")]
Folder = Annotated[Path | None, typer.Option("--dir", help="Where it keeps its files.")]

WELCOME = """\
Sandbox {name} is up.

  gateway     {gateway}
  prometheus  {prometheus}
  kubernetes  {apiserver}
  envoy       {envoyAdmin}
  files       {folder}

In your shell:  export KUBECONFIG={kubeconfig}

Try:
  kubectl get deployments,virtualservices -A
  crossfade sandbox load{flag} --rps 50
  crossfade sandbox status{flag}
  crossfade sandbox down{flag}"""


@app.command()
def up(
    name: Name = "default",
    folder: Folder = None,
    scrape_interval: Annotated[str, typer.Option(help="How often Prometheus looks.")] = "1s",
) -> None:
    """Start a sandbox and leave it running."""
    place = _place(name, folder)
    try:
        state = supervisor.up(place, name, scrape_interval)
    except SandboxError as error:
        _fail(error)
    typer.echo(WELCOME.format(**state, folder=place, flag=_flag(name, folder)))


@app.command()
def down(name: Name = "default", folder: Folder = None) -> None:
    """End a sandbox and remove its files."""
    try:
        supervisor.down(_place(name, folder))
    except SandboxError as error:
        _fail(error)
    typer.echo(f"Sandbox {name} is gone.")


@app.command()
def status(name: Name = "default", folder: Folder = None) -> None:
    """Show where a sandbox is, and whether each part runs; exit code 1 if one does not."""
    state = _state(name, folder)
    running = supervisor.alive(_place(name, folder))
    for key in ("gateway", "prometheus", "apiserver", "envoyAdmin", "kubeconfig"):
        typer.echo(f"{key:<12}{state[key]}")
    for part, runs in running.items():
        typer.echo(f"{part:<12}{'running' if runs else 'not running'}")
    if not all(running.values()):
        raise typer.Exit(1)


@app.command()
def env(name: Name = "default", folder: Folder = None) -> None:
    """Print the sandbox's addresses for a shell: eval "$(crossfade sandbox env)"."""
    state = _state(name, folder)
    names = {"KUBECONFIG": "kubeconfig", "GATEWAY_URL": "gateway", "PROMETHEUS_URL": "prometheus"}
    for variable, key in names.items():
        typer.echo(f"export {variable}={state[key]}")


@app.command()
def load(  # noqa: PLR0913  # one parameter an option
    *,
    name: Name = "default",
    folder: Folder = None,
    rps: Annotated[float, typer.Option(min=0.1, help="Requests a second.")] = 20,
    path: Annotated[str, typer.Option(help="What to ask for.")] = "/",
    host: Annotated[str | None, typer.Option(help="The Host header.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="NAME: VALUE, may be repeated.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds; until Ctrl-C if left out.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Append a JSON line a second to this file.")] = None,
) -> None:
    """Send requests through the gateway and count the answers by version, code and latency."""
    headers = dict(_header(text) for text in header or [])
    if host:
        headers["Host"] = host
    sender = Load(Traffic(_state(name, folder)["gateway"] + path, rps, headers), journal)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, lambda *_: over.set())
    sender.start()
    remaining = duration
    while not over.wait(1.0 if remaining is None else min(1.0, remaining)):
        typer.echo(_line(sender.snapshot()), err=True)
        if remaining is not None:
            remaining -= 1
            if remaining <= 0:
                break
    typer.echo(json.dumps(sender.stop(), indent=2))


@app.command()
def demo(
    name: Name = "demo",
    folder: Folder = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards.")] = False,
) -> None:
    """Release a good version and a bad one under load; exit code 0 if both end as they should."""
    raise typer.Exit(story.run(_place(name, folder), name, keep=keep))


@app.command()
def faults(
    fault: Annotated[list[str] | None, typer.Argument(help="A fault as JSON; see the README.")] = None,
    *,
    name: Name = "default",
    folder: Folder = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all faults first.")] = False,
) -> None:
    """Let the Kubernetes API fail on demand, and list the faults that are left.

    For example: '{"fault": "answer", "code": 409, "verb": "patch", "times": 3}'
    """
    url = _state(name, folder)["apiserver"] + "/sandbox/faults"
    try:
        if clear:
            requests.delete(url, timeout=5).raise_for_status()
        for text in fault or []:
            answer = requests.post(url, data=text, headers={"Content-Type": "application/json"}, timeout=5)
            if not answer.ok:
                _fail(f"fault {text}: {answer.text.strip()}")
        typer.echo(json.dumps(requests.get(url, timeout=5).json(), indent=2))
    except requests.RequestException as error:
        _fail(f"the API server does not answer: {error}")


def _place(name: str, folder: Path | None) -> Path:
    return (folder or supervisor.folder_of(name)).absolute()


def _flag(name: str, folder: Path | None) -> str:
    if folder:
        return f" --dir {folder}"
    return "" if name == "default" else f" --name {name}"


def _state(name: str, folder: Path | None) -> dict[str, Any]:
    try:
        return supervisor.read(_place(name, folder))
    except SandboxError as error:
        _fail(error)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        _fail(f"--header {text}: not of the form NAME: VALUE")
    return name.strip(), value.strip()


def _line(report: dict[str, Any]) -> str:
    versions = "  ".join(f"{name} {tally['requests']}" for name, tally in report["versions"].items())
    return f"{report['seconds']:5.0f} s  {report['requests']} requests  {report['failed']} failed  {versions}"


def _fail(reason: object) -> NoReturn:
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)
