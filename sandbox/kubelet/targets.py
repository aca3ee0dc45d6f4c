"""What Prometheus is to scrape, as a file for its file discovery.

Distributions build Prometheus without its Kubernetes discovery, so the one who knows the pods writes them
down, by the usual rules: annotated pods, and those of our own image, with the labels usual on Kubernetes.
"""

import json
import re
from collections.abc import Iterable

from sandbox.kube import Document
from sandbox.kubelet.pods import container_of, phase, port_of


ANNOTATION = "prometheus.io/scrape"
OWN_IMAGE = re.compile(r"(.*/)?crossfade/demo-app(:.*)?")


def targets(pods: Iterable[Document]) -> str:
    """Return the content of the file; `pods` have their newest statuses."""
    groups = [_group(pod) for pod in pods if _scraped(pod)]
    return json.dumps(sorted(groups, key=lambda group: str(group["targets"])), indent=1)


def _scraped(pod: Document) -> bool:
    asked = (pod["metadata"].get("annotations") or {}).get(ANNOTATION)
    ours = OWN_IMAGE.fullmatch(container_of(pod).get("image", "")) is not None
    return (
        phase(pod) == "Running" and port_of(pod) is not None and (asked == "true" or (ours and asked is None))
    )


def _group(pod: Document) -> Document:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    known = {name: labels[name] for name in ("app", "version") if name in labels}
    where = {"namespace": metadata["namespace"], "pod": metadata["name"]}
    return {"targets": [f"{pod['status']['podIP']}:{port_of(pod)}"], "labels": {**where, **known}}
