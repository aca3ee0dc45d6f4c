"""The kinds that every cluster has, as far as this one has them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from sandbox.apiserver import columns, definitions, roles, services, workloads
from sandbox.apiserver.documents import Object, is_terminating
from sandbox.apiserver.models import schema_of
from sandbox.apiserver.resources import Resource, ScalePaths
from sandbox.apiserver.structure import with_envelope


if TYPE_CHECKING:
    from typing import Any


def built_in() -> tuple[Resource, ...]:
    """Return the built-in resources, with schemas from the client's models."""
    return (*_networked(), *_configuration(), *_apps(), *_jobs_and_slices(), *_rights(), *_of_the_server())


def _resource(path: str, kind: str, model: str, **rest: Any) -> Resource:  # noqa: ANN401  # Resource's fields
    api_version, _, plural = path.rpartition("/")
    group, _, version = api_version.rpartition("/")
    schema = with_envelope(schema_of(model))
    return Resource(
        group=group, version=version, plural=plural, kind=kind, schema=schema, model=model, **rest
    )


def _networked() -> tuple[Resource, ...]:
    return (
        _resource(
            "v1/namespaces",
            "Namespace",
            "V1Namespace",
            namespaced=False,
            short_names=("ns",),
            columns=columns.NAMESPACE,
            status=True,
            fields=("status.phase",),
            settle=_settle_namespace,
        ),
        _resource(
            "v1/pods",
            "Pod",
            "V1Pod",
            short_names=("po",),
            categories=("all",),
            columns=columns.POD,
            status=True,
            generation="spec",
            fields=("spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"),
            complete=workloads.complete_pod,
            settle=_settle_pod,
            check=workloads.check_pod,
        ),
        _resource(
            "v1/services",
            "Service",
            "V1Service",
            short_names=("svc",),
            categories=("all",),
            columns=columns.SERVICE,
            status=True,
            complete=services.complete_service,
            settle=services.settle_service,
            check=services.check_service,
        ),
        _resource("v1/endpoints", "Endpoints", "V1Endpoints", short_names=("ep",), columns=columns.ENDPOINTS),
        _resource(
            "networking.k8s.io/v1/networkpolicies",
            "NetworkPolicy",
            "V1NetworkPolicy",
            short_names=("netpol",),
        ),
    )


def _configuration() -> tuple[Resource, ...]:
    return (
        _resource(
            "v1/configmaps", "ConfigMap", "V1ConfigMap", short_names=("cm",), columns=columns.CONFIG_MAP
        ),
        _resource(
            "v1/secrets",
            "Secret",
            "V1Secret",
            columns=columns.SECRET,
            fields=("type",),
            complete=_complete_secret,
        ),
        _resource(
            "v1/serviceaccounts",
            "ServiceAccount",
            "V1ServiceAccount",
            short_names=("sa",),
            columns=columns.SERVICE_ACCOUNT,
        ),
        _resource(
            "v1/events",
            "Event",
            "CoreV1Event",
            short_names=("ev",),
            columns=columns.EVENT,
            fields=(
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "reason",
                "type",
            ),
        ),
    )


def _apps() -> tuple[Resource, ...]:
    scaled = ScalePaths(selector=("spec", "selector"))
    return (
        _resource(
            "policy/v1/poddisruptionbudgets",
            "PodDisruptionBudget",
            "V1PodDisruptionBudget",
            short_names=("pdb",),
        ),
        _resource(
            "apps/v1/deployments",
            "Deployment",
            "V1Deployment",
            short_names=("deploy",),
            categories=("all",),
            columns=columns.DEPLOYMENT,
            status=True,
            scale=scaled,
            generation="spec",
            complete=workloads.complete_deployment,
            settle=_settle_empty,
            check=workloads.check_workload,
        ),
        _resource(
            "apps/v1/replicasets",
            "ReplicaSet",
            "V1ReplicaSet",
            short_names=("rs",),
            categories=("all",),
            columns=columns.REPLICA_SET,
            status=True,
            scale=scaled,
            generation="spec",
            complete=workloads.complete_replica_set,
            settle=_settle_replica_set,
            check=workloads.check_workload,
        ),
    )


def _jobs_and_slices() -> tuple[Resource, ...]:
    return (
        _resource(
            "batch/v1/jobs",
            "Job",
            "V1Job",
            categories=("all",),
            columns=columns.JOB,
            status=True,
            generation="spec",
            complete=workloads.complete_job,
            settle=_settle_empty,
            check=workloads.check_job,
        ),
        _resource(
            "discovery.k8s.io/v1/endpointslices",
            "EndpointSlice",
            "V1EndpointSlice",
            columns=columns.ENDPOINT_SLICE,
            generation="content",
            check=services.check_endpoint_slice,
        ),
    )


def _rights() -> tuple[Resource, ...]:
    found = []
    for kind, check, cluster_check in (
        ("Role", roles.check_role, roles.check_cluster_role),
        ("RoleBinding", roles.check_binding, roles.check_binding),
    ):
        bound = kind.endswith("Binding")
        for named, namespaced, checked in ((kind, True, check), (f"Cluster{kind}", False, cluster_check)):
            resource = _resource(
                f"rbac.authorization.k8s.io/v1/{named.lower()}s",
                named,
                f"V1{named}",
                namespaced=namespaced,
                path_names=True,
                columns=columns.BINDING if bound else columns.ROLE,
                complete=roles.complete_binding if bound else _complete_nothing,
                check=checked,
            )
            found.append(resource)
    return tuple(found)


def _of_the_server() -> tuple[Resource, ...]:
    return (
        _resource(
            "coordination.k8s.io/v1/leases",
            "Lease",
            "V1Lease",
            columns=columns.LEASE,
            update_needs_version=True,
        ),
        _resource(
            "apiextensions.k8s.io/v1/customresourcedefinitions",
            "CustomResourceDefinition",
            "V1CustomResourceDefinition",
            namespaced=False,
            short_names=("crd", "crds"),
            columns=columns.DEFINITION,
            status=True,
            generation="spec",
            update_needs_version=True,
            complete=definitions.complete,
            settle=definitions.settle,
            check=definitions.check,
        ),
    )


def _settle_namespace(found: Object) -> None:
    found["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = found["metadata"]["name"]
    found["status"] = {
        **found.get("status", {}),
        "phase": "Terminating" if is_terminating(found) else "Active",
    }


def _settle_pod(found: Object) -> None:
    found["status"] = {"phase": "Pending", "qosClass": "BestEffort"} | found.get("status", {})


def _settle_empty(found: Object) -> None:
    found.setdefault("status", {})


def _settle_replica_set(found: Object) -> None:
    found["status"] = {"replicas": 0} | found.get("status", {})


def _complete_nothing(_found: Object) -> None:
    pass


def _complete_secret(found: Object) -> None:
    found.setdefault("type", "Opaque")
    plain = found.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(each.encode()).decode() for key, each in plain.items()}
        found["data"] = {**(found.get("data") or {}), **encoded}
