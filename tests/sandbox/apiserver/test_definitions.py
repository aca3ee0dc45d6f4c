"""CustomResourceDefinitions and the objects they declare."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import MERGE, Api, Target
from sandbox.apiserver.errors import ApiError
from sandbox.apiserver.tables import table


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Json, Object


_OPTIONS = Options(manager="tester")
_STRICT = Options(manager="tester", validation="Strict")
_SCHEMA: Object = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": {"type": "string", "minLength": 1, "pattern": "^[a-z.]+$"},
                "weight": {"type": "integer", "minimum": 0, "maximum": 100, "default": 0},
                "mode": {"type": "string", "enum": ["Fast", "Slow"]},
                "port": {"x-kubernetes-int-or-string": True},
                "oldPort": {"type": "string", "x-kubernetes-int-or-string": True},
                "note": {"type": "string", "nullable": True},
                "since": {"type": "string", "format": "date-time"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "retry": {
                    "type": "object",
                    "default": {},
                    "properties": {"attempts": {"type": "integer", "default": 3}},
                },
                "steps": {
                    "type": "array",
                    "maxItems": 3,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "wait": {"type": "number"}},
                    },
                },
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
                "either": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "phase": {"type": "string"},
                "replicas": {"type": "integer"},
                "conditions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                    },
                },
            },
        },
    },
}
_COLUMNS = [
    {"name": "Host", "type": "string", "jsonPath": ".spec.host"},
    {"name": "Weight", "type": "integer", "jsonPath": ".spec.weight"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def _definition(*, status: bool = True) -> Object:
    version: Object = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": copy.deepcopy(_SCHEMA)},
        "additionalPrinterColumns": _COLUMNS,
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "roads.example.io"},
        "spec": {
            "group": "example.io",
            "scope": "Namespaced",
            "names": {"plural": "roads", "kind": "Road", "shortNames": ["rd"], "categories": ["ways"]},
            "versions": [version],
        },
    }


def _define(api: Api, definition: Object) -> Object:
    return api.create(_crd(api), definition, _STRICT)


def _crd(api: Api, name: str = "") -> Target:
    resource = api.register.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    assert resource is not None
    return Target(resource, "", name)


def _road(api: Api, name: str = "", subresource: str = "", version: str = "v1") -> Target:
    resource = api.register.find("example.io", version, "roads")
    assert resource is not None
    return Target(resource, "default", name, subresource)


def _object(**spec: Json) -> Object:
    return {"metadata": {"name": "main"}, "spec": {"host": "a.b", **spec}}


@pytest.fixture
def roads(api: Api) -> Api:
    _define(api, _definition())
    return api


def test_a_definition_is_established_and_its_resource_served_at_once(api: Api) -> None:
    found = _define(api, _definition())
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["status"]["acceptedNames"]["singular"] == "road"
    resource = _road(api).resource
    assert (resource.kind, resource.short_names, resource.categories) == ("Road", ("rd",), ("ways",))


def test_defaults_are_filled_in_also_inside_of_defaults(roads: Api) -> None:
    spec = roads.create(_road(roads), _object(), _OPTIONS)["spec"]
    assert spec == {"host": "a.b", "weight": 0, "retry": {"attempts": 3}}


def test_unknown_fields_are_pruned_except_where_they_are_welcome(roads: Api) -> None:
    body = _object(
        frob=1,
        free={"any": {"thing": [1]}},
        labels={"a": "b"},
        steps=[{"name": "a", "x": 1}],
        template={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "frob": 1}, "spec": {"y": 1}},
    )
    spec = roads.create(_road(roads), body, _OPTIONS)["spec"]
    assert "frob" not in spec
    assert spec["free"] == {"any": {"thing": [1]}}
    assert spec["labels"] == {"a": "b"}
    assert spec["steps"] == [{"name": "a"}]
    assert spec["template"]["metadata"] == {"name": "x"}
    assert spec["template"]["spec"] == {"y": 1}


def test_a_strict_write_names_every_unknown_field(roads: Api) -> None:
    with pytest.raises(ApiError) as caught:
        roads.create(_road(roads), _object(frob=1, steps=[{"name": "a", "x": 1}]), _STRICT)
    assert caught.value.code == 400
    assert str(caught.value) == (
        'Road in version "v1" cannot be handled as a Road: strict decoding error: '
        'unknown field "spec.frob", unknown field "spec.steps[0].x"'
    )


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        pytest.param({"port": 80}, {"port": 80}, id="int"),
        pytest.param({"port": "http"}, {"port": "http"}, id="string"),
        pytest.param({"oldPort": 80}, {"oldPort": 80}, id="int, with a type beside"),
        pytest.param({"note": None}, {"note": None}, id="null where it is allowed"),
        pytest.param({"mode": None}, {}, id="null where it is not"),
        pytest.param(
            {"since": "2026-11-23T03:00:00.5+01:00"}, {"since": "2026-11-23T03:00:00.5+01:00"}, id="time"
        ),
        pytest.param({"weight": None}, {"weight": 0}, id="null where there is a default"),
    ],
)
def test_values_of_more_than_one_type(roads: Api, spec: Object, kept: Object) -> None:
    found = roads.create(_road(roads), _object(**spec), _OPTIONS)["spec"]
    assert {"host": "a.b", "weight": 0, "retry": {"attempts": 3}, **kept} == found


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param(
            {"weight": 101},
            "spec.weight: Invalid value: 101: spec.weight in body should be less than or equal to 100",
            id="maximum",
        ),
        pytest.param(
            {"weight": -1},
            "spec.weight: Invalid value: -1: spec.weight in body should be greater than or equal to 0",
            id="minimum",
        ),
        pytest.param(
            {"weight": "5"},
            'spec.weight: Invalid value: "string": spec.weight in body must be of type integer: "string"',
            id="type",
        ),
        pytest.param(
            {"mode": "Warp"},
            'spec.mode: Unsupported value: "Warp": supported values: "Fast", "Slow"',
            id="enum",
        ),
        pytest.param(
            {"host": "A"},
            "spec.host: Invalid value: \"A\": spec.host in body should match '^[a-z.]+$'",
            id="pattern",
        ),
        pytest.param(
            {"since": "yesterday"},
            'Invalid value: "yesterday": spec.since in body must be of type date-time: "yesterday"',
            id="format",
        ),
        pytest.param({"host": None}, "spec.host: Required value", id="required"),
        pytest.param({"steps": [{}]}, "spec.steps[0].name: Required value", id="required in an item"),
        pytest.param(
            {"steps": [{"name": "a"}, {"name": "a"}]},
            'spec.steps[1]: Duplicate value: {"name": "a"}',
            id="duplicate key",
        ),
        pytest.param(
            {"steps": [{"name": each} for each in "abcd"]},
            "spec.steps: Invalid value: 4: spec.steps in body should have at most 3 items",
            id="too many",
        ),
        pytest.param(
            {"either": {"a": "1", "b": "2"}},
            '"spec.either" must validate one and only one schema (oneOf)',
            id="one of",
        ),
        pytest.param({"port": 1.5}, 'must be of type integer: "number"', id="int or string"),
    ],
)
def test_a_value_that_is_wrong_is_refused_by_its_path(roads: Api, spec: Object, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        roads.create(_road(roads), _object(**spec), _OPTIONS)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert str(caught.value).startswith('Road.example.io "main" is invalid: spec.')
    assert message in str(caught.value)


def test_all_violations_are_told_at_once(roads: Api) -> None:
    with pytest.raises(ApiError) as caught:
        roads.create(_road(roads), _object(weight=101, mode="Warp"), _OPTIONS)
    assert [each["field"] for each in caught.value.details["causes"]] == ["spec.mode", "spec.weight"]


def test_with_a_status_path_status_is_apart_and_does_not_count_as_content(roads: Api) -> None:
    created = roads.create(_road(roads), _object() | {"status": {"phase": "Up"}}, _OPTIONS)
    assert "status" not in created
    status = _road(roads, "main", "status")
    found = roads.patch(status, MERGE, {"status": {"phase": "Up"}, "spec": {"weight": 9}}, _OPTIONS)
    assert (found["status"], found["spec"]["weight"]) == ({"phase": "Up"}, 0)
    assert found["metadata"]["generation"] == 1
    found = roads.patch(_road(roads, "main"), MERGE, {"spec": {"weight": 9}}, _OPTIONS)
    assert found["metadata"]["generation"] == 2
    found = roads.patch(_road(roads, "main"), MERGE, {"metadata": {"labels": {"a": "b"}}}, _OPTIONS)
    assert found["metadata"]["generation"] == 2


def test_without_a_status_path_status_is_content_like_any_other(api: Api) -> None:
    _define(api, _definition(status=False))
    created = api.create(_road(api), _object() | {"status": {"phase": "Up"}}, _OPTIONS)
    assert created["status"] == {"phase": "Up"}
    found = api.patch(_road(api, "main"), MERGE, {"status": {"phase": "Down"}}, _OPTIONS)
    assert found["metadata"]["generation"] == 2


def test_columns_show_what_their_paths_say(roads: Api) -> None:
    created = roads.create(_road(roads), _object(weight=7), _OPTIONS)
    status = {
        "status": {"conditions": [{"type": "Idle", "status": "True"}, {"type": "Ready", "status": "False"}]}
    }
    found = roads.patch(_road(roads, "main", "status"), MERGE, status, _OPTIONS)
    shown = table(_road(roads).resource, [created, found], roads.clock())
    assert [(each["name"], each["priority"]) for each in shown["columnDefinitions"]] == [
        ("Name", 0),
        ("Host", 0),
        ("Weight", 0),
        ("Ready", 0),
        ("Mode", 1),
        ("Age", 0),
    ]
    assert [row["cells"][:5] for row in shown["rows"]] == [
        ["main", "a.b", 7, None, None],
        ["main", "a.b", 7, "False", None],
    ]
    assert shown["rows"][0]["cells"][5].endswith("s")


def test_a_scale_path_shows_the_fields_that_the_definition_names(api: Api) -> None:
    definition = _definition()
    definition["spec"]["versions"][0]["subresources"]["scale"] = {
        "specReplicasPath": ".spec.weight",
        "statusReplicasPath": ".status.replicas",
    }
    _define(api, definition)
    scale = _road(api).resource.scale
    assert scale is not None
    assert (scale.spec, scale.status, scale.selector) == (("spec", "weight"), ("status", "replicas"), ())


def test_versions_share_their_objects(api: Api) -> None:
    definition = _definition()
    older = {**copy.deepcopy(definition["spec"]["versions"][0]), "name": "v1beta1", "storage": False}
    definition["spec"]["versions"].append(older)
    _define(api, definition)
    api.create(_road(api, version="v1beta1"), _object(), _OPTIONS)
    assert api.get(_road(api, "main"))["apiVersion"] == "example.io/v1"
    assert api.get(_road(api, "main", version="v1beta1"))["apiVersion"] == "example.io/v1beta1"


def test_a_changed_definition_is_served_from_then_on(roads: Api) -> None:
    live = roads.get(_crd(roads, "roads.example.io"))
    changed = copy.deepcopy(live)
    spec = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["lanes"] = {"type": "integer"}
    roads.update(_crd(roads, "roads.example.io"), changed, _STRICT)
    assert roads.create(_road(roads), _object(lanes=2), _STRICT)["spec"]["lanes"] == 2


_SPEC = ("spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "spec")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param(("metadata", "name"), "road.example.io", "must be spec.names.plural", id="name"),
        pytest.param(("spec", "versions", 0, "storage"), False, "exactly one version", id="no storage"),
        pytest.param(
            (*_SPEC, "properties", "host"), {}, "properties[host].type: Required value", id="no type"
        ),
        pytest.param(
            (*_SPEC, "properties", "steps"), {"type": "array"}, "[steps].items: Required value", id="no items"
        ),
        pytest.param(
            (*_SPEC, "anyOf"),
            [{"properties": {"host": {"type": "string"}}}],
            "anyOf[0].properties[host].type: Forbidden: must be empty to be structural",
            id="a type inside of logic",
        ),
        pytest.param((*_SPEC[:-2], "type"), "string", "must be object at the root", id="root"),
    ],
)
def test_a_definition_that_is_not_structural_is_refused(
    api: Api, path: tuple[str | int, ...], value: Json, message: str
) -> None:
    definition = _definition()
    place: Json = definition
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ApiError) as caught:
        _define(api, definition)
    assert message in str(caught.value)
    assert api.register.find("example.io", "v1", "roads") is None


def test_a_definition_with_words_that_kubernetes_does_not_know_is_refused(api: Api) -> None:
    definition = _definition()
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["const"] = 1
    with pytest.raises(ApiError, match=r'unknown field "spec\.versions\[0\]\.schema.*const"'):
        _define(api, definition)


_REAL = sorted((Path(__file__).parents[4] / "shared" / "gloo-crds").glob("*.yaml"))


@pytest.mark.parametrize("path", _REAL, ids=lambda path: path.stem)
def test_real_definitions_are_accepted_as_they_are(api: Api, path: Path) -> None:
    definition = yaml.load(path.read_text(), yaml.CSafeLoader)  # the safe loader, in C
    found = _define(api, definition)
    assert found["status"]["conditions"][1]["type"] == "Established"
    group, names = found["spec"]["group"], found["spec"]["names"]
    resource = api.register.find(group, "v1", names["plural"])
    assert resource is not None
    assert not resource.status
