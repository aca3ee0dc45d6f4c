"""The image: what it is made of, and that it fits the pod of the chart. Building it is for the workflow."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml


ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VALUES = yaml.safe_load((ROOT / "helm/crossfade/values.yaml").read_text())

Instruction = tuple[str, str]
Stage = list[Instruction]


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


@pytest.fixture(scope="module")
def stages(instructions: list[Instruction]) -> list[Stage]:
    starts = [index for index, (word, _) in enumerate(instructions) if word == "FROM"]
    return [
        instructions[start:end] for start, end in zip(starts, [*starts[1:], len(instructions)], strict=True)
    ]


@pytest.fixture(scope="module")
def final(stages: list[Stage]) -> dict[str, str]:
    return dict(stages[-1])


def copied(stage: Stage) -> list[str]:
    """Give what a stage takes out of the checkout."""
    words = [rest.split() for word, rest in stage if word == "COPY" and "--from" not in rest]
    return [source for *sources, _ in words for source in sources]


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_stages_begin_with_one_base_of_one_exact_version(
    instructions: list[Instruction], stages: list[Stage]
) -> None:
    arguments = [rest for word, rest in instructions[: -sum(map(len, stages))] if word == "ARG"]
    assert len(arguments) == 1
    assert re.fullmatch(r"BASE=python:\d+\.\d+\.\d+-slim-[a-z]+", arguments[0])
    assert [rest for word, rest in instructions if word == "FROM"] == ["${BASE} AS build", "${BASE}"]


def test_the_base_has_a_python_that_is_supported_and_tested(instructions: list[Instruction]) -> None:
    minor = re.search(r"python:(\d+\.\d+)", instructions[0][1])
    assert minor
    assert minor[1] in workflow("test")["jobs"]["test"]["strategy"]["matrix"]["python"]


def test_what_is_copied_is_what_the_package_is_made_of(stages: list[Stage]) -> None:
    project = PROJECT["project"]
    needed = {
        "pyproject.toml",
        "constraints.txt",
        project["readme"],
        *project["license-files"],
        *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    }
    assert set(copied(stages[0])) == needed
    assert all((ROOT / name).exists() for name in needed)


def test_nothing_else_of_the_checkout_is_sent_to_the_builder(stages: list[Stage]) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    first, *allowed, last = [line for line in lines if line and not line.startswith("#")]
    assert (first, last) == ("*", "**/__pycache__")
    assert sorted(allowed) == sorted(f"!{name}" for name in copied(stages[0]))


def test_the_image_gets_the_environment_where_it_was_made_and_nothing_to_install_with(
    stages: list[Stage], final: dict[str, str]
) -> None:
    assert copied(stages[-1]) == []
    source, target = final["COPY"].split()[1:]
    assert source == target == "/opt/crossfade"
    assert any(f"venv --without-pip {target}" in rest for word, rest in stages[0] if word == "RUN")
    assert f"PATH={target}/bin:$PATH" in final["ENV"]
    assert "python -m pip uninstall --yes pip" in [rest for word, rest in stages[-1] if word == "RUN"]


def test_only_wheels_of_the_tested_versions_are_installed(stages: list[Stage]) -> None:
    (environment,) = [shlex.split(rest) for word, rest in stages[0] if word == "ENV"]
    assert {"PIP_CONSTRAINT=/src/constraints.txt", "PIP_BUILD_CONSTRAINT=/src/constraints.txt"} <= {
        *environment
    }
    assert any("--only-binary :all:" in rest for word, rest in stages[0] if word == "RUN")


def test_it_runs_as_the_user_of_the_chart_and_writes_nothing(final: dict[str, str]) -> None:
    pod = VALUES["podSecurityContext"]
    assert final["USER"] == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert VALUES["containerSecurityContext"]["readOnlyRootFilesystem"]
    assert "PYTHONDONTWRITEBYTECODE=1" in final["ENV"].split()


def test_it_runs_the_service_by_itself_and_other_commands_when_asked(
    instructions: list[Instruction], final: dict[str, str]
) -> None:
    assert (final["ENTRYPOINT"], final["CMD"]) == ('["crossfade"]', '["run"]')
    assert "crossfade" in PROJECT["project"]["scripts"]
    assert "HEALTHCHECK" not in dict(instructions)


def test_its_labels_say_where_it_comes_from_and_the_workflow_fills_them_in(
    stages: list[Stage], final: dict[str, str]
) -> None:
    labels = dict(each.split("=", 1) for each in shlex.split(final["LABEL"]))
    prefix = "org.opencontainers.image."
    assert {name.removeprefix(prefix) for name in labels} == {
        "title", "description", "licenses", "version", "revision", "created", "source", "documentation"
    }  # fmt: skip
    assert labels[f"{prefix}licenses"] == PROJECT["project"]["license"]
    arguments = {rest.partition("=")[0] for word, rest in stages[-1] if word == "ARG"}
    (push,) = [step for step in steps(workflow("image")) if step.get("with", {}).get("push")]
    assert {line.partition("=")[0] for line in push["with"]["build-args"].splitlines()} == arguments


def workflow(name: str) -> dict[str, Any]:
    """Give a workflow; YAML reads its `on` as true."""
    found = yaml.safe_load((ROOT / f".github/workflows/{name}.yaml").read_text())
    return {"on" if key is True else key: value for key, value in found.items()}


def steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in document["jobs"].values() for step in job["steps"]]


WORKFLOWS = sorted(path.stem for path in (ROOT / ".github/workflows").glob("*.yaml"))


class TestWorkflows:
    """They run elsewhere, with rights; what can be said about them here."""

    @pytest.mark.parametrize("name", WORKFLOWS)
    def test_foreign_actions_are_pinned_by_commit_and_named_by_version(self, name: str) -> None:
        text = (ROOT / f".github/workflows/{name}.yaml").read_text()
        used = re.findall(r"uses: (.*)", text)
        assert used
        assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", each)] == []

    def test_an_action_has_the_same_commit_everywhere(self) -> None:
        used = {step["uses"] for name in WORKFLOWS for step in steps(workflow(name)) if "uses" in step}
        assert len(used) == len({each.partition("@")[0] for each in used})

    @pytest.mark.parametrize("name", WORKFLOWS)
    def test_only_publishing_may_write_and_only_for_a_tag(self, name: str) -> None:
        document = workflow(name)
        assert document["permissions"] == {"contents": "read"}
        for job in document["jobs"].values():
            if "permissions" in job:
                triggers = document["on"]
                tags_only = set(triggers) == {"push"} and set(triggers["push"]) == {"tags"}
                assert tags_only or job["if"] == "startsWith(github.ref, 'refs/tags/v')"

    @pytest.mark.parametrize("name", WORKFLOWS)
    def test_no_job_runs_for_ever_or_keeps_the_token(self, name: str) -> None:
        for job in workflow(name)["jobs"].values():
            assert job["timeout-minutes"] <= 60
        for step in steps(workflow(name)):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False

    @pytest.mark.parametrize("name", WORKFLOWS)
    def test_nothing_that_others_write_is_pasted_into_a_script(self, name: str) -> None:
        assert [step["run"] for step in steps(workflow(name)) if "${{" in step.get("run", "")] == []

    def test_what_is_published_is_signed_by_its_digest(self) -> None:
        for name in ("image", "chart"):
            publishing = workflow(name)["jobs"]["publish"]
            assert publishing["permissions"] == {"contents": "read", "packages": "write", "id-token": "write"}
            assert any("cosign sign --yes" in step.get("run", "") for step in publishing["steps"])
        (push,) = [step for step in steps(workflow("image")) if step.get("with", {}).get("push")]
        assert (push["with"]["sbom"], push["with"]["provenance"]) == (True, "mode=max")


class TestKind:
    """The release on a real cluster, as far as it can be read here."""

    def test_its_script_is_sound_and_asks_for_files_that_exist(self) -> None:
        script = ROOT / "scripts/kind.sh"
        subprocess.run(["bash", "-n", script], check=True)
        text = script.read_text()
        named = re.findall(r"(?:sandbox|tests|helm)/[\w/.-]+", text)
        assert "tests/kind/users.yaml" in named
        assert [name for name in named if not (ROOT / name).exists()] == []

    @pytest.mark.parametrize("name", ["echo", "echo-v2", "echo-v3"])
    def test_the_sandbox_s_deployments_become_those_of_a_real_cluster(self, name: str) -> None:
        text = (ROOT / "scripts/kind.sh").read_text()
        start = text.index("for_kind() {")
        function = text[start : text.index("\n}", start) + 2]
        made = subprocess.check_output(["bash", "-c", f"{function}; for_kind {name}"], cwd=ROOT, text=True)
        (deployment,) = [each for each in yaml.safe_load_all(made) if each["kind"] == "Deployment"]
        template = deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert container["imagePullPolicy"] == "Never"
        assert container["env"] == [{"name": "POD_IP", "value": "0.0.0.0"}]  # noqa: S104  # the pod's own
        assert template["metadata"]["annotations"] == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(container["ports"][0]["containerPort"]),
        }

    def test_its_objects_can_be_read(self) -> None:
        objects = [
            each
            for path in sorted((ROOT / "tests/kind").glob("*.yaml"))
            for each in yaml.safe_load_all(path.read_text())
        ]
        assert {each["kind"] for each in objects} >= {"Deployment", "ConfigMap", "Service"}
        (users,) = [each for each in objects if each["metadata"]["name"] == "users"]
        (container,) = users["spec"]["template"]["spec"]["containers"]
        compile(container["args"][0], "users", "exec")
        (config,) = [each for each in objects if each["kind"] == "ConfigMap"]
        assert yaml.safe_load(config["data"]["prometheus.yml"])["scrape_configs"]
