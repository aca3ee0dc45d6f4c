"""Copies of a package with a mistake in them, and what runs the package's tests on such a copy."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trials
from mutants import Mutant


_QUIETLY = (
    *("-x", "-q", "--noconftest", "--hypothesis-seed=0"),
    *("-p", "no:randomly", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # the process has imported Hypothesis before
)

Trial = Callable[[Path, Path], int]
"""Runs a file of tests on a copy of a package, and gives pytest's exit code."""


@contextmanager
def trying(root: Path) -> Iterator[Trial]:
    """Run trials in a process of their own, with `root` as the working directory."""
    command = [sys.executable, "-P", "-B", trials.__file__]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def trial(tests: Path, copy: Path) -> int:
            print(json.dumps([str(copy.parent), *_QUIETLY, str(tests)]), file=asked, flush=True)
            return int(told.readline())

        yield trial
        asked.close()


def copied(package: Path, folder: Path) -> Path:
    """Copy a package to where a mistake can be planted."""
    return shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))


def plant(mutant: Mutant, copy: Path) -> None:
    """Break one line of a copied package."""
    module = copy / f"{mutant.module}.py"
    text = module.read_text()
    assert text.count(mutant.line) == 1, f"{mutant.line!r} is no longer the one place to break"
    module.write_text(text.replace(mutant.line, mutant.becomes))
