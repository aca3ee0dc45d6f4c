"""Who we are and whom we trust, with real TLS: nobody else is believed, and no secret gets out."""

import base64
import datetime as dt
import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import trustme

from analysis.prometheus import Prometheus
from analysis.queries import Query
from analysis.samples import Answer, Failure
from config.access import Access
from metrics import NOW


UP = Query("up/candidate/value/1", "up")
FINE = {"body": {"status": "success", "data": {"resultType": "vector", "result": []}}}
NOT_TRUSTED = "cannot be trusted (certificate verify failed"


class Server(Protocol):
    """What the tests need of the scripted server."""

    host: str
    asked: list[dict[str, str]]

    def play(self, *steps: Any) -> None: ...


Serve = Callable[..., Server]
Ask = Callable[..., Answer]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Ask a server for one query; the same client for the same access."""
    clients: dict[str, Prometheus] = {}

    def ask(url: str, seconds: float = 5, **access: Any) -> Answer:
        name = f"{url} {access}"
        if name not in clients:
            clients[name] = Prometheus(url, dt.timedelta(seconds=seconds), access=Access(**access))
        return clients[name].ask((UP,), NOW)[UP.id]

    yield ask
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def context_of(
    authority: trustme.CA, *, host: str = "127.0.0.1", clients: trustme.CA | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def written(path: Path, authority: trustme.CA) -> str:
    authority.cert_pem.write_to_path(path)
    return str(path)


def reason(answer: Answer) -> str:
    assert isinstance(answer, Failure), answer
    return answer.reason


class TestTheServer:
    def test_is_believed_if_its_certificate_descends_from_ours(
        self, serve: Serve, ask: Ask, play_on: Callable[..., None], authority: trustme.CA, tmp_path: Path
    ) -> None:
        server = serve(context_of(authority))
        play_on(server, FINE)
        assert ask(f"https://{server.host}", ca_file=written(tmp_path / "ca", authority)) == ()

    def test_is_not_believed_otherwise_and_not_asked_again(
        self,
        serve: Serve,
        ask: Ask,
        play_on: Callable[..., None],
        authority: trustme.CA,
        stranger: trustme.CA,
        tmp_path: Path,
    ) -> None:
        server = serve(context_of(authority))
        play_on(server, FINE)
        for access in ({}, {"ca_file": written(tmp_path / "ca", stranger)}):
            found = reason(ask(f"https://{server.host}", token="s3cret", **access))  # noqa: S106
            assert f"https://{server.host} {NOT_TRUSTED}" in found
        assert server.asked == []

    def test_is_not_believed_under_another_name(
        self, serve: Serve, ask: Ask, play_on: Callable[..., None], authority: trustme.CA, tmp_path: Path
    ) -> None:
        server = serve(context_of(authority, host="prometheus.example.org"))
        play_on(server, FINE)
        found = reason(ask(f"https://{server.host}", ca_file=written(tmp_path / "ca", authority)))
        assert NOT_TRUSTED in found
        assert "127.0.0.1" in found
        assert server.asked == []

    def test_is_believed_whoever_it_is_where_that_is_wished(
        self, serve: Serve, ask: Ask, play_on: Callable[..., None], authority: trustme.CA
    ) -> None:
        server = serve(context_of(authority, host="prometheus.example.org"))
        play_on(server, FINE)
        assert ask(f"https://{server.host}", verify=False) == ()

    def test_must_speak_tls_if_the_address_says_so(self, scripted: Server, ask: Ask) -> None:
        assert "cannot be trusted (" in reason(ask(f"https://{scripted.host}", token="s3cret"))  # noqa: S106
        assert scripted.asked == []

    def test_may_get_a_certificate_of_another_authority(
        self,
        serve: Serve,
        ask: Ask,
        play_on: Callable[..., None],
        authority: trustme.CA,
        stranger: trustme.CA,
        tmp_path: Path,
    ) -> None:
        context = context_of(authority)
        server = serve(context)
        play_on(server, FINE)
        url, file = f"https://{server.host}", written(tmp_path / "ca", authority)
        assert ask(url, ca_file=file) == ()
        stranger.issue_cert("127.0.0.1").configure_cert(context)
        written(tmp_path / "ca", stranger)
        assert ask(url, ca_file=file) == ()
        written(tmp_path / "ca", authority)
        assert NOT_TRUSTED in reason(ask(url, ca_file=file))

    @pytest.mark.parametrize(
        ("content", "said"),
        [(None, "ca: No such file or directory"), (b"", "cannot be"), (b"-----BEGIN X-----", "cannot be")],
    )
    def test_is_not_asked_without_the_authorities(
        self, serve: Serve, ask: Ask, authority: trustme.CA, tmp_path: Path, content: bytes | None, said: str
    ) -> None:
        server = serve(context_of(authority))
        if content is not None:
            (tmp_path / "ca").write_bytes(content)
        assert said in reason(ask(f"https://{server.host}", ca_file=str(tmp_path / "ca")))
        assert server.asked == []


class TestOurCertificate:
    @pytest.fixture
    def server(self, serve: Serve, play_on: Callable[..., None], authority: trustme.CA) -> Server:
        """Run a server that wants to know who asks."""
        server = serve(context_of(authority, clients=authority))
        play_on(server, FINE)
        return server

    @pytest.fixture
    def ours(self, authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
        issued = authority.issue_cert("crossfade.example.org")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "crt")
        issued.private_key_pem.write_to_path(tmp_path / "key")
        return {
            "ca_file": written(tmp_path / "ca", authority),
            "cert_file": str(tmp_path / "crt"),
            "key_file": str(tmp_path / "key"),
        }

    def test_is_shown(self, server: Server, ask: Ask, ours: dict[str, str]) -> None:
        assert ask(f"https://{server.host}", **ours) == ()
        assert server.asked[0][":peer"]

    def test_may_be_in_one_file_with_its_key(self, server: Server, ask: Ask, ours: dict[str, str]) -> None:
        both = Path(ours["cert_file"])
        both.write_text(Path(ours.pop("key_file")).read_text() + both.read_text())
        assert ask(f"https://{server.host}", **ours) == ()

    def test_is_needed(self, server: Server, ask: Ask, ours: dict[str, str]) -> None:
        found = reason(ask(f"https://{server.host}", ca_file=ours["ca_file"]))
        assert "cannot be" in found  # TLS's own words, unless the connection was cut before them
        assert server.asked == []

    def test_of_a_stranger_is_not_enough(
        self, server: Server, ask: Ask, ours: dict[str, str], stranger: trustme.CA, tmp_path: Path
    ) -> None:
        stranger.issue_cert("crossfade.example.org").private_key_and_cert_chain_pem.write_to_path(
            tmp_path / "theirs"
        )
        found = ask(f"https://{server.host}", ca_file=ours["ca_file"], cert_file=str(tmp_path / "theirs"))
        assert "cannot be" in reason(found)  # TLS's own words, unless the connection was cut before them
        assert server.asked == []

    def test_follows_its_files(
        self, server: Server, ask: Ask, ours: dict[str, str], authority: trustme.CA
    ) -> None:
        url = f"https://{server.host}"
        assert [ask(url, **ours), ask(url, **ours)] == [(), ()]
        renewed = authority.issue_cert("crossfade.example.org")
        renewed.cert_chain_pems[0].write_to_path(ours["cert_file"])
        renewed.private_key_pem.write_to_path(ours["key_file"])
        assert ask(url, **ours) == ()
        first, second, third = (asked[":peer"] for asked in server.asked)
        assert first == second != third

    def test_with_the_key_of_another_is_a_failure_that_passes(
        self, server: Server, ask: Ask, ours: dict[str, str], authority: trustme.CA
    ) -> None:
        """Between the two files of a certificate that is being renewed."""
        fitting = Path(ours["key_file"]).read_text()
        authority.issue_cert("other.example.org").private_key_pem.write_to_path(ours["key_file"])
        assert "key values mismatch" in reason(ask(f"https://{server.host}", **ours))
        Path(ours["key_file"]).write_text(fitting)
        assert ask(f"https://{server.host}", **ours) == ()

    @pytest.mark.parametrize("missing", ["cert_file", "key_file"])
    def test_that_is_missing_is_named(
        self, server: Server, ask: Ask, ours: dict[str, str], missing: str
    ) -> None:
        Path(ours[missing]).unlink()
        found = reason(ask(f"https://{server.host}", **ours))
        assert f"is not asked: {ours[missing]}: No such file or directory" in found
        assert server.asked == []


class TestCredentials:
    @pytest.fixture
    def server(self, scripted: Server, play_on: Callable[..., None]) -> Server:
        play_on(scripted, FINE)
        return scripted

    def sent(self, server: Server) -> list[str | None]:
        return [asked.get("Authorization") for asked in server.asked]

    def test_a_token_is_sent_with_every_request(self, server: Server, ask: Ask) -> None:
        for _ in range(2):
            ask(f"http://{server.host}", token="t0ken")  # noqa: S106
        assert self.sent(server) == ["Bearer t0ken"] * 2

    def test_a_token_follows_its_file(self, server: Server, ask: Ask, tmp_path: Path) -> None:
        file = tmp_path / "token"
        for token in ("one", "two\n", "  three \n"):
            file.write_text(token)
            assert ask(f"http://{server.host}", token_file=str(file)) == ()
        assert self.sent(server) == ["Bearer one", "Bearer two", "Bearer three"]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            pytest.param(None, "token: No such file or directory", id="missing"),
            pytest.param(b" \n", "token is empty; it should hold the bearer token", id="empty"),
            pytest.param(b"\xff\xfe", "token is not text", id="binary"),
            pytest.param(b"se cret", "the bearer token is not one", id="two-words"),
            pytest.param(b"secret\r\nX-Evil: 1", "the bearer token is not one", id="two-lines"),
            pytest.param("secr\u00e9t".encode(), "the bearer token is not one", id="accent"),
        ],
    )
    def test_without_a_token_nothing_is_asked(
        self, server: Server, ask: Ask, tmp_path: Path, content: bytes | None, said: str
    ) -> None:
        file = tmp_path / "token"
        if content is not None:
            file.write_bytes(content)
        found = reason(ask(f"http://{server.host}", token_file=str(file)))
        assert said in found
        assert "secr" not in found
        assert server.asked == []

    @pytest.mark.parametrize("password", ["s3cret", "pass:word", "pässwörd €", ""])
    def test_user_and_password_are_sent(self, server: Server, ask: Ask, password: str) -> None:
        ask(f"http://{server.host}", username="reader", password=password)
        (sent,) = self.sent(server)
        assert sent is not None
        assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"reader:{password}"

    def test_a_password_follows_its_file(self, server: Server, ask: Ask, tmp_path: Path) -> None:
        file = tmp_path / "password"
        for password in ("one", "two\n"):
            file.write_text(password)
            ask(f"http://{server.host}", username="reader", password_file=str(file))
        expected = [base64.b64encode(f"reader:{each}".encode()).decode() for each in ("one", "two")]
        assert self.sent(server) == [f"Basic {each}" for each in expected]

    def test_in_the_address_they_are_as_written_there(self, server: Server, ask: Ask) -> None:
        ask(f"http://re%40der:s3%2Fcret@{server.host}")
        (sent,) = self.sent(server)
        assert sent == f"Basic {base64.b64encode(b're@der:s3/cret').decode()}"

    def test_nothing_is_taken_from_a_netrc(
        self, server: Server, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
        (tmp_path / "netrc").chmod(0o600)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        ask(f"http://{server.host}")
        ask(f"http://{server.host}", token="t0ken")  # noqa: S106
        assert self.sent(server) == [None, "Bearer t0ken"]

    def test_headers_are_sent_too(self, server: Server, ask: Ask) -> None:
        ask(f"http://{server.host}/prometheus", headers={"X-Scope-OrgID": "shop", "X-Key": "s3cret"})
        (asked,) = server.asked
        assert (asked["X-Scope-OrgID"], asked["X-Key"]) == ("shop", "s3cret")
        assert asked[":path"] == "/prometheus/api/v1/query"

    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    def test_nobody_else_gets_them(
        self, server: Server, serve: Serve, play_on: Callable[..., None], ask: Ask, code: int
    ) -> None:
        elsewhere = serve()
        play_on(elsewhere, FINE)
        play_on(server, {"code": code, "headers": {"Location": f"http://{elsewhere.host}/api/v1/query"}})
        found = reason(
            ask(f"http://{server.host}", token="t0ken", headers={"X-Key": "s3cret"})  # noqa: S106
        )
        assert f"it points to http://{elsewhere.host}, which is not asked" in found
        assert elsewhere.asked == []


SECRETS = ("t0ken-t0ken", "passw0rd", "h3ader-value")


@pytest.mark.parametrize(
    "access",
    [
        {"token": SECRETS[0], "headers": {"X-Key": SECRETS[2]}},
        {"username": "reader", "password": SECRETS[1], "headers": {"X-Key": SECRETS[2]}},
    ],
    ids=["token", "password"],
)
@pytest.mark.parametrize(
    "step",
    [
        {"code": 401, "then": "echo"},
        {"code": 400, "then": "echo"},
        {"code": 500, "then": "echo"},
        {"then": "cut"},
        {"body": b"<html>"},
        {**FINE, "headers": {"Content-Length": "1000"}},
    ],
    ids=["401", "refused", "500", "cut", "html", "short"],
)
def test_secrets_are_nowhere(
    scripted: Server,
    ask: Ask,
    play_on: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    access: dict[str, Any],
    step: dict[str, Any],
) -> None:
    play_on(scripted, step)
    with caplog.at_level(logging.DEBUG):
        said = reason(ask(f"http://{scripted.host}", **access))
    encoded = base64.b64encode(b"reader:passw0rd").decode()
    for text in (said, caplog.text, repr(Access(**access))):
        assert not any(secret in text for secret in (*SECRETS, encoded))
    assert step.get("then") != "echo" or "***" in said


@pytest.mark.parametrize("before", range(285, 302, 4))
def test_a_secret_that_is_cut_is_no_less_secret(
    scripted: Server, ask: Ask, play_on: Callable[..., None], before: int
) -> None:
    said = "x" * before + SECRETS[0] + "y" * 300
    play_on(scripted, {"code": 500, "body": {"status": "error", "error": said}})
    assert "t0k" not in reason(ask(f"http://{scripted.host}", token=SECRETS[0]))
