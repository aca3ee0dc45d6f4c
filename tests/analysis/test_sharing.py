"""Many threads, one request under way: nobody waits for company, nobody is lost, nobody is harmed."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from analysis.queries import Query
from analysis.samples import Answer, Failure, Sample
from analysis.sharing import MOST_CHARACTERS, MOST_TOGETHER, Answered, Sharing
from sandbox.process import wait_until


START = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
PATIENCE = 30
"""Seconds until a test says that somebody waits for ever."""


def queries(*expressions: str) -> tuple[Query, ...]:
    """Everybody's ids are the same."""
    return tuple(Query(f"m{number}", expression) for number, expression in enumerate(expressions))


def said(expression: str, at: dt.datetime) -> tuple[Sample, ...]:
    return (Sample({"expression": expression}, at.timestamp()),)


class Server:
    """Answers when it is let, and remembers what was asked in one go."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gate: threading.Semaphore | None = None
        """If there is one, each request needs a permit."""
        self.arrived = threading.Semaphore(0)
        self.broken: Callable[[Sequence[str]], Mapping[str, Failure]] = lambda _: {}
        self.error: BaseException | None = None
        self.ticks = 0

    def now(self) -> dt.datetime:
        self.ticks += 1
        return START + dt.timedelta(seconds=self.ticks)

    def ask(self, asked: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        assert len({query.id for query in asked}) == len(asked)
        expressions = [query.expression for query in asked]
        self.asked.append(expressions)
        self.arrived.release()
        if self.gate is not None:
            assert self.gate.acquire(timeout=PATIENCE)
        if self.error is not None:
            raise self.error
        failures = self.broken(expressions)
        return {query.id: failures.get(query.expression, said(query.expression, at)) for query in asked}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def sharing(server: Server) -> Sharing:
    return Sharing(server.ask, server.now)


class Crowd:
    """Threads that ask; `wait` tells when so many of them are queueing."""

    def __init__(self, sharing: Sharing, pool: ThreadPoolExecutor) -> None:
        self.sharing, self.pool = sharing, pool

    def send(self, *expressions: str) -> "Future[Answered]":
        return self.pool.submit(self.sharing.ask, queries(*expressions))

    def queue(self, *sets: Sequence[str]) -> "list[Future[Answered]]":
        """Send one after the other, each once the one before stands in the queue."""
        sent = []
        for expressions in sets:
            before = self.waiting()
            sent.append(self.send(*expressions))
            self.until(before + 1)
        return sent

    def until(self, waiting: int) -> None:
        assert wait_until(lambda: self.waiting() >= waiting, patience=PATIENCE, pause=0.0005)

    def waiting(self) -> int:
        with self.sharing._change:
            return len(self.sharing._waiting)


@contextmanager
def held(server: Server, sharing: Sharing) -> Iterator[tuple[Crowd, "Future[Answered]"]]:
    """Keep a first request under way for as long as the block; then let everything through."""
    server.gate = threading.Semaphore(0)
    with ThreadPoolExecutor(64) as pool:
        crowd = Crowd(sharing, pool)
        first = crowd.send("first")
        assert server.arrived.acquire(timeout=PATIENCE)
        try:
            yield crowd, first
        finally:
            server.gate.release(10_000)


def test_a_lone_one_asks_at_once_and_gets_the_time_of_the_request(server: Server, sharing: Sharing) -> None:
    at, answers = sharing.ask(queries("a", "b"))
    assert at == START + dt.timedelta(seconds=1)
    assert answers == {"m0": said("a", at), "m1": said("b", at)}
    assert server.asked == [["a", "b"]]


def test_the_next_one_needs_its_own_request_with_its_own_time(server: Server, sharing: Sharing) -> None:
    first, _ = sharing.ask(queries("a"))
    second, answers = sharing.ask(queries("a"))
    assert (second - first, answers) == (dt.timedelta(seconds=1), {"m0": said("a", second)})
    assert len(server.asked) == 2


def test_who_asks_for_nothing_gets_nothing(sharing: Sharing) -> None:
    _, answers = sharing.ask(())
    assert answers == {}


def test_who_arrives_meanwhile_travels_together_in_the_next_one(server: Server, sharing: Sharing) -> None:
    with held(server, sharing) as (crowd, first):
        rest = crowd.queue(["a", "b"], ["c"], ["d"])
        assert server.asked == [["first"]]
    assert server.asked == [["first"], ["a", "b", "c", "d"]]
    at, answers = first.result(PATIENCE)
    assert answers == {"m0": said("first", at)}
    found = [each.result(PATIENCE) for each in rest]
    assert {each[0] for each in found} == {at + dt.timedelta(seconds=1)}
    later = found[0][0]
    assert [each[1] for each in found] == [
        {"m0": said("a", later), "m1": said("b", later)},
        {"m0": said("c", later)},
        {"m0": said("d", later)},
    ]


def test_the_same_expression_is_asked_once(server: Server, sharing: Sharing) -> None:
    with held(server, sharing) as (crowd, _):
        rest = crowd.queue(["a", "b"], ["b", "a"], ["b"])
    assert server.asked[1:] == [["a", "b"]]
    (_, one), (_, other), (at, third) = (each.result(PATIENCE) for each in rest)
    assert (one["m0"], one["m1"]) == (other["m1"], other["m0"]) == (said("a", at), said("b", at))
    assert third == {"m0": said("b", at)}


def test_a_request_is_full_at_some_point_and_a_set_is_never_torn_apart(
    server: Server, sharing: Sharing
) -> None:
    def names(letter: str, count: int) -> list[str]:
        return [f"{letter}{number}" for number in range(count)]

    a, b, c = names("a", MOST_TOGETHER - 10), names("b", 10), names("c", 1)
    d = names("d", MOST_TOGETHER + 5)
    with held(server, sharing) as (crowd, _):
        rest = crowd.queue(a, b, c, d)
    assert server.asked[1:] == [a + b, c, d]
    assert [len(each.result(PATIENCE)[1]) for each in rest] == [len(each) for each in (a, b, c, d)]


def test_so_is_one_with_long_expressions(server: Server, sharing: Sharing) -> None:
    half, more, longest = "h" * (MOST_CHARACTERS // 2), "m", "l" * (2 * MOST_CHARACTERS)
    with held(server, sharing) as (crowd, _):
        crowd.queue([half], [half[:-1] + "x"], [more], [longest])
    assert [len(each) for each in server.asked[1:]] == [2, 1, 1]


def test_everybody_in_a_crowd_gets_their_own_answer(server: Server, sharing: Sharing) -> None:
    crowd, rounds = 24, 20
    together = threading.Barrier(crowd)

    def ask(number: int) -> list[bool]:
        right = []
        for turn in range(rounds):
            together.wait(PATIENCE)
            expressions = (f"{number}/{turn}", f"shared/{turn}")
            at, answers = sharing.ask(queries(*expressions))
            right.append(answers == {f"m{n}": said(each, at) for n, each in enumerate(expressions)})
        return right

    with ThreadPoolExecutor(crowd) as pool:
        assert all(all(each) for each in pool.map(ask, range(crowd), timeout=PATIENCE))
    assert rounds <= len(server.asked) <= crowd * rounds


class TestFaults:
    def test_an_error_is_a_failure_for_everybody_aboard(self, server: Server, sharing: Sharing) -> None:
        with held(server, sharing) as (crowd, first):
            server.error = KeyError("secret")
            rest = crowd.queue(["a"], ["b"])
        for each in (first, *rest):
            _, answers = each.result(PATIENCE)
            assert answers == {"m0": Failure("Prometheus could not be asked (KeyError)")}

    def test_an_answer_that_lacks_somebody_is_one_for_everybody(self) -> None:
        sharing = Sharing(lambda _queries, _at: {}, lambda: START)
        assert sharing.ask(queries("a"))[1] == {"m0": Failure("Prometheus could not be asked (KeyError)")}

    def test_who_is_stopped_leaves_the_others_to_the_next_one(self, server: Server, sharing: Sharing) -> None:
        stopped = threading.Semaphore(1)
        real = server.ask

        def ask(asked: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
            if len(asked) > 1 and stopped.acquire(blocking=False):
                raise KeyboardInterrupt
            return real(asked, at)

        sharing._ask = ask
        with held(server, sharing) as (crowd, _):
            rest = crowd.queue(["a"], ["b"], ["c"])
        problems = [each.exception(PATIENCE) for each in rest]
        assert sorted(type(problem).__name__ for problem in problems) == [
            "KeyboardInterrupt", "NoneType", "NoneType",
        ]  # fmt: skip
        (left,) = (letter for letter, problem in zip("abc", problems, strict=True) if problem)
        assert [asked for asked in server.asked if left in asked] == [], "who is gone is not asked for"
        assert sharing._waiting == []
        assert sharing.ask(queries("d"))[1].keys() == {"m0"}

    def test_a_clock_that_fails_is_an_error_and_holds_nobody(self, server: Server, sharing: Sharing) -> None:
        def broken() -> dt.datetime:
            raise OSError("no time")

        sharing._now = broken
        for _ in range(2):
            with pytest.raises(OSError, match="no time"):
                sharing.ask(queries("a"))
        sharing._now = server.now
        assert sharing.ask(queries("a"))[1].keys() == {"m0"}

    def test_a_crowd_survives_errors_of_any_kind(self, server: Server, sharing: Sharing) -> None:
        crowd, rounds = 16, 15
        turns = iter(range(10**6))
        errors = (TimeoutError(), ValueError(), RecursionError())
        real = server.ask

        def ask(asked: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
            turn = next(turns)
            if turn % 2:
                raise errors[turn // 2 % 3]
            return real(asked, at)

        sharing._ask = ask
        together = threading.Barrier(crowd)

        def run(number: int) -> int:
            together.wait(PATIENCE)
            return sum(len(sharing.ask(queries(f"{number}/{turn}", "x"))[1]) for turn in range(rounds))

        with ThreadPoolExecutor(crowd) as pool:
            assert set(pool.map(run, range(crowd), timeout=PATIENCE)) == {2 * rounds}


class TestLoners:
    def test_who_got_a_failure_goes_alone_until_all_is_answered(
        self, server: Server, sharing: Sharing
    ) -> None:
        server.broken = lambda asked: {"bad": Failure("no")} if "bad" in asked else {}
        bad = (Query("b0", "fine"), Query("b1", "bad"))
        sharing.ask(bad)
        with held(server, sharing) as (crowd, _):
            good = crowd.queue(["good"], ["better"])
            alone = crowd.pool.submit(sharing.ask, bad)
            assert server.arrived.acquire(timeout=PATIENCE), "it must not wait for the others"
            server.broken = lambda _: {}
        assert [*server.asked[1:3]] == [["first"], ["fine", "bad"]]
        assert server.asked[3] == ["good", "better"]
        assert all(not isinstance(answer, Failure) for answer in alone.result(PATIENCE)[1].values())
        assert all(each.result(PATIENCE) for each in good)
        server.asked.clear()
        with held(server, sharing) as (crowd, _):
            while server.arrived.acquire(blocking=False):
                pass
            crowd.queue(["good"])
            back = crowd.pool.submit(sharing.ask, bad)
            crowd.until(2)
        assert server.asked[1:] == [["good", "fine", "bad"]]
        assert back.result(PATIENCE)

    def test_a_neighbour_that_spoils_everything_does_so_once(self, server: Server, sharing: Sharing) -> None:
        def broken(asked: Sequence[str]) -> Mapping[str, Failure]:
            return dict.fromkeys(asked, Failure("too slow")) if "heavy" in asked else {}

        server.broken = broken
        good, heavy = (Query("g", "good"),), (Query("h", "heavy"),)
        with held(server, sharing) as (crowd, _):
            rest = [crowd.pool.submit(sharing.ask, each) for each in (good, heavy)]
            crowd.until(2)
        assert all(
            isinstance(answer, Failure) for each in rest for answer in each.result(PATIENCE)[1].values()
        )
        for _ in range(3):
            with held(server, sharing) as (crowd, _):
                rest = [crowd.pool.submit(sharing.ask, each) for each in (good, heavy)]
            answers = [next(iter(each.result(PATIENCE)[1].values())) for each in rest]
            assert [isinstance(answer, Failure) for answer in answers] == [False, True]

    def test_they_are_not_remembered_without_end(self, server: Server, sharing: Sharing) -> None:
        server.broken = lambda asked: dict.fromkeys(asked, Failure("no"))
        for number in range(1003):
            sharing.ask((Query(f"q{number}", "up"),))
        assert 0 < len(sharing._loners) <= 1000
