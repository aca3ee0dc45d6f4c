"""Several controllers in one cluster: each Canary is looked after by one, also while it changes hands."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

import pytest
import structlog

from config.selectors import parse_selector
from config.settings import load_settings
from config.status import HeldReason, Phase
from controller import app
from controller.errors import Conflict, Unavailable
from controller.kube.canaries import KubeCanaries, canary_of
from controller.kube.kept import Several
from controller.kube.lease import Alone
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
)
from controller.kube.shard import Shard, Whose
from controller.live import Live
from controller.ports import Key
from controller.telemetry.metrics import Metrics
from interrupted import LONGEST, Interruption, Process, Scene, Story, ending, told
from memory import CANARY, KEY, Server, pass_on
from promises import watch
from situations import SECOND
from stories import cluster, deployed, resting, turns_harmful


T = TypeVar("T")
ONE, OTHER = "shard=one", "shard!=one"
QUICK: dict[str, Any] = {"testing": None, "baking": {"duration": "0s"}}


@pytest.fixture(autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


class Sharded(Process):
    """A controller that looks after what a selector picks."""

    def __init__(self, server: Server, selector: str) -> None:
        super().__init__(server)
        self.shard = Shard(parse_selector(selector))
        self.canaries = KubeCanaries(cast("Any", server), self._caches[CANARIES], mine=self.shard.mine)
        self.reconciler = replace(self.reconciler, canaries=self.canaries)

    def part(self) -> None:
        """Do what the service does when it hears that the label was changed."""
        self.learn()
        document = self._caches[CANARIES].get(*KEY)
        if document is not None and (after := self.shard.farewell(document, self.server.now)):
            with contextlib.suppress(Conflict):
                self.canaries.record(canary_of(document), after)


def label(server: Server, **labels: str) -> None:
    server.edit(CANARY, lambda canary: canary["metadata"].update(labels=labels))


def labelled(**fields: Any) -> Server:
    server = cluster(**{**QUICK, **fields})
    label(server, shard="one")
    return server


def moments(story: Story) -> Iterator[tuple[Server, int]]:
    """Run a release in the hands of one; give each moment before a tick, and how many requests it makes."""
    server = labelled()
    process = Sharded(server, ONE)
    for _ in range(LONGEST):
        happen(server, story)
        moment, requests = server.copy(), Interruption()
        wake = ticked(process, requests.gate)
        if requests.passed:
            yield moment, len(requests.passed)
        if not pass_time(server, wake):
            return


def happen(server: Server, story: Story) -> None:
    while server.told < len(story) and story[server.told].when(server):
        server.told += 1
        story[server.told - 1].happens(server)


def ticked(process: Sharded, gate: Callable[..., Any] = pass_on) -> Any:  # when it is due again
    process.learn()
    process.server.gate, process.server.watchdog = gate, watch
    return process.tick()


def pass_time(server: Server, wake: Any) -> bool:  # as above
    due = [moment for moment in (wake, server.next_report) if moment is not None]
    if due:
        server.pass_time(min(due))
    return bool(due)


def finished(process: Sharded, story: Story) -> object:
    for _ in range(LONGEST):
        happen(process.server, story)
        if not pass_time(process.server, ticked(process)):
            return ending(process.server)
    raise AssertionError(f"no end: {told(process.server)}")


GOOD: Story = (Scene(resting, deployed("v2")),)
BAD: Story = (
    Scene(resting, deployed("v2")),
    Scene(lambda server: server.status.weight == 50, turns_harmful),
)


def changes_hands(moment: Server, story: Story, after: int) -> tuple[object, str]:
    """Let the label be changed after so many requests of a tick, and the next one begin in that instant."""
    server = moment.copy()
    old, new, passed = Sharded(server, ONE), Sharded(server, OTHER), 0

    def relabel() -> None:
        label(server, shard="two")
        for _ in range(2):
            ticked(new)
        server.gate = gate

    def gate(operation: str, effect: Callable[[], T]) -> T:
        nonlocal passed
        passed += 1
        answer = effect()
        if passed == after:
            relabel()
        return answer

    old.learn()
    if not after:
        relabel()
    server.gate, server.watchdog = gate, watch
    old.tick()
    assert passed >= after
    old.part()
    assert ticked(old) is None, "it went on with what is no longer its own"
    return finished(new, story), told(server)


@pytest.mark.no_cover
@pytest.mark.parametrize("story", [GOOD, BAD], ids=["good", "bad"])
def test_a_release_that_changes_hands_at_any_request_ends_as_it_would_have(story: Story) -> None:
    alone = labelled()
    end = finished(Sharded(alone, ONE), story)
    assert alone.status.phase is (Phase.PROMOTED if story is GOOD else Phase.ROLLED_BACK)
    ways = 0
    for moment, requests in moments(story):
        for after in range(requests + 1):
            found, where = changes_hands(moment, story, after)
            assert found == end, f"{told(moment)}\n  after {after} requests\n  {where}"
            ways += 1
    assert ways > 20


def at_half() -> tuple[Server, Sharded]:
    server = labelled()
    process = Sharded(server, ONE)
    for _ in range(LONGEST):
        happen(server, GOOD)
        if server.status.weight == 50 and server.status.step_started_at is not None:
            return server, process
        pass_time(server, ticked(process))
    raise AssertionError(told(server))


def test_a_release_that_nobody_goes_on_with_says_so() -> None:
    server, process = at_half()
    label(server, team="shop")
    routes = server.documents["virtualservices", "gloo-system", "echo"]
    process.part()
    assert ticked(process) is None
    held = server.status.held
    assert held is not None
    assert (held.reason, held.needs_human) == (HeldReason.STALLED, True)
    assert (
        server.status.reason
        == held.message
        == (
            "v2 stays at 50%: found the labels team=shop, but the controller that was releasing it selects "
            "shard=one; put the label back, or let another controller select it"
        )
    )
    assert next(each.status for each in server.status.conditions if each.type == "Stalled") == "True"
    assert server.documents["virtualservices", "gloo-system", "echo"] is routes
    assert server.status.weight == 50


def test_a_label_that_is_put_back_lets_the_release_go_on() -> None:
    server, process = at_half()
    label(server)
    process.part()
    assert "found the labels none" in server.status.reason
    label(server, shard="one")
    finished(process, GOOD)
    assert (server.status.phase, server.status.held) == (Phase.PROMOTED, None)


def test_nothing_is_said_where_nothing_is_under_way_or_it_is_still_ours() -> None:
    server = labelled()
    process = Sharded(server, ONE)
    now = server.now
    assert process.shard.farewell(server.documents[CANARY], now) is None
    finished(process, GOOD)
    label(server, shard="two")
    assert process.shard.farewell(server.documents[CANARY], now) is None
    half, other = at_half()
    assert other.shard.farewell(half.documents[CANARY], now) is None


def test_canaries_of_others_are_rivals_and_nothing_else() -> None:
    server = labelled()
    label(server, shard="two")
    process = Sharded(server, ONE)
    process.learn()
    assert process.canaries.get(KEY) is None
    assert process.canaries.refresh(KEY) is None
    assert process.canaries.all() == ()
    younger = {**server.documents[CANARY], "metadata": {"name": "young", "namespace": "echo"}}
    younger["metadata"]["labels"] = {"shard": "one"}
    server.pass_time(server.now + SECOND)
    server.put(CANARIES, younger)
    process.learn()
    process.reconciler.tick(Key("echo", "young"))
    found = server.documents[CANARIES.plural, "echo", "young"]["status"]["reason"]
    assert found == "route VirtualService gloo-system/echo belongs to the older Canary echo/echo"


def test_what_a_change_of_a_canary_means() -> None:
    shard = Shard(parse_selector(ONE))
    ours: Any = {"metadata": {"labels": {"shard": "one"}}}
    theirs: Any = {"metadata": {"labels": {"shard": "two"}}}
    bare: Any = {"metadata": {}}
    assert shard.changed(KEY, theirs) is Whose.OTHERS
    assert not shard.is_leaving(KEY)
    assert shard.changed(KEY, ours) is Whose.OURS
    assert shard.changed(KEY, bare) is Whose.LEFT
    assert shard.is_leaving(KEY)
    assert shard.changed(KEY, theirs) is Whose.OTHERS
    assert shard.is_leaving(KEY)
    shard.has_left(KEY)
    assert not shard.is_leaving(KEY)
    for end, whose in ((ours, Whose.OURS), (None, Whose.NOBODYS)):
        shard.changed(KEY, ours)
        shard.changed(KEY, theirs)
        assert shard.changed(KEY, end) is whose
        assert not shard.is_leaving(KEY)
    assert shard.changed(KEY, theirs) is Whose.OTHERS


@pytest.mark.parametrize(
    ("status", "told_of"),
    [({}, False), ({"phase": "Idle"}, False), ({"phase": "Shifting", "candidate": "v2"}, True)],
)
def test_of_others_only_what_is_being_released_is_told(status: dict[str, Any], *, told_of: bool) -> None:
    if "candidate" in status:
        status = {**status, "candidate": {"version": "v2", "hash": "h", "deployment": "echo-v2"}}
    document: Any = {"metadata": {"labels": {"shard": "two"}}, "status": status}
    assert Shard(parse_selector(ONE)).told(document) is told_of
    assert Shard(parse_selector(OTHER)).told(document)


# The service around it.


def built(server: Server, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:  # a Service
    """Build a service that is not started and listens nowhere."""
    monkeypatch.setattr(app, "Server", lambda *_: None)
    return app.Service(load_settings(**settings), cast("Any", server), Metrics(), Alone(), Live())


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Server]:
    """Give a service that selects `shard=one`, on a release at 50%."""
    server, _ = at_half()
    made = built(server, monkeypatch, selector=ONE)
    hear(made)
    return made, server


def hear(service: Any) -> None:
    """Let the watch of Canaries tell what there is."""
    service._watch_canaries._list()


def test_the_service_says_it_once_and_only_if_it_leads(service: tuple[Any, Server]) -> None:
    made, server = service
    label(server, shard="two")
    hear(made)
    assert made._tick(KEY) is None
    assert "stays at 50%" in server.status.reason
    version = server.version
    assert made._tick(KEY) is None
    assert server.version == version


def test_a_service_that_stands_by_says_nothing_then_or_later(service: tuple[Any, Server]) -> None:
    made, server = service
    label(server, shard="two")
    hear(made)
    leads = made._leadership.acting
    made._leadership.acting = lambda: contextlib.nullcontext(False)  # noqa: FBT003
    version = server.version
    assert made._tick(KEY) is None
    made._leadership.acting = leads
    assert made._tick(KEY) is None
    assert server.version == version


def test_what_could_not_be_said_is_said_later(service: tuple[Any, Server]) -> None:
    made, server = service
    label(server, shard="two")
    hear(made)

    def away(_operation: str, _effect: object) -> None:
        raise Unavailable("no answer")

    server.gate = away
    with pytest.raises(Unavailable):
        made._tick(KEY)
    server.gate = pass_on
    made._tick(KEY)
    assert "stays at 50%" in server.status.reason


def test_whoever_was_faster_has_the_last_word(service: tuple[Any, Server]) -> None:
    made, server = service
    label(server, shard="two")
    hear(made)
    server.edit(CANARY, lambda canary: canary["status"].update(reason="ours now"))
    assert made._tick(KEY) is None
    assert server.status.reason == "ours now"


APPLICATIONS = {str(CANARIES), str(DEPLOYMENTS), str(METRIC_TEMPLATES)}
GATEWAYS = {str(each) for each in (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)}


@pytest.mark.parametrize(
    ("reach", "watched"),
    [
        pytest.param("gloo-system", APPLICATIONS | GATEWAYS, id="and where its Canaries reach"),
        pytest.param("*", APPLICATIONS, id="Gloo's objects everywhere, if they reach everywhere"),
    ],
)
def test_only_the_namespaces_looked_after_are_watched(
    reach: str, watched: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = built(cluster(), monkeypatch, namespace="echo,shop", allowed_namespaces=reach)
    several = {
        str(each.resource) for each in (made._watch_canaries, *made._watches) if isinstance(each, Several)
    }
    assert several == watched
