"""Whatever is wrong is found by its name, and what the doctor prints makes it right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailments import CURABLE, INCURABLE, NOTE, PROBLEM, WARNING, missed
from clinic import Clinic, wrong
from controller.doctor.examine import examine


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    assert wrong(Clinic().findings(), NOTE, WARNING, PROBLEM) == [
        finding for finding in Clinic().findings() if finding.check == "metrics"
    ]


@pytest.mark.parametrize("name", CURABLE)
def test_what_is_wrong_is_found_and_its_fix_cures_it(name: str) -> None:
    break_it, check, severity = CURABLE[name]
    clinic = Clinic()
    break_it(clinic)
    before = wrong(clinic.findings())
    found = [finding for finding in before if finding.check == check]
    assert {finding.severity for finding in found} == {severity}
    for finding in found:
        clinic.cure(finding)
    after = wrong(clinic.findings())
    assert [finding for finding in after if finding.check == check] == []
    assert {finding.check for finding in after} <= {finding.check for finding in before}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(CURABLE)), max_size=6))
def test_all_fixes_together_leave_nothing_that_has_a_fix(names: set[str]) -> None:
    clinic = Clinic()
    for name in {CURABLE[name][1]: name for name in sorted(names)}.values():  # one of a kind
        CURABLE[name][0](clinic)
    for _ in range(3):  # a cure may bring to light what was hidden behind it
        for finding in wrong(clinic.findings()):
            if finding.fix is not None:
                clinic.cure(finding)
    assert [finding for finding in wrong(clinic.findings()) if finding.fix is not None] == []


@pytest.mark.parametrize("name", INCURABLE)
def test_what_only_a_human_can_put_right_is_found_and_has_no_fix(name: str) -> None:
    break_it, check, severity, words = INCURABLE[name]
    clinic = Clinic()
    break_it(clinic)
    found = [each for each in wrong(clinic.findings(), NOTE, WARNING, PROBLEM) if each.check == check]
    assert [each for each in found if words in each.sentence], found
    assert {each.severity for each in found} == {severity}
    assert {each.fix for each in found if words in each.sentence} == {None}


def test_the_doctor_misses_nothing() -> None:
    """What the planted mistakes are held against."""
    assert list(missed(examine)) == []
