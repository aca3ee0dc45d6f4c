from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.apiserver.merging import PatchError, json_patch, merge_patch, strategic_merge
from sandbox.apiserver.models import schema_of


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Json, Object


_leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~", max_size=3)
_documents = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
_POD = schema_of("V1PodSpec")


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="a value is replaced"),
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="a value is added"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="null deletes"),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="a list is replaced"),
        pytest.param({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="nulls are not stored"),
        pytest.param(
            {"a": {"b": 1}}, {"a": {"c": {"d": 2}}}, {"a": {"b": 1, "c": {"d": 2}}}, id="objects merge"
        ),
        pytest.param({"a": 1}, ["x"], ["x"], id="what is no object replaces all"),
    ],
)
def test_merge_patch(value: Json, patch: Json, expected: Json) -> None:
    assert merge_patch(value, patch) == expected


@settings(deadline=None)
@given(value=_documents, patch=_documents)
def test_merge_patch_is_idempotent_and_leaves_its_arguments_alone(value: Json, patch: Json) -> None:
    before = copy.deepcopy((value, patch))
    once = merge_patch(value, patch)
    assert merge_patch(once, patch) == once
    assert (value, patch) == before


@pytest.mark.parametrize(
    ("value", "operations", "expected"),
    [
        pytest.param({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}, id="add"),
        pytest.param([1, 3], [{"op": "add", "path": "/1", "value": 2}], [1, 2, 3], id="add inserts"),
        pytest.param([1], [{"op": "add", "path": "/-", "value": 2}], [1, 2], id="add appends"),
        pytest.param({"a": 1}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}, id="replace"),
        pytest.param([1, 2], [{"op": "replace", "path": "/0", "value": 3}], [3, 2], id="replace an item"),
        pytest.param({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}, id="remove"),
        pytest.param([1, 2], [{"op": "remove", "path": "/0"}], [2], id="remove an item"),
        pytest.param({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}, id="move"),
        pytest.param({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}, id="copy"),
        pytest.param({"a/b~": 1}, [{"op": "test", "path": "/a~1b~0", "value": 1}], {"a/b~": 1}, id="escapes"),
        pytest.param({}, [{"op": "test", "path": "/a", "value": None}], {}, id="an absent field is null"),
        pytest.param({"a": 1}, [{"op": "replace", "path": "", "value": {}}], {}, id="the whole document"),
    ],
)
def test_json_patch(value: Json, operations: list[Object], expected: Json) -> None:
    assert json_patch(value, operations) == expected


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        pytest.param([{"op": "test", "path": "/a", "value": 2}], "testing path /a value failed", id="test"),
        pytest.param([{"op": "test", "path": "/x/y", "value": 2}], "missing path", id="test of nothing"),
        pytest.param([{"op": "replace", "path": "/x", "value": 2}], "missing path", id="replace of nothing"),
        pytest.param([{"op": "remove", "path": "/x"}], "missing path", id="remove of nothing"),
        pytest.param([{"op": "add", "path": "/x/y", "value": 1}], "missing path", id="add below nothing"),
        pytest.param([{"op": "add", "path": "/l/5", "value": 1}], "invalid index '5'", id="index too high"),
        pytest.param([{"op": "add", "path": "/l/-1", "value": 1}], "invalid index '-1'", id="index below 0"),
        pytest.param([{"op": "frob", "path": "/a"}], "unexpected kind: frob", id="unknown operation"),
        pytest.param([{"op": "remove", "path": "a"}], "'a' is not a JSON pointer", id="no pointer"),
        pytest.param({"op": "remove"}, "a JSON patch is a list", id="no list"),
    ],
)
def test_a_json_patch_that_does_not_fit_says_where(operations: Json, message: str) -> None:
    value = {"a": 1, "l": [1]}
    with pytest.raises(PatchError, match=message):
        json_patch(value, operations)
    assert value == {"a": 1, "l": [1]}


def test_a_json_patch_is_applied_whole_or_not_at_all() -> None:
    value = {"a": 1}
    operations = [{"op": "replace", "path": "/a", "value": 2}, {"op": "test", "path": "/a", "value": 1}]
    with pytest.raises(PatchError):
        json_patch(value, operations)
    assert value == {"a": 1}


def _containers(*found: Object) -> Object:
    return {"containers": list(found)}


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        pytest.param(
            _containers({"name": "a", "image": "1"}, {"name": "b"}),
            _containers({"name": "a", "image": "2"}),
            _containers({"name": "a", "image": "2"}, {"name": "b"}),
            id="containers merge by name",
        ),
        pytest.param(
            _containers({"name": "a"}),
            _containers({"name": "b", "image": "1"}),
            _containers({"name": "a"}, {"name": "b", "image": "1"}),
            id="a new container is added",
        ),
        pytest.param(
            _containers({"name": "a"}, {"name": "b"}),
            _containers({"name": "a", "$patch": "delete"}),
            _containers({"name": "b"}),
            id="a container is deleted",
        ),
        pytest.param(
            _containers({"name": "a", "env": [{"name": "X", "value": "1"}]}),
            _containers({"name": "a", "env": [{"name": "Y", "value": "2"}]}),
            _containers({"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}),
            id="env merges by name inside a container",
        ),
        pytest.param(
            _containers({"name": "a", "args": ["1", "2"]}),
            _containers({"name": "a", "args": ["3"]}),
            _containers({"name": "a", "args": ["3"]}),
            id="a list without a key is replaced",
        ),
        pytest.param(
            _containers({"name": "a", "image": "1", "tty": True}),
            _containers({"name": "a", "image": None}),
            _containers({"name": "a", "tty": True}),
            id="null deletes inside an item",
        ),
        pytest.param(
            _containers({"name": "a"}, {"name": "b"}, {"name": "c"}),
            {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], **_containers({"name": "a"})},
            _containers({"name": "c"}, {"name": "a"}, {"name": "b"}),
            id="the order is set, others stay behind their neighbours",
        ),
        pytest.param(
            _containers({"name": "a"}, {"name": "b"}),
            _containers({"$patch": "replace"}, {"name": "z"}),
            _containers({"name": "z"}),
            id="a whole list is replaced",
        ),
        pytest.param(
            {"securityContext": {"runAsUser": 1, "runAsGroup": 2}},
            {"securityContext": {"$patch": "replace", "runAsUser": 3}},
            {"securityContext": {"runAsUser": 3}},
            id="a whole object is replaced",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]},
            {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
            id="only the keys to retain are retained",
        ),
    ],
)
def test_strategic_merge(value: Object, patch: Object, expected: Object) -> None:
    before = copy.deepcopy(value)
    assert strategic_merge(value, patch, _POD) == expected
    assert value == before


def test_strategic_merge_adds_to_and_deletes_from_a_list_of_plain_values() -> None:
    schema = schema_of("V1ObjectMeta")
    patch = {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}
    assert strategic_merge({"finalizers": ["a", "b"]}, patch, schema) == {"finalizers": ["b", "c"]}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        pytest.param(_containers({"image": "1"}), "does not contain declared merge key: name", id="no key"),
        pytest.param({"$patch": "frob"}, "unknown \\$patch directive 'frob'", id="unknown directive"),
    ],
)
def test_a_strategic_patch_that_does_not_fit_says_why(patch: Object, message: str) -> None:
    with pytest.raises(PatchError, match=message):
        strategic_merge(_containers({"name": "a"}), patch, _POD)
