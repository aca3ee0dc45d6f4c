import io
import json
from pathlib import Path

import pytest
import yaml

import config
from command_line import Result, World, kubectl
from config.crd import definitions
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
    both = "5 Canaries and 1 MetricTemplate are valid\n"
    assert crossfade("validate", str(EXAMPLES)) == Result(0, both, "")
    assert crossfade("validate", str(EXAMPLES / "minimal.yaml")) == Result(0, "1 Canary is valid\n", "")


TEMPLATED = (
    (EXAMPLES / "minimal.yaml")
    .read_text()
    .replace("preset: http-errors, max: 1%", "templateRef: {name: errors}")
)
TEMPLATE = """\
apiVersion: crossfade.dev/v1alpha1
kind: MetricTemplate
metadata: {name: errors, namespace: echo}
spec: {query: vector(0), max: 1}
"""


def test_a_template_may_be_in_another_file_but_must_be_given(crossfade: Run, tmp_path: Path) -> None:
    canary, template = tmp_path / "canary.yaml", tmp_path / "z.yaml"
    canary.write_text(TEMPLATED)
    template.write_text(TEMPLATE)
    assert crossfade("validate", str(tmp_path)).out == "1 Canary and 1 MetricTemplate are valid\n"
    assert crossfade("validate", str(template)).out == "1 MetricTemplate is valid\n"
    alone = crossfade("validate", str(canary))
    assert alone.code == 5
    assert 'metrics[0].templateRef.name: no MetricTemplate "errors" in this namespace' in alone.out


PRESET = "presets: {shop-errors: {query: vector(0), max: 1}}\n"


@pytest.mark.parametrize("named_by", ["option", "variable", "presets"])
def test_the_platforms_presets_are_known_from_the_controllers_settings(
    crossfade: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    for name in ("CROSSFADE_CONFIG", "CROSSFADE_PRESETS"):
        monkeypatch.delenv(name, raising=False)
    canary, settings = tmp_path / "canary.yaml", tmp_path / "settings.yaml"
    canary.write_text(TEMPLATED.replace("templateRef: {name: errors}", "preset: shop-errors"))
    settings.write_text(PRESET)
    unknown = crossfade("validate", str(canary))
    assert unknown.code == 5
    assert 'metrics[0].preset: no preset "shop-errors"; built in are: ' in unknown.out
    assert "CROSSFADE_CONFIG" in unknown.out
    if named_by == "variable":
        monkeypatch.setenv("CROSSFADE_CONFIG", str(settings))
    elif named_by == "presets":
        monkeypatch.setenv("CROSSFADE_PRESETS", json.dumps(yaml.safe_load(PRESET)["presets"]))
    option = ["--config", str(settings)] if named_by == "option" else []
    assert crossfade("validate", str(canary), *option) == Result(0, "1 Canary is valid\n", "")
    monkeypatch.delenv("CROSSFADE_PRESETS", raising=False)
    settings.write_text(PRESET.replace("vector(0)", "5"))
    broken = crossfade("validate", str(canary), "--config", str(settings))
    assert (broken.code, broken.out) == (1, "")
    assert "presets.shop-errors.query: found 5" in broken.err


def test_a_template_that_nobody_refers_to_is_checked_as_well(crossfade: Run, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("max: 1", "max: one"))
    assert crossfade("validate", str(file)) == Result(
        5, f"{file}:4:26: spec.max: found 'one'; a number is needed\n", ""
    )


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


def test_the_definitions_are_printed_as_yaml_and_json(crossfade: Run) -> None:
    assert list(yaml.safe_load_all(crossfade("crd").out)) == list(definitions())
    listed = json.loads(crossfade("crd", "-o", "json").out)
    assert (listed["apiVersion"], listed["kind"], listed["items"]) == ("v1", "List", list(definitions()))


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_an_api_server_takes_the_examples(world: World, example: Path) -> None:
    manifests = list(yaml.safe_load_all(example.read_text()))
    for manifest in manifests:
        manifest["metadata"]["namespace"] = world.namespace
    applied = kubectl(
        world.kubeconfig, "apply", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(manifests)
    )
    created = ["canary.crossfade.dev/echo created", "metrictemplate.crossfade.dev/queue created"]
    assert (applied.code, applied.out.splitlines()) == (0, created[: len(manifests)]), applied.err
    assert world.crossfade("status").code == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  shifting:", "  shiftng:", 'unknown field "spec.shiftng"'),
        ("interval: 1m", "interval: 1 minute", "spec.shifting.interval"),
        ("kind: VirtualService", "kind: HTTPRoute", "spec.routes[0].kind"),
        ("selector: {app: echo}", "selector: {}", "spec.workload.selector"),
        (
            "upstream: {name: echo, namespace: gloo-system}",
            "upstream: {name: echo}",
            "spec.upstream.namespace",
        ),
        ("preset: http-errors", "preset: http_errors", "spec.analysis.metrics[0].preset"),
        ("preset: http-errors", "tolerate: 0.5, preset: http-errors", "spec.analysis.metrics[0].tolerate"),
        ("  analysis:", "  analysis:\n    mustNotExceed: 1.25", "spec.analysis.mustNotExceed"),
        ("  analysis:", "  analysis:\n    harmBudget: 0", "spec.analysis.harmBudget"),
        ("  analysis:", "  analysis:\n    settle: -5s", "spec.analysis.settle"),
        ("  analysis:", "  analysis:\n    blind: {then: Pause}", "spec.analysis.blind.then"),
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
