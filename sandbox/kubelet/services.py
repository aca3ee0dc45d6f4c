"""Services, purely: one EndpointSlice for each, with the pods that it selects.

API servers refuse loopback addresses in a slice, so pods are listed by their names in Kubernetes' DNS;
whoever wants the address finds it in the pod's status.
"""

import hashlib
from collections.abc import Iterable

from sandbox.kube import SERVICES, Document, selects
from sandbox.kubelet.pods import FINISHED, NODE, is_ready, phase, port_of, terminating


MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
OURS = "sandbox.crossfade.dev"


def slice_name(service: str) -> str:
    """Return the name of a Service's slice."""
    return f"{service}-{hashlib.sha256(service.encode()).hexdigest()[:5]}"


def endpoint_slice(service: Document, pods: Iterable[Document]) -> Document | None:
    """Return the slice for a Service; None if it selects nothing by itself.

    `pods` are those of its namespace, with their newest statuses.
    """
    spec, metadata = service["spec"], service["metadata"]
    if not spec.get("selector") or spec.get("type") == "ExternalName":
        return None
    chosen = sorted(
        (
            pod
            for pod in pods
            if selects(spec["selector"], pod["metadata"].get("labels") or {}) and _has_address(pod)
        ),
        key=lambda pod: str(pod["metadata"]["name"]),
    )
    owner = {
        "apiVersion": "v1",
        "kind": SERVICES.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {
            "name": slice_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {"kubernetes.io/service-name": metadata["name"], MANAGED_BY: OURS},
            "ownerReferences": [owner],
        },
        "addressType": "FQDN",
        "endpoints": [_endpoint(pod) for pod in chosen],
        "ports": _ports(spec.get("ports") or [], chosen),
    }


def _has_address(pod: Document) -> bool:
    return bool((pod.get("status") or {}).get("podIP")) and phase(pod) not in FINISHED


def _endpoint(pod: Document) -> Document:
    metadata = pod["metadata"]
    ready, leaving = is_ready(pod), terminating(pod)
    return {
        "addresses": [_host_name(pod)],
        "conditions": {"ready": ready and not leaving, "serving": ready, "terminating": leaving},
        "nodeName": NODE,
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }


def _host_name(pod: Document) -> str:
    return f"{pod['status']['podIP'].replace('.', '-')}.{pod['metadata']['namespace']}.pod.cluster.local"


def _ports(ports: list[Document], pods: list[Document]) -> list[Document]:
    result = []
    for port in ports:
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else next((port_of(pod, target) for pod in pods), None)
        if number is not None:
            result.append(
                {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
            )
    return result
