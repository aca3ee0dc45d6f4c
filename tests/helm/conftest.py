"""The chart, rendered by Helm's own engine: no helm on PATH, no cluster."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import helm_python as helm
import pytest
import yaml


IMAGE = {"image": {"repository": "registry.example.org/crossfade"}}


@pytest.fixture(scope="session")
def folder() -> Path:
    return Path(__file__).parents[2] / "helm" / "crossfade"


@pytest.fixture(scope="session")
def chart(folder: Path) -> Iterator[helm.Chart]:
    with helm.Chart.load(folder) as chart:
        yield chart


@pytest.fixture(scope="session")
def render_all(chart: helm.Chart) -> Callable[..., list[dict[str, Any]]]:
    """Give all objects of a release with its test; the image is filled in where a test has no wish."""

    def render(values: dict[str, Any] | None = None, release: str = "crossfade") -> list[dict[str, Any]]:
        texts = chart.render(IMAGE | (values or {}), name=release, namespace="crossfade-system")
        return [
            document
            for path, text in texts.items()
            if path.endswith(".yaml")
            for document in yaml.safe_load_all(text)
            if document
        ]

    return render


@pytest.fixture(scope="session")
def render(render_all: Callable[..., list[dict[str, Any]]]) -> Callable[..., list[dict[str, Any]]]:
    """Give the objects that are installed: no `helm test`."""

    def render(values: dict[str, Any] | None = None, release: str = "crossfade") -> list[dict[str, Any]]:
        return [
            document
            for document in render_all(values, release)
            if "helm.sh/hook" not in document["metadata"].get("annotations", {})
        ]

    return render


@pytest.fixture(scope="session")
def deployment(render: Callable[..., list[dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    """Give the Deployment of a release."""

    def deployment(values: dict[str, Any] | None = None) -> dict[str, Any]:
        (found,) = [document for document in render(values) if document["kind"] == "Deployment"]
        return found

    return deployment


@pytest.fixture(scope="session")
def values_of() -> Callable[[str], dict[str, Any]]:
    """Read one of the files beside the tests."""

    def values(name: str) -> dict[str, Any]:
        read: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "values" / f"{name}.yaml").read_text())
        return read

    return values


@pytest.fixture(scope="session")
def manifests() -> ModuleType:
    """Load the script that makes files from the chart."""
    path = Path(__file__).parents[2] / "scripts" / "manifests.py"
    specification = importlib.util.spec_from_file_location("manifests", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
