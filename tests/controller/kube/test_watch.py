"""What is kept at hand is what the cluster holds, whatever happens on the way."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, DEPLOYMENTS, VIRTUAL_SERVICES, Document, Resource
from controller.kube.watch import Pace, Watched


Play = Callable[..., None]
Asked = list[dict[str, Any]]
Eventually = Callable[[Callable[[], object]], None]
Watch = Callable[..., Watched]

HASTY = Pace(first=0.01, longest=0.05, watch=60)
CONFIG_MAPS = Resource("", "v1", "configmaps")


def web(version: int, uid: str = "u", **data: object) -> Document:
    metadata = {"namespace": "shop", "name": "web", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, **data}


def listed(version: int, *documents: Document) -> dict[str, Any]:
    return {"body": {"metadata": {"resourceVersion": str(version)}, "items": list(documents)}}


def watched(*events: tuple[str, Document], then: str = "hang") -> dict[str, Any]:
    return {"events": [{"type": kind, "object": document} for kind, document in events], "then": then}


def refused(code: int, message: str = "no") -> dict[str, Any]:
    return {"code": code, "body": {"kind": "Status", "code": code, "message": message}}


def bookmark(version: int) -> tuple[str, Document]:
    return "BOOKMARK", {"metadata": {"resourceVersion": str(version)}}


def gone() -> dict[str, Any]:
    status = {"kind": "Status", "code": 410, "message": "too old resource version", "metadata": {}}
    return {"events": [{"type": "ERROR", "object": status}]}


@pytest.fixture
def watch(scripted: Cluster) -> Iterator[Watch]:
    """Start to watch the scripted server; the listener, if one is given, hears of all."""
    started = []

    def watch(resource: Resource = DEPLOYMENTS, listener: Callable[..., None] | None = None) -> Watched:
        watched = Watched(scripted, resource, pace=HASTY)
        if listener:
            watched.subscribe(listener)
        started.append(watched.start())
        return watched

    yield watch
    for watched in started:
        watched.stop()


def paths(asked: Asked) -> list[str]:
    return ["watch" if "watch=true" in request["path"] else "list" for request in asked]


def test_the_list_comes_first_then_every_change(play: Play, watch: Watch, eventually: Eventually) -> None:
    heard: list[tuple[str, str, Document | None]] = []
    play(
        listed(5, web(3, at=1)),
        watched(("MODIFIED", web(6, at=2)), ("DELETED", web(7, at=2)), ("ADDED", web(8, "v", at=3))),
    )
    at_hand = watch(listener=lambda namespace, name, document: heard.append((namespace, name, document)))
    eventually(lambda: len(heard) == 4)
    assert [document and document["at"] for _, _, document in heard] == [1, 2, None, 3]
    assert {(namespace, name) for namespace, name, _ in heard} == {("shop", "web")}
    assert at_hand.get("shop", "web") == web(8, "v", at=3)
    assert at_hand.all() == (web(8, "v", at=3),)
    assert at_hand.get("shop", "other") is None


def test_what_has_a_mark_is_found_by_it_and_by_no_other(
    play: Play, scripted: Cluster, eventually: Eventually
) -> None:
    play(
        listed(5, web(3, marks=["a", "b"])),
        watched(
            ("MODIFIED", web(6, marks=["b", "c"])),
            ("DELETED", web(7, marks=["b", "c"])),
            ("ADDED", web(8, "v", marks=["c"])),
        ),
    )
    seen: list[dict[str, list[Document]]] = []
    at_hand = Watched(scripted, DEPLOYMENTS, index=lambda document: document["marks"], pace=HASTY)
    at_hand.subscribe(lambda *_: seen.append({mark: [*at_hand.under(mark)] for mark in "abc"}))
    at_hand.start()
    eventually(lambda: len(seen) == 4)
    at_hand.stop()
    first, last = web(3, marks=["a", "b"]), web(8, "v", marks=["c"])
    assert seen[0] == {"a": [first], "b": [first], "c": []}
    assert seen[2] == {"a": [], "b": [], "c": []}
    assert seen[3] == {"a": [], "b": [], "c": [last]}
    at_hand.put(web(9, "v", marks=["a"]))
    assert (at_hand.under("a"), at_hand.under("c")) == ((web(9, "v", marks=["a"]),), ())


@pytest.mark.parametrize("then", ["end", "cut"])
def test_a_watch_that_ends_goes_on_where_it_was(
    play: Play, asked: Asked, watch: Watch, eventually: Eventually, then: str
) -> None:
    play(
        listed(5),
        watched(("ADDED", web(6)), bookmark(40), then=then),
        watched(("MODIFIED", web(41))),
    )
    at_hand = watch()
    eventually(lambda: at_hand.get("shop", "web") == web(41))
    assert paths(asked) == ["list", "watch", "watch"]
    assert "resourceVersion=5" in asked[1]["path"]
    assert "resourceVersion=40" in asked[2]["path"]
    assert at_hand.problem == ""


@pytest.mark.parametrize("expired", [gone(), refused(410)], ids=["as an event", "as an answer"])
def test_too_old_a_version_means_listing_again(
    play: Play, asked: Asked, watch: Watch, eventually: Eventually, expired: dict[str, Any]
) -> None:
    heard = []
    play(listed(5, web(3)), expired, listed(90), watched())
    at_hand = watch(listener=lambda *change: heard.append(change))
    eventually(lambda: len(asked) == 4)
    assert paths(asked) == ["list", "watch", "list", "watch"]
    assert at_hand.all() == ()
    assert heard == [("shop", "web", web(3)), ("shop", "web", None)]


def test_a_connection_that_breaks_once_is_no_problem_yet(
    play: Play, watch: Watch, eventually: Eventually
) -> None:
    play(listed(5), {"then": "cut"}, watched(("ADDED", web(6))))
    with structlog.testing.capture_logs() as logs:
        at_hand = watch()
        eventually(at_hand.all)
    assert logs == []


def test_a_server_that_stays_away_is_a_problem_until_it_is_back(
    play: Play, asked: Asked, watch: Watch, eventually: Eventually
) -> None:
    play(listed(5, web(3)), watched(then="cut"), {"then": "cut"})
    at_hand = watch()
    eventually(lambda: "unavailable: watch deployments.apps" in at_hand.problem)
    assert at_hand.get("shop", "web") == web(3)
    play(watched(("MODIFIED", web(9))))
    eventually(lambda: at_hand.get("shop", "web") == web(9))
    assert at_hand.problem == ""
    assert paths(asked).count("list") == 1


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        pytest.param(
            refused(404, "404 page not found"),
            "the CRD virtualservices.gateway.solo.io (v1) is not installed",
            id="the CRD is absent",
        ),
        pytest.param(
            refused(403, 'User "eve" cannot list resource "virtualservices"'),
            'forbidden: list virtualservices.gateway.solo.io in all namespaces: User "eve" cannot',
            id="RBAC forbids",
        ),
        pytest.param({"body": b"<html>"}, "unavailable: list virtual", id="somebody else answers"),
    ],
)
def test_what_cannot_be_listed_is_a_problem_until_it_can(
    play: Play, watch: Watch, eventually: Eventually, refusal: dict[str, Any], problem: str
) -> None:
    relieved: list[str] = []
    play(refusal)
    at_hand = watch(VIRTUAL_SERVICES)
    at_hand.on_recovery(lambda: relieved.append(at_hand.problem))
    eventually(lambda: at_hand.problem)
    assert problem in at_hand.problem
    assert not at_hand.synced
    assert not relieved
    play(listed(5, web(3)), watched())
    eventually(lambda: relieved)
    assert at_hand.synced
    assert at_hand.all() == (web(3),)
    assert relieved == [""]


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"<html>\n", id="no JSON"),
        pytest.param(b'{"type": "ADDED"}\n', id="no object"),
        pytest.param({"type": "ADDED", "object": {"kind": "Deployment"}}, id="no metadata"),
        pytest.param({"type": "ERROR", "object": {"kind": "Status", "message": "?"}}, id="an error"),
    ],
)
def test_junk_ends_a_watch_and_changes_nothing(
    play: Play, watch: Watch, eventually: Eventually, junk: object
) -> None:
    play(listed(5, web(3)), {"events": [junk], "then": "hang"}, watched(("MODIFIED", web(9))))
    at_hand = watch()
    eventually(lambda: at_hand.get("shop", "web") == web(9))


def test_a_listener_that_fails_does_not_end_the_watch(
    play: Play, watch: Watch, eventually: Eventually
) -> None:
    def listener(_namespace: str, _name: str, document: Document | None) -> None:
        if document == web(6):
            raise RuntimeError("nobody thought of this")

    play(listed(5), watched(("ADDED", web(6))), listed(7, web(7)), watched(("MODIFIED", web(8)), then="hang"))
    at_hand = watch(listener=listener)
    eventually(lambda: at_hand.get("shop", "web") == web(8))


def test_events_split_anywhere_are_read_whole(play: Play, watch: Watch, eventually: Eventually) -> None:
    line = (
        b'{"type": "ADDED", "object": {"metadata": {"namespace": "shop", "name": "web"}, "at": "\xc3\xa9"}}\n'
    )
    play(listed(5), {"events": [line[:7], line[7:-5], line[-5:] + line[:9], line[9:]], "then": "hang"})
    at_hand = watch()
    eventually(at_hand.all)
    assert at_hand.all()[0]["at"] == "é"


IMPATIENT = Pace(first=0.01, longest=0.05, watch=0.2)


@pytest.mark.parametrize(
    "silence",
    [
        pytest.param(watched(then="hang"), id="and never ends"),
        pytest.param(watched(then="linger"), id="and ends as if nothing had happened"),
    ],
)
def test_after_a_silent_watch_everything_is_listed_again(
    scripted: Cluster, play: Play, asked: Asked, eventually: Eventually, silence: dict[str, Any]
) -> None:
    """No event and no bookmark: what the server has to tell may be lost."""
    play(listed(5), silence, listed(7, web(6)), watched(then="hang"))
    at_hand = Watched(scripted, DEPLOYMENTS, pace=IMPATIENT).start()
    eventually(lambda: at_hand.get("shop", "web") == web(6))
    at_hand.stop()
    assert paths(asked)[:3] == ["list", "watch", "list"]
    assert "timeoutSeconds=1" in asked[1]["path"]
    assert at_hand.problem == ""


def test_a_watch_with_a_bookmark_was_not_silent(
    scripted: Cluster, play: Play, asked: Asked, eventually: Eventually
) -> None:
    play(listed(5), watched(bookmark(40), then="linger"), watched(("ADDED", web(41)), then="hang"))
    at_hand = Watched(scripted, DEPLOYMENTS, pace=IMPATIENT).start()
    eventually(lambda: at_hand.get("shop", "web") == web(41))
    at_hand.stop()
    assert paths(asked)[:3] == ["list", "watch", "watch"]


def test_a_server_that_ends_watches_early_is_not_taken_for_silent(
    scripted: Cluster, play: Play, asked: Asked, eventually: Eventually
) -> None:
    play(listed(5), watched(then="linger"), watched(("ADDED", web(41)), then="hang"))
    at_hand = Watched(scripted, DEPLOYMENTS, pace=HASTY).start()
    eventually(lambda: at_hand.get("shop", "web") == web(41))
    at_hand.stop()
    assert paths(asked)[:3] == ["list", "watch", "watch"]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(bookmark(8), id="a bookmark"),
        pytest.param(("MODIFIED", web(8, at="a past that is over")), id="an event"),
    ],
)
def test_versions_that_go_back_mean_listing_again(
    play: Play, asked: Asked, watch: Watch, eventually: Eventually, first: tuple[str, Document]
) -> None:
    """A cluster that was restored from a backup: the same objects, older than we know them."""
    play(listed(90, web(80, at="lost")), watched(first), listed(9, web(7, at="restored")), watched())
    at_hand = watch()
    eventually(lambda: at_hand.get("shop", "web") == web(7, at="restored"))
    eventually(lambda: len(asked) == 4)
    assert paths(asked) == ["list", "watch", "list", "watch"]
    assert "resourceVersion=9" in asked[3]["path"]


def test_an_event_without_a_version_does_not_lose_the_place(
    play: Play, asked: Asked, watch: Watch, eventually: Eventually
) -> None:
    nameless = {"metadata": {"namespace": "shop", "name": "odd"}}
    play(listed(5), watched(("ADDED", nameless), then="end"), watched(("ADDED", web(6))))
    at_hand = watch()
    eventually(lambda: at_hand.get("shop", "web") == web(6))
    assert "resourceVersion=5" in asked[2]["path"]


def test_stopping_does_not_wait_for_the_next_event(play: Play, watch: Watch, eventually: Eventually) -> None:
    play(listed(5), watched(then="hang"))
    at_hand = watch()
    eventually(lambda: at_hand._end_stream.__name__ == "close")
    at_hand.stop(timeout=10)
    assert not at_hand._thread.is_alive()


class TestOwnWrites:
    """The answer of an own write is visible at once, and nothing older comes back over it."""

    @pytest.fixture
    def at_hand(self, scripted: Cluster) -> Watched:
        at_hand = Watched(scripted, DEPLOYMENTS)
        at_hand._reached = "5"
        at_hand.put(web(7, at="ours"))
        return at_hand

    def test_it_is_visible_at_once(self, at_hand: Watched) -> None:
        assert at_hand.get("shop", "web") == web(7, at="ours")

    @pytest.mark.parametrize(
        ("kind", "version", "left", "told"),
        [
            pytest.param("MODIFIED", 6, "ours", 1, id="what came before it is told, not kept"),
            pytest.param("MODIFIED", 7, "ours", 0, id="its own event is not told"),
            pytest.param("MODIFIED", 8, "theirs", 1, id="what came after it is kept"),
            pytest.param("DELETED", 6, "ours", 1, id="a former one was deleted"),
            pytest.param("DELETED", 8, None, 1, id="it was deleted"),
            pytest.param("DELETED", 7, None, 1, id="it was deleted, told with its last version"),
        ],
    )
    def test_events_count_by_their_version(
        self, at_hand: Watched, kind: str, version: int, left: str | None, told: int
    ) -> None:
        heard = []
        at_hand.subscribe(lambda *change: heard.append(change))
        at_hand._take(kind, web(version, at="theirs"))
        document = at_hand.get("shop", "web")
        assert (document and document["at"]) == left
        assert len(heard) == told

    def test_an_answer_that_comes_late_does_not_bring_back_what_is_gone(self, at_hand: Watched) -> None:
        at_hand._take("DELETED", web(9))
        at_hand.put(web(8, at="late"))
        assert at_hand.get("shop", "web") is None

    def test_an_answer_that_comes_late_does_not_undo_what_came_after(self, at_hand: Watched) -> None:
        at_hand._take("MODIFIED", web(9, at="theirs"))
        at_hand.put(web(8, at="late"))
        document = at_hand.get("shop", "web")
        assert document is not None
        assert document["at"] == "theirs"

    def test_versions_that_are_no_numbers_are_taken_as_they_come(self, at_hand: Watched) -> None:
        for version in ("b", "a"):
            document = web(0)
            document["metadata"]["resourceVersion"] = version
            at_hand._take("MODIFIED", document)
        known = at_hand.get("shop", "web")
        assert known is not None
        assert known["metadata"]["resourceVersion"] == "a"

    @pytest.mark.parametrize("found", [listed(6, web(6, at="theirs")), listed(6)], ids=["change", "creation"])
    def test_a_list_that_was_on_its_way_does_not_undo_it(
        self, play: Play, at_hand: Watched, found: dict[str, Any]
    ) -> None:
        play({**found, "hook": lambda: at_hand.put(web(8, at="meanwhile"))})
        at_hand._list()
        assert at_hand.get("shop", "web") == web(8, at="meanwhile")

    def test_a_list_that_has_seen_it_and_its_end_wins(self, play: Play, at_hand: Watched) -> None:
        play({**listed(9), "hook": lambda: at_hand.put(web(8, at="meanwhile"))})
        at_hand._list()
        assert at_hand.all() == ()

    @pytest.mark.parametrize("uid", ["u", "other"])
    def test_a_list_of_a_cluster_that_was_restored_wins(self, play: Play, at_hand: Watched, uid: str) -> None:
        play(listed(2, web(1, uid, at="restored")))
        at_hand._list()
        assert at_hand.get("shop", "web") == web(1, uid, at="restored")
        at_hand.put(web(3, uid, at="ours again"))
        assert at_hand.get("shop", "web") == web(3, uid, at="ours again")

    def test_a_list_without_it_ends_it(self, play: Play, at_hand: Watched) -> None:
        play(listed(6))
        at_hand._list()
        assert at_hand.all() == ()


class TestOnTheSandbox:
    """The same against an API server that knows what it is talking about."""

    def test_changes_of_others_arrive_and_own_ones_need_not(
        self, cluster: Cluster, namespace: str, eventually: Eventually
    ) -> None:
        heard: list[tuple[str, bool]] = []
        at_hand = Watched(cluster, CONFIG_MAPS, namespace, pace=HASTY)
        at_hand.subscribe(lambda _, name, document: heard.append((name, document is not None)))
        at_hand.start()
        eventually(lambda: at_hand.synced)
        created = cluster.create(CONFIG_MAPS, namespace, {"metadata": {"name": "m"}})
        eventually(lambda: heard == [("m", True)])
        at_hand.put(cluster.patch(CONFIG_MAPS, namespace, "m", {"data": {"at": "ours"}}))
        known = at_hand.get(namespace, "m")
        assert known is not None
        assert known["data"] == {"at": "ours"}
        cluster.delete(CONFIG_MAPS, namespace, "m", uid=created["metadata"]["uid"])
        eventually(lambda: heard[-1] == ("m", False))
        assert at_hand.all() == ()
        at_hand.stop()

    def test_a_kind_that_is_installed_later_is_found(self, cluster: Cluster, eventually: Eventually) -> None:
        late = Resource("late.example", "v1", "things")
        at_hand = Watched(cluster, late, pace=HASTY).start()
        eventually(lambda: "things.late.example (v1) is not installed" in at_hand.problem)
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        cluster.create(
            Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
            "",
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": "things.late.example"},
                "spec": {
                    "group": "late.example",
                    "scope": "Namespaced",
                    "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
                    "versions": [
                        {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
                    ],
                },
            },
        )
        eventually(lambda: at_hand.synced and not at_hand.problem)
        at_hand.stop()

    def test_a_watch_from_long_ago_goes_on(self, cluster: Cluster, namespace: str) -> None:
        """The server tells everything after a resourceVersion that it still knows."""
        start = cluster.list(CANARIES, namespace).resource_version
        cluster.create(CONFIG_MAPS, namespace, {"metadata": {"name": "m"}})
        stream = cluster.watch(CONFIG_MAPS, namespace, "m", resource_version=start, seconds=5)
        change = next(iter(stream))
        stream.close()
        assert (change.type, change.document["metadata"]["name"]) == ("ADDED", "m")
