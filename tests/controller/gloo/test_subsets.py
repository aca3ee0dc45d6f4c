from typing import Any

import pytest
import yaml

from controller.gloo.destinations import Target
from controller.gloo.subsets import subset_problem


TARGET = Target("echo", "gloo-system", "version")


def upstream(*selectors: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"kube": {"serviceName": "echo", "subsetSpec": {"selectors": list(selectors)}}}}


@pytest.mark.parametrize(
    "selectors",
    [
        pytest.param([{"keys": ["version"]}], id="alone"),
        pytest.param([{"keys": ["app", "version"]}, {"keys": ["version"]}], id="among others"),
    ],
)
def test_an_upstream_that_declares_the_version_label_alone_is_fine(selectors: list[dict[str, Any]]) -> None:
    assert subset_problem(upstream(*selectors), TARGET) == ""


@pytest.mark.parametrize(
    ("document", "declared"),
    [
        pytest.param({"spec": {"kube": {}}}, "declares nothing", id="no subsetSpec"),
        pytest.param(upstream({}), "declares nothing", id="a selector without keys"),
        pytest.param(upstream({"keys": ["app"]}), "declares app,", id="another label"),
        pytest.param(
            upstream({"keys": ["version", "app"]}, {"keys": ["zone"]}),
            "declares app, version; zone,",
            id="more",
        ),
    ],
)
def test_what_is_missing_is_printed_as_yaml_that_keeps_what_is_there(
    document: dict[str, Any], declared: str
) -> None:
    problem = subset_problem(document, TARGET)
    assert "Upstream gloo-system/echo" in problem
    assert declared in problem
    advice = yaml.safe_load(problem.split("it should be\n")[1])
    before = document["spec"]["kube"].get("subsetSpec", {}).get("selectors", [])
    assert advice["spec"]["kube"]["subsetSpec"]["selectors"] == [*before, {"keys": ["version"]}]
    assert subset_problem(advice, TARGET) == ""


@pytest.mark.parametrize(
    ("document", "found"),
    [
        pytest.param({"spec": {"static": {"hosts": []}}}, "spec has static", id="static"),
        pytest.param({}, "spec has nothing", id="nothing"),
    ],
)
def test_an_upstream_that_is_not_made_of_pods_has_no_subsets(document: dict[str, Any], found: str) -> None:
    problem = subset_problem(document, TARGET)
    assert found in problem
    assert "spec.kube" in problem
