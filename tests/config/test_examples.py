from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from config.load import load_canaries, load_spec
from config.written import PresetMetric, TemplatedMetric, WrittenRatio


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


def test_the_full_example_shows_every_field(full: dict[str, Any], templates: dict[str, Any]) -> None:
    """Of the alternatives (`value`, `regex`, `present`; `invert`; plain steps) each is shown somewhere."""
    spec = load_spec(full, templates)
    alternatives = {
        "value",
        "regex",
        "present",
        "invert",
        "headers",
        "query_parameters",
        "methods",
        "interval",
        "approval",
        "days",
        "versions",
    }
    kept = spec.model_copy(update={"analysis": spec.analysis.model_copy(update={"metrics": ()})})
    assert set(_unused(kept)) - alternatives == set()


@pytest.mark.parametrize("form", [PresetMetric, TemplatedMetric, WrittenRatio])
def test_the_full_example_shows_every_way_to_write_a_metric(
    full: dict[str, Any], form: type[BaseModel]
) -> None:
    """And every field, of templates those that override the most."""
    fields = {field.alias for field in form.model_fields.values()}
    shown = {key for metric in full["analysis"]["metrics"] for key in metric}
    assert fields <= shown


def test_the_comments_of_the_full_example_tell_the_true_defaults(
    full: dict[str, Any], templates: dict[str, Any]
) -> None:
    """What is said to be the default may be taken out, and nothing changes."""
    text = EXAMPLES[0].read_text()
    assert EXAMPLES[0].name == "full.yaml"
    without = "\n".join(
        line for line in text.splitlines() if "# default;" not in line and not line.endswith("# default")
    )
    assert len(without) < len(text)
    (canary,) = load_canaries(without)
    assert canary.spec == load_spec(full, templates)


def test_the_smallest_example_means_what_applications_usually_export(minimal: dict[str, Any]) -> None:
    spec = load_spec(minimal)
    assert [metric.name for metric in spec.analysis.metrics] == ["http-errors", "http-latency"]
