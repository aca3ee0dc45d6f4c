"""The files that are made from the chart are those that it makes now."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml


Document = dict[str, Any]
ROOT = Path(__file__).parents[2]
REPAIR = "bring it up to date: .venv/bin/python scripts/manifests.py"


@pytest.fixture(scope="module")
def made(manifests: ModuleType) -> dict[str, str]:
    """Make both manifests."""
    texts: dict[str, str] = manifests.manifests()
    return texts


@pytest.mark.parametrize("name", ["install.yaml", "install-namespaced.yaml"])
def test_a_manifest_is_what_the_chart_makes(made: dict[str, str], name: str) -> None:
    assert (ROOT / "install" / name).read_text() == made[name], REPAIR


def test_no_other_manifest_lies_around(made: dict[str, str]) -> None:
    assert {path.name for path in (ROOT / "install").iterdir()} == set(made)


def test_the_readme_has_the_values_that_there_are(manifests: ModuleType, folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert text == manifests.readme(text), REPAIR


def test_a_readme_without_a_place_for_the_table_is_refused(manifests: ModuleType) -> None:
    with pytest.raises(ValueError, match="found no place"):
        manifests.readme("# Values\n")


def test_values_are_described_by_their_path_and_default(manifests: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(
        "one:\n  # -- First,\n  # and more.\n  two: 2\n  # a note\n  silent: 1\n# -- Second.\nthree: {a: b}\n"
    )
    assert list(manifests.described(tmp_path)) == [
        ("one.two", 2, "First, and more."),
        ("three", {"a": "b"}, "Second."),
    ]


def test_a_manifest_can_be_made_for_an_image_and_a_namespace_of_ones_own(manifests: ModuleType) -> None:
    text = manifests.manifests("registry.test/us/crossfade", "ours")["install-namespaced.yaml"]
    assert 'image: "registry.test/us/crossfade:' in text
    roles = [document for document in _documents(text) if document["kind"] == "Role"]
    assert "ours" in {role["metadata"]["namespace"] for role in roles}


def test_what_others_need_comes_first(made: dict[str, str]) -> None:
    for text in made.values():
        kinds = [document["kind"] for document in _documents(text)]
        assert kinds[:3] == ["Namespace", "CustomResourceDefinition", "CustomResourceDefinition"]


def test_nothing_of_it_belongs_to_helm(made: dict[str, str]) -> None:
    for text in made.values():
        for document in _documents(text):
            for name in ("labels", "annotations"):
                assert "helm" not in json.dumps(document["metadata"].get(name, {})).lower()


def test_everything_else_is_what_the_chart_renders(
    made: dict[str, str], render: Callable[..., list[Document]]
) -> None:
    kinds = sorted(document["kind"] for document in _documents(made["install.yaml"]))
    others = ["Namespace", "CustomResourceDefinition", "CustomResourceDefinition"]
    assert kinds == sorted([*others, *(document["kind"] for document in render())])


def _documents(text: str) -> list[Document]:
    return list(yaml.safe_load_all(text))
