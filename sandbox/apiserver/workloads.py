"""Defaults and rules of pods and of what makes pods, where one field depends on another.

Only those that clients can notice: what a Deployment looks like when it is read back, and the mistakes that
people make in manifests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver.documents import Json, Object, dig
from sandbox.apiserver.errors import FieldError, duplicate_value, invalid_value, unsupported


if TYPE_CHECKING:
    from collections.abc import Iterator


_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS = {
    "failureThreshold": 3,
    "periodSeconds": 10,
    "successThreshold": 1,
    "timeoutSeconds": 1,
}


def complete_deployment(found: Object) -> None:
    """Put in a Deployment's defaults."""
    spec = found.setdefault("spec", {})
    _default(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        _default(strategy.setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")
    complete_template(spec)


def complete_replica_set(found: Object) -> None:
    """Put in a ReplicaSet's defaults."""
    _default(found.setdefault("spec", {}), replicas=1)
    complete_template(found["spec"])


def complete_job(found: Object) -> None:
    """Put in a Job's defaults, with the selector that a Job makes for itself."""
    spec = found.setdefault("spec", {})
    _default(spec, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
    if "completions" not in spec:
        _default(spec, completions=1, parallelism=1)
    _default(spec, parallelism=1, podReplacementPolicy="TerminatingOrFailed")
    meta = found["metadata"]
    if "selector" not in spec and isinstance(spec.get("template"), dict):
        labels = {"batch.kubernetes.io/controller-uid": meta["uid"]}
        spec["selector"] = {"matchLabels": labels}
        template = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        template |= {**labels, "batch.kubernetes.io/job-name": meta["name"]}
    complete_template(spec)


def complete_template(spec: Object) -> None:
    """Put in the defaults of the pods that ``spec.template`` describes."""
    if isinstance(spec.get("template"), dict) and isinstance(spec["template"].get("spec"), dict):
        complete_pod_spec(spec["template"]["spec"])


def complete_pod(found: Object) -> None:
    """Put in a Pod's defaults."""
    complete_pod_spec(found.setdefault("spec", {}))
    _default(found["spec"], enableServiceLinks=True)


def complete_pod_spec(spec: Object) -> None:
    """Put in the defaults that pods have wherever they are described."""
    _default(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        _complete_container(container)


def _complete_container(container: Object) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    pull = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
    _default(
        container,
        imagePullPolicy=pull,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for probe in _PROBES:
        if isinstance(container.get(probe), dict):
            _default(container[probe], **_PROBE_DEFAULTS)
            if isinstance(container[probe].get("httpGet"), dict):
                _default(container[probe]["httpGet"], path="/", scheme="HTTP")
    for variable in container.get("env") or []:
        if reference := dig(variable, "valueFrom", "fieldRef"):
            _default(reference, apiVersion="v1")


def _default(found: Object, **defaults: Json) -> None:
    for field, each in defaults.items():
        if found.get(field) is None:
            found[field] = each


def check_workload(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a Deployment or ReplicaSet."""
    spec = found["spec"]
    wanted = spec["selector"]
    labels = dig(spec, "template", "metadata", "labels", default={})
    if not wanted.get("matchLabels") and not wanted.get("matchExpressions"):
        detail = "empty selector is invalid for deployment"
        yield invalid_value("spec.selector", wanted, detail)
    elif not _matches(wanted, labels):
        detail = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", labels, detail)
    if live is not None and wanted != live["spec"]["selector"]:
        yield invalid_value("spec.selector", wanted, "field is immutable")
    if spec["replicas"] < 0:
        yield invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    policy = dig(spec, "template", "spec", "restartPolicy")
    if policy != "Always":
        yield unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    yield from check_pod_spec(spec["template"].get("spec", {}), "spec.template.spec")


def check_job(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a Job."""
    spec = found["spec"]
    policy = dig(spec, "template", "spec", "restartPolicy")
    if policy not in ("OnFailure", "Never"):
        yield unsupported("spec.template.spec.restartPolicy", policy, ["OnFailure", "Never"])
    if live is not None and spec["template"] != live["spec"]["template"]:
        yield invalid_value("spec.template", spec["template"], "field is immutable")
    yield from check_pod_spec(spec["template"].get("spec", {}), "spec.template.spec")


def check_pod(found: Object, live: Object | None) -> Iterator[FieldError]:
    """Yield what is wrong with a Pod."""
    yield from check_pod_spec(found["spec"], "spec")
    if live is not None and _fixed(found["spec"]) != _fixed(live["spec"]):
        detail = "pod updates may not change fields other than `spec.containers[*].image`, `spec.tolerations`"
        yield FieldError("spec", "FieldValueForbidden", f"Forbidden: {detail}")


def check_pod_spec(spec: Object, path: str) -> Iterator[FieldError]:
    """Yield what is wrong with the description of a pod at ``path``."""
    seen: set[str] = set()
    containers = spec.get("containers") or []
    if not containers:
        yield FieldError(f"{path}.containers", "FieldValueRequired", "Required value")
    for n, container in enumerate(containers):
        if container["name"] in seen:
            yield duplicate_value(f"{path}.containers[{n}].name", container["name"])
        seen.add(container["name"])
        if not container.get("image"):
            yield FieldError(f"{path}.containers[{n}].image", "FieldValueRequired", "Required value")
        for m, port in enumerate(container.get("ports") or []):
            if not 0 < port["containerPort"] < 65536:
                field = f"{path}.containers[{n}].ports[{m}].containerPort"
                detail = "must be between 1 and 65535, inclusive"
                yield invalid_value(field, port["containerPort"], detail)


def _matches(wanted: Object, labels: Object) -> bool:
    exact = all(labels.get(key) == each for key, each in wanted.get("matchLabels", {}).items())
    return exact and all(_meets(each, labels) for each in wanted.get("matchExpressions", []))


def _meets(requirement: Object, labels: Object) -> bool:
    key, values = requirement["key"], requirement.get("values", [])
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _fixed(spec: Object) -> Object:
    changeable = ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "nodeName")
    kept = {field: each for field, each in spec.items() if field not in changeable}
    kept["containers"] = [{**each, "image": ""} for each in kept["containers"]]
    return kept
