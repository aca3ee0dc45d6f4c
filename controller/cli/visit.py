"""The doctor's visit: everything is read here, by the very watches and readers that the controller has."""

import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from analysis.prometheus import Prometheus
from analysis.queries import Subject
from analysis.survey import take
from config.canary import Canary, CanarySpec
from config.load import load_spec
from config.presets import Presets
from config.status import Status, load_status
from controller.claims import claimed_by
from controller.doctor.case import Case, Fault, Gateway, Measured
from controller.doctor.definitions import Stored, wanted
from controller.doctor.metrics import alone, better_labels, doubtful, placed
from controller.doctor.rights import SERVICE_ACCOUNT, Account, Answer, Right
from controller.errors import Conflict, EdgeError, Forbidden, NotFound, Refused, Unavailable
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.named import VersionsInUse
from controller.gloo.objects import RouteHolders
from controller.kube.canaries import canary_of
from controller.kube.client import Cluster
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.kube.templates import KubeTemplates
from controller.kube.watch import Watched
from controller.kube.workloads import KubeWorkloads
from controller.ports import Key
from controller.rollout.decide import decide
from controller.rollout.form import intended_form
from controller.rollout.observation import Observation, Workload


PATIENCE = 10.0
"""Seconds until what has not been listed by then counts as not readable."""

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews")
OWN_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
IDENTITY = Resource("authentication.k8s.io", "v1", "selfsubjectreviews")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts")

_KINDS = {
    VIRTUAL_SERVICES: "VirtualService",
    ROUTE_TABLES: "RouteTable",
    UPSTREAMS: "Upstream",
    UPSTREAM_GROUPS: "UpstreamGroup",
}


def read_definitions(cluster: Cluster) -> Stored:
    """Read the definitions that a release needs.

    Raises:
        Unavailable: the cluster does not answer.

    """
    found: dict[str, Document | str | None] = {}
    for name in wanted():
        try:
            found[name] = cluster.read(DEFINITIONS, "", name)
        except NotFound:
            found[name] = None
        except Forbidden as error:
            found[name] = str(error)
    return found


def whoami(cluster: Cluster) -> str:
    """Give the name by which the API server knows whoever types; else that of the kubeconfig."""
    with contextlib.suppress(NotFound, Forbidden, Refused, Conflict):
        status = cluster.create(IDENTITY, "", _review(IDENTITY, "SelfSubjectReview")).get("status") or {}
        return str((status.get("userInfo") or {}).get("username") or "")
    return cluster.user


def ask_rights(
    cluster: Cluster, account: Account, rights: Sequence[Right], namespaces: Sequence[str]
) -> Account:
    """Ask whether somebody holds these rights; empty among the namespaces: everywhere.

    A right that is held everywhere is not asked for again.

    Raises:
        Unavailable: the cluster does not answer.

    """
    answers = list(account.answers)
    for right in rights:
        everywhere = _answer(cluster, account, right, "")
        if everywhere.allowed is not False:
            answers.append(everywhere)
            continue
        answers += [
            everywhere if not namespace else _answer(cluster, account, right, namespace)
            for namespace in namespaces
        ]
    return replace(account, answers=tuple(answers))


def find_account(cluster: Cluster, name: str) -> Account:
    """Give the controller's account, with why it cannot be asked about.

    Raises:
        Unavailable: the cluster does not answer.

    """
    account = Account(name, is_controller=True)
    if not name.startswith(SERVICE_ACCOUNT):
        return account
    namespace, _, short = name.removeprefix(SERVICE_ACCOUNT).partition(":")
    try:
        cluster.read(SERVICE_ACCOUNTS, namespace, short)
    except NotFound:
        why = f"there is no ServiceAccount {namespace}/{short}; say which the controller has with --as"
        return replace(account, unasked=why)
    except Forbidden:
        return account
    return account


@dataclass(frozen=True, slots=True)
class Asking:
    """Prometheus, if there is one to ask."""

    prometheus: Prometheus | None
    unasked: str = ""
    """Why there is none."""

    def measure(self, case: Case, now: dt.datetime) -> Measured:
        """Take the survey that a rollout would begin with."""
        if self.prometheus is None:
            return Measured(unasked=self.unasked)
        if case.serving is None:
            return Measured(unasked="no version is known to be stable")
        subject = Subject(
            name=case.key.name,
            namespace=case.key.namespace,
            upstream=case.spec.upstream.name,
            stable=case.serving,
            candidate=None,
            window=case.spec.analysis.interval,
            cluster_of=case.spec.cluster_of,
        )
        survey = take(self.prometheus, case.spec.analysis, subject, now)
        faults = self._faults(self.prometheus, case.spec, subject, now) if survey.problem else ()
        return Measured(survey, faults=tuple(faults))

    @staticmethod
    def _faults(
        prometheus: Prometheus, spec: CanarySpec, subject: Subject, now: dt.datetime
    ) -> Iterator[Fault]:
        for number, analysis in enumerate(alone(spec)):
            problem = take(prometheus, analysis, subject, now).problem
            if problem:
                asked = doubtful(analysis, subject, problem)
                answers = prometheus.ask(asked, now) if asked else {}
                yield Fault(number, placed(problem, number), better_labels(subject, answers))


class Visit:
    """The watches of the controller, open inside of `with`."""

    def __init__(
        self, cluster: Cluster, namespace: str | None, now: dt.datetime, presets: Presets | None = None
    ) -> None:
        self.presets = presets
        """The platform's; None: they are not known here."""
        self._now = now
        self._cluster = cluster
        self._canaries = Watched(cluster, CANARIES)
        self._deployments = Watched(cluster, DEPLOYMENTS, namespace)
        self._templates = Watched(cluster, METRIC_TEMPLATES, namespace)
        self._gloo = {
            VIRTUAL_SERVICES: Watched(cluster, VIRTUAL_SERVICES),
            ROUTE_TABLES: Watched(cluster, ROUTE_TABLES),
            UPSTREAM_GROUPS: Watched(cluster, UPSTREAM_GROUPS),
            UPSTREAMS: Watched(cluster, UPSTREAMS, index=bases),
        }
        holders = RouteHolders(
            cluster, self._gloo[VIRTUAL_SERVICES], self._gloo[ROUTE_TABLES], self._gloo[UPSTREAM_GROUPS]
        )
        self._routes = GlooRoutes(cluster, holders, self._gloo[UPSTREAMS])
        deployments = KubeWorkloads(cluster, self._deployments)
        self._workloads = VersionsInUse(deployments, self._gloo[UPSTREAMS])
        self._all = (self._canaries, self._deployments, self._templates, *self._gloo.values())

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE
        for watched in self._all:
            watched.start()
        while not all(watched.synced or watched.problem for watched in self._all):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timeout in (0.0, 1.0):  # all are told to end before any is waited for
            for watched in self._all:
                watched.stop(timeout)

    def gateway(self) -> Gateway:
        """Give Gloo's objects, each with its kind."""
        unread = {str(each.resource): why for each in self._gloo.values() if (why := _unread(each))}
        return Gateway(
            virtual_services=self._kind(VIRTUAL_SERVICES),
            route_tables=self._kind(ROUTE_TABLES),
            upstream_groups=self._kind(UPSTREAM_GROUPS),
            upstreams=self._kind(UPSTREAMS),
            unread=unread,
        )

    def stored(self, document: Document) -> Case:
        """Take up a Canary of the cluster.

        Raises:
            SpecError: it is not valid.

        """
        metadata = document["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        spec = load_spec(document.get("spec"), KubeTemplates(self._templates).of(key.namespace), self.presets)
        others = [canary_of(each) for each in self._canaries.all()]
        case = Case(key, document, spec, load_status(document.get("status")))
        return self._seen(replace(case, claimed_by=claimed_by(canary_of(document), others)))

    def written(self, canary: Canary, file: str) -> Case:
        """Take up a Canary of a file; if the cluster has it too, its status is that of the cluster."""
        document = canary.model_dump(mode="json", by_alias=True, exclude_unset=True)
        key = Key(canary.metadata.namespace, canary.metadata.name)
        known = self._canaries.get(*key)
        status = load_status((known or {}).get("status"))
        mine = canary_of({**document, "metadata": _as_created_last(document, known)})
        others = [canary_of(each) for each in self._canaries.all()]
        case = Case(key, document, canary.spec, status, file, claimed_by=claimed_by(mine, others))
        return self._seen(case)

    def templates(self) -> dict[tuple[str, str], Document]:
        """Give the specs of the MetricTemplates by namespace and name."""
        return {
            (each["metadata"]["namespace"], each["metadata"]["name"]): each.get("spec") or {}
            for each in self._templates.all()
        }

    @property
    def without_templates(self) -> str:
        """Say why MetricTemplates could not be read; empty if they could."""
        return _unread(self._templates)

    def _seen(self, case: Case) -> Case:
        watches = self._deployments, self._canaries
        unread = {str(each.resource): why for each in watches if (why := _unread(each))}
        routes = self._routes.see(case.spec, intended_form(case.spec, case.status))
        workloads = self._found(case.key.namespace, case.spec)
        serving, adoption = case.status.stable, ""
        if serving is None:
            observed = Observation(self._now, generation=0, workloads=workloads, routes=routes)
            decision = decide(case.spec, Status(), observed)
            serving, adoption = decision.status.stable, decision.because
        return replace(
            case,
            gateway=self.gateway(),
            deployments=self._deployments.under(case.key.namespace),
            workloads=workloads,
            unread=unread,
            routes=routes,
            serving=serving,
            adoption=adoption,
        )

    def _found(self, namespace: str, spec: CanarySpec) -> tuple[Workload, ...]:
        try:
            return self._workloads.find(namespace, spec)
        except Unavailable:
            return ()

    def _kind(self, resource: Resource) -> tuple[Document, ...]:
        kind = {"apiVersion": resource.api_version, "kind": _KINDS[resource]}
        return tuple({**kind, **document} for document in self._gloo[resource].all())


def _answer(cluster: Cluster, account: Account, right: Right, namespace: str) -> Answer:
    attributes = {
        "group": right.group,
        "resource": right.resource.partition(".")[0],
        "subresource": right.subresource,
        "verb": right.verb,
        "namespace": namespace,
    }
    asked: dict[str, object] = {"resourceAttributes": attributes}
    resource, kind = OWN_REVIEWS, "SelfSubjectAccessReview"
    if account.is_controller:
        resource, kind = REVIEWS, "SubjectAccessReview"
        asked |= {"user": account.name, "groups": _groups(account.name)}
    try:
        found = cluster.create(resource, "", {**_review(resource, kind), "spec": asked})
    except Unavailable:
        raise
    except EdgeError as error:
        return Answer(right, namespace, None, str(error))
    return Answer(right, namespace, bool((found.get("status") or {}).get("allowed")))


def _review(resource: Resource, kind: str) -> dict[str, object]:
    return {"apiVersion": resource.api_version, "kind": kind}


def _groups(account: str) -> list[str]:
    """Give the groups that the API server puts a service account into."""
    if not account.startswith(SERVICE_ACCOUNT):
        return ["system:authenticated"]
    namespace = account.removeprefix(SERVICE_ACCOUNT).partition(":")[0]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _unread(watched: Watched) -> str:
    if watched.synced:
        return ""
    return watched.problem or f"{watched.resource} was not listed within {PATIENCE:g}s"


def _as_created_last(document: Document, known: Document | None) -> Document:
    """Give metadata as the API server would; a Canary that is not there yet would be the newest."""
    metadata = {"namespace": "default", "resourceVersion": "", **document["metadata"]}
    if known is not None:
        return {**metadata, **{key: known["metadata"][key] for key in ("uid", "creationTimestamp")}}
    return {**metadata, "uid": "", "creationTimestamp": "9999-01-01T00:00:00Z"}
