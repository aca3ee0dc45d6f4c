"""What roles allow, as Kubernetes' own authorizer would have it."""

from typing import Any

import pytest

from sandbox.apiserver.rbac import ADMIN, Policy, User, account, refusal
from sandbox.apiserver.requests import Call


Document = dict[str, Any]

ROBOT = account("shop", "robot")
SUBJECT = {"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}
RULE = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}


def call(verb: str, resource: str, namespace: str = "", name: str = "") -> Call:
    return Call(verb, resource, namespace, name, "test/1")


def role(*rules: Document, namespace: str = "") -> Document:
    kind = "Role" if namespace else "ClusterRole"
    return {"kind": kind, "metadata": _metadata("reader", namespace), "rules": list(rules)}


def binding(*subjects: Document, namespace: str = "", kind: str = "") -> Document:
    kind = kind or ("Role" if namespace else "ClusterRole")
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": _metadata("readers", namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "reader"},
        "subjects": list(subjects),
    }


def _metadata(name: str, namespace: str) -> Document:
    return {"name": name} | ({"namespace": namespace} if namespace else {})


def allowed(rule: Document, asked: Call) -> bool:
    return Policy.of([role(rule), binding(SUBJECT)]).judge(ROBOT, asked).allowed


@pytest.mark.parametrize(
    ("rule", "asked", "verdict"),
    [
        pytest.param({}, call("get", "deployments.apps", "shop", "web"), True, id="what it says"),
        pytest.param({}, call("list", "deployments.apps", "shop"), False, id="another verb"),
        pytest.param({}, call("get", "deployments", "shop", "web"), False, id="the core group"),
        pytest.param({}, call("get", "deployments.example.org", "shop", "web"), False, id="another group"),
        pytest.param({}, call("get", "replicasets.apps", "shop", "web"), False, id="another resource"),
        pytest.param({}, call("get", "deployments.apps/status", "shop", "web"), False, id="a subresource"),
        pytest.param({"verbs": ["*"]}, call("patch", "deployments.apps", "a"), True, id="any verb"),
        pytest.param({"apiGroups": ["*"]}, call("get", "deployments", "a"), True, id="any group"),
        pytest.param({"resources": ["*"]}, call("get", "a.apps", "a"), True, id="any resource"),
        pytest.param({"resources": ["*"]}, call("get", "a.apps/scale", "a"), True, id="any, and below"),
        pytest.param(
            {"resources": ["deployments/scale"]}, call("get", "deployments.apps/scale", "a"), True, id="below"
        ),
        pytest.param(
            {"resources": ["deployments/scale"]}, call("get", "deployments.apps", "a"), False, id="only below"
        ),
        pytest.param(
            {"resources": ["*/scale"]}, call("get", "deployments.apps/scale", "a"), True, id="below any"
        ),
        pytest.param(
            {"resources": ["*/scale"]}, call("get", "deployments.apps/status", "a"), False, id="below any, no"
        ),
        pytest.param(
            {"resourceNames": ["web"]}, call("get", "deployments.apps", "a", "web"), True, id="named"
        ),
        pytest.param(
            {"resourceNames": ["web"]},
            call("get", "deployments.apps", "a", "db"),
            False,
            id="named otherwise",
        ),
        pytest.param(
            {"resourceNames": ["web"], "verbs": ["create"]},
            call("create", "deployments.apps", "a"),
            False,
            id="no name is known when something is created",
        ),
        pytest.param(
            {"resourceNames": []}, call("get", "deployments.apps", "a", "web"), True, id="no names are all"
        ),
    ],
)
def test_a_rule_allows(rule: Document, asked: Call, *, verdict: bool) -> None:
    assert allowed({**RULE, **rule}, asked) is verdict


@pytest.mark.parametrize(
    ("subject", "verdict"),
    [
        (SUBJECT, True),
        ({**SUBJECT, "namespace": "other"}, False),
        ({**SUBJECT, "name": "other"}, False),
        ({"kind": "User", "name": "system:serviceaccount:shop:robot"}, True),
        ({"kind": "User", "name": "robot"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:shop"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:other"}, False),
        ({"kind": "Group", "name": "system:authenticated"}, True),
        ({"kind": "Robot", "name": "robot"}, False),
    ],
)
def test_a_binding_is_for(subject: Document, *, verdict: bool) -> None:
    policy = Policy.of([role(RULE), binding(subject)])
    assert policy.judge(ROBOT, call("get", "deployments.apps", "a")).allowed is verdict


HERE = {"namespace": "shop"}


@pytest.mark.parametrize(
    ("documents", "where"),
    [
        pytest.param([role(RULE), binding(SUBJECT)], {"shop", "other", ""}, id="ClusterRole, everywhere"),
        pytest.param(
            [role(RULE), binding(SUBJECT, kind="ClusterRole", **HERE)], {"shop"}, id="ClusterRole, here"
        ),
        pytest.param([role(RULE, **HERE), binding(SUBJECT, **HERE)], {"shop"}, id="Role"),
        pytest.param(
            [role(RULE, namespace="other"), binding(SUBJECT, **HERE)], set(), id="Role of elsewhere"
        ),
        pytest.param([role(RULE), binding(SUBJECT, **HERE)], set(), id="no such Role"),
        pytest.param([role(RULE)], set(), id="no binding"),
        pytest.param([binding(SUBJECT)], set(), id="no role"),
        pytest.param([role(), binding(SUBJECT)], set(), id="no rule"),
        pytest.param([role(RULE), binding()], set(), id="nobody"),
    ],
)
def test_rights_reach(documents: list[Document], where: set[str]) -> None:
    policy = Policy.of([*documents, {"kind": "ConfigMap", "metadata": {"name": "reader"}}])
    places = ("shop", "other", "")
    assert {
        each for each in places if policy.judge(ROBOT, call("list", "deployments.apps", each)).allowed
    } == set()
    assert {
        each for each in places if policy.judge(ROBOT, call("get", "deployments.apps", each)).allowed
    } == where


def test_a_subject_without_a_namespace_is_of_the_bindings_own() -> None:
    subject = {"kind": "ServiceAccount", "name": "robot"}
    asked = call("get", "deployments.apps", "shop")
    here = Policy.of([role(RULE, namespace="shop"), binding(subject, namespace="shop")])
    everywhere = Policy.of([role(RULE), binding(subject)])
    assert here.judge(ROBOT, asked).allowed
    assert not everywhere.judge(ROBOT, asked).allowed


def test_a_namespace_is_inside_of_itself() -> None:
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}
    policy = Policy.of([role(rule, namespace="shop"), binding(SUBJECT, namespace="shop")])
    assert policy.judge(ROBOT, call("get", "namespaces", "", "shop")).allowed
    assert not policy.judge(ROBOT, call("get", "namespaces", "", "other")).allowed
    assert not policy.judge(ROBOT, call("list", "namespaces")).allowed


def test_the_administrator_needs_no_role_and_everybody_may_ask_for_their_own_rights() -> None:
    nobody = User("nobody")
    asking = call("create", "selfsubjectaccessreviews.authorization.k8s.io")
    assert Policy().judge(ADMIN, call("delete", "secrets", "shop", "all")).allowed
    assert Policy().judge(nobody, asking).allowed
    assert not Policy().judge(nobody, call("create", "subjectaccessreviews.authorization.k8s.io")).allowed


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        (
            [role(RULE), binding(SUBJECT)],
            (
                'RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" '
                'to ServiceAccount "robot/shop"'
            ),
        ),
        (
            [role(RULE, **HERE), binding({"kind": "Group", "name": "system:authenticated"}, **HERE)],
            'RBAC: allowed by RoleBinding "readers/shop" of Role "reader" to Group "system:authenticated"',
        ),
        ([], ""),
        ([binding(SUBJECT)], 'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found'),
        (
            [binding(SUBJECT), binding(SUBJECT, **HERE)],
            (
                'RBAC: [clusterrole.rbac.authorization.k8s.io "reader" not found, '
                'role.rbac.authorization.k8s.io "reader" not found]'
            ),
        ),
    ],
)
def test_the_reason_names_the_binding_or_the_role_that_is_missing(
    documents: list[Document], reason: str
) -> None:
    asked = call("get", "deployments.apps", "shop", "web")
    assert Policy.of(documents).judge(ROBOT, asked).reason == reason


WHO = 'User "system:serviceaccount:shop:robot" cannot'


@pytest.mark.parametrize(
    ("asked", "message", "details"),
    [
        (
            call("get", "deployments.apps", "shop", "web"),
            (
                f'deployments.apps "web" is forbidden: {WHO} get resource "deployments" in API group "apps" '
                'in the namespace "shop"'
            ),
            {"name": "web", "group": "apps", "kind": "deployments"},
        ),
        (
            call("list", "pods"),
            f'pods is forbidden: {WHO} list resource "pods" in API group "" at the cluster scope',
            {"kind": "pods"},
        ),
        (
            call("update", "canaries.crossfade.dev/status", "shop", "web"),
            (
                f'canaries.crossfade.dev "web" is forbidden: {WHO} update resource "canaries/status" '
                'in API group "crossfade.dev" in the namespace "shop"'
            ),
            {"name": "web", "group": "crossfade.dev", "kind": "canaries"},
        ),
        (
            call("get", "namespaces", "", "shop"),
            (
                f'namespaces "shop" is forbidden: {WHO} get resource "namespaces" in API group "" '
                'in the namespace "shop"'
            ),
            {"name": "shop", "kind": "namespaces"},
        ),
    ],
)
def test_a_refusal_is_in_the_words_of_kubernetes(asked: Call, message: str, details: Document) -> None:
    error = refusal(ROBOT, asked, "")
    assert (error.code, error.reason, str(error), error.details) == (403, "Forbidden", message, details)
    assert str(refusal(ROBOT, asked, "RBAC: why")) == f"{message}: RBAC: why"
