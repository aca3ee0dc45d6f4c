"""The clone of an Upstream for one version, as a document."""

import copy
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.canary import CanarySpec
from config.names import name_with_version
from config.versions import UpstreamRef
from controller.gloo.clones import (
    base_of,
    base_problem,
    bases,
    clone,
    difference,
    mentions,
    name_problem,
    taken_problem,
    version_of,
    versions_in,
)
from controller.rollout.moves import Form
from sandbox.apiserver.merging import PatchError, json_patch
from schemas import violations
from situations import spec


V1 = UpstreamRef(name="echo-v1", namespace="gloo-system")
BASE: dict[str, Any] = {
    "apiVersion": "gloo.solo.io/v1",
    "kind": "Upstream",
    "metadata": {
        "name": "echo",
        "namespace": "gloo-system",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"discovered_by": "kubernetesplugin"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    },
    "spec": {
        "connectionConfig": {"connectTimeout": "3s"},
        "healthChecks": [{"timeout": "1s", "interval": "5s"}],
        "kube": {
            "serviceName": "echo",
            "serviceNamespace": "echo",
            "servicePort": 80,
            "selector": {"app": "echo"},
            "subsetSpec": {"selectors": [{"keys": ["version"]}]},
        },
    },
    "status": {"statuses": {"gloo-system": {"state": "Accepted"}}},
}


def upstreams() -> CanarySpec:
    return spec(destinations="Upstreams")


def cloned(version: str = "v1") -> dict[str, Any]:
    return clone(BASE, upstreams().upstream_of(version), version, "version")


def test_a_clone_is_its_base_for_the_pods_of_one_version() -> None:
    assert cloned() == {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "Upstream",
        "metadata": {
            "name": "echo-v1",
            "namespace": "gloo-system",
            "labels": {"app.kubernetes.io/managed-by": "crossfade"},
            "annotations": {"crossfade.dev/upstream": "echo", "crossfade.dev/version": "v1"},
        },
        "spec": {
            "connectionConfig": {"connectTimeout": "3s"},
            "healthChecks": [{"timeout": "1s", "interval": "5s"}],
            "kube": {
                "serviceName": "echo",
                "serviceNamespace": "echo",
                "servicePort": 80,
                "selector": {"app": "echo", "version": "v1"},
            },
        },
    }


def test_a_base_without_a_selector_is_divided_by_the_version_alone() -> None:
    base = copy.deepcopy(BASE)
    del base["spec"]["kube"]["selector"]
    assert clone(base, V1, "v1", "rev")["spec"]["kube"]["selector"] == {"rev": "v1"}


def test_the_base_is_not_touched() -> None:
    before = copy.deepcopy(BASE)
    cloned()
    assert before == BASE


def test_a_clone_is_valid_by_gloos_schema() -> None:
    assert violations(cloned()) == Counter()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
SPECS = st.fixed_dictionaries(
    {
        "kube": st.fixed_dictionaries(
            {"serviceName": st.text(max_size=3)},
            optional={
                "selector": st.dictionaries(st.sampled_from(["app", "version"]), st.text(max_size=2)),
                "subsetSpec": JSON,
                "serviceSpec": JSON,
            },
        )
    },
    optional={"failover": JSON, "x-later": JSON},
)


@given(before=SPECS, after=SPECS)
def test_a_clone_follows_its_base_in_one_guarded_patch(before: Any, after: Any) -> None:
    old = clone({**BASE, "spec": before}, V1, "v1", "version")
    new = clone({**BASE, "spec": after}, V1, "v1", "version")
    stored = {**old, "status": {"statuses": {"gloo-system": {"state": "Accepted"}}}}
    patched = json_patch(stored, list(difference(stored, new)))
    assert patched["spec"] == new["spec"]
    assert patched["metadata"] == old["metadata"]
    assert difference(patched, new) == ()
    if old["spec"] != new["spec"]:
        assert patched["status"] == {"statuses": {}}
        edited = {**stored, "spec": {"static": {}}}
        with pytest.raises(PatchError):
            json_patch(edited, list(difference(stored, new)))


def test_a_clone_that_was_taken_over_in_the_meantime_is_not_patched() -> None:
    operations = list(difference({**cloned(), "spec": {}}, cloned()))
    taken = {**cloned(), "spec": {}}
    taken["metadata"] = {**taken["metadata"], "labels": {}}
    with pytest.raises(PatchError):
        json_patch(taken, operations)


@pytest.mark.parametrize(
    ("change", "base"),
    [
        pytest.param({}, ("gloo-system", "echo"), id="ours"),
        pytest.param({"labels": {}}, None, id="no label"),
        pytest.param({"labels": {"app.kubernetes.io/managed-by": "helm"}}, None, id="of others"),
        pytest.param({"labels": None}, None, id="labels null"),
        pytest.param({"annotations": None}, None, id="no annotation"),
    ],
)
def test_a_clone_is_known_by_its_label_and_its_base(change: Any, base: tuple[str, str] | None) -> None:
    document = cloned()
    document["metadata"] |= change
    assert base_of(document) == base
    assert list(bases(document)) == ([base] if base else [])
    assert (taken_problem(document, upstreams(), "v1") == "") is (base is not None)


def test_the_base_is_no_clone_of_itself() -> None:
    assert base_of(BASE) is None
    assert base_of({}) is None
    assert version_of(BASE) == ""


def test_a_name_that_is_taken_says_by_whom_and_for_what_it_is_needed() -> None:
    assert taken_problem(cloned("v1"), upstreams(), "v2") == (
        "Upstream gloo-system/echo-v1 is needed for version v2, but is not Crossfade's clone of "
        "gloo-system/echo for it; delete it once nothing leads there, or rename it"
    )


@pytest.mark.parametrize(
    ("version", "name"),
    [("v1", "echo-v1"), ("1.2.3", "echo-1-2-3"), ("V2_rc.1", "echo-v2-rc-1"), ("a-b", "echo-a-b")],
)
def test_names_hold_what_kubernetes_and_envoys_statistics_can(version: str, name: str) -> None:
    assert name_with_version("echo", version) == name
    assert upstreams().upstream_of(version) == UpstreamRef(name=name, namespace="gloo-system")
    assert upstreams().cluster_of(version) == f"{name}_gloo-system"


def test_with_subsets_every_version_has_the_one_upstream_and_no_cluster() -> None:
    assert spec().upstream_of("v1") == spec().upstream
    assert spec().cluster_of("v1") == ""


def test_a_name_that_is_too_long_says_how_long_it_may_be() -> None:
    longest = UpstreamRef.model_construct(name="e" * 250 + "-v1", namespace="gloo-system")
    longer = UpstreamRef.model_construct(name="e" * 251 + "-v1", namespace="gloo-system")
    assert name_problem(longest, "v1", {}) == ""
    assert name_problem(longer, "v1", {}) == (
        f"version v1: the name of its Upstream would be {longer.name}, with 254 characters; at most 253 are "
        "allowed, so spec.upstream.name has to be shorter"
    )


def test_two_versions_of_one_name_are_told() -> None:
    ref = upstreams().upstream_of("1.2")
    shared = {("gloo-system", "echo-1-2"): "1-2"}
    assert name_problem(ref, "1-2", shared) == ""
    assert name_problem(ref, "1.2", shared) == (
        "versions 1-2 and 1.2 would share Upstream gloo-system/echo-1-2, since a name has only lower case "
        "letters, digits and '-'; give one of them another version label"
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [({"static": {"hosts": []}}, "static"), ({"consul": {}, "x": 1}, "consul"), ({}, "nothing")],
)
def test_only_an_upstream_of_pods_can_be_cloned(body: dict[str, Any], found: str) -> None:
    assert base_problem({"spec": body}, upstreams()) == (
        f"spec.upstream: Upstream gloo-system/echo: spec has {found}, but only an Upstream of pods "
        "(spec.kube) can be divided by the label version"
    )
    assert base_problem(BASE, upstreams()) == ""


def test_every_version_of_a_form_has_an_upstream_once() -> None:
    assert versions_in(Form("v1")) == ("v1",)
    assert versions_in(Form("v1", "v2", 10, prepared="v2")) == ("v1", "v2")
    assert versions_in(Form("v1", prepared="v2")) == ("v1", "v2")


@pytest.mark.parametrize(
    ("document", "home", "named"),
    [
        pytest.param({"upstream": {"name": "echo-v1", "namespace": "shop"}}, "x", True, id="in full"),
        pytest.param({"upstream": {"name": "echo-v1"}}, "shop", True, id="in its own namespace"),
        pytest.param({"upstream": {"name": "echo-v1"}}, "x", False, id="in another"),
        pytest.param({"upstream": {"name": "echo-v1", "namespace": "x"}}, "shop", False, id="elsewhere"),
        pytest.param([{"a": [{"b": {"name": "echo-v1"}}]}], "shop", True, id="anywhere below"),
        pytest.param({"name": "echo-v1", "matchers": []}, "shop", False, id="a route of that name"),
        pytest.param("echo-v1", "shop", False, id="a text"),
    ],
)
def test_any_reference_counts_and_nothing_else(document: object, home: str, named: bool) -> None:  # noqa: FBT001
    assert mentions(document, ("shop", "echo-v1"), home) is named
