"""Whether an Upstream can tell versions apart at all.

Gloo makes subsets only for the key sets that the Upstream declares. A route
that names another subset is served by all pods: weight 0 would stop nothing.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from controller.gloo.destinations import Target


def subset_problem(upstream: Mapping[str, Any], target: Target) -> str:
    """Say what the Upstream lacks, with the YAML to add; empty if it declares exactly the version label."""
    spec = upstream.get("spec") or {}
    if not isinstance(spec.get("kube"), Mapping):
        kinds = ", ".join(sorted(key for key in spec if isinstance(spec[key], Mapping))) or "nothing"
        return (
            f"Upstream {target}: spec has {kinds}, but only an Upstream of pods (spec.kube) has "
            f"subsets by the label {target.version_label}"
        )
    selectors = (spec["kube"].get("subsetSpec") or {}).get("selectors") or []
    found = [sorted(selector.get("keys") or []) for selector in selectors]
    if [target.version_label] in found:
        return ""
    wanted = {"kube": {"subsetSpec": {"selectors": [*selectors, {"keys": [target.version_label]}]}}}
    declared = "; ".join(", ".join(keys) for keys in found) or "nothing"
    return (
        f"Upstream {target}: spec.kube.subsetSpec.selectors declares {declared}, so that routes by "
        f"{target.version_label} alone would be served by all versions; it should be\n"
        f"{yaml.safe_dump({'spec': wanted}, sort_keys=False)}"
    )
