"""Authorization over HTTP: who is who, who may do what, and what kubectl makes of it."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.apiserver.testing import ApiServer


Document = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("guarded"), "--authorization", "rbac") as server:
        yield server


class Robot:
    """A service account in a namespace of its own, without rights."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.namespace = f"robots-{next(_numbers)}"
        self.name = f"system:serviceaccount:{self.namespace}:robot"
        self.path = f"/api/v1/namespaces/{self.namespace}"
        self.roles = f"{RBAC}/namespaces/{self.namespace}"
        self.admin("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.admin("POST", f"{self.path}/serviceaccounts", {"metadata": {"name": "robot"}})

    def admin(self, method: str, path: str, body: Document | None = None) -> Document:
        """Make a request as the administrator, who may do everything."""
        code, found = self._server.request(method, path, body)
        assert code in (200, 201), found
        return dict(found)

    def ask(
        self, method: str, path: str, body: Document | None = None, **headers: str
    ) -> tuple[int, Document]:
        """Make a request as this account."""
        code, found = self._server.request(method, path, body, Authorization=f"Bearer {self.name}", **headers)
        return code, dict(found)

    def grant(self, resource: str, *verbs: str, group: str = "", **more: Any) -> None:
        """Let it do this in its namespace."""
        name = f"some:{next(_numbers)}"
        rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **more}
        self.admin("POST", f"{self.roles}/roles", {"metadata": {"name": name}, "rules": [rule]})
        subject = {"kind": "ServiceAccount", "name": "robot", "namespace": self.namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        self.admin("POST", f"{self.roles}/rolebindings", binding)


@pytest.fixture
def robot(guarded: ApiServer) -> Robot:
    return Robot(guarded)


def test_a_right_counts_from_its_grant_to_its_end(robot: Robot) -> None:
    code, found = robot.ask("GET", f"{robot.path}/pods")
    assert (code, found) == (
        403,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": (
                f'pods is forbidden: User "{robot.name}" cannot list resource "pods" in API group "" '
                f'in the namespace "{robot.namespace}"'
            ),
            "reason": "Forbidden",
            "code": 403,
            "details": {"kind": "pods"},
        },
    )
    robot.grant("pods", "list")
    assert robot.ask("GET", f"{robot.path}/pods")[0] == 200
    assert robot.ask("GET", f"{robot.path}/pods?watch=1")[0] == 403
    assert robot.ask("GET", "/api/v1/pods")[0] == 403
    assert robot.ask("GET", "/api/v1/namespaces/default/pods")[0] == 403
    (binding,) = robot.admin("GET", f"{robot.roles}/rolebindings")["items"]
    robot.admin("DELETE", f"{robot.roles}/rolebindings/{binding['metadata']['name']}")
    assert robot.ask("GET", f"{robot.path}/pods")[0] == 403


@pytest.mark.parametrize("account", ["system:serviceaccount:{}:nobody", "robot", "system:serviceaccount:"])
def test_who_is_not_known_gets_nowhere(guarded: ApiServer, robot: Robot, account: str) -> None:
    token = account.format(robot.namespace)
    code, found = guarded.request("GET", "/api/v1/namespaces", Authorization=f"Bearer {token}")
    assert (code, found["reason"], found["message"]) == (401, "Unauthorized", "Unauthorized")
    assert guarded.request("GET", "/api/v1/namespaces", Authorization="Basic cm9ib3Q6")[0] == 401


def test_a_list_of_one_object_needs_the_right_to_that_one(robot: Robot) -> None:
    robot.grant("configmaps", "list", "get", resourceNames=["stop"])
    assert robot.ask("GET", f"{robot.path}/configmaps?fieldSelector=metadata.name%3Dstop")[0] == 200
    assert robot.ask("GET", f"{robot.path}/configmaps?fieldSelector=metadata.name%3Dgo")[0] == 403
    assert robot.ask("GET", f"{robot.path}/configmaps")[0] == 403
    assert robot.ask("GET", f"{robot.path}/configmaps/stop")[0] == 404
    assert robot.ask("GET", f"{robot.path}/configmaps/go")[0] == 403


def test_applying_what_is_not_there_takes_the_right_to_create_it(robot: Robot) -> None:
    def apply() -> int:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}
        path = f"{robot.path}/configmaps/a?fieldManager=robot"
        return robot.ask("PATCH", path, body, Content_Type="application/apply-patch+yaml")[0]

    robot.grant("configmaps", "patch")
    assert apply() == 403
    robot.grant("configmaps", "create")
    assert apply() == 201


def test_paths_that_are_no_resources_are_open(robot: Robot) -> None:
    for path in ("/api", "/apis", "/apis/apps/v1", "/version"):
        assert robot.ask("GET", path)[0] == 200, path


def test_impersonating_takes_a_right_of_its_own(robot: Robot, guarded: ApiServer) -> None:
    other = Robot(guarded)
    other.grant("pods", "list")
    path = f"{other.path}/pods"
    assert guarded.request("GET", path, Impersonate_User=other.name)[0] == 200
    assert guarded.request("GET", path, Impersonate_User="ada")[0] == 403
    assert guarded.request("GET", path, Impersonate_User="ada", Impersonate_Group="system:masters")[0] == 200
    code, found = robot.ask("GET", path, Impersonate_User=other.name)
    assert (code, found["message"]) == (
        403,
        (
            f'serviceaccounts "robot" is forbidden: User "{robot.name}" cannot impersonate resource '
            f'"serviceaccounts" in API group "" in the namespace "{other.namespace}"'
        ),
    )


def test_reviews_are_answered_from_the_same_rights(robot: Robot, guarded: ApiServer) -> None:
    robot.grant("deployments", "patch", group="apps")
    what = {"group": "apps", "resource": "deployments", "verb": "patch", "namespace": robot.namespace}

    def own(**changes: str) -> Document:
        spec = {"resourceAttributes": what | changes}
        code, found = robot.ask("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": spec})
        assert code == 201
        return dict(found["status"])

    assert own()["allowed"] is True
    assert own()["reason"].startswith('RBAC: allowed by RoleBinding "some:')
    assert own(verb="delete") == own(namespace="default") == own(subresource="scale") == {"allowed": False}
    asked = {"spec": {"resourceAttributes": what, "user": robot.name}}
    assert robot.ask("POST", f"{REVIEWS}/subjectaccessreviews", asked)[0] == 403
    code, found = guarded.request("POST", f"{REVIEWS}/subjectaccessreviews", asked)
    assert (code, found["status"]["allowed"]) == (201, True)
    code, found = robot.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert found["status"]["userInfo"]["username"] == robot.name
    can = ("auth", "can-i", "--namespace", robot.namespace, f"--as={robot.name}")
    assert guarded.kubectl(*can, "patch", "deployments").stdout == "yes\n"
    assert guarded.kubectl(*can, "delete", "deployments").stdout == "no\n"


def test_every_request_is_on_record_with_its_verdict(robot: Robot) -> None:
    robot.admin("DELETE", "/sandbox/authorizations")
    robot.grant("pods", "get")
    for name in ("a", "a", "b"):
        robot.ask("GET", f"{robot.path}/pods/{name}", User_Agent="test/1")
    robot.ask("DELETE", f"{robot.path}/pods/a", User_Agent="test/1")
    found = robot.admin("GET", "/sandbox/authorizations")["authorizations"]
    ours = [each for each in found if each["user"] == robot.name]
    assert [(each["verb"], each["name"], each["allowed"], each["count"]) for each in ours] == [
        ("get", "a", True, 2),
        ("get", "b", True, 1),
        ("delete", "a", False, 1),
    ]
    assert {(each["resource"], each["namespace"], each["userAgent"]) for each in ours} == {
        ("pods", robot.namespace, "test/1")
    }
    assert {each["user"] for each in found} == {robot.name, "sandbox-admin"}


def test_without_authorization_everybody_is_the_administrator(server: ApiServer, namespace: str) -> None:
    token = f"Bearer system:serviceaccount:{namespace}:nobody"
    assert server.request("GET", "/api/v1/secrets", Authorization=token)[0] == 200
    assert server.request("GET", "/sandbox/authorizations")[0] == 404


REFERENCE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a:b"}
SUBJECT = {"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


@pytest.mark.parametrize(
    ("plural", "changes", "message"),
    [
        ("roles", {"rules": [{**RULE, "verbs": []}]}, "rules[0].verbs: Required value"),
        ("roles", {"rules": [{**RULE, "apiGroups": []}]}, "rules[0].apiGroups: Required value"),
        ("roles", {"rules": [{**RULE, "resources": []}]}, "rules[0].resources: Required value"),
        (
            "roles",
            {"rules": [{**RULE, "nonResourceURLs": ["/a"]}]},
            "namespaced rules cannot apply to non-resource URLs",
        ),
        (
            "roles",
            {"metadata": {"name": "a%b"}},
            "metadata.name: Invalid value: \"a%b\": may not contain '%'",
        ),
        ("rolebindings", {"roleRef": {**REFERENCE, "kind": "User"}}, "roleRef.kind: Unsupported value"),
        ("rolebindings", {"roleRef": {**REFERENCE, "apiGroup": "a"}}, "roleRef.apiGroup: Unsupported value"),
        ("rolebindings", {"roleRef": {**REFERENCE, "name": ""}}, "roleRef.name: Required value"),
        (
            "rolebindings",
            {"subjects": [{**SUBJECT, "namespace": ""}]},
            "subjects[0].namespace: Required value",
        ),
        ("rolebindings", {"subjects": [{**SUBJECT, "kind": "Robot"}]}, "subjects[0].kind: Unsupported value"),
        ("rolebindings", {"subjects": [{**SUBJECT, "name": ""}]}, "subjects[0].name: Required value"),
        (
            "rolebindings",
            {"subjects": [{**SUBJECT, "apiGroup": "a"}]},
            "subjects[0].apiGroup: Unsupported value",
        ),
    ],
)
def test_a_role_or_binding_that_is_wrong_is_refused(
    server: ApiServer, namespace: str, plural: str, changes: Document, message: str
) -> None:
    right: Document = {"metadata": {"name": "a:b"}}
    right |= {"rules": [RULE]} if plural == "roles" else {"roleRef": REFERENCE, "subjects": [SUBJECT]}
    path = f"{RBAC}/namespaces/{namespace}/{plural}"
    code, found = server.request("POST", path, {**right, **changes})
    assert (code, message in found["message"]) == (422, True), found
    assert server.request("POST", path, right)[0] == 201


def test_a_binding_stays_with_its_role_and_knows_its_groups(server: ApiServer, namespace: str) -> None:
    path = f"{RBAC}/namespaces/{namespace}/rolebindings"
    ada = {"kind": "User", "name": "ada"}
    reference = {"kind": "Role", "name": "one"}
    body = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [ada, SUBJECT]}
    code, found = server.request("POST", path, body)
    assert code == 201
    group = REFERENCE["apiGroup"]
    assert found["roleRef"] == {**reference, "apiGroup": group}
    assert found["subjects"] == [{**ada, "apiGroup": group}, SUBJECT]
    other = {**found, "roleRef": {**found["roleRef"], "name": "other"}}
    code, refused = server.request("PUT", f"{path}/b", other)
    assert code == 422
    assert "cannot change roleRef" in refused["message"]


def test_kubectl_lists_roles_and_what_binds_them(robot: Robot, guarded: ApiServer) -> None:
    robot.grant("pods", "get")
    (role,) = robot.admin("GET", f"{robot.roles}/roles")["items"]
    name = role["metadata"]["name"]
    roles = guarded.kubectl("get", "roles", "-n", robot.namespace).stdout.split()
    assert roles == ["NAME", "CREATED", "AT", name, role["metadata"]["creationTimestamp"]]
    bindings = guarded.kubectl("get", "rolebindings", "-n", robot.namespace).stdout.split()
    assert bindings[:5] == ["NAME", "ROLE", "AGE", name, f"Role/{name}"]
