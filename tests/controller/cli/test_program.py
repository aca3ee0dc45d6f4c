"""The command line as a whole: help, names, and what goes wrong before any command begins."""

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from command_line import BIN, World, start_server
from controller.cli.program import run


COMMANDS = {
    "get", "status", "promote", "approve", "abort", "pause", "resume", "retry", "history", "explain",
    "validate", "crd", "doctor", "run", "version", "sandbox",
}  # fmt: skip


def test_without_arguments_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert {row.split()[0] for row in listed.splitlines() if row.startswith("  ")} >= COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS - {"sandbox"}))
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: crossfade {command}")
    assert len(shown.splitlines()[2].strip()) > 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gett"], "No such command 'gett'"),
        (["get", "--no-such-option"], "No such option: --no-such-option"),
        (["get", "-o", "xml"], "'xml'"),
        (["validate"], "Missing argument"),
        (["status", "--timeout", "5"], "found '5'; a duration looks like 30s"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_ends_with_1_and_points_to_the_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "--help" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("script", "name"), [("crossfade", "crossfade"), ("kubectl-crossfade", "kubectl crossfade")]
)
def test_both_scripts_call_themselves_as_people_typed_them(script: str, name: str) -> None:
    done = subprocess.run([str(BIN / script), "get", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"Usage: {name} get")


def test_kubectl_finds_its_plugin(world: World) -> None:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "KUBECONFIG": str(world.kubeconfig)}
    command = [str(BIN / "kubectl"), "crossfade", "status", "-n", world.namespace]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: no Canary in namespace {world.namespace}; there are: none\n"


def kubeconfig_for(url: str, folder: Path) -> str:
    path = folder / "kubeconfig"
    context = {"name": "c", "context": {"cluster": "c", "user": "jane", "namespace": "here"}}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [context],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "jane", "user": {"token": "secret-token"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


class _Forbidding(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        message = 'canaries.crossfade.dev is forbidden: User "jane" cannot list resource "canaries"'
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "code": 403,
            "reason": "Forbidden",
            "message": message,
        }
        body = json.dumps(status).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the library names it
        """Say nothing."""


@pytest.fixture
def forbidding() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Forbidding)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_who_may_not_is_told_what_and_no_secret(
    forbidding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["get", "--kubeconfig", kubeconfig_for(forbidding, tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: list canaries.crossfade.dev here: ")
    assert 'User "jane" cannot list resource "canaries"' in told
    assert "secret-token" not in told


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["get", "--kubeconfig", kubeconfig_for("http://127.0.0.1:1", tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "cannot reach http://127.0.0.1:1" in told
    assert "Traceback" not in told


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["get", "--kubeconfig", str(tmp_path / "none")]) == 1
    assert f"error: kubeconfig {tmp_path}/none" in capsys.readouterr().err


def test_a_cluster_without_the_definition_is_told_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process, kubeconfig = start_server(tmp_path)
    try:
        assert run(["status", "echo", "--kubeconfig", str(kubeconfig)]) == 1
        assert "crossfade crd | kubectl apply -f -" in capsys.readouterr().err
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a distribution that brings one command that works and one that lacks something."""
    installed = tmp_path / "plugin-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(
        "[crossfade.commands]\nhello = crossfade_hello:app\nbroken = crossfade_broken:app\n"
    )
    (tmp_path / "crossfade_hello.py").write_text(
        "import typer\n"
        "app = typer.Typer()\n"
        "@app.callback()\n"
        "def main(): ...\n"
        "@app.command()\n"
        "def say(word: str, twice: bool = False):\n"
        "    print(word * (2 if twice else 1))\n"
        "    return 7\n"
    )
    (tmp_path / "crossfade_broken.py").write_text("import a_module_that_is_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugins")
def test_commands_of_others_get_their_arguments_and_give_their_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["hello", "say", "ho", "--twice"]) == 7
    assert capsys.readouterr().out == "hoho\n"
    assert run(["hello", "say", "--help"]) == 0
    assert "Usage: crossfade hello say" in capsys.readouterr().out


@pytest.mark.usefixtures("plugins")
def test_a_command_whose_extra_is_missing_says_how_to_install_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["broken", "--anything"]) == 1
    told = capsys.readouterr().err
    assert "pip install 'crossfade[broken]'" in told
    assert "a_module_that_is_not_installed" in told


@pytest.mark.usefixtures("plugins")
def test_a_broken_command_of_others_does_not_break_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out.strip()


def test_run_tells_which_setting_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSFADE_WORKERS", "many")
    assert run(["run"]) == 1
    told = capsys.readouterr().err
    assert told == "error: CROSSFADE_WORKERS: found 'many'; a whole number is needed\n"
