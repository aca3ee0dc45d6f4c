"""The definition is what an API server takes, and says the same as the models."""

import copy
import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from config.canary import CanarySpec
from config.crd import as_yaml, definition
from config.load import load_spec
from config.status import Status


Schema = dict[str, Any]
SCHEMA = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC, STATUS = SCHEMA["properties"]["spec"], SCHEMA["properties"]["status"]
OPEN = "x-kubernetes-preserve-unknown-fields"


def nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def test_the_text_is_the_definition_and_has_no_anchors() -> None:
    assert yaml.safe_load(as_yaml()) == definition()
    assert "&id" not in as_yaml()


def test_the_schema_is_structural() -> None:
    allowed = {
        "additionalProperties", "default", "description", "enum", "format", "items", "maxItems", "maxLength",
        "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern",
        "properties", "required", "type",
    }  # fmt: skip
    for path, node in nodes(SCHEMA, ""):
        assert "type" in node or node.get(OPEN) is True, path
        assert {key for key in node if not key.startswith("x-kubernetes-")} <= allowed, path
        assert set(node.get("required", ())) <= set(node.get("properties", ())), path
        assert not ("properties" in node and "additionalProperties" in node), path
        re.compile(node.get("pattern", ""))


def test_every_field_of_the_spec_is_described() -> None:
    fields = [(path, node) for path, node in nodes(SPEC, "spec") if not path.endswith("]")]
    assert len(fields) > 50
    assert [path for path, node in fields if not node.get("description")] == []


def test_every_list_is_bounded_so_that_rules_stay_cheap() -> None:
    assert [
        path for path, node in nodes(SPEC, "spec") if node.get("type") == "array" and "maxItems" not in node
    ] == []


def test_no_unknown_field_is_kept_but_where_a_union_demands_it() -> None:
    assert [path for path, node in nodes(SPEC, "spec") if OPEN in node] == [
        "spec.shifting.steps",
        "spec.analysis.metrics[].max",
    ]


def test_a_status_of_a_newer_controller_is_neither_refused_nor_pruned() -> None:
    for path, node in nodes(STATUS, "status"):
        assert not {"enum", "pattern", "required", "minimum", "maximum", "default"} & set(node), path
        assert node["type"] != "object" or node[OPEN] is True, path


def test_every_field_of_the_status_is_in_the_schema() -> None:
    assert len(STATUS["properties"]) == len(dataclasses.fields(Status))


def test_columns_show_fields_that_exist() -> None:
    for column in definition()["spec"]["versions"][0]["additionalPrinterColumns"]:
        node = SCHEMA
        for name in column["jsonPath"].split(".")[1:]:
            if name == "metadata":
                break
            node = node["properties"][name]
        else:
            assert node["type"] == column["type"], column


def with_defaults(value: object, schema: Schema) -> object:
    """Do what the API server does before it stores an object."""
    if isinstance(value, dict) and "properties" in schema:
        absent = {
            name: field["default"] for name, field in schema["properties"].items() if "default" in field
        }
        return {
            name: with_defaults(item, schema["properties"].get(name, {}))
            for name, item in (absent | value).items()
        }
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    return value


@pytest.mark.parametrize("without", ["", "testing", "shifting", "baking"])
def test_an_object_that_the_api_server_has_defaulted_means_the_same(
    minimal: dict[str, Any], without: str
) -> None:
    spec = {name: value for name, value in minimal.items() if name != without}
    stored = with_defaults(copy.deepcopy(spec), SPEC)
    assert stored != spec
    assert load_spec(stored) == load_spec(spec)


def test_the_full_example_has_no_field_that_would_be_pruned(full: dict[str, Any]) -> None:
    def unknown(value: object, schema: Schema, path: str) -> Iterator[str]:
        if isinstance(value, dict) and "properties" in schema:
            for name, item in value.items():
                if name in schema["properties"]:
                    yield from unknown(item, schema["properties"][name], f"{path}.{name}")
                else:
                    yield f"{path}.{name}"
        if isinstance(value, list):
            for item in value:
                yield from unknown(item, schema.get("items", {}), f"{path}[]")

    assert list(unknown(full, SPEC, "spec")) == []
    dumped = CanarySpec.model_validate(full).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert list(unknown(dumped, SPEC, "spec")) == []
