"""The documentation says what is: examples load, tables are complete, links lead somewhere."""

import re
from pathlib import Path

import pytest

from config import load
from config.settings import PREFIX, Settings
from config.status import HeldReason, Phase, Verdict
from controller.cli import program
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


def test_every_flag_of_the_demo_application_is_listed() -> None:
    flags = {flag for action in arguments(own=True)._actions for flag in action.option_strings}

    misbehaving = {flag for flag in flags if flag.startswith("--")} - {"--text", "--listen", "--help"}
    assert {flag for flag in misbehaving if f"`{flag}`" not in page("docs/sandbox.md")} == set()


def test_make_has_what_the_readme_names() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", page("Makefile"), re.MULTILINE))

    assert {"help", "demo", "test", "check", "format", "bench", "clean"} <= targets
    assert set(re.findall(r"make ([a-z]+)", page("README.md"))) <= targets
