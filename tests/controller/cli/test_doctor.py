"""`crossfade doctor` on an API server that knows Canaries and nothing of Gloo."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from canaries import V1, resting
from command_line import BIN, World
from config.status import Phase
from controller.cli import doctor
from faults import faults, forbidden


CRD = "customresourcedefinition"


def test_what_is_missing_is_told_and_ends_with_4(world: World) -> None:
    world.add(status=resting(Phase.IDLE, stable=V1))
    done = world.crossfade("doctor", "echo")
    assert done.code == 4
    assert (
        "\n  problem  CustomResourceDefinition upstreams.gloo.solo.io: not installed; install Gloo"
        in done.out
    )
    assert f"\nCanary {world.namespace}/echo\n" in done.out
    assert "say where Prometheus answers with --prometheus or CROSSFADE_PROMETHEUS_URL" in done.out
    assert (done.err, "\x1b" in done.out) == ("", False)


def test_programs_get_the_same_as_data(world: World) -> None:
    world.add()
    done = world.crossfade("doctor", "-o", "json")
    found = json.loads(done.out)
    assert (done.code, done.err) == (4, "")
    assert found["problems"] == sum(each["severity"] == "problem" for each in found["findings"]) > 0
    assert {each["section"] for each in found["findings"]} == {"cluster", f"Canary {world.namespace}/echo"}


def test_the_script_goes_to_standard_output_and_the_findings_to_standard_error(world: World) -> None:
    world.add(paused=True)
    done = world.crossfade("doctor", "--fix")
    assert done.code == 4
    assert "problem  CustomResourceDefinition" in done.err
    assert all(
        line.startswith(("#", "kubectl", "crossfade", "set -e")) for line in done.out.split("\n") if line
    )
    subprocess.run(["sh", "-n"], input=done.out, text=True, check=True)


def test_an_invalid_canary_is_a_problem_with_its_field(world: World) -> None:
    world.add("fine")
    world.add("wrong", analysis={"metrics": [{"templateRef": {"name": "none"}}]})
    found = json.loads(world.crossfade("doctor", "-o", "json").out)["findings"]
    (finding,) = [each for each in found if each["check"] == "spec"]
    assert finding["severity"] == "problem"
    assert finding["message"].startswith("spec.analysis.metrics[0].templateRef.name")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["doctor", "none"], "no Canary none in namespace"),
        (["doctor"], "no Canary in namespace"),
        (["doctor", "none", "-A"], "no Canary none in any namespace"),
        (["doctor", "-f", "/nowhere.yaml"], "/nowhere.yaml: No such file or directory"),
        (["doctor", "--fix", "-o", "json"], "say --fix or --output, not both"),
        (["doctor", "--prometheus", "nowhere"], "an address looks like http://prometheus.monitoring:9090"),
    ],
)
def test_what_cannot_be_asked_ends_with_1(world: World, arguments: list[str], said: str) -> None:
    done = world.crossfade(*arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_templates_that_may_not_be_read_are_not_taken_for_missing(world: World) -> None:
    world.add("wrong", analysis={"metrics": [{"templateRef": {"name": "none"}}]})
    with faults(
        world.cluster.server, {**forbidden("list", "metrictemplates.crossfade.dev"), "userAgent": ""}
    ):
        found = json.loads(world.crossfade("doctor", "-o", "json").out)["findings"]
    (finding,) = [each for each in found if each["check"] == "spec"]
    assert finding["severity"] == "note"
    assert "but templates are not known: forbidden" in finding["message"]


def test_presets_of_the_platform_are_taken_from_its_settings_and_not_for_wrong_without_them(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROSSFADE_CONFIG", raising=False)
    world.add("shop", analysis={"metrics": [{"preset": "shop-errors"}]})

    def found() -> list[tuple[str, str]]:
        findings = json.loads(world.crossfade("doctor", "-o", "json").out)["findings"]
        return [(each["severity"], each["message"]) for each in findings if each["check"] == "spec"]

    ((severity, message),) = found()
    assert severity == "note"
    assert message.endswith("name the controller's settings file in CROSSFADE_CONFIG")
    settings = tmp_path / "settings.yaml"
    monkeypatch.setenv("CROSSFADE_CONFIG", str(settings))
    settings.write_text("presets: {shop-errors: {query: vector(0), max: 1}}")
    assert found() == []
    settings.write_text("presets: {others: {query: vector(0), max: 1}}")
    assert [severity for severity, _ in found()] == ["problem"]


@pytest.mark.parametrize(
    ("text", "namespace"),
    [
        ("kind: Canary\nmetadata: {name: a, namespace: shop}", "shop"),
        ("kind: Canary\nmetadata: {name: a}", "default"),
        ("kind: Canary\nmetadata: {namespace: shop}\n---\nkind: Service\nmetadata: {namespace: b}", "shop"),
        ("kind: Canary\nmetadata: {namespace: a}\n---\nkind: Canary\nmetadata: {namespace: b}", None),
        ("- a\n---\n{", None),
        ("", None),
    ],
)
def test_of_a_file_only_the_namespace_of_its_canaries_is_read(
    tmp_path: Path, text: str, namespace: str | None
) -> None:
    (tmp_path / "echo.yaml").write_text(text)
    assert doctor._only_namespace(str(tmp_path / "echo.yaml")) == namespace
    assert doctor._only_namespace("-") is None


def test_all_namespaces_are_looked_at(world: World) -> None:
    world.add("here")
    found = json.loads(world.crossfade("doctor", "here", "-A", "-o", "json").out)["findings"]
    assert f"Canary {world.namespace}/here" in {each["section"] for each in found}


def test_files_are_looked_at_without_being_applied(world: World, tmp_path: Path) -> None:
    mine = {"name": world.namespace, "namespace": "gloo-system"}
    world.add("known", upstream=mine, routes=[mine])
    text = subprocess.check_output(
        [BIN / "kubectl", "get", "canary", "known", "-n", world.namespace, "-o", "yaml"],
        env={**os.environ, "KUBECONFIG": str(world.kubeconfig)},
        text=True,
    )
    (tmp_path / "known.yaml").write_text(text)
    (tmp_path / "new.yaml").write_text(text.replace("name: known", "name: new"))
    done = world.crossfade("doctor", "-f", str(tmp_path))
    assert f"Canary {world.namespace}/known" in done.out
    assert f"belongs to the older Canary {world.namespace}/known" in done.out
    (tmp_path / "new.yaml").write_text(text.replace("spec:", "spec:\n  pausd: true", 1))
    done = world.crossfade("doctor", "-f", str(tmp_path / "new.yaml"))
    assert done.code == 4
    assert "spec.pausd: unknown field" in done.out
    (tmp_path / "new.yaml").write_text("")
    assert "no Canary" in world.crossfade("doctor", "-f", str(tmp_path / "new.yaml")).err


@pytest.mark.parametrize(("flags", "coloured"), [([], True), (["--no-color"], False)])
def test_a_terminal_gets_colours_and_sees_what_is_being_done(
    world: World, flags: list[str], *, coloured: bool
) -> None:
    world.add()
    command = [
        str(BIN / "crossfade"), "doctor", "-n", world.namespace, "--kubeconfig", str(world.kubeconfig), *flags
    ]  # fmt: skip
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"})
    os.close(theirs)
    told = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        told += piece
    os.close(ours)
    assert process.wait(30) == 4
    assert b"reading the cluster" in told
    assert (b"\x1b[31mproblem" in told) is coloured
