from pathlib import Path
from typing import Any

import pytest
import yaml

import config


EXAMPLES = Path(config.__file__).parent / "examples"


@pytest.fixture
def full() -> dict[str, Any]:
    """Give the spec of the example that has every field, as plain data; it needs `templates`."""
    canary, _ = yaml.safe_load_all((EXAMPLES / "full.yaml").read_text())
    spec: dict[str, Any] = canary["spec"]
    return spec


@pytest.fixture
def templates() -> dict[str, Any]:
    """Give the specs of the templates that the full example brings along."""
    _, *found = yaml.safe_load_all((EXAMPLES / "full.yaml").read_text())
    return {each["metadata"]["name"]: each["spec"] for each in found}


@pytest.fixture
def minimal() -> dict[str, Any]:
    """Give the spec of the smallest example, as plain data."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / "minimal.yaml").read_text())["spec"]
    return spec
