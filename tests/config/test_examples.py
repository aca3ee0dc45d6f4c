from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from config.canary import CanarySpec
from config.load import load_canaries


EXAMPLES = sorted((Path(__file__).parents[2] / "config" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_valid_canary(path: Path) -> None:
    (canary,) = load_canaries(path.read_text())
    assert canary.metadata.name == "echo"


def _unused(value: object) -> list[str]:
    if isinstance(value, BaseModel):
        names = [name for name in type(value).model_fields if name not in value.model_fields_set]
        return names + [deeper for _, field in value for deeper in _unused(field)]
    if isinstance(value, tuple):
        return [name for one in value for name in _unused(one)]
    return []


def test_the_full_example_shows_every_field(full: dict[str, Any]) -> None:
    """Of the alternatives (`value`, `regex`, `present`; plain steps) each is shown somewhere."""
    spec = CanarySpec.model_validate(full)
    alternatives = {
        "value",
        "regex",
        "present",
        "headers",
        "query_parameters",
        "methods",
        "interval",
        "approval",
    }
    assert set(_unused(spec)) - alternatives - {"failure_limit"} == set()


def test_the_comments_of_the_full_example_tell_the_true_defaults(full: dict[str, Any]) -> None:
    """What is said to be the default may be taken out, and nothing changes."""
    text = EXAMPLES[0].read_text()
    assert EXAMPLES[0].name == "full.yaml"
    without = "\n".join(
        line for line in text.splitlines() if "# default;" not in line and not line.endswith("# default")
    )
    assert len(without) < len(text)
    (canary,) = load_canaries(without)
    assert canary.spec == CanarySpec.model_validate(full)
