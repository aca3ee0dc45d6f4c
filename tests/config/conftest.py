from pathlib import Path
from typing import Any

import pytest
import yaml

import config


EXAMPLES = Path(config.__file__).parent / "examples"


@pytest.fixture
def full() -> dict[str, Any]:
    """Give the spec of the example that has every field, as plain data."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / "full.yaml").read_text())["spec"]
    return spec


@pytest.fixture
def minimal() -> dict[str, Any]:
    """Give the spec of the smallest example, as plain data."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / "minimal.yaml").read_text())["spec"]
    return spec
