"""Requests: what is sent, what is tried again, and how it ends."""

import re
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Conflict, Deposed, EdgeError, Forbidden, NotFound, Refused, Unavailable
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, DEPLOYMENTS, EVENTS, UPSTREAMS


Play = Callable[..., None]
Asked = list[dict[str, Any]]
Step = dict[str, Any]

OBJECT = {"metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7"}}
CUT: Step = {"then": "cut"}
TESTED = [
    {"op": "test", "path": "/spec/replicas", "value": 3},
    {"op": "replace", "path": "/spec/replicas", "value": 0},
]


def refused(code: int, message: str = "no", **details: object) -> Step:
    return {"code": code, "body": {"kind": "Status", "message": message, "details": details}}


FAILED_TEST = refused(422, "the server rejected our request due to an error in our request")


@pytest.mark.parametrize(
    "passing",
    [
        pytest.param(CUT, id="a reset connection"),
        pytest.param({"code": 200, "body": b'{"a', "headers": {"Content-Length": "99"}}, id="half an answer"),
        pytest.param(refused(429), id="429"),
        pytest.param({**refused(429), "headers": {"Retry-After": "0"}}, id="429 with Retry-After"),
        pytest.param(refused(500), id="500"),
        pytest.param(refused(503), id="503"),
        pytest.param(refused(504), id="504"),
    ],
)
def test_what_passes_is_tried_again(scripted: Cluster, play: Play, asked: Asked, passing: Step) -> None:
    if passing.get("body") == b'{"a':
        passing = {**passing, "headers": {"Content-Length": "99", "Connection": "close"}}
    play(passing, passing, {"body": OBJECT})
    assert scripted.read(DEPLOYMENTS, "shop", "web") == OBJECT
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(refused(400), Refused, id="400"),
        pytest.param(refused(401), Forbidden, id="401"),
        pytest.param(refused(403, "User cannot get resource"), Forbidden, id="403"),
        pytest.param(refused(404), NotFound, id="404"),
        pytest.param(refused(409), Conflict, id="409"),
        pytest.param(FAILED_TEST, Conflict, id="422"),
        pytest.param({"body": b"<html>login</html>"}, Unavailable, id="a login page"),
    ],
)
def test_what_stays_is_asked_once(
    scripted: Cluster, play: Play, asked: Asked, answer: Step, error: type[EdgeError]
) -> None:
    play(answer)
    with pytest.raises(error, match=r"^get deployments\.apps shop/web: "):
        scripted.read(DEPLOYMENTS, "shop", "web")
    assert len(asked) == 1


def test_attempts_are_bounded(scripted: Cluster, play: Play, asked: Asked) -> None:
    play(refused(503, "no endpoints"))
    with pytest.raises(Unavailable, match=r"get deployments.apps shop/web: no endpoints \(503\)"):
        scripted.read(DEPLOYMENTS, "shop", "web")
    assert len(asked) == 3


def test_the_time_that_a_server_asks_for_is_waited_for(
    connect: Callable[..., Cluster], play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    wish = {**refused(429, "later"), "headers": {"Retry-After": "1"}}
    play(wish, refused(503), {"body": OBJECT})
    cluster = connect(pause=0.2)
    assert cluster.patch(DEPLOYMENTS, "shop", "web", {}) == OBJECT
    with_wish, without = waited
    assert 1.1 <= with_wish <= 1.2, (
        "what the server asks for, and a little more, so that not all come at once"
    )
    assert 0.2 <= without <= 0.4


def test_a_wish_that_takes_too_long_is_not_waited_for(scripted: Cluster, play: Play, asked: Asked) -> None:
    play({**refused(429, "later"), "headers": {"Retry-After": "3600"}})
    with pytest.raises(Unavailable, match="later"):
        scripted.read(DEPLOYMENTS, "shop", "web")
    assert len(asked) == 1


def test_silence_is_not_waited_for(scripted: Cluster, play: Play, asked: Asked) -> None:
    play({"then": "hang"}, {"then": "hang"}, {"body": OBJECT})
    assert scripted.read(DEPLOYMENTS, "shop", "web") == OBJECT
    assert len(asked) == 3


def test_nobody_there_is_said_with_the_address(scripted: Cluster, server: ThreadingHTTPServer) -> None:
    server.server_close()
    with pytest.raises(Unavailable, match=r"cannot reach http://127\.0\.0\.1:\d+: .*Connection refused"):
        scripted.read(DEPLOYMENTS, "shop", "web")


@pytest.mark.parametrize(
    ("write", "second", "outcome"),
    [
        pytest.param(
            lambda cluster: cluster.patch(DEPLOYMENTS, "shop", "web", TESTED),
            FAILED_TEST,
            Conflict,
            id="a JSON patch finds its own traces",
        ),
        pytest.param(
            lambda cluster: cluster.replace(CANARIES, OBJECT, subresource="status"),
            refused(409),
            Conflict,
            id="a replacement finds its own resourceVersion",
        ),
        pytest.param(
            lambda cluster: cluster.create(EVENTS, "shop", OBJECT),
            refused(409, "already exists"),
            Conflict,
            id="a creation finds its own object",
        ),
        pytest.param(
            lambda cluster: cluster.delete(DEPLOYMENTS, "shop", "web", uid="u"),
            refused(404),
            NotFound,
            id="a deletion finds nothing",
        ),
    ],
)
def test_a_write_whose_answer_is_lost_never_happens_twice(
    scripted: Cluster,
    play: Play,
    asked: Asked,
    write: Callable[[Cluster], object],
    second: Step,
    outcome: type[EdgeError],
) -> None:
    play(CUT, second)
    with pytest.raises(outcome):
        write(scripted)
    first, again = asked
    assert (first["method"], first["path"], first["body"]) == (again["method"], again["path"], again["body"])


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        pytest.param(
            lambda c: c.read(CANARIES, "shop", "web"),
            "GET",
            "/apis/crossfade.dev/v1alpha1/namespaces/shop/canaries/web",
            id="get",
        ),
        pytest.param(
            lambda c: c.create(EVENTS, "shop", OBJECT),
            "POST",
            "/api/v1/namespaces/shop/events?fieldManager=crossfade",
            id="create",
        ),
        pytest.param(
            lambda c: c.replace(CANARIES, OBJECT, subresource="status"),
            "PUT",
            "/apis/crossfade.dev/v1alpha1/namespaces/shop/canaries/web/status?fieldManager=crossfade",
            id="replace the status",
        ),
        pytest.param(
            lambda c: c.patch(DEPLOYMENTS, "shop", "web", TESTED),
            "PATCH",
            "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=crossfade",
            id="patch",
        ),
        pytest.param(
            lambda c: c.delete(DEPLOYMENTS, "shop", "a/b", uid="u"),
            "DELETE",
            "/apis/apps/v1/namespaces/shop/deployments/a%2Fb",
            id="a name cannot leave its place in the path",
        ),
    ],
)
def test_requests_go_where_kubernetes_expects_them(
    scripted: Cluster, play: Play, asked: Asked, call: Callable[[Cluster], object], method: str, path: str
) -> None:
    play({"body": OBJECT})
    call(scripted)
    assert (asked[0]["method"], asked[0]["path"]) == (method, path)
    assert asked[0]["headers"]["User-Agent"] == "crossfade/test"
    assert asked[0]["headers"]["authorization"] == "Bearer very-secret"


@pytest.mark.parametrize(
    ("patch", "content_type"),
    [
        pytest.param(TESTED, "application/json-patch+json", id="operations are a JSON patch"),
        pytest.param(
            {"metadata": {"labels": None}}, "application/merge-patch+json", id="a mapping is merged"
        ),
    ],
)
def test_a_patch_says_which_kind_it_is(
    scripted: Cluster, play: Play, asked: Asked, patch: Step, content_type: str
) -> None:
    play({"body": OBJECT})
    scripted.patch(UPSTREAMS, "gloo-system", "web", patch)
    assert asked[0]["headers"]["Content-Type"] == content_type
    assert asked[0]["body"] == patch


def test_a_deletion_is_bound_to_the_very_object(scripted: Cluster, play: Play, asked: Asked) -> None:
    play({"body": {}})
    scripted.delete(DEPLOYMENTS, "shop", "web", uid="u-1", resource_version="7")
    assert asked[0]["body"]["preconditions"] == {"uid": "u-1", "resourceVersion": "7"}


def test_a_long_list_is_read_to_its_end(scripted: Cluster, play: Play, asked: Asked) -> None:
    play(
        {"body": {"metadata": {"resourceVersion": "9", "continue": "a b&c"}, "items": [{"at": 1}]}},
        {"body": {"metadata": {"resourceVersion": "9"}, "items": [{"at": 2}]}},
    )
    listing = scripted.list(DEPLOYMENTS)
    assert [document["at"] for document in listing.documents] == [1, 2]
    assert listing.resource_version == "9"
    assert "continue=a%20b%26c" in asked[1]["path"]


def test_every_attempt_is_told_to_the_observer(connect: Callable[..., Cluster], play: Play) -> None:
    seen: list[tuple[str, str, int]] = []
    cluster = connect(on_request=lambda verb, resource, code: seen.append((verb, resource, code)))
    play(CUT, refused(503), {"body": OBJECT})
    cluster.read(DEPLOYMENTS, "shop", "web")
    assert seen == [("get", "deployments.apps", code) for code in (0, 503, 200)]


@pytest.mark.parametrize("step", [CUT, refused(403, "User cannot get resource"), refused(503)])
def test_no_message_shows_the_token(scripted: Cluster, play: Play, step: Step) -> None:
    play(step)
    with pytest.raises(EdgeError) as caught:
        scripted.read(DEPLOYMENTS, "shop", "web")
    chain = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "very-secret" not in chain


@pytest.mark.parametrize(
    ("text", "context", "words"),
    [
        pytest.param(None, None, "nowhere", id="no such file"),
        pytest.param("clusters: [", None, "kubeconfig", id="broken YAML"),
        pytest.param("- 1", None, "kubeconfig", id="no mapping"),
        pytest.param(
            "{apiVersion: v1, kind: Config, current-context: '', clusters: [], contexts: [], users: []}",
            "elsewhere",
            "elsewhere",
            id="no such context",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, context: str | None, words: str
) -> None:
    path = tmp_path / ("nowhere" if text is None else "kubeconfig")
    if text is not None:
        path.write_text(text)
    with pytest.raises(Unavailable, match=re.escape(str(path))) as caught:
        Cluster.connect(str(path), context)
    assert words in str(caught.value)


def test_the_context_tells_user_and_namespace(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(
        """
        {apiVersion: v1, kind: Config, current-context: one,
         clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}],
         users: [{name: eve, user: {}}, {name: bob, user: {}}],
         contexts: [{name: one, context: {cluster: c, user: eve}},
                    {name: two, context: {cluster: c, user: bob, namespace: shop}}]}
        """
    )
    one, two = Cluster.connect(str(path)), Cluster.connect(str(path), "two")
    assert (one.user, one.namespace, one.server) == ("eve", "default", "http://127.0.0.1:1")
    assert (two.user, two.namespace) == ("bob", "shop")


def test_a_server_that_does_not_speak_tls_is_unavailable(connect: Callable[..., Cluster], play: Play) -> None:
    play({"body": {}})
    with pytest.raises(Unavailable, match="cannot reach https://"):
        connect(scheme="https").read(DEPLOYMENTS, "shop", "web")


def test_a_token_that_cannot_be_renewed_is_unavailable(
    connect: Callable[..., Cluster], play: Play, asked: Asked, tmp_path: Path
) -> None:
    def renew(_configuration: object) -> None:
        (tmp_path / "token").read_text()

    play({"body": OBJECT})
    with pytest.raises(Unavailable, match=r"no credentials: .*token"):
        connect(renew=renew).read(DEPLOYMENTS, "shop", "web")
    assert not asked


def test_a_pod_without_a_service_account_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    with pytest.raises(Unavailable, match=r"service account of this pod: .*token"):
        Cluster.connect()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_cluster_on_this_machine_is_reached_past_any_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: ThreadingHTTPServer, play: Play, host: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    path = tmp_path / "kubeconfig"
    path.write_text(
        f"""
        {{apiVersion: v1, kind: Config, current-context: c,
         clusters: [{{name: c, cluster: {{server: "http://{host}:{server.server_address[1]}"}}}}],
         users: [{{name: c, user: {{}}}}], contexts: [{{name: c, context: {{cluster: c, user: c}}}}]}}
        """
    )
    play({"body": OBJECT})
    assert Cluster.connect(str(path)).read(DEPLOYMENTS, "shop", "web") == OBJECT


class TestPermission:
    """Whoever may have been replaced changes nothing any more."""

    @staticmethod
    def refuse() -> None:
        raise Deposed("another process leads")

    @pytest.mark.parametrize(
        "write",
        [
            pytest.param(lambda cluster: cluster.create(DEPLOYMENTS, "shop", OBJECT), id="create"),
            pytest.param(lambda cluster: cluster.patch(DEPLOYMENTS, "shop", "web", []), id="patch"),
            pytest.param(lambda cluster: cluster.patch(DEPLOYMENTS, "shop", "web", {}), id="merge"),
            pytest.param(lambda cluster: cluster.replace(DEPLOYMENTS, OBJECT), id="replace"),
            pytest.param(lambda cluster: cluster.delete(DEPLOYMENTS, "shop", "web", uid="1"), id="delete"),
        ],
    )
    def test_no_write_is_sent_without_it(
        self, connect: Callable[..., Cluster], play: Play, asked: Asked, write: Callable[[Cluster], object]
    ) -> None:
        play({"body": OBJECT})
        with pytest.raises(Deposed):
            write(connect(permit=self.refuse))
        assert asked == []

    def test_reading_needs_none(self, connect: Callable[..., Cluster], play: Play) -> None:
        play({"body": OBJECT})
        assert connect(permit=self.refuse).read(DEPLOYMENTS, "shop", "web") == OBJECT

    def test_it_is_asked_again_before_each_further_attempt(
        self, connect: Callable[..., Cluster], play: Play, asked: Asked
    ) -> None:
        def once() -> None:
            if asked:
                raise Deposed("another process leads by now")

        play({"code": 503}, {"body": OBJECT})
        with pytest.raises(Deposed):
            connect(permit=once).patch(DEPLOYMENTS, "shop", "web", [])
        assert len(asked) == 1
