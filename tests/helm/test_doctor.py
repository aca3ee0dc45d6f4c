"""The doctor asks for the rights that the chart grants, no more and no less, and by its account."""

from collections.abc import Callable, Sequence
from typing import Any

from controller.cli.doctor import CONTROLLER
from controller.doctor.rights import OF_APPLICATIONS, OF_GATEWAYS, Right


Document = dict[str, Any]
Render = Callable[..., list[Document]]


def test_the_rights_asked_about_are_those_that_the_chart_grants(render: Render) -> None:
    roles = {
        document["metadata"]["name"]: document for document in render() if document["kind"] == "ClusterRole"
    }
    assert granted(roles["crossfade-system:crossfade:applications"]) == texts(OF_APPLICATIONS)
    assert granted(roles["crossfade-system:crossfade:gateways"]) == texts(OF_GATEWAYS)


def test_the_account_asked_about_is_the_one_that_a_release_by_the_readme_runs_as(render: Render) -> None:
    (account,) = [document for document in render() if document["kind"] == "ServiceAccount"]
    assert f"system:serviceaccount:crossfade:{account['metadata']['name']}" == CONTROLLER


def granted(role: Document) -> set[str]:
    return texts(
        [
            Right(f"{name.partition('/')[0]}.{group}".strip("."), verb, name.partition("/")[2])
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for name in rule["resources"]
            for verb in rule["verbs"]
        ]
    )


def texts(rights: Sequence[Right]) -> set[str]:
    return {str(right) for right in rights}
