"""The chart, rendered by Helm's own engine: no helm on PATH, no cluster."""

from collections.abc import Callable, Iterator
from pathlib import Path
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
def render(chart: helm.Chart) -> Callable[..., list[dict[str, Any]]]:
    """Give the objects of a release; the image is filled in where a test has no wish of its own."""

    def render(values: dict[str, Any] | None = None, release: str = "crossfade") -> list[dict[str, Any]]:
        texts = chart.render(IMAGE | (values or {}), name=release, namespace="crossfade-system")
        return [
            document
            for path, text in texts.items()
            if path.endswith(".yaml")
            for document in yaml.safe_load_all(text)
        ]

    return render


@pytest.fixture(scope="session")
def deployment(render: Callable[..., list[dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    """Give the Deployment of a release."""

    def deployment(values: dict[str, Any] | None = None) -> dict[str, Any]:
        (found,) = [document for document in render(values) if document["kind"] == "Deployment"]
        return found

    return deployment
