"""The documentation says what is: examples load, tables are complete, links lead somewhere."""

import math
import re
from pathlib import Path

import pytest
import typer

from analysis.readings import Counts
from analysis.survey import WINDOWS, begun
from analysis.verdict import Memory
from config import load
from config.settings import PREFIX, Settings
from config.status import HeldReason, Phase, Verdict
from controller.cli import program
from controller.cli.grounds import odds
from metrics import NOTHING, analysis, counted, judged, reading
from sandbox.demo_app import arguments


ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def page(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_canary_in_the_documentation_is_valid(path: Path) -> None:
    for language, text in BLOCK.findall(path.read_text()):
        if language == "yaml" and "kind: Canary" in text:
            assert load.load_canaries(text)


def test_the_readme_shows_a_whole_canary() -> None:
    assert "kind: Canary" in page("README.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    missing = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("reason", HeldReason)
def test_every_reason_to_hold_is_explained(reason: HeldReason) -> None:
    assert f"| `{reason}` |" in page("docs/operating.md")


@pytest.mark.parametrize("word", [*Phase, *Verdict])
def test_every_phase_and_verdict_is_explained(word: str) -> None:
    assert f"| `{word}` |" in page("docs/canary.md")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_listed(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in page("docs/operating.md")


def test_the_readme_lists_every_command() -> None:
    commands = program.program().registered_commands
    names = {command.name or command.callback.__name__ for command in commands if command.callback}

    listed = re.search(r"`kubectl crossfade`\): (.*)\.\n", page("README.md"))
    assert listed
    assert set(re.findall(r"`([a-z]+)`", listed[1])) == names


def test_the_windows_of_the_page_about_explaining_give_the_odds_that_it_shows() -> None:
    rows = re.findall(
        r"^\d\S+ +10% +(\d+) +(\d+) +(\d+) +(\d+) +(\S+) +(\w+)( +settling)?$",
        page("docs/explain.md"),
        re.MULTILINE,
    )
    assert len(rows) == 5
    past = [reading(NOTHING, Counts(360, 2))] * WINDOWS
    memory = Memory((begun(analysis().metrics[0], past),))
    for requests, bad, of_stable, bad_of_stable, told, verdict, settling in rows:
        found = counted(
            Counts(int(requests), int(bad)), Counts(int(of_stable), int(bad_of_stable)), settled=not settling
        )
        memory = judged(analysis(), found, memory=memory).memory
        (metric,) = memory.metrics
        assert metric.odds is not None
        assert (odds(math.log(metric.odds)), metric.verdict) == (told, verdict)


@pytest.mark.parametrize(
    ("name", "command"), [("planning", "plan"), ("backtesting", "backtest"), ("explain", "explain")]
)
def test_a_page_about_a_command_knows_its_options_and_no_others(name: str, command: str) -> None:
    parameters = typer.main.get_command(program.program()).commands[command].params  # type: ignore[attr-defined]
    known = {option for parameter in parameters for option in parameter.opts if option.startswith("--")}

    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", page(f"docs/{name}.md")))
    assert named <= known
    assert known - named <= {"--file", "--output", "--namespace", "--kubeconfig", "--context", "--no-color"}


def test_every_flag_of_the_demo_application_is_listed() -> None:
    flags = {flag for action in arguments(own=True)._actions for flag in action.option_strings}

    misbehaving = {flag for flag in flags if flag.startswith("--")} - {"--text", "--listen", "--help"}
    assert {flag for flag in misbehaving if f"`{flag}`" not in page("docs/sandbox.md")} == set()


def test_make_has_what_the_readme_names() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", page("Makefile"), re.MULTILINE))

    assert {"help", "demo", "test", "check", "format", "bench", "clean"} <= targets
    assert set(re.findall(r"make ([a-z]+)", page("README.md"))) <= targets
