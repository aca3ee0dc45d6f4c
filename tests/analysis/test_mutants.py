"""The tests of the pure modules are worth something: they notice every one of these mistakes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import analysis
import trials as trials_program
from judging_mutants import JUDGING
from keeping_mutants import KEEPING
from mutants import Mutant


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


PACKAGE = Path(analysis.__path__[0])
TESTS = Path(__file__).parent
QUIETLY = [
    *("-x", "-q", "--noconftest", "--hypothesis-seed=0"),
    *("-p", "no:randomly", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # the process has imported Hypothesis before
]

Trial = Callable[[str, Path], int]

MUTANTS = {
    "a version is asked about as the other one": Mutant(
        "queries", 'self.candidate if role == "candidate"', 'self.candidate if role == "stable"'
    ),
    "a longer window is another question": Mutant("queries", '{**values, "window": ""}', "values"),
    "the parts of a metric are counted apart": Mutant(
        "queries", 'f"{metric}/{role}/{fingerprint}"', 'f"{metric}/{role}/{part}/{fingerprint}"'
    ),
    "a restart is overlooked": Mutant(
        "counters", "if value < self.values.get(series, 0)", "if value < -self.values.get(series, 0)"
    ),
    "history is counted at first sight": Mutant(
        "counters", "_pod(series.labels) in pods else 0", "True else 0"
    ),
    "the candidate's new pods are not counted": Mutant("counters", "value if fresh or", "value if"),
    "an error that is new in a pod is not counted": Mutant(
        "counters", "if fresh or _pod(series.labels) in pods else 0", "if fresh else 0"
    ),
    "a missed scrape is history once more": Mutant(
        "counters", "if process not in present and series in self.values:", "if False:"
    ),
    "a restart is never over": Mutant(
        "counters", "value < self.values.get(series, 0)",
        "value < {**self.missing, **self.values}.get(series, 0)",
    ),
    "the dead still count": Mutant(
        "counters", "not in now.values and process not in restarted", "not in now.values"
    ),
    "a bucket counts what the smaller ones hold": Mutant(
        "counters", "value - below.get(histogram, 0)", "value"
    ),
    "what is no counter is one": Mutant("counters", "if not 0 <= sample.value <= _LARGEST:", "if False:"),
    "stable is read as the candidate": Mutant(
        "readings", 'MetricReading(found["candidate"], found["stable"], query)',
        'MetricReading(found["stable"], found["candidate"], query)',
    ),
    "everything counts as fresh": Mutant(
        "readings", 'fresh = about.role == "candidate" and', "fresh = True and"
    ),
    "what is not in a rebuilt baseline is new": Mutant("readings", "and not rebuilt", ""),
    "what was not answered is forgotten": Mutant("readings", "return added, known", "return added, None"),
    "more bad requests than requests": Mutant("readings", "    if bad > requests:", "    if False:"),
    "any bound will do": Mutant("readings", "wanted is not None and wanted not in bounds", "not bounds"),
    "fast requests are the slow ones": Mutant("readings", "if above > bound", "if above <= bound"),
    "a bound that one pod lacks is counted": Mutant(
        "readings", "set(bands).intersection(*histograms.values()) - {math.inf}", "set(bands) - {math.inf}"
    ),
    "the largest bound is a bound": Mutant(
        "readings", "(*histograms.values()) - {math.inf}", "(*histograms.values())"
    ),
    "series of bad requests are enough": Mutant(
        "readings", 'any(series.part == "total" for series in added.series)', "bool(added.series)"
    ),
    "a histogram always has series": Mutant(
        "readings", "slower, added.note, bool(added.series))", "slower, added.note)"
    ),
    "NaN is a number": Mutant("readings", "if math.isfinite(value) else", "if True else"),
    "what came twice counts twice": Mutant("samples", "        if identity in owner:", "        if False:"),
    "a stranger's series is somebody's": Mutant(
        "samples", 'owner = found.get(labels.pop(MARK, ""))',
        'owner = found.get(labels.pop(MARK, ""), found[min(found)])',
    ),
    **JUDGING,
    **KEEPING,
}  # fmt: skip


@pytest.fixture(scope="module")
def trials() -> Iterator[Trial]:
    """Provide what runs the tests of a module on a copy of the package, and gives the exit code."""
    command = [sys.executable, "-P", "-B", trials_program.__file__]
    with subprocess.Popen(
        command, cwd=TESTS.parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def trial(module: str, package: Path) -> int:
            arguments = [*QUIETLY, str(TESTS / f"test_{module}.py")]
            print(json.dumps([str(package.parent), *arguments]), file=asked, flush=True)
            return int(told.readline())

        yield trial
        asked.close()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Copy the package to where a mistake can be planted."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "analysis", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_tests_notice(mutant: Mutant, package: Path, trials: Trial) -> None:
    module = package / f"{mutant.module}.py"
    text = module.read_text()
    assert text.count(mutant.line) == 1, f"{mutant.line!r} is no longer the one place to break"
    module.write_text(text.replace(mutant.line, mutant.becomes))
    assert trials(mutant.module, package) == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS.values()}))
def test_the_tests_accept_a_copy_without_a_mistake(module: str, package: Path, trials: Trial) -> None:
    assert trials(module, package) == pytest.ExitCode.OK
