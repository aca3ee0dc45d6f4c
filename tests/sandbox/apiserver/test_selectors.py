from __future__ import annotations

import pytest

from sandbox.apiserver.builtin import built_in
from sandbox.apiserver.errors import ApiError
from sandbox.apiserver.selectors import selector


_PODS = next(each for each in built_in() if each.plural == "pods")
_POD = {
    "metadata": {
        "name": "a",
        "namespace": "one",
        "labels": {"app": "echo", "version": "v1", "example.io/x": ""},
    },
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        pytest.param("", True, id="all"),
        pytest.param("app=echo", True, id="equal"),
        pytest.param("app==echo,version=v1", True, id="both"),
        pytest.param("app=echo,version=v2", False, id="one of two"),
        pytest.param("app!=echo", False, id="not equal"),
        pytest.param("tier!=db", True, id="an absent label is not equal"),
        pytest.param("version in (v1, v2)", True, id="in"),
        pytest.param("version notin (v1,v2),app=echo", False, id="not in"),
        pytest.param("tier notin (db)", True, id="an absent label is not in"),
        pytest.param("tier in (db)", False, id="an absent label is in nothing"),
        pytest.param("app", True, id="exists"),
        pytest.param("!app", False, id="does not exist"),
        pytest.param("!tier", True, id="an absent label does not exist"),
        pytest.param("example.io/x=", True, id="empty value, prefixed key"),
    ],
)
def test_label_selectors(labels: str, wanted: bool) -> None:  # noqa: FBT001  # a table's column
    assert selector(_PODS, labels, "")(_POD) is wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param("metadata.name=a", True, id="name"),
        pytest.param("metadata.name!=a", False, id="not that name"),
        pytest.param("metadata.namespace==two", False, id="namespace"),
        pytest.param("status.phase=Running,metadata.name=a", True, id="two"),
        pytest.param("spec.nodeName=", True, id="an absent field is empty"),
    ],
)
def test_field_selectors(fields: str, wanted: bool) -> None:  # noqa: FBT001  # a table's column
    assert selector(_PODS, "", fields)(_POD) is wanted


@pytest.mark.parametrize(
    ("labels", "fields", "message"),
    [
        pytest.param("a b", "", "unable to parse requirement: 'a b'", id="labels"),
        pytest.param("", "metadata.name", "invalid field selector 'metadata.name'", id="no value"),
        pytest.param("", "spec.replicas=1", "field label not supported: spec.replicas", id="unknown field"),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused(labels: str, fields: str, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        selector(_PODS, labels, fields)
