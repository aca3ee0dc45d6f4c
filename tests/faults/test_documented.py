"""docs/faults.md names a test for each fault, and each fault that is tested is in it."""

import re
from pathlib import Path

import pytest


TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "faults.md").read_text()
TABLES = "".join(
    (TESTS / "faults" / f"test_{name}_faults.py").read_text() for name in ("kubernetes", "prometheus")
)
TESTED = set(re.findall(r'^    "([\w-]+)": \(?', TABLES, re.MULTILINE))


def test_every_fault_that_is_tested_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"\[([\w-]+)\]`", PAGE))
    assert documented == TESTED


@pytest.mark.parametrize("named", sorted(set(re.findall(r"::(\w+)", PAGE))))
def test_every_test_that_is_named_is_there(named: str) -> None:
    kind = "class" if named.startswith("Test") else "def"
    assert any(
        f"{kind} {named}(" in each.read_text() or f"{kind} {named}:" in each.read_text()
        for each in TESTS.rglob("test_*.py")
    )


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py)", PAGE))))
def test_every_file_that_is_named_is_there(named: str) -> None:
    assert (TESTS / named).is_file()
