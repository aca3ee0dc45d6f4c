"""What is said of rights: granted, missing, and not known."""

import pytest

from clinic import Clinic, wrong
from controller.cli.visit import REVIEWS, SERVICE_ACCOUNTS
from controller.doctor.finding import Apply, Severity
from controller.doctor.rights import (
    OF_APPLICATIONS,
    OF_GATEWAYS,
    OF_PEOPLE,
    Account,
    Answer,
    Right,
    check_account,
    granting,
)


ROBOT = "system:serviceaccount:crossfade:crossfade"
PATCH = Right("virtualservices.gateway.solo.io", "patch")
UPDATE = Right("canaries.crossfade.dev", "update", "status")
READ = Right("configmaps", "get")


def test_rights_are_written_as_rules_have_them() -> None:
    assert (str(UPDATE), UPDATE.group, UPDATE.plural) == (
        "update canaries.crossfade.dev/status", "crossfade.dev", "canaries/status"
    )  # fmt: skip
    assert (str(READ), READ.group, READ.plural) == ("get configmaps", "", "configmaps")


def test_of_the_controller_a_missing_right_is_a_problem_and_of_people_a_warning() -> None:
    answers = (Answer(PATCH, "", allowed=False), Answer(READ, "", allowed=True))
    (robot,) = check_account(Account(ROBOT, is_controller=True, answers=answers))
    (person,) = check_account(Account("jane", is_controller=False, answers=answers))
    assert (robot.check, robot.severity) == ("controller-rights", Severity.PROBLEM)
    assert (person.check, person.severity) == ("caller-rights", Severity.WARNING)
    assert "may not patch virtualservices.gateway.solo.io in all namespaces" in robot.words


def test_what_is_missing_is_granted_per_namespace_and_nothing_more() -> None:
    answers = tuple(
        Answer(right, namespace, allowed=right is READ)
        for namespace in ("shop", "bank")
        for right in (UPDATE, READ)
    )
    found = list(check_account(Account(ROBOT, is_controller=True, answers=answers)))
    assert ["in namespace shop" in each.words for each in found] == [True, False]
    fix = found[0].fix
    assert isinstance(fix, Apply)
    role, binding = fix.documents
    assert role == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "crossfade:doctor:crossfade", "namespace": "shop"},
        "rules": [{"apiGroups": ["crossfade.dev"], "resources": ["canaries/status"], "verbs": ["update"]}],
    }
    assert binding["roleRef"]["kind"] == "Role"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "crossfade", "namespace": "crossfade"}]


def test_a_person_is_bound_as_a_user_and_everywhere_takes_a_cluster_role() -> None:
    role, binding = granting("jane", "", [PATCH, Right(PATCH.resource, "list")])
    assert (role["kind"], role["metadata"]) == ("ClusterRole", {"name": "crossfade:doctor:jane"})
    assert role["rules"][0]["verbs"] == ["patch", "list"]
    assert binding["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}
    ]  # fmt: skip


@pytest.mark.parametrize(("namespace", "flag"), [("shop", "-n shop"), ("", "-A")])
def test_what_may_not_be_asked_is_not_known_and_it_is_said_who_can_tell(namespace: str, flag: str) -> None:
    answers = (Answer(PATCH, namespace, None, "forbidden"), Answer(READ, "", allowed=True))
    (finding,) = check_account(Account(ROBOT, is_controller=True, answers=answers))
    assert finding.severity is Severity.NOTE
    assert "1 of 2 rights are not known (forbidden)" in finding.words
    assert f"kubectl auth can-i patch virtualservices.gateway.solo.io --as={ROBOT} {flag}" in finding.words


def test_who_may_not_ask_and_who_asks_about_nobody_is_told_so() -> None:
    clinic = Clinic().hide(REVIEWS)
    (finding,) = [each for each in clinic.findings() if each.check == "controller-rights"]
    assert (finding.severity, len(wrong(clinic.findings()))) == (Severity.NOTE, 0)
    clinic = Clinic().remove(SERVICE_ACCOUNTS, "crossfade")
    (finding,) = [each for each in clinic.findings() if each.check == "controller-rights"]
    assert (
        "there is no ServiceAccount crossfade/crossfade; say which the controller has with --as"
        in finding.words
    )
    clinic = Clinic().hide(SERVICE_ACCOUNTS)
    (finding,) = [each for each in clinic.findings() if each.check == "controller-rights"]
    assert finding.severity is Severity.OK


def test_everybody_is_asked_about_what_they_need() -> None:
    assert Right("canaries.crossfade.dev", "patch") in OF_PEOPLE
    assert set(OF_APPLICATIONS).isdisjoint(OF_GATEWAYS)
    (finding,) = [each for each in Clinic().findings() if each.check == "controller-rights"]
    assert f"holds all {len(OF_APPLICATIONS) + len(OF_GATEWAYS)} rights" in finding.words
