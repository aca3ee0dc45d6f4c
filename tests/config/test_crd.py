"""The definition is what an API server takes, and says the same as the models."""

import copy
import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from config.crd import as_yaml, definition, definitions, template_definition
from config.load import load_spec
from config.status import Status


Schema = dict[str, Any]
SCHEMA = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC, STATUS = SCHEMA["properties"]["spec"], SCHEMA["properties"]["status"]
TEMPLATE = template_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
METRIC = SPEC["properties"]["analysis"]["properties"]["metrics"]["items"]
OPEN = "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"


def nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def test_the_text_is_the_definitions_and_has_no_anchors() -> None:
    assert tuple(yaml.safe_load_all(as_yaml())) == definitions() == (definition(), template_definition())
    assert "&id" not in as_yaml()


@pytest.mark.parametrize("schema", [SCHEMA, TEMPLATE], ids=["Canary", "MetricTemplate"])
def test_the_schema_is_structural(schema: Schema) -> None:
    allowed = {
        "additionalProperties", "default", "description", "enum", "exclusiveMaximum", "exclusiveMinimum",
        "format", "items", "maxItems", "maxLength",
        "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern",
        "properties", "required", "type",
    }  # fmt: skip
    for path, node in nodes(schema, ""):
        assert "type" in node or node.get(OPEN) is True, path
        assert "type" in node or "default" not in node, path
        assert node.get("required") != [], path
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
        "spec.analysis.falseRollbackRate",
        "spec.analysis.metrics[].max",
    ]


def test_rules_speak_only_of_fields_that_the_server_can_see() -> None:
    """One that is open has no type, and a rule that names it makes the server refuse the definition."""
    told = [(path, node) for path, node in [*nodes(SPEC, "spec"), *nodes(TEMPLATE, "")] if RULES in node]
    assert len(told) >= 4
    for path, node in told:
        for rule in node[RULES]:
            for name in re.findall(r"has\(self\.(\w+)\)", rule["rule"]):
                assert "type" in node["properties"][name], (path, rule)


@pytest.mark.parametrize(
    ("metric", "broken"),
    [
        pytest.param({"preset": "http-errors"}, "", id="a preset needs no name"),
        pytest.param({"preset": "x", "name": "x", "ratio": {}}, "exactly one of", id="two kinds"),
        pytest.param({"name": "x"}, "exactly one of", id="no kind"),
        pytest.param({"ratio": {}}, "name is needed with ratio, histogram or query", id="no name"),
        pytest.param({"templateRef": {}, "failureLimit": 1, "tolerate": 2}, "", id="a template may be any"),
        pytest.param(
            {"name": "x", "ratio": {}, "failureLimit": 1},
            "failureLimit goes with preset, templateRef or query",
            id="no failures in a row",
        ),
        pytest.param(
            {"name": "x", "query": "", "tolerate": 2},
            "tolerate goes with preset, templateRef, ratio or histogram",
            id="nothing to tolerate",
        ),
    ],
)
def test_rules_say_what_goes_with_what(metric: Schema, broken: str) -> None:
    told = [rule["message"] for rule in METRIC[RULES] if not holds(rule["rule"], metric)]
    assert [message[: len(broken)] for message in told] == ([broken] if broken else [])


def holds(rule: str, value: Schema) -> bool:
    """Evaluate the little of CEL that the rules of unions need."""
    python = re.sub(r"has\(self\.(\w+)\)", lambda found: str(found[1] in value), rule)
    python = re.sub(r"(\[.*\])\.exists_one\(given, given\)", r"sum(\1) == 1", python)
    python = python.replace("!", "not ").replace("||", "or")
    return bool(eval(python, {"sum": sum}))  # noqa: S307  # our own rules


@pytest.mark.parametrize(
    ("field", "limits"),
    [
        ("mustNotExceed", {"type": "number", "minimum": 1.25, "exclusiveMinimum": True, "maximum": 1000}),
        ("harmBudget", {"type": "integer", "minimum": 1}),
        ("minRequests", {"type": "integer", "minimum": 1}),
        ("dryRun", {"type": "boolean"}),
        ("advance", {"enum": ["Soak", "Evidence"]}),
    ],
)
def test_the_server_knows_the_ranges_of_the_analysis(field: str, limits: Schema) -> None:
    assert limits.items() <= SPEC["properties"]["analysis"]["properties"][field].items()


@pytest.mark.parametrize(
    ("field", "limits"),
    [
        ("preset", {"type": "string", "minLength": 1, "maxLength": 63}),
        ("tolerate", {"type": "number", "minimum": 1, "maximum": 1000}),
        ("failureLimit", {"type": "integer", "minimum": 1, "maximum": 100}),
        ("dryRun", {"type": "boolean"}),
    ],
)
def test_the_server_knows_the_ranges_of_a_metric(field: str, limits: Schema) -> None:
    assert limits.items() <= METRIC["properties"][field].items()


@pytest.mark.parametrize("field", ["tolerate", "failureLimit", "dryRun", "name"])
def test_no_default_is_stored_with_metrics_of_another_kind_or_over_a_template(field: str) -> None:
    assert "default" not in METRIC["properties"][field]


def test_a_template_is_a_metric_without_a_name() -> None:
    fields = set(TEMPLATE["properties"]["spec"]["properties"])
    of_canaries_only = {"name", "preset", "templateRef", "templateVariables"}
    assert fields == set(METRIC["properties"]) - of_canaries_only


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


def with_defaults(value: Any, schema: Schema) -> Any:  # JSON
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


def test_templates_that_the_api_server_has_defaulted_mean_the_same(
    full: dict[str, Any], templates: dict[str, Any]
) -> None:
    stored = {
        name: with_defaults(copy.deepcopy(spec), TEMPLATE["properties"]["spec"])
        for name, spec in templates.items()
    }
    assert stored != templates
    assert load_spec(with_defaults(full, SPEC), stored) == load_spec(full, templates)


def test_the_full_example_has_no_field_that_would_be_pruned(
    full: dict[str, Any], templates: dict[str, Any]
) -> None:
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
    dumped = load_spec(full, templates).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert list(unknown(dumped, SPEC, "spec")) == []
