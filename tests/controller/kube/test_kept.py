"""Several namespaces read as one; no cluster is asked but the one in memory."""

from typing import Any, cast

from controller.kube.kept import Several, kept
from controller.kube.resources import DEPLOYMENTS
from controller.kube.watch import Watched
from memory import Server


NOTHING: Any = None


def deployment(namespace: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "web", "resourceVersion": str(version)}}


def test_one_namespace_or_all_need_one_watch() -> None:
    assert isinstance(kept(NOTHING, DEPLOYMENTS), Watched)
    assert isinstance(kept(NOTHING, DEPLOYMENTS, ["shop"]), Watched)
    assert isinstance(kept(NOTHING, DEPLOYMENTS, ["shop", "cart"]), Several)


def test_what_is_put_in_is_found_where_it_belongs_and_nowhere_else() -> None:
    several = Several(NOTHING, DEPLOYMENTS, ["shop", "cart"])
    for namespace in ("shop", "cart", "till"):
        several.put(deployment(namespace))
    assert several.resource == DEPLOYMENTS
    assert several.get("shop", "web") == deployment("shop")
    assert several.get("till", "web") is None
    assert several.all() == (deployment("shop"), deployment("cart"))
    assert several.under("cart") == (deployment("cart"),)
    assert several.under("till") == ()


def test_it_is_synced_once_every_namespace_is_and_names_those_that_cannot_be_read() -> None:
    several = Several(cast("Any", Server()), DEPLOYMENTS, ["shop", "cart"])
    shop, cart = several._watches.values()
    shop._list()
    assert not several.synced
    cart._list()
    assert several.synced
    assert several.problem == ""
    cart._problem = "forbidden"
    assert several.problem == "namespace cart: forbidden"


def test_listeners_hear_of_all_namespaces() -> None:
    several, heard = Several(NOTHING, DEPLOYMENTS, ["shop", "cart"]), list[object]()
    several.subscribe(lambda namespace, name, _document: heard.append((namespace, name)))
    several.on_recovery(lambda: heard.append("well"))
    for watched in several._watches.values():
        watched._tell(("any", "web"))
        watched._recover()
    assert heard == [("any", "web"), "well"] * 2
