from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING

import pytest

from sandbox.apiserver.api import Api, Write
from sandbox.apiserver.builtin import built_in
from sandbox.apiserver.resources import Register
from sandbox.apiserver.running import create_namespaces, follow_definitions
from sandbox.apiserver.store import Store
from sandbox.apiserver.testing import ApiServer


if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One server for all tests that only read and write: each keeps to a namespace of its own."""
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as found:
        yield found


_numbers = itertools.count()


@pytest.fixture
def namespace(server: ApiServer) -> str:
    name = f"test-{next(_numbers)}"
    code, _ = server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert code == 201
    return name


@pytest.fixture
def writes() -> list[Write]:
    return []


@pytest.fixture
def api(writes: list[Write]) -> Api:
    """Make the verbs without a server around them; every look at the clock is a second later."""
    seconds = itertools.count()

    def clock() -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=next(seconds))

    store, register = Store(), Register(built_in())
    follow_definitions(store, register)
    found = Api(store, register, clock, writes.append)
    create_namespaces(found)
    writes.clear()
    return found
