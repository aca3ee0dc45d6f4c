"""`up` starts a sandbox and `down` leaves nothing behind, whatever happened in between."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.cluster import PARTS, Addresses, Cluster, SandboxError
from sandbox.process import Identity, wait_until


pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sandbox", *arguments]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Everything that a test's sandboxes write; whatever still runs from there is ended afterwards."""
    yield tmp_path
    for pid in running_in(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def run(home: Path) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_STATE_HOME": str(home)}
        return subprocess.run(
            command(*arguments), env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return call


def running_in(folder: Path) -> list[int]:
    """Return the processes, pods included, that were started for sandboxes below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


def state_of(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "sandbox.json").read_text())
    return state


def place(home: Path, name: str = "default") -> Path:
    return home / "crossfade" / "sandboxes" / name


def kubectl(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
    tool = Path(sys.executable).with_name("kubectl")
    return subprocess.run(
        [tool, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_up_says_how_to_go_on_and_down_leaves_nothing(run: Run, home: Path) -> None:
    up = run("up")
    assert up.returncode == 0, up.stderr
    folder = place(home)
    state = state_of(folder)
    for told in (f"export KUBECONFIG={folder / 'kubeconfig'}", state["gateway"], state["prometheus"]):
        assert told in up.stdout
    assert "virtualservices" in kubectl(folder, "api-resources")
    assert "gloo-system" in kubectl(folder, "get", "namespaces")
    assert requests.get(state["gateway"], timeout=5).status_code == 404  # Envoy, and no routes
    status = run("status")
    assert status.returncode == 0
    assert all(f"{part:<12}running" in status.stdout for part in PARTS)
    exported = run("env").stdout.splitlines()
    assert f"export KUBECONFIG={folder / 'kubeconfig'}" in exported
    assert run("down").returncode == 0
    assert running_in(home) == []
    assert not folder.exists()


def test_a_second_up_is_refused_and_does_no_harm(run: Run, home: Path) -> None:
    assert run("up").returncode == 0
    again = run("up")
    assert again.returncode == 1
    assert "already runs" in again.stderr
    assert run("status").returncode == 0
    run("down")


def test_two_sandboxes_side_by_side_do_not_collide(run: Run, home: Path) -> None:
    assert run("up", "--name", "one").returncode == 0
    assert run("up", "--name", "two").returncode == 0
    kubectl(place(home, "one"), "create", "namespace", "only-here")
    assert "only-here" in kubectl(place(home, "one"), "get", "namespaces")
    assert "only-here" not in kubectl(place(home, "two"), "get", "namespaces")
    assert run("down", "--name", "one").returncode == 0
    assert run("status", "--name", "two").returncode == 0
    run("down", "--name", "two")
    assert running_in(home) == []


def test_a_killed_supervisor_takes_everything_along_and_down_cleans_up(run: Run, home: Path) -> None:
    assert run("up").returncode == 0
    folder = place(home)
    state = state_of(folder)
    kubectl(folder, "create", "deployment", "app", "--image=any", "--port=8080")
    kubectl(folder, "rollout", "status", "deployment/app", "--timeout=60s")
    [address] = kubectl(folder, "get", "pods", "-o", "jsonpath={.items[*].status.podIP}").split()
    assert requests.get(f"http://{address}:8080", timeout=5).ok
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    assert wait_until(lambda: running_in(home) == [], 15)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{address}:8080", timeout=5)
    assert run("status").returncode == 1
    assert run("down").returncode == 0
    assert not folder.exists()


def test_up_replaces_what_a_crash_has_left(run: Run, home: Path) -> None:
    assert run("up").returncode == 0
    os.kill(state_of(place(home))["supervisor"]["pid"], signal.SIGKILL)
    assert wait_until(lambda: running_in(home) == [], 15)
    assert run("up").returncode == 0
    assert run("status").returncode == 0
    run("down")


def test_ctrl_c_during_up_leaves_nothing(home: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(home)}
    with subprocess.Popen(command("up"), env=environment, stderr=subprocess.DEVNULL) as up:
        assert wait_until((place(home) / "apiserver.log").exists, 60)
        up.send_signal(signal.SIGINT)
        assert up.wait(60) != 0
    assert running_in(home) == []
    assert not place(home).exists()


def test_down_never_ends_a_stranger_who_got_the_process_id(run: Run, home: Path) -> None:
    assert run("up").returncode == 0
    folder = place(home)
    state = state_of(folder)
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    assert wait_until(lambda: running_in(home) == [], 15)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        found = Identity.of(stranger.pid)
        assert found is not None
        taken = {"pid": found.pid, "started": found.started - 1}
        state["supervisor"] = taken
        state["processes"] = dict.fromkeys(PARTS, taken)
        (folder / "sandbox.json").write_text(json.dumps(state))
        assert run("down").returncode == 0
        assert found.alive()
        stranger.kill()


def test_a_folder_with_something_else_in_it_is_left_alone(run: Run, home: Path) -> None:
    (home / "thesis.txt").write_text("years of work")
    up = run("up", "--dir", str(home))
    assert up.returncode == 1
    assert "not empty" in up.stderr
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("arguments", [("down",), ("status",), ("env",), ("load",), ("faults",)], ids=str)
def test_without_a_sandbox_it_says_how_to_start_one(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert "crossfade sandbox up" in done.stderr


def test_load_reports_what_users_saw(run: Run, cluster: Cluster) -> None:
    done = run(
        "load", "--dir", str(cluster.folder), "--host", "nobody.example", "--rps", "50", "--duration", "1"
    )
    report = json.loads(done.stdout)
    assert report["versions"]["none"]["codes"] == {"404": report["requests"]}
    assert report["requests"] >= 40


def test_faults_can_be_added_listed_and_cleared(run: Run, cluster: Cluster) -> None:
    there = ("--dir", str(cluster.folder))
    fault = {"fault": "answer", "code": 503, "resource": "nothing.example.com", "times": 1}
    added = run("faults", json.dumps(fault), *there)
    assert json.loads(added.stdout)["faults"][0]["code"] == 503
    assert json.loads(run("faults", "--clear", *there).stdout)["faults"] == []
    wrong = run("faults", '{"fault": "earthquake"}', *there)
    assert wrong.returncode == 1
    assert "earthquake" in wrong.stderr


def test_a_part_that_does_not_start_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "prometheus"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no space left on device\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=os.pathsep)
    with (
        pytest.raises(SandboxError, match=r"(?s)prometheus did not become ready.*no space left"),
        Cluster(tmp_path / "sandbox"),
    ):
        pass
    assert running_in(tmp_path) == []


def test_a_seed_does_not_make_sandboxes_meet() -> None:
    chosen = []
    for _ in range(2):
        random.seed(1)
        chosen.append(Addresses.choose())
    assert chosen[0] != chosen[1]


def test_one_folder_holds_one_sandbox(cluster: Cluster) -> None:
    with pytest.raises(SandboxError, match="already runs"), Cluster(cluster.folder):
        pass
    assert requests.get(f"{cluster.apiserver}/readyz", timeout=5).ok
