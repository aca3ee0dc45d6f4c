"""The documentation is a site without loose ends, its reference is the code's, and its quick start runs."""

import math
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError

from analysis.readings import Counts
from analysis.verdict import Memory
from config.status import HeldReason, Verdict
from controller.cli.grounds import odds
from metrics import analysis, counted, judged, well_known


ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^<!-- run(: [^>]*?)? -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def led() -> Callable[[str, str, str], str]:
    found: Callable[[str, str, str], str] = runpy.run_path(str(ROOT / "scripts" / "pages.py"))["led"]
    return found


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Not with --quiet: what is not said is not counted by --strict either."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "canary.html").read_text()
    assert 'href="examples.html#full-yaml"' in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//(?:fonts|cdn|unpkg)[^"]*"', page)


@pytest.mark.parametrize(
    ("link", "source", "uri", "wanted"),
    [
        ("../ARCHITECTURE.md", "docs/a.md", "a.md", "project/architecture.md"),
        ("../../SECURITY.md#reporting", "docs/b/a.md", "b/a.md", "../project/security.md#reporting"),
        ("docs/canary.md", "ARCHITECTURE.md", "project/architecture.md", "../canary.md"),
        ("CONTRIBUTING.md", "ARCHITECTURE.md", "project/architecture.md", "contributing.md"),
        ("../config/examples/full.yaml", "docs/a.md", "a.md", "examples.md#full-yaml"),
        ("../config/examples/gitops/routes.yaml", "docs/a.md", "a.md", "examples.md#gitops-routes-yaml"),
        ("../config/examples", "docs/a.md", "a.md", "examples.md"),
        ("../README.md", "docs/a.md", "a.md", "index.md"),
        ("canary.md#routes", "docs/a.md", "a.md", "canary.md#routes"),
        ("https://example.org", "docs/a.md", "a.md", "https://example.org"),
        ("#here", "docs/a.md", "a.md", "#here"),
    ],
)
def test_links_lead_to_where_the_site_holds_what_they_mean(
    led: Callable[[str, str, str], str], link: str, source: str, uri: str, wanted: str
) -> None:
    assert led(f"[x]({link}).\n```\n[x]({link})\n```\n", source, uri) == (
        f"[x]({wanted}).\n```\n[x]({link})\n```\n"
    )


def test_a_link_to_what_the_site_does_not_hold_is_an_error(led: Callable[[str, str, str], str]) -> None:
    with pytest.raises(PluginError, match=r"docs/a\.md links to controller/app\.py"):
        led("[x](../controller/app.py)", "docs/a.md", "a.md")


def test_the_reference_is_what_the_code_says() -> None:
    pages = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["pages"]()
    folder = ROOT / "docs" / "reference"
    written = {path.name: path.read_text() for path in folder.glob("*.md")}
    outdated = [name for name in pages.keys() | written.keys() if pages.get(name) != written.get(name)]
    assert outdated == [], "run .venv/bin/python scripts/reference.py"


def script(blocks: list[tuple[str, str]], folder: Path) -> str:
    """Join the blocks to one script; what would run in other terminals is ended with it."""
    lines = ["set -eu", "trap 'kill $(jobs -p) 2>/dev/null; crossfade sandbox down || true' EXIT"]
    for number, (how, text) in enumerate(blocks):
        *first, last = text.splitlines()
        match how.removeprefix(": "):
            case "":
                lines.append(text)
            case "in the background":
                lines += ["(", *first, f"exec env {last}", f") >{folder}/{number}.log 2>&1 &"]
            case ended:
                code = int(ended.removeprefix("ends with "))
                lines += ["set +e", text, f"[ $? = {code} ] || exit 1", "set -e"]
    return "\n".join([*lines, "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"])


@pytest.mark.e2e
def test_the_quick_start_ends_as_it_says_and_what_other_pages_run_works_there(tmp_path: Path) -> None:
    *blocks, leaving = BLOCK.findall((ROOT / "docs" / "quick-start.md").read_text())
    assert [how for how, _ in blocks].count(": in the background") == 2
    others = [
        block
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if path.stem != "quick-start"
        for block in BLOCK.findall(path.read_text())
    ]
    assert len(others) >= 4
    blocks += [("", "kubectl create namespace crossfade"), *others, leaving]
    done = subprocess.run(
        ["bash", "-c", script(blocks, tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    logs = [path.read_text()[-2000:] for path in sorted(tmp_path.glob("*.log"))]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
    assert "v3 was rolled back" in done.stdout
    assert "stopped by ConfigMap crossfade/crossfade-stop: incident 4711: database" in done.stderr


def test_the_page_about_evidence_shows_the_odds_that_are_reckoned() -> None:
    page, picture = ((ROOT / "docs" / name).read_text() for name in ("evidence.md", "odds.svg"))
    rows = re.findall(r"^\| (\d) \| (\S+:\S+) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) == 7
    asked = analysis()
    for failed, told, effect in rows:
        found = counted(Counts(60, int(failed)), Counts(1140, 1))
        (metric,) = judged(asked, found, memory=Memory((well_known(asked.metrics[0]),))).memory.metrics
        assert metric.odds is not None
        assert (odds(math.log(metric.odds)), metric.verdict is Verdict.HARMFUL) == (
            told,
            effect == "rolled back",
        )
        assert f">{told}</text>" in picture


@pytest.mark.parametrize("reason", HeldReason)
def test_every_reason_to_hold_is_looked_up_by_what_one_sees(reason: HeldReason) -> None:
    assert f"`{reason}`" in (ROOT / "docs" / "troubleshooting.md").read_text()
