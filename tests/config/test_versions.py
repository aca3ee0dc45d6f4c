"""Two named Upstreams in place of Deployments: what may be said beside them, and what may not."""

from typing import Any

import pytest

from config.canary import CanarySpec
from config.crd import definition
from config.load import load_spec
from config.problems import SpecError
from config.versions import UpstreamRef


OLD = {"name": "echo-onprem", "namespace": "gloo-system"}
NEW = {"name": "echo-cloud", "namespace": "clouds"}
BOTH = {"stable": OLD, "candidate": NEW}
INSTEAD = "leave it out: spec.versions names the Upstreams of both versions"


def written(**fields: Any) -> dict[str, Any]:
    return {
        "versions": BOTH,
        "routes": [{"name": "echo", "namespace": "gloo-system"}],
        "analysis": {"metrics": [{"preset": "envoy-errors"}]},
        **fields,
    }


def complaint(**fields: Any) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(written(**fields))
    return str(caught.value)


def test_versions_are_called_as_their_upstreams() -> None:
    spec = load_spec(written())
    assert (spec.workload.stable, spec.workload.version) == ("echo-onprem", "echo-cloud")
    assert spec.upstream == UpstreamRef(name="echo-onprem", namespace="gloo-system")
    assert spec.upstream_of("echo-cloud") == UpstreamRef(name="echo-cloud", namespace="clouds")
    assert spec.cluster_of("echo-cloud") == "echo-cloud_clouds"
    assert spec.by_upstream


def test_without_a_candidate_the_stable_one_is_wanted() -> None:
    spec = load_spec(written(versions={"stable": OLD}))
    assert (spec.workload.stable, spec.workload.version) == ("echo-onprem", "echo-onprem")


def test_what_stands_in_is_not_written_down_and_so_read_again() -> None:
    spec = load_spec(written(destinations="Subsets", promotion={"decommission": "ScaleToZero"}))
    dumped = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert not {"workload", "upstream"} & dumped.keys()
    assert load_spec(dumped) == spec


def test_what_is_written_is_written_down() -> None:
    given = {"workload": {"selector": {"app": "echo"}}, "upstream": OLD, "versions": None}
    metrics = {"metrics": [{"preset": "http-errors"}]}
    dumped = load_spec(written(**given, analysis=metrics)).model_dump(by_alias=True, exclude_defaults=True)
    assert (dumped["workload"], dumped["upstream"]) == (given["workload"], OLD)
    assert "versions" not in dumped


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(
            {"workload": {"selector": {"app": "echo"}}}, "spec.workload: found a mapping; ", id="pods"
        ),
        pytest.param({"upstream": OLD}, "spec.upstream: found a mapping; ", id="an Upstream"),
        pytest.param({"destinations": "Upstreams"}, "spec.destinations: found 'Upstreams'; ", id="clones"),
    ],
)
def test_what_versions_say_is_not_said_otherwise(fields: dict[str, Any], said: str) -> None:
    assert complaint(**fields) == said + INSTEAD


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"promotion": {"decommission": "Delete"}}, "spec.promotion.decommission: found 'Delete'"),
        ({"rollback": {"scaleDown": "ScaleToZero"}}, "spec.rollback.scaleDown: found 'ScaleToZero'"),
    ],
)
def test_there_is_nothing_to_stop(fields: dict[str, Any], where: str) -> None:
    why = "where spec.versions names Upstreams there is no Deployment to delete or scale down"
    assert complaint(**fields) == f"{where}; {why}"
    kept = {"promotion": {"decommission": "Keep"}, "rollback": {"scaleDown": "Keep"}}
    assert load_spec(written(**kept)).versions is not None


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        pytest.param({}, "spec.versions.stable: required", id="nothing"),
        pytest.param({"stable": OLD, "candiate": NEW}, "spec.versions.candiate: unknown field", id="a slip"),
        pytest.param({"stable": {"name": "x"}}, "spec.versions.stable.namespace: required", id="half"),
        pytest.param(
            {"stable": OLD, "candidate": {**OLD, "namespace": "clouds"}},
            "spec.versions.candidate.name: found echo-onprem, as stable; "
            "versions are told apart by the names of their Upstreams",
            id="one name",
        ),
        pytest.param("both", "spec.versions: found 'both'; a mapping of fields is needed", id="no mapping"),
    ],
)
def test_versions_that_make_no_sense_are_told_alone(versions: object, said: str) -> None:
    words = complaint(versions=versions)
    assert words.startswith(said)
    assert "spec.workload" not in words


def test_without_versions_all_else_is_needed_as_ever() -> None:
    words = complaint(versions=None)
    assert "spec.workload: required" in words
    assert "spec.upstream: required" in words


def test_the_definition_asks_for_one_or_the_other() -> None:
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert schema["required"] == ["routes", "analysis"]
    rules = {each["rule"] for each in schema["x-kubernetes-validations"]}
    assert "has(self.versions) != has(self.workload) && has(self.workload) == has(self.upstream)" in rules
    assert {"stable", "candidate"} == set(schema["properties"]["versions"]["properties"])


def test_copies_of_requests_have_an_address() -> None:
    assert load_spec(written(shadowing={"percentage": 5})).shadowing is not None


def test_no_deployment_answers_to_the_stand_in() -> None:
    assert isinstance(load_spec(written()), CanarySpec)
    assert load_spec(written()).workload.selector == {"crossfade.dev/versions": "upstreams"}
