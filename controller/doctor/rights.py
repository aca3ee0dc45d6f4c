"""Who may do what: rights that the controller needs, those of whoever types, and rules that grant them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from controller.doctor.finding import Apply, Finding, Json, Severity


class Right(NamedTuple):
    """One verb on one kind of object."""

    resource: str
    """`canaries.crossfade.dev`; of the core group without a dot."""
    verb: str
    subresource: str = ""

    @property
    def group(self) -> str:
        """Give the API group; empty for the core group."""
        return self.resource.partition(".")[2]

    @property
    def plural(self) -> str:
        """Give the name as rules have it: `canaries/status`."""
        name = self.resource.partition(".")[0]
        return f"{name}/{self.subresource}" if self.subresource else name

    def __str__(self) -> str:
        """Show as `update canaries.crossfade.dev/status`."""
        return f"{self.verb} {self.resource}" + (f"/{self.subresource}" if self.subresource else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said about one right."""

    right: Right
    namespace: str
    """Empty: in all namespaces."""
    allowed: bool | None
    """None: it was not said."""
    why: str = ""
    """It was not said because of this."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody whose rights are asked about."""

    name: str
    """As the API server knows them: `system:serviceaccount:crossfade:crossfade`."""
    is_controller: bool
    answers: tuple[Answer, ...] = ()
    unasked: str = ""
    """Why nothing was asked; empty if something was."""


def _rights(table: Mapping[str, str]) -> tuple[Right, ...]:
    found = []
    for resource, verbs in table.items():
        name, _, subresource = resource.partition("/")
        found += [Right(name, verb, subresource) for verb in verbs.split()]
    return tuple(found)


OF_APPLICATIONS = _rights(
    {
        "canaries.crossfade.dev": "get list watch patch",
        "canaries.crossfade.dev/status": "update",
        "metrictemplates.crossfade.dev": "list watch",
        "deployments.apps": "list watch patch delete",
        "configmaps": "get create update patch",
        "events": "create",
    }
)
"""The controller's, where Canaries are."""
OF_GATEWAYS = _rights(
    {
        "virtualservices.gateway.solo.io": "get list watch patch",
        "routetables.gateway.solo.io": "get list watch patch",
        "upstreamgroups.gloo.solo.io": "get list watch patch",
        "upstreams.gloo.solo.io": "get list watch create patch delete",
    }
)
"""The controller's, everywhere."""
OF_PEOPLE = _rights({"canaries.crossfade.dev": "get list watch patch", "configmaps": "get"})
"""Of those who follow rollouts and give orders."""


def check_account(account: Account) -> Iterator[Finding]:
    """Judge one account by the answers."""
    check = "controller-rights" if account.is_controller else "caller-rights"
    about = f"{'the controller' if account.is_controller else 'you'}, {account.name}"
    if account.unasked:
        yield Finding(check, Severity.NOTE, about, f"rights are not known: {account.unasked}")
        return
    unknown = [each for each in account.answers if each.allowed is None]
    missing = [each for each in account.answers if each.allowed is False]
    if unknown:
        first = unknown[0]
        yield Finding(
            check,
            Severity.NOTE,
            about,
            f"{len(unknown)} of {len(account.answers)} rights are not known ({first.why}); somebody who may "
            f"ask can: kubectl auth can-i {first.right} --as={account.name}"
            + (f" -n {first.namespace}" if first.namespace else " -A"),
        )
    for namespace in dict.fromkeys(each.namespace for each in missing):
        rights = [each.right for each in missing if each.namespace == namespace]
        where = f"in namespace {namespace}" if namespace else "in all namespaces"
        yield Finding(
            check,
            Severity.PROBLEM if account.is_controller else Severity.WARNING,
            about,
            f"may not {_listed(rights)} {where}; {_why(account)}",
            Apply(granting(account.name, namespace, rights)),
            "it takes somebody who holds these rights to grant them",
        )
    if not missing and not unknown:
        yield Finding(check, Severity.OK, about, f"holds all {len(account.answers)} rights asked about")


def granting(account: str, namespace: str, rights: Sequence[Right]) -> tuple[Json, Json]:
    """Give a role with exactly these rights, and its binding to the account; without namespace for all."""
    kind = "Role" if namespace else "ClusterRole"
    whose = account.rpartition(":")[2]
    metadata: dict[str, str] = {"name": f"crossfade:doctor:{whose}"}
    if namespace:
        metadata["namespace"] = namespace
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.plural), []).append(right.verb)
    rules = [
        {"apiGroups": [group], "resources": [plural], "verbs": found}
        for (group, plural), found in verbs.items()
    ]
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
        "subjects": [_subject(account)],
    }
    return role, binding


SERVICE_ACCOUNT = "system:serviceaccount:"


def _subject(account: str) -> dict[str, str]:
    if account.startswith(SERVICE_ACCOUNT):
        namespace, _, name = account.removeprefix(SERVICE_ACCOUNT).partition(":")
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": account}


def _listed(rights: Sequence[Right]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in rights:
        what = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
        verbs.setdefault(what, []).append(right.verb)
    return "; nor ".join(f"{', '.join(found)} {what}" for what, found in verbs.items())


def _why(account: Account) -> str:
    if account.is_controller:
        return "it would stall the Canaries concerned; the chart grants this"
    return "following rollouts and giving orders needs it"
