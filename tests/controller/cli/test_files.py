import io
import json
from pathlib import Path

import pytest
import yaml

import config
from command_line import Result, World, kubectl
from config.crd import definition
from controller.cli.program import run


EXAMPLES = Path(config.__file__).parent / "examples"
WRONG = (EXAMPLES / "minimal.yaml").read_text().replace("[5, 10, 25, 50, 100]", "[5, 101]").replace("1m", "1")


@pytest.fixture
def crossfade(capsys: pytest.CaptureFixture[str]) -> "Run":
    return Run(capsys)


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Result:
        code = run(arguments)
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)


def test_valid_files_and_folders_are_counted(crossfade: Run) -> None:
    assert crossfade("validate", str(EXAMPLES)) == Result(0, "2 Canaries are valid\n", "")
    assert crossfade("validate", str(EXAMPLES / "full.yaml")) == Result(0, "1 Canary is valid\n", "")


def test_each_problem_is_a_line_that_editors_can_jump_to(crossfade: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text(WRONG)
    result = crossfade("validate", str(tmp_path))
    assert result.code == 5
    assert result.out.splitlines() == [
        f"{file}:18:16: spec.shifting.steps[1]: found 101; a weight is a whole number from 1 to 100",
        f"{file}:19:5: spec.shifting.interval: found 1; a duration looks like 30s, 1m30s or 2h",
    ]


def test_problems_are_data_too(crossfade: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("a: b: c")
    result = crossfade("validate", str(file), "-o", "json")
    assert result.code == 5
    assert json.loads(result.out) == [
        {
            "file": str(file),
            "line": 1,
            "column": 5,
            "path": "",
            "message": "not valid YAML: mapping values are not allowed here",
        }
    ]


def test_standard_input_is_checked(crossfade: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(WRONG.encode())))
    result = crossfade("validate", "-")
    assert result.code == 5
    assert result.out.startswith("stdin:18:16: spec.shifting.steps[1]")


def test_nothing_to_check_is_an_error_of_usage(crossfade: Run, tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("apiVersion: v1\nkind: Service\n")
    (tmp_path / "latin.txt").write_bytes(b"\xff")
    assert crossfade("validate", str(tmp_path)) == Result(1, "", f"error: no Canary in {tmp_path}\n")
    assert (
        crossfade("validate", str(tmp_path / "no")).err
        == f"error: {tmp_path}/no: No such file or directory\n"
    )
    assert crossfade("validate", str(tmp_path / "latin.txt")).err.endswith("not UTF-8 text: byte 0 is 0xff\n")


def test_the_definition_is_printed_as_yaml_and_json(crossfade: Run) -> None:
    assert yaml.safe_load(crossfade("crd").out) == definition()
    assert json.loads(crossfade("crd", "-o", "json").out) == definition()


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_an_api_server_takes_the_examples(world: World, example: Path) -> None:
    manifest = yaml.safe_load(example.read_text())
    manifest["metadata"]["namespace"] = world.namespace
    applied = kubectl(
        world.kubeconfig, "apply", "--validate=strict", "-f", "-", text=yaml.safe_dump(manifest)
    )
    assert (applied.code, applied.out) == (0, "canary.crossfade.dev/echo created\n"), applied.err
    assert world.crossfade("status").code == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  shifting:", "  shiftng:", 'unknown field "spec.shiftng"'),
        ("interval: 1m", "interval: 1 minute", "spec.shifting.interval"),
        ("kind: VirtualService", "kind: RouteTable", "spec.routes[0].kind"),
        ("selector: {app: echo}", "selector: {}", "spec.workload.selector"),
        ("  upstream: {name: echo, namespace: gloo-system}\n", "", "spec.upstream"),
    ],
)
def test_an_api_server_refuses_what_a_schema_can_say(world: World, old: str, new: str, said: str) -> None:
    manifest = (
        (EXAMPLES / "minimal.yaml").read_text().replace("namespace: echo", f"namespace: {world.namespace}")
    )
    assert old in manifest
    applied = kubectl(world.kubeconfig, "apply", "-f", "-", text=manifest.replace(old, new))
    assert applied.code == 1
    assert said in applied.err


def test_kubectl_shows_the_columns(world: World) -> None:
    world.add()
    shown = kubectl(world.kubeconfig, "get", "cn", "-n", world.namespace)
    assert shown.out.split()[:9] == [
        "NAME", "PHASE", "WEIGHT", "STEP", "VERDICT", "STABLE", "CANDIDATE", "REASON", "AGE",
    ]  # fmt: skip
