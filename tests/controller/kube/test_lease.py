"""Who leads: taking the lease, keeping it, losing it; never two at a time, whatever clocks and lines do."""

import copy
import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.clock import steady
from controller.errors import Conflict, Deposed, NotFound, Unavailable
from controller.kube.client import Cluster
from controller.kube.lease import Alone, Clocks, Elector, LeaseName, Terms
from controller.kube.resources import LEASES, Document, Resource


LEASE = LeaseName("crossfade", "turns")
TERMS = Terms(duration=15, renew_within=10, retry=2)
T0 = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@dataclass
class Server:
    """One Lease, under resourceVersions."""

    lease: Document | None = None
    version: int = 0
    births: int = 0

    @property
    def spec(self) -> Document:
        assert self.lease is not None
        spec: Document = self.lease["spec"]
        return spec

    def read(self) -> Document:
        if self.lease is None:
            raise NotFound("get leases: not found")
        return copy.deepcopy(self.lease)

    def create(self, document: Mapping[str, Any]) -> Document:
        if self.lease is not None:
            raise Conflict("create leases: exists already")
        self.births += 1
        return self._keep(document, f"uid-{self.births}")

    def replace(self, document: Mapping[str, Any]) -> Document:
        if self.lease is None:
            raise NotFound("update leases: not found")
        if document["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("update leases: changed")
        return self._keep(document, self.lease["metadata"]["uid"])

    def edit(self, **spec: Any) -> None:
        """Change it by hand."""
        self._keep({**self.read(), "spec": {**self.spec, **spec}}, self.read()["metadata"]["uid"])

    def _keep(self, document: Mapping[str, Any], uid: str) -> Document:
        self.version += 1
        kept = copy.deepcopy(dict(document))
        kept["metadata"] |= {"uid": uid, "resourceVersion": str(self.version)}
        self.lease = kept
        return copy.deepcopy(kept)


@dataclass
class Line:
    """The connection of one process; it may fail before or after a request took effect, and take its time."""

    server: Server
    down: bool = False
    mute: bool = False
    """Requests arrive, answers do not."""
    before: Callable[[], None] = lambda: None
    """Happens while a request is on its way."""
    sent: list[str] = field(default_factory=list)

    def read(self, resource: Resource, namespace: str, name: str) -> Document:
        assert (resource, namespace, name) == (LEASES, *LEASE)
        return self._send("get", self.server.read)

    def create(self, resource: Resource, namespace: str, document: Mapping[str, Any]) -> Document:
        assert (resource, namespace) == (LEASES, LEASE.namespace)
        assert (document["apiVersion"], document["kind"]) == ("coordination.k8s.io/v1", "Lease")
        return self._send("create", lambda: self.server.create(document))

    def replace(self, resource: Resource, document: Mapping[str, Any]) -> Document:
        assert resource == LEASES
        return self._send("update", lambda: self.server.replace(document))

    def _send(self, verb: str, effect: Callable[[], Document]) -> Document:
        self.sent.append(verb)
        if self.down:
            raise Unavailable("leases: nobody answered")
        self.before()
        answer = effect()
        if self.mute:
            raise Unavailable("leases: the answer was lost")
        return answer


@dataclass
class Process:
    """One elector with a clock of its own."""

    name: str
    server: Server
    clock: float = 1000.0
    now: dt.datetime = T0
    terms: Terms = TERMS
    elections: int = 0

    def __post_init__(self) -> None:
        self.line = Line(self.server)
        self.elector = Elector(
            self.line, LEASE, self.name, self.terms, Clocks(lambda: self.clock, lambda: self.now)
        )
        self.elector._on_elected = self.elected

    def elected(self) -> None:
        assert self.leads, "told to lead without leading"
        self.elections += 1

    def round(self, later: float = 0.0) -> "Process":
        self.clock += later
        self.elector.round()
        return self

    @property
    def leads(self) -> bool:
        return self.elector.leading

    @property
    def may_write(self) -> bool:
        try:
            self.elector.permit()
        except Deposed:
            return False
        return True


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def one(server: Server) -> Process:
    """Give the one that leads."""
    return Process("one", server).round()


@pytest.fixture
def two(one: Process) -> Process:
    """Give one that stands by and has seen who leads; its clock shows something else."""
    return Process("two", one.server, clock=7.0, now=T0 + dt.timedelta(days=300)).round()


def test_the_first_one_leads_at_once_and_says_so_in_the_lease(one: Process) -> None:
    assert (one.leads, one.may_write, one.elections) == (True, True, 1)
    assert one.server.spec == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-03-01T12:00:00.000000Z",
        "renewTime": "2026-03-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }


def test_nobody_leads_before_the_first_look(server: Server) -> None:
    process = Process("one", server)
    assert (process.leads, process.may_write) == (False, False)


def test_a_renewal_is_one_request_and_no_new_term(one: Process) -> None:
    one.now += dt.timedelta(seconds=2)
    one.line.sent.clear()
    one.round(2)
    assert one.line.sent == ["update"]
    assert (one.elections, one.server.spec["renewTime"]) == (1, "2026-03-01T12:00:02.000000Z")
    assert one.server.spec["acquireTime"] == "2026-03-01T12:00:00.000000Z"
    one.clock += 9.9
    assert one.leads


def test_the_other_one_stands_by_while_the_lease_is_renewed(one: Process, two: Process) -> None:
    for _ in range(20):
        one.round(2)
        two.round(2)
    assert (one.leads, two.leads, two.may_write) == (True, False, False)


def test_one_that_cannot_renew_stops_before_the_other_one_begins(one: Process, two: Process) -> None:
    one.line.down = True
    for _ in range(7):
        assert not two.round(2).leads
    one.round(9.9)
    assert one.leads
    one.clock += 0.1
    assert (one.leads, one.may_write) == (False, False)
    assert two.round(1).leads
    assert (two.server.spec["holderIdentity"], two.server.spec["leaseTransitions"]) == ("two", 1)
    assert two.elections == 1


def test_the_time_counts_from_before_a_renewal_was_sent(one: Process) -> None:
    def slowly() -> None:
        one.clock += 4

    one.line.before = slowly
    one.round(2)
    one.clock += 5.9
    assert one.leads
    one.clock += 0.1
    assert not one.leads


def test_a_lease_that_changes_hands_between_look_and_write_is_not_taken(one: Process, two: Process) -> None:
    one.line.down = True
    two.clock += 15
    third = Process("three", one.server)

    def meanwhile() -> None:
        two.line.before = lambda: None
        one.server.edit(renewTime="later")

    two.line.before = lambda: None if two.line.sent[-1] == "get" else meanwhile()
    assert not two.round().leads
    assert not third.round().leads


def test_the_duration_that_the_holder_wrote_is_waited_for(one: Process, two: Process) -> None:
    one.server.edit(leaseDurationSeconds=60)
    two.round()
    assert not two.round(59.9).leads
    assert two.round(0.1).leads
    assert two.server.spec["leaseDurationSeconds"] == 15


@pytest.mark.parametrize("nonsense", [None, 0, -5, "60"])
def test_a_duration_that_is_none_is_taken_for_our_own(one: Process, two: Process, nonsense: object) -> None:
    one.server.edit(leaseDurationSeconds=nonsense)
    two.round()
    assert not two.round(14.9).leads
    assert two.round(0.1).leads


def test_a_released_lease_is_taken_at_the_next_look(one: Process, two: Process) -> None:
    one.elector.start(lambda: None)
    one.elector.stop(release=True)
    assert not one.leads
    assert one.server.spec["holderIdentity"] == ""
    assert two.round(0.1).leads


def test_what_is_still_in_hand_keeps_the_lease_until_it_runs_out(one: Process, two: Process) -> None:
    one.elector.start(lambda: None)
    one.elector.stop(release=False)
    assert (one.leads, one.server.spec["holderIdentity"]) == (False, "one")
    assert not two.round(14.9).leads


def test_one_that_does_not_lead_releases_nothing(one: Process, two: Process) -> None:
    two.elector.start(lambda: None)
    two.elector.stop(release=True)
    assert one.server.spec["holderIdentity"] == "one"


def test_a_release_that_fails_is_said(one: Process) -> None:
    one.elector.start(lambda: None)
    one.line.down = True
    with structlog.testing.capture_logs() as logs:
        one.elector.stop(release=True)
    assert [line["event"] for line in logs][-1] == "lease.not_released"


def test_a_renewal_whose_answer_was_lost_goes_on_in_the_same_term(one: Process) -> None:
    with one.elector.acting() as leads:
        one.line.mute = True
        one.round(2)
        one.line.mute = False
        one.round(2)
        assert leads
        assert one.may_write
    assert (one.elections, one.server.spec["leaseTransitions"]) == (1, 0)


def test_a_lease_that_was_taken_without_an_answer_is_found_to_be_ours(server: Server) -> None:
    one = Process("one", server)
    one.line.mute = True
    assert not one.round().leads
    one.line.mute = False
    assert one.round(2).leads


def test_one_that_lost_the_lease_stands_down_when_it_sees_that(one: Process) -> None:
    one.server.edit(holderIdentity="somebody")
    assert not one.round(2).leads
    assert not one.round(2).may_write


def test_what_was_begun_in_one_term_is_not_finished_in_the_next(one: Process, two: Process) -> None:
    """Frozen in mid-tick; by the time it runs again it has been deposed and elected anew."""
    with one.elector.acting() as leads:
        assert leads
        two.clock += 15
        assert two.round().leads
        two.elector.start(lambda: None)
        two.elector.stop(release=True)
        one.round(15)
        assert one.leads
        assert not one.may_write
    assert one.elections == 2
    with one.elector.acting() as leads:
        assert leads
        assert one.may_write


def test_one_that_doubted_and_was_not_replaced_goes_on_and_is_told_to_look(one: Process) -> None:
    with one.elector.acting():
        one.line.down = True
        with structlog.testing.capture_logs() as logs:
            one.round(12)
        assert [line["event"] for line in logs] == ["lease.unreachable", "lease.doubtful"]
        assert not one.may_write
        one.line.down = False
        one.round(2)
        assert one.may_write, "nobody else can have led"
    assert one.elections == 2


def test_each_thread_has_a_term_of_its_own(one: Process) -> None:
    seen = []
    with one.elector.acting():
        one.elector._term += 1
        thread = threading.Thread(target=lambda: seen.append(one.may_write))
        thread.start()
        thread.join()
        assert not one.may_write
    assert seen == [True]


class TestDeleted:
    def test_whoever_led_makes_it_again(self, one: Process, two: Process) -> None:
        one.server.lease = None
        two.round()
        assert one.round(2).leads
        assert (two.round(2).leads, one.server.births) == (False, 2)

    def test_the_others_wait_until_whoever_led_must_have_stopped(self, one: Process, two: Process) -> None:
        one.line.down = True
        one.server.lease = None
        with structlog.testing.capture_logs() as logs:
            assert not two.round(14).leads
            assert not two.round(14).leads
        assert logs == []
        assert two.round(1).leads

    def test_a_new_one_in_the_meantime_wins(self, one: Process) -> None:
        one.server.lease = None
        new = Process("new", one.server).round()
        assert new.leads
        assert not one.round(2).leads

    def test_making_it_may_come_too_late(self, server: Server) -> None:
        one, two = Process("one", server), Process("two", server)

        def meanwhile() -> None:
            if one.line.sent[-1] == "create":
                one.line.before = lambda: None
                two.round()

        one.line.before = meanwhile
        assert not one.round().leads
        assert two.leads


class TestWhatIsSaid:
    def test_each_change_once(self, one: Process, two: Process) -> None:
        with structlog.testing.capture_logs() as logs:
            two.round(1).round(1)
            two.line.down = True
            two.round(1).round(1)
            two.line.down = False
            two.round(1).round(1)
            one.line.down = True
            two.round(15).round(1)
        said = [(line["event"], line.get("holder"), line["log_level"]) for line in logs]
        assert said == [
            ("lease.unreachable", None, "warning"),
            ("lease.observed", "one", "info"),
            ("lease.held", None, "info"),
        ]

    def test_a_second_outage_is_said_too(self, one: Process) -> None:
        with structlog.testing.capture_logs() as logs:
            for down in (True, False, True):
                one.line.down = down
                one.round(2)
        assert [line["event"] for line in logs] == ["lease.unreachable"] * 2


def test_a_round_that_crashes_is_not_the_last_one(server: Server) -> None:
    looked = threading.Event()
    process = Process("one", server, terms=Terms(3, 2, 0.001))

    def crash() -> None:
        if len(process.line.sent) > 3:
            looked.set()
        raise RuntimeError("nobody foresaw this")

    process.line.before = crash
    with structlog.testing.capture_logs() as logs:
        process.elector.start(lambda: None)
        assert looked.wait(20)
        process.elector.stop(release=True)
    assert {line["event"] for line in logs} == {"lease.crashed"}


def test_who_is_alone_always_leads() -> None:
    alone = Alone()
    alone.start(lambda: None)
    with alone.acting() as leads:
        alone.permit()
    alone.stop(release=True)
    assert (leads, alone.leading) == (True, True)


def test_the_steady_clock_goes_forward() -> None:
    assert steady() <= steady()


def test_on_a_real_api_server_it_changes_hands(cluster: Cluster, namespace: str) -> None:
    lease = LeaseName(namespace, "turns")
    clock = [0.0]
    clocks = Clocks(lambda: clock[0], lambda: T0 + dt.timedelta(seconds=clock[0]))
    one, two = (Elector(cluster, lease, name, TERMS, clocks) for name in ("one", "two"))
    one.round()
    two.round()
    assert (one.leading, two.leading) == (True, False)
    clock[0] += 2
    one.round()
    clock[0] += 13
    two.round()
    one.round()
    assert (one.leading, two.leading) == (True, False), "it had been renewed"
    clock[0] += 15
    two.round()
    two.round()
    assert not two.leading, "it is there for the first time since the renewal"
    clock[0] += 15
    two.round()
    one.round()
    assert (one.leading, two.leading) == (False, True)
    stored = cluster.read(LEASES, *lease)["spec"]
    assert (stored["holderIdentity"], stored["leaseTransitions"]) == ("two", 1)


def test_a_renewal_that_changes_nothing_is_none(cluster: Cluster, namespace: str) -> None:
    clock = [0.0]
    clocks = Clocks(lambda: clock[0], lambda: T0)
    elector = Elector(cluster, LeaseName(namespace, "turns"), "one", TERMS, clocks)
    elector.round()
    clock[0] += 9
    elector.round()
    assert elector.leading
    clock[0] += 1
    assert not elector.leading


SPEEDS = st.floats(0.9, 1.1)
NAMES = st.sampled_from(["one", "two"])


class Turns(RuleBasedStateMachine):
    """Two processes whose clocks run up to a tenth too fast or too slow, over lines that fail.

    Each may be frozen, also between a request and its answer; answers and requests get lost.
    Nobody deletes the lease: then only what the server checks at each move is left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.processes: dict[str, Process] = {}

    @initialize(one=SPEEDS, two=SPEEDS)
    def begin(self, one: float, two: float) -> None:
        self.speeds = {"one": one, "two": two}
        self.processes = {name: Process(name, self.server) for name in self.speeds}

    def _pass(self, seconds: float) -> None:
        for name, process in self.processes.items():
            process.clock += seconds * self.speeds[name]

    @rule(seconds=st.sampled_from([0.5, 2, 2, 5, 9, 16]))
    def time_passes(self, seconds: float) -> None:
        self._pass(seconds)

    @rule(name=NAMES, fault=st.sampled_from(["", "", "", "down", "mute"]))
    def looks(self, name: str, fault: str) -> None:
        process = self.processes[name]
        process.line.down, process.line.mute = fault == "down", fault == "mute"
        process.round()
        process.line.down = process.line.mute = False

    @rule(
        name=NAMES,
        other_looks=st.booleans(),
        frozen=st.sampled_from([0.5, 4, 12, 20, 40]),
        at=st.integers(0, 1),
    )
    def looks_and_is_frozen_before_its_request_arrives(
        self, name: str, *, other_looks: bool, frozen: float, at: int
    ) -> None:
        process = self.processes[name]
        other = self.processes[next(each for each in self.processes if each != name)]
        left = [at]

        def freeze() -> None:
            if left[0] == 0:
                for _ in range(4):
                    self._pass(frozen / 4)
                    if other_looks:
                        other.round()
                    self.never_two()
            left[0] -= 1

        process.line.before = freeze
        process.round()
        process.line.before = lambda: None

    @precondition(lambda self: self.processes)
    @rule(name=NAMES)
    def is_ended_and_started_again(self, name: str) -> None:
        process = self.processes[name]
        process.elector._stop.set()
        process.elector.start(process.elected)
        process.elector.stop(release=True)
        self.processes[name] = Process(name, self.server, clock=process.clock)

    @invariant()
    def never_two(self) -> None:
        leading = [name for name, process in self.processes.items() if process.leads]
        assert len(leading) < 2, "two lead"
        if leading:
            assert self.server.spec["holderIdentity"] == leading[0]


Turns.TestCase.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_two_never_lead_at_the_same_time = Turns.TestCase
