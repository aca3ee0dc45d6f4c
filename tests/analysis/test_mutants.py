"""The tests of the pure modules are worth something: they notice every one of these mistakes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis
from copies import Trial, copied, plant, trying
from judging_mutants import JUDGING
from keeping_mutants import KEEPING
from mutants import Mutant


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


PACKAGE = Path(analysis.__path__[0])
TESTS = Path(__file__).parent

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
def trial() -> Iterator[Trial]:
    with trying(TESTS.parents[1]) as trial:
        yield trial


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_tests_notice(mutant: Mutant, trial: Trial, tmp_path: Path) -> None:
    copy = copied(PACKAGE, tmp_path)
    plant(mutant, copy)
    assert trial(TESTS / f"test_{mutant.module}.py", copy) == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS.values()}))
def test_the_tests_accept_a_copy_without_a_mistake(module: str, trial: Trial, tmp_path: Path) -> None:
    assert trial(TESTS / f"test_{module}.py", copied(PACKAGE, tmp_path)) == pytest.ExitCode.OK
