from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.apiserver import fieldsets
from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import APPLY, MERGE, Api, Target
from sandbox.apiserver.errors import ApiError


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Json, Object


def _web(api: Api, subresource: str = "") -> Target:
    resource = api.register.find("apps", "v1", "deployments")
    assert resource is not None
    return Target(resource, "default", "web", subresource)


def _deployment(image: str = "web:1", **spec: Json) -> Object:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def _only(**spec: Json) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def _apply(api: Api, body: Object, manager: str, *, force: bool = False, subresource: str = "") -> Object:
    return api.patch(_web(api, subresource), APPLY, body, Options(manager=manager, force=force))


def _owned(found: Object, manager: str) -> set[str]:
    return {
        fieldsets.dotted(path)
        for entry in found["metadata"]["managedFields"]
        if entry["manager"] == manager
        for path in fieldsets.decode(entry["fieldsV1"])
    }


def test_apply_creates_what_is_not_there_and_owns_what_was_sent(api: Api) -> None:
    found = _apply(api, _deployment(replicas=2), "one")
    image = '.spec.template.spec.containers[name="web"].image'
    assert {".spec.replicas", image} < _owned(found, "one")
    assert ".spec.revisionHistoryLimit" not in _owned(found, "one")
    (entry,) = found["metadata"]["managedFields"]
    assert (entry["operation"], entry["apiVersion"], entry["fieldsType"]) == ("Apply", "apps/v1", "FieldsV1")


def test_applying_the_same_again_changes_nothing(api: Api) -> None:
    first = _apply(api, _deployment(), "one")
    assert _apply(api, _deployment(), "one") == first


def test_what_is_no_longer_applied_goes_unless_someone_else_owns_it(api: Api) -> None:
    _apply(api, _deployment(paused=True, minReadySeconds=7), "one")
    _apply(api, _only(minReadySeconds=7), "two")
    found = _apply(api, _deployment(), "one")
    assert "paused" not in found["spec"]
    assert found["spec"]["minReadySeconds"] == 7


def test_an_item_that_is_no_longer_applied_goes_and_others_stay(api: Api) -> None:
    body = _deployment()
    containers = body["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "side", "image": "side:1"})
    _apply(api, body, "one")
    containers.pop()
    found = _apply(api, body, "one")
    assert [each["name"] for each in found["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_another_value_for_what_someone_else_owns_is_a_conflict(api: Api) -> None:
    _apply(api, _deployment(replicas=2), "one")
    with pytest.raises(ApiError) as caught:
        _apply(api, _only(replicas=3), "two")
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")
    assert (
        str(caught.value) == 'Apply failed with 1 conflict: conflict with "one" using apps/v1: .spec.replicas'
    )
    (cause,) = caught.value.details["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.replicas")
    assert api.get(_web(api))["spec"]["replicas"] == 2


def test_the_same_value_is_shared(api: Api) -> None:
    _apply(api, _deployment(replicas=2), "one")
    found = _apply(api, _only(replicas=2), "two")
    assert ".spec.replicas" in _owned(found, "one") & _owned(found, "two")


def test_force_takes_the_field_over(api: Api) -> None:
    _apply(api, _deployment(replicas=2), "one")
    found = _apply(api, _only(replicas=3), "two", force=True)
    assert found["spec"]["replicas"] == 3
    assert ".spec.replicas" not in _owned(found, "one")
    assert _owned(found, "two") == {".spec.replicas"}


def test_an_update_owns_what_it_changed_and_takes_it_from_others(api: Api) -> None:
    _apply(api, _deployment(replicas=2), "one")
    found = api.patch(_web(api), MERGE, {"spec": {"replicas": 4}}, Options(manager="crossfade"))
    assert _owned(found, "crossfade") == {".spec.replicas"}
    assert ".spec.replicas" not in _owned(found, "one")
    with pytest.raises(ApiError, match='conflict with "crossfade"'):
        _apply(api, _deployment(replicas=2), "one")


def test_a_status_write_is_an_entry_of_its_own(api: Api) -> None:
    _apply(api, _deployment(), "one")
    found = api.patch(_web(api, "status"), MERGE, {"status": {"replicas": 1}}, Options(manager="kubelet"))
    entry = found["metadata"]["managedFields"][-1]
    assert (entry["manager"], entry["subresource"]) == ("kubelet", "status")
    assert _owned(found, "kubelet") == {".status.replicas"}


def test_apply_to_the_status_path_leaves_the_rest_alone(api: Api) -> None:
    _apply(api, _deployment(), "one")
    body = _only(replicas=9) | {"status": {"replicas": 1}}
    found = _apply(api, body, "kubelet", subresource="status")
    assert (found["spec"]["replicas"], found["status"]["replicas"]) == (1, 1)
    assert _owned(found, "kubelet") == {".status.replicas"}


def test_managed_fields_can_be_rewritten_as_kubectl_does_when_it_takes_over(api: Api) -> None:
    api.create(_web(api), _deployment(), Options(manager="kubectl-client-side-apply"))
    (entry,) = api.get(_web(api))["metadata"]["managedFields"]
    entry = {**entry, "manager": "kubectl", "operation": "Apply"}
    api.patch(_web(api), MERGE, {"metadata": {"managedFields": [entry]}}, Options(manager="kubectl"))
    found = _apply(api, _deployment("web:2"), "kubectl")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"


def test_nulls_in_what_is_applied_say_nothing(api: Api) -> None:
    body = _deployment(replicas=None)
    body["metadata"]["creationTimestamp"] = None
    found = _apply(api, body, "one")
    assert found["spec"]["replicas"] == 1
    assert ".spec.replicas" not in _owned(found, "one")


def test_a_wrong_type_is_refused_before_it_is_merged(api: Api) -> None:
    body = _deployment()
    body["spec"]["template"]["spec"]["containers"] = ["web"]
    with pytest.raises(
        ApiError, match=r"cannot unmarshal string into field spec\.template\.spec\.containers"
    ):
        _apply(api, body, "one")


def test_the_status_of_what_is_not_there_cannot_be_applied(api: Api) -> None:
    with pytest.raises(ApiError, match=r'deployments\.apps "web" not found'):
        _apply(api, _only(), "one", subresource="status")


def test_managed_fields_cannot_be_applied(api: Api) -> None:
    body = _deployment()
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    with pytest.raises(ApiError, match="managedFields must be nil"):
        _apply(api, body, "one")


_steps = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])


@settings(deadline=None)
@given(paths=st.sets(st.lists(_steps, min_size=1, max_size=4).map(tuple), max_size=8))
def test_a_set_of_fields_survives_its_notation(paths: set[fieldsets.Path]) -> None:
    assert set(fieldsets.decode(fieldsets.encode(paths))) == paths
