"""The past, sharing and certificates, with a real Prometheus at the other end."""

import datetime as dt
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
import yaml

from analysis.prometheus import Prometheus
from analysis.queries import Query
from analysis.samples import Failure, History, Moment
from config.access import Access
from controller.clock import SystemClock
from sandbox.process import start, wait_until
from sandbox.prometheus import cache_folder, find


pytestmark = pytest.mark.e2e

SECOND = dt.timedelta(seconds=1)
TIMEOUT = dt.timedelta(seconds=30)


def query(name: str, expression: str) -> Query:
    return Query(f"{name}/candidate/value/0", expression)


@pytest.fixture
def client(prometheus: str) -> Iterator[Prometheus]:
    client = Prometheus(prometheus, TIMEOUT, now=SystemClock().now)
    yield client
    client.close()


def test_the_past_is_what_would_have_been_answered_then(client: Prometheus) -> None:
    queries = [
        query("total", "prometheus_http_requests_total"),
        query("stale", 'up{version="v1"} == 1'),
        query("scalar", "scalar(count(up) or vector(0))"),
        query("empty", "nowhere"),
        query("time", "vector(time())"),
    ]

    def scraped() -> bool:
        return client.ask(queries, SystemClock().now() - 3 * SECOND)[queries[0].id] != ()

    assert wait_until(scraped, patience=30, pause=0.1)
    end = SystemClock().now() - 2 * SECOND  # what is older is not added to any more
    start = end - 30 * SECOND  # some of it from before anything was scraped
    past = client.history(queries, start, end, SECOND)
    for each in queries:
        moments = past[each.id]
        assert not isinstance(moments, Failure), moments
        assert [moment.at for moment in moments] == [moments[0].at + number * SECOND for number in range(31)]
        for moment in moments[::3]:
            assert moment.samples == client.ask(queries, moment.at)[each.id]
    assert {moment.samples for moment in _found(past, "empty")} == {()}
    assert any(moment.samples for moment in _found(past, "total"))


def _found(past: Mapping[str, History], name: str) -> tuple[Moment, ...]:
    found = past[query(name, "").id]
    assert not isinstance(found, Failure)
    return found


def test_a_long_past_comes_in_pieces_that_prometheus_accepts(client: Prometheus) -> None:
    end = SystemClock().now()
    (moments,) = client.history(
        [query("time", "vector(time())")], end - 25_000 * SECOND, end, SECOND
    ).values()
    assert not isinstance(moments, Failure)
    assert len(moments) == 25_001
    assert all(abs(moment.samples[0].value - moment.at.timestamp()) < 0.002 for moment in moments)


def test_a_refused_query_does_not_spoil_the_past_of_others(client: Prometheus) -> None:
    end = SystemClock().now()
    bad, good = query("bad", "nosuch(up)"), query("good", "vector(1)")
    past = client.history([bad, good], end - 2 * SECOND, end, SECOND)
    answer = past[bad.id]
    assert isinstance(answer, Failure)
    assert answer.refused
    assert len(_found(past, "good")) == 3


def test_many_canaries_share_requests_and_the_wrong_query_of_one_is_its_own(prometheus: str) -> None:
    outcomes: list[str] = []
    client = Prometheus(prometheus, TIMEOUT, SystemClock().now, outcomes.append)
    crowd, rounds = 12, 5
    together = threading.Barrier(crowd)

    def ask(number: int) -> None:
        expression = "nosuch(up)" if number == 0 else f"vector({number})"
        mine = (Query("m/candidate/value/0", expression), Query("m/stable/value/0", "vector(time())"))
        for _ in range(rounds):
            together.wait(30)
            at, answers = client.ask_now(mine)
            first, second = (answers[each.id] for each in mine)
            assert not isinstance(second, Failure), second
            assert abs(second[0].value - at.timestamp()) < 0.001
            if number == 0:
                assert isinstance(first, Failure)
                assert "unknown function" in first.reason
            else:
                assert not isinstance(first, Failure), first
                assert first[0].value == number

    with ThreadPoolExecutor(crowd) as pool:
        list(pool.map(ask, range(crowd), timeout=120))
    client.close()
    assert set(outcomes) == {"answered", "refused"}
    assert len(outcomes) < crowd * rounds


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, trustme.CA]]:
    """Run a Prometheus that answers only to whom its authority knows."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "crt")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    authority.issue_cert("crossfade").private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours")
    (tmp_path / "config").write_text("{}")
    tls = {
        "cert_file": "crt", "key_file": "key", "client_ca_file": "ca",
        "client_auth_type": "RequireAndVerifyClientCert",
    }  # fmt: skip
    (tmp_path / "web").write_text(yaml.safe_dump({"tls_server_config": tls}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        str(find(cache_folder())),
        f"--config.file={tmp_path / 'config'}",
        f"--web.config.file={tmp_path / 'web'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    process = start(command, tmp_path / "log")
    try:
        yield f"https://{address}", authority
    finally:
        process.terminate()
        process.wait(30)


def test_certificates_as_prometheus_itself_wants_them(
    guarded: tuple[str, trustme.CA], tmp_path: Path
) -> None:
    url, _ = guarded
    one = query("one", "vector(1)")
    trusting = Access(ca_file=str(tmp_path / "ca"))
    known = Access(ca_file=str(tmp_path / "ca"), cert_file=str(tmp_path / "ours"))
    clients = [Prometheus(url, TIMEOUT, access=access) for access in (known, trusting, Access(verify=False))]

    def answered() -> bool:
        return not isinstance(clients[0].ask((one,), SystemClock().now())[one.id], Failure)

    assert wait_until(answered, patience=60), (tmp_path / "log").read_text()
    for client in clients[1:]:
        assert isinstance(client.ask((one,), SystemClock().now())[one.id], Failure)
    for client in clients:
        client.close()
