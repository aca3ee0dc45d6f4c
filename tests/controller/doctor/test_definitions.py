"""A definition is up to date if it says what ours says, whatever an API server added or left out."""

import copy

import pytest

from controller.doctor.definitions import check_definitions, difference, ours, wanted
from controller.doctor.finding import Severity


@pytest.mark.parametrize(
    ("right", "found", "place"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, ".a"),
        ({"a": 1}, {}, ".a"),
        ({"a": 0, "b": "", "c": [], "d": {}}, {}, None),
        ({}, {"a": 1}, None),
        ({}, {"maximum": 3}, ".maximum"),
        ({}, {"required": []}, None),
        ({"a": [1, 2]}, {"a": [1, 2]}, None),
        ({"a": [1, 2]}, {"a": [1, 3]}, ".a[1]"),
        ({"a": [1, 2]}, {"a": [1]}, ".a"),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 2}]}}, ".a.b[0].c"),
        ({"a": {"b": 1}}, {"a": 1}, ".a"),
        (False, None, None),
        (True, False, ""),
    ],
)
def test_the_first_difference_is_named(right: object, found: object, place: str | None) -> None:
    assert difference(right, found) == place


@pytest.mark.parametrize("name", sorted(ours()))
def test_each_of_ours_is_like_itself_and_not_like_one_that_lacks_a_field(name: str) -> None:
    stored = {**ours()[name], "status": {"conditions": [{"type": "Established", "status": "True"}]}}
    older = copy.deepcopy(stored)
    fields = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields.popitem()
    for document, severity in ((stored, Severity.OK), (older, Severity.WARNING)):
        findings = check_definitions({**dict.fromkeys(wanted()), name: document})
        (finding,) = [each for each in findings if each.about.endswith(name)]
        assert finding.severity is severity
        assert (finding.fix is None) is (severity is Severity.OK)
