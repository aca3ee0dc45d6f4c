from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.apiserver.jsonpath import compile_path


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Json


_FOUND = {
    "spec": {"weight": 5, "hosts": ["a", "b"], "on": False},
    "metadata": {"annotations": {"example.io/step": "2"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Idle", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        pytest.param(".spec.weight", [5], id="field"),
        pytest.param("spec.weight", [5], id="without the dot"),
        pytest.param(".spec.on", [False], id="false is a value"),
        pytest.param(".spec.hosts[1]", ["b"], id="index"),
        pytest.param(".spec.hosts[-1]", ["b"], id="index from the end"),
        pytest.param(".spec.hosts[*]", ["a", "b"], id="all"),
        pytest.param(".status.conditions[?(@.type=='Ready')].status", ["True"], id="filter"),
        pytest.param('.status.conditions[?(@.type=="Idle")].status', ["False"], id="filter, double quotes"),
        pytest.param('.status.conditions[?(@.type!="Idle")].type', ["Ready"], id="filter out"),
        pytest.param(".metadata.annotations.example\\.io/step", ["2"], id="an escaped dot"),
        pytest.param(".metadata.annotations['example.io/step']", ["2"], id="brackets"),
        pytest.param(".spec.nothing.below", [], id="nothing"),
    ],
)
def test_paths(path: str, values: list[Json]) -> None:
    assert compile_path(path)(_FOUND) == values


@pytest.mark.parametrize("path", [".spec[", ".a[?(@.b<1)]", ".a..b"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        compile_path(path)
