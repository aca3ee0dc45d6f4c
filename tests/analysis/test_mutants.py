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
from mutants import Mutant


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
    "a value ends its string": Mutant("queries", '.replace(quote, f"\\\\{quote}")', ""),
    "a value is a pattern": Mutant("queries", "is_regex=bool(regex)", "is_regex=False"),
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
    "any bound will do": Mutant("readings", "    if wanted not in bounds:", "    if not bounds:"),
    "fast requests are the slow ones": Mutant("readings", "if bound > wanted", "if bound <= wanted"),
    "NaN is a number": Mutant("readings", "if math.isfinite(value) else", "if True else"),
    "the limit itself is too much": Mutant(
        "judge", "if bad > allowed * max(requests, min_requests):",
        "if bad >= allowed * max(requests, min_requests):",
    ),
    "a block waits for its end to fail": Mutant(
        "judge", "if bad > allowed * max(requests, min_requests):",
        "if requests >= min_requests and bad > allowed * requests:",
    ),
    "few requests are enough": Mutant("judge", "    if requests >= min_requests:", "    if requests:"),
    "no requests are a pass": Mutant(
        "judge", "    if requests >= min_requests:", "    if requests >= min_requests or not requests:"
    ),
    "shares are floats": Mutant("judge", 'Fraction(f"{share:.12g}")', "Fraction(share)"),
    "a failed block goes on": Mutant(
        "judge", "replace(_failed(status, found, share), requests=0, bad=0)", "_failed(status, found, share)"
    ),
    "a passed block goes on": Mutant(
        "judge", "replace(_passed(status, found, share), requests=0, bad=0)", "_passed(status, found, share)"
    ),
    "a pass does not end a row of failures": Mutant(
        "judge", "passes=status.passes + 1, failures=0,", "passes=status.passes + 1,"
    ),
    "one failure more is allowed": Mutant(
        "judge", "if status.failures >= metric.failure_limit", "if status.failures > metric.failure_limit"
    ),
    "safe while failing": Mutant(
        "judge", "if status.passes and not status.failures", "if status.passes"
    ),
    "safe without a pass": Mutant(
        "judge", "if status.passes and not status.failures", "if not status.failures"
    ),
    "no data takes harm back": Mutant(
        "judge", "message=message, verdict=_settled(metric, status, Verdict.BLIND)",
        "message=message, verdict=Verdict.BLIND",
    ),
    "an outage is no blindness": Mutant(
        "judge", "message=reason, verdict=_settled(metric, status, Verdict.BLIND)",
        "message=reason, verdict=_settled(metric, status, Verdict.SAFE)",
    ),
    "no answer is a failure": Mutant(
        "judge", "return replace(status, message=reason,",
        "return replace(status, failures=status.failures + 1, message=reason,",
    ),
    "always answered": Mutant("judge", "answered=not any(", "answered=True or not any("),
    "blindness outweighs harm": Mutant(
        "judge", "(Verdict.HARMFUL, Verdict.BLIND, Verdict.UNDECIDED)",
        "(Verdict.BLIND, Verdict.HARMFUL, Verdict.UNDECIDED)",
    ),
    "another limit, the same memory": Mutant(
        "judge", "known = {(metric.name, metric.limit): metric for metric in memory}",
        "known = {(m.name, limit_of(n)): m for m in memory for n in analysis.metrics}",
    ),
    "what came twice counts twice": Mutant("samples", "        if identity in owner:", "        if False:"),
    "a stranger's series is somebody's": Mutant(
        "samples", 'owner = found.get(labels.pop(MARK, ""))',
        'owner = found.get(labels.pop(MARK, ""), found[min(found)])',
    ),
    "tolerated and alternative ratio are swapped": Mutant(
        "evidence", "(ratio - null) / (null * (1 + odds * ratio))",
        "(null - ratio) / (ratio * (1 + odds * null))",
    ),
    "candidate and stable are swapped": Mutant(
        "evidence", "_compared(candidate, stable, tolerate, alternatives)",
        "_compared(stable, candidate, tolerate, alternatives)",
    ),
    "bursts are not tempered": Mutant("evidence", "before + temper * gain", "before + gain"),
    "the evidence is a sum, no mean": Mutant("evidence", " / len(logs))", ")"),
    "safe asks for harm": Mutant("evidence", "must_not_exceed, BETTER)", "must_not_exceed, WORSE)"),
    "good requests are worth nothing": Mutant(
        "evidence", "good = candidate.requests - candidate.bad", "good = 0"
    ),
    "the odds are those of stable": Mutant(
        "evidence", "odds = candidate.requests / stable.requests",
        "odds = stable.requests / max(candidate.requests, 1)",
    ),
    "a few errors are a burst": Mutant("dispersion", "* (sums.bad - 1) / (sums.bad + 1)", "* 1.0"),
    "bursts have no end": Mutant("dispersion", "1.0), LARGEST)", "1.0), 1e9)"),
    "calm makes it sure": Mutant(
        "dispersion", "max(chi_squared / (sums.windows - 1), 1.0)", "chi_squared / (sums.windows - 1)"
    ),
    "squares are forgotten": Mutant(
        "dispersion", "stable.bad * stable.bad / stable.requests", "stable.bad / stable.requests"
    ),
    "testers are a mismatch": Mutant("split", "(testers and candidate >= share * total)", "False"),
    "testers excuse everything": Mutant("split", "(testers and candidate >= share * total)", "testers"),
    "every deviation is a mismatch": Mutant("split", "DEVIATION = 0.1", "DEVIATION = 0.0"),
    "at 0% everything is right": Mutant("split", "(candidate and share == 0) or ", ""),
    "the prior knows everything": Mutant("split", "CONCENTRATION = 1000.0", "CONCENTRATION = 1e9"),
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
