"""Who may do what: Kubernetes' role-based access control, decided from the roles and bindings alone.

It follows the rules of Kubernetes' own authorizer. What is left out: aggregated ClusterRoles, rules about
URLs that are no resources, and the check that nobody grants more than they have.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from sandbox.apiserver.documents import Object, dig, name_of, namespace_of
from sandbox.apiserver.errors import ApiError


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sandbox.apiserver.requests import Call


GROUP = "rbac.authorization.k8s.io"
ACCOUNT = "system:serviceaccount:"  # what the name of a service account begins with
AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"

RoleKey: TypeAlias = tuple[str, str]  # namespace, "" for a ClusterRole; name

_BASIC = ("selfsubjectaccessreviews.authorization.k8s.io", "selfsubjectreviews.authentication.k8s.io")


@dataclass(frozen=True, slots=True)
class User:
    """Whoever makes a request."""

    name: str
    groups: tuple[str, ...] = ()


ADMIN = User("sandbox-admin", (MASTERS, AUTHENTICATED))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is allowed; ``reason`` is for people, and may be "" if it is not."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """All roles and bindings of a cluster; a binding of the whole cluster is under the namespace ""."""

    roles: dict[RoleKey, list[Object]] = field(default_factory=dict)
    bindings: dict[str, list[Object]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Object]) -> Policy:
        """Read the roles and bindings among these objects; others are passed over."""
        roles: dict[RoleKey, list[Object]] = {}
        bindings: dict[str, list[Object]] = defaultdict(list)
        for each in documents:
            match each["kind"]:
                case "Role" | "ClusterRole":
                    roles[namespace_of(each), name_of(each)] = each.get("rules") or []
                case "RoleBinding" | "ClusterRoleBinding":
                    bindings[namespace_of(each)].append(each)
                case _:
                    pass
        return cls(roles, dict(bindings))

    def judge(self, user: User, call: Call) -> Verdict:
        """Tell whether a user may make a request, and by which binding."""
        if MASTERS in user.groups or (call.verb == "create" and call.resource in _BASIC):
            return Verdict(allowed=True)
        call = _located(call)
        missing = []
        for binding, subject in self._bound(user, call.namespace):
            key = _role_key(binding)
            if key not in self.roles:
                missing.append(f'{binding["roleRef"]["kind"].lower()}.{GROUP} "{key[1]}" not found')
            elif any(_covers(rule, call) for rule in self.roles[key]):
                return Verdict(allowed=True, reason=f"RBAC: allowed by {_described(binding, subject)}")
        return Verdict(allowed=False, reason=_dangling(missing))

    def _bound(self, user: User, namespace: str) -> Iterator[tuple[Object, Object]]:
        for place in ("", namespace) if namespace else ("",):
            for binding in self.bindings.get(place, ()):
                for subject in binding.get("subjects") or ():
                    if _is(user, subject, place):
                        yield binding, subject
                        break


def account(namespace: str, name: str) -> User:
    """Return the user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"{ACCOUNT}{namespace}:{name}", groups)


def refusal(user: User, call: Call, reason: str) -> ApiError:
    """Return the answer to a request that is not allowed, in Kubernetes' words."""
    call = _located(call)
    resource, group, subresource = _parts(call)
    combined = f"{resource}/{subresource}" if subresource else resource
    where = f'in the namespace "{call.namespace}"' if call.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {call.verb} resource "{combined}" in API group "{group}" {where}'
    qualified = f"{resource}.{group}" if group else resource
    about = f'{qualified} "{call.name}"' if call.name else qualified
    details = {"name": call.name, "group": group, "kind": resource}
    message = f"{about} is forbidden: {why}" + (f": {reason}" if reason else "")
    return ApiError(403, "Forbidden", message, {key: each for key, each in details.items() if each})


def _located(call: Call) -> Call:
    """Let a request about one namespace be one inside of it, as Kubernetes has it."""
    about_one = call.resource.partition("/")[0] == "namespaces" and call.name and not call.namespace
    return replace(call, namespace=call.name) if about_one else call


def _parts(call: Call) -> tuple[str, str, str]:
    """Return resource, group and subresource."""
    qualified, _, subresource = call.resource.partition("/")
    resource, _, group = qualified.partition(".")
    return resource, group, subresource


def _covers(rule: Object, call: Call) -> bool:
    resource, group, subresource = _parts(call)
    combined = f"{resource}/{subresource}" if subresource else resource
    resources = ("*", combined, f"*/{subresource}") if subresource else ("*", combined)
    names = rule.get("resourceNames")
    return (
        _any(rule.get("verbs"), ("*", call.verb))
        and _any(rule.get("apiGroups"), ("*", group))
        and _any(rule.get("resources"), resources)
        and (not names or call.name in names)
    )


def _any(granted: Sequence[str] | None, wanted: Sequence[str]) -> bool:
    return any(each in wanted for each in granted or ())


def _role_key(binding: Object) -> RoleKey:
    reference = binding["roleRef"]
    return namespace_of(binding) if reference["kind"] == "Role" else "", reference["name"]


def _dangling(missing: Sequence[str]) -> str:
    """Say that roles are bound which do not exist, "" if there are none."""
    if not missing:
        return ""
    return f"RBAC: {missing[0]}" if len(missing) == 1 else f"RBAC: [{', '.join(missing)}]"


def _is(user: User, subject: Object, place: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            namespace = subject.get("namespace") or place
            return bool(namespace) and user.name == f"{ACCOUNT}{namespace}:{subject['name']}"
        case _:
            return False


def _described(binding: Object, subject: Object) -> str:
    namespace = namespace_of(binding)
    name = f"{name_of(binding)}/{namespace}" if namespace else name_of(binding)
    reference = binding["roleRef"]
    whom = subject["name"]
    if subject["kind"] == "ServiceAccount":
        whom += f"/{dig(subject, 'namespace') or namespace}"
    role = f'{reference["kind"]} "{reference["name"]}"'
    return f'{binding["kind"]} "{name}" of {role} to {subject["kind"]} "{whom}"'
