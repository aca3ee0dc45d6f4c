"""Findings in the three forms in which they are printed."""

import json
import subprocess

import pytest

from controller.doctor.finding import Apply, Command, Edit, Finding, Fix, Patch, Severity
from controller.doctor.report import as_document, as_lines, as_script, has_problems, summary


MERGE = Patch("upstreams.gloo.solo.io", "gloo-system", "echo", {"spec": {"a": "it's"}})
LIST = Patch("canaries.crossfade.dev", "shop", "echo", ({"op": "add", "path": "/spec/routes/-", "value": 1},))
ROLE = Apply(({"kind": "Role", "rules": [{"verbs": ["get"]}]}, {"kind": "RoleBinding"}))
CRD = Command("crossfade crd | kubectl apply -f -")
EDIT = Edit("echo.yaml", {"spec": {"paused": False}})


def finding(severity: Severity, fix: Fix | None = None, words: str = "is wrong", effect: str = "") -> Finding:
    return Finding("a-check", severity, "Upstream gloo-system/echo", words, fix, effect)


def section(*findings: Finding) -> dict[str, list[Finding]]:
    return {"cluster": list(findings)}


PATCH_UPSTREAM = "kubectl patch upstreams.gloo.solo.io echo -n gloo-system --type=merge -p "
PATCH_CANARY = "kubectl patch canaries.crossfade.dev echo -n shop --type=json -p "


@pytest.mark.parametrize(
    ("fix", "command"),
    [
        (MERGE, PATCH_UPSTREAM + """'{"spec": {"a": "it'"'"'s"}}'"""),
        (LIST, PATCH_CANARY + """'[{"op": "add", "path": "/spec/routes/-", "value": 1}]'"""),
        (
            ROLE,
            "kubectl apply -f - <<'EOF'\nkind: Role\nrules:\n- verbs:\n  - get\n---\nkind: RoleBinding\nEOF",
        ),
        (CRD, "crossfade crd | kubectl apply -f -"),
        (EDIT, "# in echo.yaml:\n# spec:\n#   paused: false"),
    ],
)
def test_every_fix_is_written_as_shell_takes_it(fix: Fix, command: str) -> None:
    assert fix.command == command
    subprocess.run(["sh", "-n"], input=command, text=True, check=True)


def test_people_see_each_finding_with_its_fix_and_a_count() -> None:
    lines = list(as_lines(section(finding(Severity.OK), finding(Severity.PROBLEM, CRD, effect="and more"))))
    assert [line.text for line in lines] == [
        "cluster",
        "  ok       Upstream gloo-system/echo: is wrong",
        "  problem  Upstream gloo-system/echo: is wrong",
        "           (and more)",
        "           crossfade crd | kubectl apply -f -",
        "1 problem",
    ]
    assert [line.severity for line in lines] == [None, Severity.OK, Severity.PROBLEM, None, None, None]


def test_beside_a_script_people_see_the_findings_alone() -> None:
    lines = list(as_lines(section(finding(Severity.PROBLEM, CRD, effect="and more")), fixes=False))
    assert [line.text for line in lines[1:-1]] == ["  problem  Upstream gloo-system/echo: is wrong"]


@pytest.mark.parametrize(
    ("severities", "said", "problems"),
    [
        ([], "all is well", False),
        ([Severity.OK], "all is well", False),
        ([Severity.NOTE, Severity.NOTE, Severity.WARNING], "1 warning, 2 notes", False),
        (
            [Severity.PROBLEM, Severity.PROBLEM, Severity.WARNING, Severity.WARNING],
            "2 problems, 2 warnings",
            True,
        ),
    ],
)
def test_what_matters_is_counted(severities: list[Severity], said: str, problems: bool) -> None:  # noqa: FBT001
    sections = section(*map(finding, severities))
    assert summary(sections) == said
    assert has_problems(sections) is problems


def test_programs_get_everything() -> None:
    found = [finding(Severity.PROBLEM, fix) for fix in (MERGE, LIST, ROLE, CRD, EDIT, None)]
    document = json.loads(json.dumps(as_document({"Canary shop/echo": found})))
    assert {key: document[key] for key in ("problems", "warnings", "notes")} == {
        "problems": 6, "warnings": 0, "notes": 0
    }  # fmt: skip
    assert set(document["findings"][0]) == {
        "section", "check", "severity", "about", "message", "fix", "effect"
    }  # fmt: skip
    fixes = [each["fix"] for each in document["findings"]]
    assert [fix and fix["kind"] for fix in fixes] == [
        "mergePatch",
        "jsonPatch",
        "apply",
        "command",
        "edit",
        None,
    ]
    assert fixes[0]["patch"] == {"spec": {"a": "it's"}}
    assert fixes[1]["patch"] == [{"op": "add", "path": "/spec/routes/-", "value": 1}]
    assert fixes[2]["documents"][1] == {"kind": "RoleBinding"}
    assert fixes[4]["yaml"] == "spec:\n  paused: false\n"


def test_the_script_says_what_each_command_is_for_and_ends_at_the_first_that_fails() -> None:
    found = [
        finding(Severity.OK),
        finding(Severity.WARNING, MERGE, effect="careful"),
        finding(Severity.NOTE, CRD),
    ]
    script = as_script(section(*found))
    assert script.startswith("#!/bin/sh\n")
    assert "\nset -e\n" in script
    assert f"# warning: Upstream gloo-system/echo: is wrong\n# careful\n{MERGE.command}\n" in script
    assert f"# note: Upstream gloo-system/echo: is wrong\n{CRD.command}\n" in script
    assert "# ok" not in script


def test_without_anything_to_put_right_the_script_does_nothing() -> None:
    assert as_script(section(finding(Severity.PROBLEM))) == "# nothing to put right\n"


def test_words_of_others_cannot_become_commands_or_colours() -> None:
    evil = "Rejected:\nrm -rf /\r\x1b[31m; $(reboot)"
    script = as_script(section(finding(Severity.PROBLEM, Command("true"), words=evil, effect=evil)))
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands == ["set -e", "true"]
    assert "\x1b" not in script
    assert "\x1b" not in "".join(line.text for line in as_lines(section(finding(Severity.NOTE, words=evil))))
    name = Patch("canaries.crossfade.dev", "shop", "echo; reboot", {})
    assert "'echo; reboot'" in name.command
