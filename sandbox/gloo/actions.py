"""A Gloo route's action and options as Envoy's: single, multi, upstream group, direct response."""

from sandbox.gloo.world import Refusal, World, cluster_name, not_found, ref_key, spec_of
from sandbox.kube import Document


SHARE = 10_000  # Envoy counts percentages in hundredths


def envoy_action(world: World, route: Document) -> Document:
    """Return the action's part of an Envoy `Route`, options included.

    Raises:
        Refusal: it leads nowhere, weighs nothing, or is of a kind not understood here.
    """
    options = route.get("options") or {}
    if "directResponseAction" in route:
        direct = route["directResponseAction"]
        body = {"body": {"inline_string": direct["body"]}} if direct.get("body") else {}
        return {"direct_response": {"status": direct.get("status", 200), **body}, **_headers(options)}
    if "routeAction" not in route:
        raise Refusal(
            "route has no action that the sandbox knows (routeAction, delegateAction, direct response)"
        )
    action = _target(world, route["routeAction"])
    return {"route": {**action, **_forwarding(world, options)}, **_headers(options)}


def weighted(world: World, destinations: list[Document], where: str) -> Document:
    """Return Envoy's `weighted_clusters` for a Gloo list of weighted destinations.

    Raises:
        Refusal: the weights sum up to zero, or a destination leads nowhere.
    """
    if sum(item.get("weight") or 0 for item in destinations) == 0:
        raise Refusal(f"the sum of the weights of {where} must be greater than zero")
    clusters = [
        {**_rename(_destination(world, item.get("destination") or {})), "weight": item.get("weight") or 0}
        for item in destinations
    ]
    return {"weighted_clusters": {"clusters": clusters}}


def _target(world: World, action: Document) -> Document:
    if "single" in action:
        return _destination(world, action["single"])
    if "multi" in action:
        return weighted(world, action["multi"].get("destinations") or [], "a multi destination")
    if "upstreamGroup" in action:
        key = ref_key(action["upstreamGroup"])
        group = world.upstream_groups.get(key)
        if group is None:
            raise not_found("UpstreamGroup", key)
        return weighted(world, spec_of(group).get("destinations") or [], f"upstream group {'.'.join(key)}")
    raise Refusal("routeAction has none of single, multi, upstreamGroup")


def _destination(world: World, destination: Document) -> Document:
    if "upstream" not in destination:
        raise Refusal("destination has no upstream")
    key = ref_key(destination["upstream"])
    if key not in world.upstreams:
        raise not_found("Upstream", key)
    values = (destination.get("subset") or {}).get("values")
    match = {"metadata_match": {"filter_metadata": {"envoy.lb": values}}} if values else {}
    return {"cluster": cluster_name(key), **match}


def _rename(destination: Document) -> Document:
    return {"name" if name == "cluster" else name: value for name, value in destination.items()}


def _forwarding(world: World, options: Document) -> Document:
    forwarding: Document = {}
    if "timeout" in options:
        forwarding["timeout"] = options["timeout"]
    if retries := options.get("retries"):
        names = {"retryOn": "retry_on", "numRetries": "num_retries", "perTryTimeout": "per_try_timeout"}
        forwarding["retry_policy"] = {to: retries[name] for name, to in names.items() if name in retries}
    if "prefixRewrite" in options:
        forwarding["prefix_rewrite"] = options["prefixRewrite"]
    if shadowing := options.get("shadowing"):
        mirror = _destination(world, {"upstream": shadowing.get("upstream") or {}})
        share = round(shadowing.get("percentage", 0) * SHARE / 100)
        fraction = {"default_value": {"numerator": share, "denominator": "TEN_THOUSAND"}}
        forwarding["request_mirror_policies"] = [{**mirror, "runtime_fraction": fraction}]
    return forwarding


def _headers(options: Document) -> Document:
    manipulation = options.get("headerManipulation") or {}
    headers: Document = {}
    for side in ("request", "response"):
        if added := manipulation.get(f"{side}HeadersToAdd"):
            headers[f"{side}_headers_to_add"] = [_added(item) for item in added]
        if removed := manipulation.get(f"{side}HeadersToRemove"):
            headers[f"{side}_headers_to_remove"] = removed
    return headers


def _added(item: Document) -> Document:
    append = item.get("append") is not False  # Gloo's default is to append
    action = "APPEND_IF_EXISTS_OR_ADD" if append else "OVERWRITE_IF_EXISTS_OR_ADD"
    return {"header": item["header"], "append_action": action}
