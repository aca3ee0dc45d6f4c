"""Who asks while a request is under way travels with the next one, and everybody arrives."""

import datetime as dt
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from analysis.queries import Query
from analysis.samples import Answer, Sample
from analysis.sharing import MOST_TOGETHER, Answered, Sharing
from metrics import NOW


PATIENCE = 30.0


class Door:
    """Answers each query by its own expression; a request waits until it is let through."""

    def __init__(self) -> None:
        self.requests: list[list[Query]] = []
        self.problem: BaseException | None = None
        self._arrived = threading.Semaphore(0)
        self._open = threading.Semaphore(0)
        self.sharing = Sharing(self.ask, self.now)

    def now(self) -> dt.datetime:
        return NOW + len(self.requests) * dt.timedelta(seconds=1)

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        assert at == self.now()
        assert len({query.id for query in queries}) == len(queries)
        self.requests.append(list(queries))
        self._arrived.release()
        assert self._open.acquire(timeout=PATIENCE)
        if self.problem is not None:
            raise self.problem
        return {query.id: (Sample({"of": query.expression}, 1.0),) for query in queries}

    def until_asked(self) -> None:
        assert self._arrived.acquire(timeout=PATIENCE)

    def let_through(self, requests: int = 1) -> None:
        self._open.release(requests)

    def until_waiting(self, passengers: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(self.sharing._waiting) != passengers:
            assert time.monotonic() < deadline
            threading.Event().wait(0.001)


def queries(of: str, count: int = 2) -> tuple[Query, ...]:
    """Give queries whose ids are the same for everybody."""
    return tuple(Query(f"errors/candidate/{number}/1", f"{of}{number}") for number in range(count))


def own(of: str, count: int = 2) -> dict[str, Answer]:
    return {query.id: (Sample({"of": query.expression}, 1.0),) for query in queries(of, count)}


def gather(door: Door, pool: ThreadPoolExecutor, *sets: tuple[Query, ...]) -> "list[Future[Answered]]":
    """Let these wait for the request that is under way, in this order."""
    waiting = []
    for number, each in enumerate(sets, start=1):
        waiting.append(pool.submit(door.sharing.ask, each))
        door.until_waiting(number)
    return waiting


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_alone_nobody_waits(door: Door) -> None:
    door.let_through()
    at, answers = door.sharing.ask(queries("a"))
    assert (at, answers) == (NOW, own("a"))


def test_who_asks_meanwhile_shares_the_next_request_and_gets_its_own_answers(
    door: Door, pool: ThreadPoolExecutor
) -> None:
    first = pool.submit(door.sharing.ask, queries("first"))
    door.until_asked()
    others = gather(door, pool, queries("b"), queries("c", 3), queries("d", 1))
    door.let_through(2)
    assert first.result(PATIENCE) == (NOW, own("first"))
    later = NOW + dt.timedelta(seconds=1)
    assert [other.result(PATIENCE) for other in others] == [
        (later, own("b")),
        (later, own("c", 3)),
        (later, own("d", 1)),
    ]
    assert [len(request) for request in door.requests] == [2, 6]


def test_a_request_takes_no_more_than_it_should_and_tears_nobody_apart(
    door: Door, pool: ThreadPoolExecutor
) -> None:
    first = pool.submit(door.sharing.ask, queries("first"))
    door.until_asked()
    large, half = MOST_TOGETHER + 7, MOST_TOGETHER // 2
    others = gather(door, pool, queries("a", half), queries("b", half), queries("c", 1), queries("d", large))
    door.let_through(4)
    assert first.result(PATIENCE)[1] == own("first")
    answers = [other.result(PATIENCE)[1] for other in others]
    assert answers == [own("a", half), own("b", half), own("c", 1), own("d", large)]
    assert [len(request) for request in door.requests] == [2, 2 * half, 1, large]


def test_an_error_reaches_all_who_shared_and_nobody_else(door: Door, pool: ThreadPoolExecutor) -> None:
    first = pool.submit(door.sharing.ask, queries("first"))
    door.until_asked()
    others = gather(door, pool, queries("b"), queries("c"))
    door.let_through()
    assert first.result(PATIENCE)[1] == own("first")
    door.until_asked()
    door.problem = ZeroDivisionError("unforeseen")
    door.let_through()
    for other in others:
        with pytest.raises(ZeroDivisionError):
            other.result(PATIENCE)
    door.problem = None
    door.let_through()
    assert door.sharing.ask(queries("later"))[1] == own("later")


def test_many_at_once_all_arrive(door: Door, pool: ThreadPoolExecutor) -> None:
    door.let_through(1000)
    asked = [pool.submit(door.sharing.ask, queries(str(number))) for number in range(300)]
    for number, each in enumerate(asked):
        assert each.result(PATIENCE)[1] == own(str(number))
    assert sum(len(request) for request in door.requests) == 600
    assert max(len(request) for request in door.requests) <= MOST_TOGETHER
