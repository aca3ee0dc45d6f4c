"""The verbs, without HTTP around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import JSON, MERGE, STRATEGIC, Api, Deletion, Target
from sandbox.apiserver.documents import dig
from sandbox.apiserver.errors import ApiError


if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.apiserver.api import Write
    from sandbox.apiserver.documents import Json, Object


_OPTIONS = Options(manager="tester")
_STRICT = Options(manager="tester", validation="Strict")


def _target(api: Api, path: str, name: str = "", subresource: str = "") -> Target:
    group, _, plural = path.rpartition("/")
    group, version = group.split("/") if "/" in group else ("", group)
    resource = api.register.find(group, version, plural)
    assert resource is not None
    return Target(resource, "default" if resource.namespaced else "", name, subresource)


def _deployment(**spec: Json) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]},
            },
            **spec,
        },
    }


@pytest.fixture
def web(api: Api) -> Target:
    api.create(_target(api, "apps/v1/deployments"), _deployment(), _OPTIONS)
    return _target(api, "apps/v1/deployments", "web")


def _config_map(name: str = "settings", **metadata: Json) -> Object:
    return {"metadata": {"name": name, **metadata}, "data": {"a": "1"}}


@pytest.fixture
def settings(api: Api) -> Target:
    api.create(_target(api, "v1/configmaps"), _config_map(), _OPTIONS)
    return _target(api, "v1/configmaps", "settings")


def test_a_new_object_gets_what_only_the_server_gives(api: Api) -> None:
    target = _target(api, "v1/configmaps")
    found = api.create(target, _config_map(uid="mine", creationTimestamp="mine"), _OPTIONS)
    meta = found["metadata"]
    assert meta["namespace"] == "default"
    assert len(meta["uid"]) == 36
    assert meta["creationTimestamp"].startswith("2026-01-01T00:")
    assert meta["resourceVersion"] == str(api.store.version)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")


def test_a_generated_name_keeps_its_beginning_and_is_new_each_time(api: Api) -> None:
    target = _target(api, "v1/configmaps")
    body = {"metadata": {"generateName": "settings-"}}
    names = {api.create(target, body, _OPTIONS)["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("settings-") and len(name) == 14 for name in names)


def test_a_deployment_is_read_back_with_its_defaults(api: Api, web: Target) -> None:
    spec = api.get(web)["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert pod["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_generation_rises_with_the_spec_and_with_nothing_else(api: Api, web: Target) -> None:
    def generation(patch: Object, subresource: str = "") -> int:
        target = Target(web.resource, web.namespace, web.name, subresource)
        return int(api.patch(target, MERGE, patch, _OPTIONS)["metadata"]["generation"])

    assert generation({"metadata": {"labels": {"a": "b"}}}) == 1
    assert generation({"status": {"replicas": 1}}, "status") == 1
    assert generation({"spec": {"replicas": 2}}) == 2
    assert generation({"spec": {"replicas": 2}}) == 2


def test_status_is_written_through_its_own_path_only(api: Api, web: Target) -> None:
    status = Target(web.resource, web.namespace, web.name, "status")
    change = {"spec": {"replicas": 5}, "status": {"replicas": 3}}
    api.patch(web, MERGE, {"status": {"replicas": 7}}, _OPTIONS)
    assert dig(api.get(web), "status", "replicas") is None
    api.patch(status, MERGE, change, _OPTIONS)
    found = api.get(web)
    assert (found["spec"]["replicas"], found["status"]["replicas"]) == (1, 3)
    api.update(web, {**_deployment(), "status": {}}, _OPTIONS)
    assert api.get(web)["status"]["replicas"] == 3


def test_a_write_that_changes_nothing_is_none(api: Api, settings: Target, writes: list[Write]) -> None:
    before, version = len(writes), api.store.version
    api.patch(settings, MERGE, {"data": {"a": "1"}}, _OPTIONS)
    api.update(settings, api.get(settings), _OPTIONS)
    assert (len(writes), api.store.version) == (before, version)


def test_a_dry_run_answers_and_leaves_no_trace(api: Api, settings: Target, writes: list[Write]) -> None:
    before, version = len(writes), api.store.version
    dry = Options(manager="tester", dry_run=True)
    assert api.create(_target(api, "v1/configmaps"), _config_map("other"), dry)["metadata"]["uid"]
    assert api.patch(settings, MERGE, {"data": {"a": "2"}}, dry)["data"] == {"a": "2"}
    api.delete(settings, Deletion(), dry)
    assert api.get(settings)["data"] == {"a": "1"}
    assert (len(writes), api.store.version) == (before, version)


def test_each_write_is_told_with_who_made_it(api: Api, settings: Target, writes: list[Write]) -> None:
    api.patch(settings, MERGE, {"data": {"a": "2"}}, Options(manager="crossfade", user_agent="crossfade/1"))
    api.delete(settings, Deletion(), _OPTIONS)
    told = [
        (each.verb, each.target.name or each.object["metadata"]["name"], each.options.manager)
        for each in writes
    ]
    assert told == [
        ("create", "settings", "tester"),
        ("patch", "settings", "crossfade"),
        ("delete", "settings", "tester"),
    ]


def test_secrets_take_plain_text_and_keep_it_encoded(api: Api) -> None:
    body = {"metadata": {"name": "secret"}, "stringData": {"password": "abc"}}
    found = api.create(_target(api, "v1/secrets"), body, _OPTIONS)
    assert (found["data"], found["type"]) == ({"password": "YWJj"}, "Opaque")
    assert "stringData" not in found


def test_a_service_gets_an_address_that_stays(api: Api) -> None:
    body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    created = api.create(_target(api, "v1/services"), body, _OPTIONS)
    target = _target(api, "v1/services", "web")
    assert created["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert created["spec"]["clusterIP"].startswith("10.")
    patched = api.patch(target, MERGE, {"spec": {"selector": {"app": "web"}}}, _OPTIONS)
    assert patched["spec"]["clusterIP"] == created["spec"]["clusterIP"]
    with pytest.raises(ApiError, match="may not change once set"):
        api.patch(target, MERGE, {"spec": {"clusterIP": "10.0.0.1"}}, _OPTIONS)


def _refused(act: Callable[[], object], code: int, reason: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        act()
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert message in str(caught.value)


def test_conflicts(api: Api, settings: Target) -> None:
    stale = api.get(settings)
    api.patch(settings, MERGE, {"data": {"a": "2"}}, _OPTIONS)
    modified = 'Operation cannot be fulfilled on configmaps "settings": the object has been modified'
    _refused(lambda: api.update(settings, stale, _OPTIONS), 409, "Conflict", modified)
    guarded = {"metadata": {"resourceVersion": stale["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    _refused(lambda: api.patch(settings, MERGE, guarded, _OPTIONS), 409, "Conflict", modified)
    wrong = {"metadata": {"uid": "another"}}
    _refused(
        lambda: api.patch(settings, MERGE, wrong, _OPTIONS), 409, "Conflict", "UID in precondition: another"
    )
    version = stale["metadata"]["resourceVersion"]
    failed = "Precondition failed"
    stale_deletion, wrong_deletion = Deletion(version=version), Deletion(uid="another")
    _refused(lambda: api.delete(settings, stale_deletion, _OPTIONS), 409, "Conflict", failed)
    _refused(lambda: api.delete(settings, wrong_deletion, _OPTIONS), 409, "Conflict", failed)
    again = _config_map()
    target = _target(api, "v1/configmaps")
    _refused(lambda: api.create(target, again, _OPTIONS), 409, "AlreadyExists", '"settings" already exists')
    assert api.get(settings)["data"] == {"a": "2"}


def test_what_is_not_there(api: Api) -> None:
    target = _target(api, "apps/v1/deployments", "none")
    missing = 'deployments.apps "none" not found'
    _refused(lambda: api.get(target), 404, "NotFound", missing)
    _refused(lambda: api.patch(target, MERGE, {}, _OPTIONS), 404, "NotFound", missing)
    _refused(lambda: api.delete(target, Deletion(), _OPTIONS), 404, "NotFound", missing)
    elsewhere = Target(target.resource, "nowhere", "")
    _refused(lambda: api.create(elsewhere, _deployment(), _OPTIONS), 404, "NotFound", 'namespaces "nowhere"')


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param([], 400, "the request holds array", id="no object"),
        pytest.param({"kind": "Pod"}, 400, "this path serves Deployment in apps/v1", id="another kind"),
        pytest.param(
            _deployment(foo=1), 400, 'strict decoding error: unknown field "spec.foo"', id="unknown field"
        ),
        pytest.param(
            _deployment(replicas="two"),
            400,
            "cannot unmarshal string into field spec.replicas of type integer",
            id="wrong type",
        ),
        pytest.param({"metadata": {"name": "web"}}, 422, "spec.selector: Required value", id="nothing"),
        pytest.param(
            _deployment(selector={"matchLabels": {"app": "other"}}),
            422,
            "`selector` does not match template `labels`",
            id="selector",
        ),
        pytest.param(
            {**_deployment(), "metadata": {"name": "Web!"}},
            422,
            'metadata.name: Invalid value: "Web!": a lowercase RFC 1123 subdomain',
            id="name",
        ),
        pytest.param({**_deployment(), "metadata": {}}, 422, "metadata.name: Required value", id="no name"),
        pytest.param(
            {**_deployment(), "metadata": {"name": "web", "namespace": "other"}},
            400,
            "does not match the namespace sent on the request",
            id="another namespace",
        ),
        pytest.param(
            {**_deployment(), "metadata": {"name": "web", "resourceVersion": "1"}},
            400,
            "resourceVersion should not be set on objects to be created",
            id="a version",
        ),
        pytest.param(
            _deployment(replicas=-1), 422, "spec.replicas: Invalid value: -1: must be greater", id="replicas"
        ),
    ],
)
def test_a_deployment_that_is_wrong_is_refused(api: Api, body: Json, code: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        api.create(_target(api, "apps/v1/deployments"), body, _STRICT)
    assert caught.value.code == code
    assert message in str(caught.value)
    assert api.store.objects("apps", "deployments") == []


def test_the_fields_of_an_invalid_object_are_named_one_by_one(api: Api) -> None:
    body = _deployment()
    body["spec"]["template"]["spec"]["containers"] = [{"name": "a"}, {"name": "a", "image": "1"}]
    with pytest.raises(ApiError) as caught:
        api.create(_target(api, "apps/v1/deployments"), body, _OPTIONS)
    causes = [(each["field"], each["reason"]) for each in caught.value.details["causes"]]
    assert causes == [
        ("spec.template.spec.containers[0].image", "FieldValueRequired"),
        ("spec.template.spec.containers[1].name", "FieldValueDuplicate"),
    ]


def test_a_selector_is_immutable(api: Api, web: Target) -> None:
    change = _deployment(selector={"matchLabels": {"app": "web", "tier": "1"}})
    change["spec"]["template"]["metadata"]["labels"]["tier"] = "1"
    _refused(lambda: api.update(web, change, _OPTIONS), 422, "Invalid", "spec.selector: Invalid value")


def test_unknown_fields_are_dropped_unless_asked_to_be_strict(api: Api) -> None:
    found = api.create(_target(api, "apps/v1/deployments"), _deployment(foo=1), _OPTIONS)
    assert "foo" not in found["spec"]
    web = _target(api, "apps/v1/deployments", "web")
    patch = {"spec": {"bar": 1}}
    _refused(lambda: api.patch(web, MERGE, patch, _STRICT), 422, "Invalid", 'unknown field "spec.bar"')
    assert "bar" not in api.patch(web, MERGE, patch, _OPTIONS)["spec"]


def test_a_failed_test_operation_is_invalid_and_changes_nothing(api: Api, settings: Target) -> None:
    patch = [
        {"op": "replace", "path": "/data/a", "value": "2"},
        {"op": "test", "path": "/metadata/name", "value": "other"},
    ]
    with pytest.raises(ApiError) as caught:
        api.patch(settings, JSON, patch, _OPTIONS)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert str(caught.value) == "the server rejected our request due to an error in our request"
    assert caught.value.details == {}  # the real server keeps to itself which operation failed
    assert api.get(settings)["data"] == {"a": "1"}


def test_a_strategic_patch_merges_containers_by_name(api: Api, web: Target) -> None:
    container = {"name": "web", "env": [{"name": "A", "value": "1"}]}
    api.patch(web, STRATEGIC, {"spec": {"template": {"spec": {"containers": [container]}}}}, _OPTIONS)
    found = api.get(web)["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["image"], each["env"]) for each in found] == [
        ("web", "web:1", [{"name": "A", "value": "1"}])
    ]


def test_an_object_with_a_finalizer_goes_when_the_finalizer_does(api: Api, settings: Target) -> None:
    api.patch(settings, MERGE, {"metadata": {"finalizers": ["example.io/mine"]}}, _OPTIONS)
    found, gone = api.delete(settings, Deletion(), _OPTIONS)
    assert not gone
    assert found["metadata"]["deletionTimestamp"]
    added = {"metadata": {"finalizers": ["example.io/mine", "example.io/other"]}}
    _refused(lambda: api.patch(settings, MERGE, added, _OPTIONS), 422, "Invalid", "no new finalizers")
    assert api.delete(settings, Deletion(), _OPTIONS) == (api.get(settings), False)
    api.patch(settings, MERGE, {"metadata": {"finalizers": None}}, _OPTIONS)
    _refused(lambda: api.get(settings), 404, "NotFound", "not found")


def _pod(api: Api, **spec: Json) -> Target:
    body = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}], **spec}}
    api.create(_target(api, "v1/pods"), body, _OPTIONS)
    return _target(api, "v1/pods", "a")


def test_a_pod_on_a_node_gets_time_to_end(api: Api) -> None:
    target = _pod(api, nodeName="here", terminationGracePeriodSeconds=5)
    found, gone = api.delete(target, Deletion(), _OPTIONS)
    assert (gone, found["metadata"]["deletionGracePeriodSeconds"]) == (False, 5)
    status = Target(target.resource, target.namespace, target.name, "status")
    api.patch(status, MERGE, {"status": {"phase": "Running"}}, _OPTIONS)
    _, gone = api.delete(target, Deletion(grace_seconds=0), _OPTIONS)
    assert gone


def test_a_pod_on_no_node_goes_at_once(api: Api) -> None:
    assert api.delete(_pod(api), Deletion(), _OPTIONS)[1]


def test_a_pod_has_a_phase_from_the_beginning_and_an_immutable_spec(api: Api) -> None:
    target = _pod(api)
    assert api.get(target)["status"]["phase"] == "Pending"
    change = {"spec": {"containers": [{"name": "b", "image": "b"}]}}
    _refused(lambda: api.patch(target, MERGE, change, _OPTIONS), 422, "Invalid", "pod updates may not change")


def test_a_job_selects_its_own_pods(api: Api) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}
    body = {"metadata": {"name": "once"}, "spec": {"template": {"spec": pod}}}
    found = api.create(_target(api, "batch/v1/jobs"), body, _OPTIONS)
    selector = found["spec"]["selector"]["matchLabels"]
    assert selector == {"batch.kubernetes.io/controller-uid": found["metadata"]["uid"]}
    labels = found["spec"]["template"]["metadata"]["labels"]
    assert labels == {**selector, "batch.kubernetes.io/job-name": "once"}
    body["metadata"] = {"name": "twice"}
    pod["restartPolicy"] = "Always"
    target = _target(api, "batch/v1/jobs")
    _refused(
        lambda: api.create(target, body, _OPTIONS), 422, "Invalid", 'supported values: "OnFailure", "Never"'
    )


@pytest.mark.parametrize(
    ("kind", "address", "message"),
    [
        pytest.param("IPv4", "127.1.2.3", "may not be in the loopback range", id="loopback"),
        pytest.param("IPv4", "169.254.1.1", "may not be in the link-local range", id="link-local"),
        pytest.param("IPv4", "0.0.0.0", "may not be unspecified", id="unspecified"),  # noqa: S104  # no server
        pytest.param("IPv4", "web.shop", "must be a valid IP address", id="a name"),
        pytest.param("Morse", "web.shop", 'supported values: "IPv4", "IPv6", "FQDN"', id="type"),
        pytest.param("", "10.0.0.1", "addressType: Required value", id="no type"),
    ],
)
def test_slices_take_no_address_that_means_something_else_elsewhere(
    api: Api, kind: str, address: str, message: str
) -> None:
    target = _target(api, "discovery.k8s.io/v1/endpointslices")
    body = {"metadata": {"name": "web"}, "addressType": kind, "endpoints": [{"addresses": [address]}]}
    _refused(lambda: api.create(target, body, _OPTIONS), 422, "Invalid", message)


def test_slices_take_addresses_and_names(api: Api) -> None:
    for kind, address in (("IPv4", "10.1.2.3"), ("FQDN", "127-1-2-3.shop.pod.cluster.local")):
        target = _target(api, "discovery.k8s.io/v1/endpointslices", kind.lower())
        body = {
            "metadata": {"name": kind.lower()},
            "addressType": kind,
            "endpoints": [{"addresses": [address]}],
        }
        assert api.create(target, body, _OPTIONS)["endpoints"] == body["endpoints"]
        other = {**body, "addressType": "IPv6"}
        _refused(
            lambda: api.update(target, other, _OPTIONS),  # noqa: B023  # called at once
            422,
            "Invalid",
            "field is immutable",
        )


def test_leases_are_updated_from_the_version_that_was_read(api: Api) -> None:
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}}
    api.create(_target(api, "coordination.k8s.io/v1/leases"), lease, _OPTIONS)
    target = _target(api, "coordination.k8s.io/v1/leases", "leader")
    _refused(lambda: api.update(target, lease, _OPTIONS), 422, "Invalid", "must be specified for an update")
    held = api.get(target)
    held["spec"] = {"holderIdentity": "b"}
    assert api.update(target, held, _OPTIONS)["spec"]["holderIdentity"] == "b"


@pytest.mark.parametrize(
    ("metadata", "code", "message"),
    [
        pytest.param({"labels": {"a": "x y"}}, 422, 'metadata.labels: Invalid value: "x y"', id="label"),
        pytest.param({"labels": {"a": "x" * 64}}, 422, "at most 63", id="long label"),
        pytest.param({"labels": {"-a/b/c": "x"}}, 422, 'metadata.labels: Invalid value: "-a/b/c"', id="key"),
        pytest.param(
            {"labels": {"a": 1}}, 400, "integer into field metadata.labels.a of type string", id="type"
        ),
        pytest.param(
            {"ownerReferences": [{"kind": "Pod", "name": "a"}]},
            422,
            "metadata.ownerReferences[0].uid: Required value",
            id="owner",
        ),
    ],
)
def test_metadata_that_is_wrong_is_refused(api: Api, metadata: Object, code: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        api.create(_target(api, "v1/configmaps"), _config_map(**metadata), _OPTIONS)
    assert caught.value.code == code
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_some_namespaces_stay(api: Api, name: str) -> None:
    target = _target(api, "v1/namespaces", name)
    _refused(lambda: api.delete(target, Deletion(), _OPTIONS), 403, "Forbidden", "may not be deleted")
