import datetime as dt
import os
from typing import Any

import pytest

from config.access import Access
from config.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CROSSFADE_")]:
        monkeypatch.delenv(name)


def test_without_any_variable_there_is_a_default_for_everything() -> None:
    settings = load_settings()
    assert (settings.prometheus_url, settings.namespace, settings.workers) == (None, None, 8)
    assert (settings.listen_host, settings.listen_port) == ("127.0.0.1", 8080)


def test_the_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_URL", "https://prometheus.example:9090/base/")
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_TIMEOUT", "1m30s")
    monkeypatch.setenv("CROSSFADE_LISTEN_PORT", "0")
    monkeypatch.setenv("CROSSFADE_NAMESPACE", "one")
    settings = load_settings(namespace="two", context=None)
    assert settings.prometheus_url == "https://prometheus.example:9090/base"
    assert settings.prometheus_timeout == dt.timedelta(seconds=90)
    assert settings.listen_port == 0
    assert settings.namespace == "two"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_URL", "")
    monkeypatch.setenv("CROSSFADE_WORKERS", "")
    assert load_settings() == load_settings(workers=8)


def test_the_variables_that_kubernetes_sets_for_a_service_called_crossfade_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CROSSFADE_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("CROSSFADE_SERVICE_HOST", "10.0.0.1")
    assert load_settings().listen_port == 8080


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PROMETHEUS_URL", "prometheus:9090", "found 'prometheus:9090'; an address looks like http://"),
        ("PROMETHEUS_URL", "http://", "found 'http://'; an address looks like http://"),
        ("PROMETHEUS_TIMEOUT", "5", "found '5'; a duration looks like 30s"),
        ("LISTEN_PORT", "http", "found 'http'; a whole number is needed"),
        ("LISTEN_PORT", "65536", "found '65536'; must be at most 65535"),
        ("LOG_LEVEL", "warn", "found 'warn'; must be debug, info, warning or error; did you mean warning?"),
        ("LOG_FORMAT", "text", "found 'text'; must be auto, json or console"),
        ("WORKERS", "0", "found '0'; must be at least 1"),
        ("LEASE_NAME", "My Lease", "found 'My Lease'"),
        ("LEASE_DURATION", "1500ms", "found 1.5s; whole seconds are needed"),
        ("LEASE_DURATION", "0s", "found 0s; whole seconds are needed"),
        (
            "LEASE_RENEW_WITHIN",
            "13s",
            "found 13s; more than 0s, at most 12s is needed (4/5 of CROSSFADE_LEASE_DURATION)",
        ),
        ("LEASE_RENEW_WITHIN", "0s", "found 0s; more than 0s"),
        (
            "LEASE_RETRY",
            "6s",
            "found 6s; more than 0s, at most 5s is needed (half of CROSSFADE_LEASE_RENEW_WITHIN)",
        ),
        ("LEASE_RETRY", "0s", "found 0s; more than 0s"),
    ],
)
def test_a_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"CROSSFADE_{variable}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"CROSSFADE_{variable}: {said}")


class TestAccess:
    """Who we are for Prometheus, and whom we trust."""

    def load(self, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Access:
        for name, value in {"url": "https://prometheus", **variables}.items():
            monkeypatch.setenv(f"CROSSFADE_PROMETHEUS_{name.upper()}", value)
        return load_settings().prometheus_access

    def test_is_nobody_special_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.load(monkeypatch) == Access()
        assert Access().verify is True

    @pytest.mark.parametrize(
        ("variables", "access"),
        [
            ({"bearer_token": "t0ken"}, Access(token="t0ken")),  # noqa: S106
            ({"bearer_token_file": "/t"}, Access(token_file="/t")),  # noqa: S106
            ({"username": "me", "password": "pw"}, Access(username="me", password="pw")),  # noqa: S106
            ({"username": "me", "password_file": "/p"}, Access(username="me", password_file="/p")),  # noqa: S106
            (
                {"ca_file": "/a", "cert_file": "/c", "key_file": "/k"},
                Access(ca_file="/a", cert_file="/c", key_file="/k"),
            ),
            ({"cert_file": "/both"}, Access(cert_file="/both")),
            ({"insecure_skip_verify": "true"}, Access(verify=False)),
            ({"insecure_skip_verify": "false", "ca_file": "/a"}, Access(ca_file="/a")),
        ],
    )
    def test_is_what_the_variables_say(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], access: Access
    ) -> None:
        assert self.load(monkeypatch, **variables) == access

    @pytest.mark.parametrize(
        ("text", "headers"),
        [
            ('{"X-Scope-OrgID": "shop", "X-Key": "a: b"}', {"X-Scope-OrgID": "shop", "X-Key": "a: b"}),
            ("X-Scope-OrgID: shop\n\n  X-Key :a: b \n", {"X-Scope-OrgID": "shop", "X-Key": "a: b"}),
            (" {} ", {}),
            ("Authorization: Basic abc", {"Authorization": "Basic abc"}),
        ],
    )
    def test_headers_are_json_or_lines(
        self, monkeypatch: pytest.MonkeyPatch, text: str, headers: dict[str, str]
    ) -> None:
        assert self.load(monkeypatch, headers=text).headers == headers

    @pytest.mark.parametrize("said_as", ["variable", "argument"])
    def test_credentials_in_the_address_are_moved_out_of_it(
        self, monkeypatch: pytest.MonkeyPatch, said_as: str
    ) -> None:
        url = "http://re%40der:s3%2Fcret@prometheus:9090/base"
        if said_as == "variable":
            monkeypatch.setenv("CROSSFADE_PROMETHEUS_URL", url)
        settings = load_settings(prometheus_url=url if said_as == "argument" else None)
        assert settings.prometheus_url == "http://prometheus:9090/base"
        assert settings.prometheus_access == Access(username="re@der", password="s3/cret")  # noqa: S106

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            pytest.param(
                {"bearer_token": "s3cret", "bearer_token_file": "/t"},
                "CROSSFADE_PROMETHEUS_BEARER_TOKEN_FILE: found beside CROSSFADE_PROMETHEUS_BEARER_TOKEN; "
                "set one of them", id="two-tokens",
            ),
            pytest.param(
                {"bearer_token": "s3cret", "username": "me", "password": "s3cret"},
                "CROSSFADE_PROMETHEUS_BEARER_TOKEN: found beside CROSSFADE_PROMETHEUS_USERNAME; ",
                id="token-and-user",
            ),
            pytest.param(
                {"bearer_token_file": "/t", "username": "me", "password": "s3cret"},
                "CROSSFADE_PROMETHEUS_BEARER_TOKEN_FILE: found beside CROSSFADE_PROMETHEUS_USERNAME; ",
                id="token-file-and-user",
            ),
            pytest.param(
                {"username": "me", "password": "s3cret", "password_file": "/p"},
                "CROSSFADE_PROMETHEUS_PASSWORD_FILE: found beside CROSSFADE_PROMETHEUS_PASSWORD; ",
                id="two-passwords",
            ),
            pytest.param(
                {"username": "me"},
                "CROSSFADE_PROMETHEUS_USERNAME: needs CROSSFADE_PROMETHEUS_PASSWORD or "
                "CROSSFADE_PROMETHEUS_PASSWORD_FILE too", id="no-password",
            ),
            pytest.param(
                {"password": "s3cret"},
                "CROSSFADE_PROMETHEUS_PASSWORD: needs CROSSFADE_PROMETHEUS_USERNAME too", id="no-user",
            ),
            pytest.param(
                {"password_file": "/p"},
                "CROSSFADE_PROMETHEUS_PASSWORD_FILE: needs CROSSFADE_PROMETHEUS_USERNAME too",
                id="file-but-no-user",
            ),
            pytest.param(
                {"key_file": "/k"},
                "CROSSFADE_PROMETHEUS_KEY_FILE: needs CROSSFADE_PROMETHEUS_CERT_FILE too",
                id="no-certificate",
            ),
            pytest.param(
                {"ca_file": "/a", "insecure_skip_verify": "true"},
                "CROSSFADE_PROMETHEUS_INSECURE_SKIP_VERIFY: found beside CROSSFADE_PROMETHEUS_CA_FILE; ",
                id="verified-and-not",
            ),
            *(
                pytest.param(
                    {"url": "http://prometheus", name: value},
                    f"CROSSFADE_PROMETHEUS_{name.upper()}: needs an address with https:// in "
                    "CROSSFADE_PROMETHEUS_URL", id=f"plain-{name}",
                )
                for name, value in (("ca_file", "/a"), ("cert_file", "/c"), ("insecure_skip_verify", "true"))
            ),
            pytest.param(
                {"headers": "Authorization: s3cret", "bearer_token": "s3cret"},
                "CROSSFADE_PROMETHEUS_HEADERS: found Authorization beside a token or a user; ", id="twice",
            ),
            pytest.param(
                {"url": "https://me:s3cret@prometheus", "username": "you", "password": "s3cret"},
                "CROSSFADE_PROMETHEUS_USERNAME: found beside a user in CROSSFADE_PROMETHEUS_URL; ",
                id="two-users",
            ),
            pytest.param(
                {"url": "https://me:s3cret@prometheus", "bearer_token": "s3cret"},
                "CROSSFADE_PROMETHEUS_BEARER_TOKEN: found beside CROSSFADE_PROMETHEUS_USERNAME; ",
                id="user-in-address-and-token",
            ),
            pytest.param(
                {"url": "https://me:s3/cret@prometheus"},
                "CROSSFADE_PROMETHEUS_URL: found an @ that belongs nowhere; in a password it is %40, ",
                id="slash-in-password",
            ),
            pytest.param(
                {"url": "https://prometheus?token=s3cret"},
                "CROSSFADE_PROMETHEUS_URL: found more than host and path; ", id="query",
            ),
            pytest.param({"url": "https://["}, "CROSSFADE_PROMETHEUS_URL: found 'https://['; ", id="bracket"),
            pytest.param(
                {"headers": '{"X-Key": "s3cret"'},
                "CROSSFADE_PROMETHEUS_HEADERS: found broken JSON; headers look like ", id="json",
            ),
            pytest.param(
                {"headers": "X-Key s3cret"},
                "CROSSFADE_PROMETHEUS_HEADERS: found a line without a colon; ", id="no-colon",
            ),
            pytest.param(
                {"headers": "X-Key: s3cret\nX-Key: s3cret"},
                "CROSSFADE_PROMETHEUS_HEADERS: found a header twice", id="twice-the-same",
            ),
            pytest.param(
                {"headers": "X Key: s3cret"},
                "CROSSFADE_PROMETHEUS_HEADERS: found the name 'X Key'; a header looks like", id="name",
            ),
            pytest.param(
                {"headers": '{"X-Key": "s3cret\\r\\nX: y"}'},
                "CROSSFADE_PROMETHEUS_HEADERS: X-Key: text of printable ASCII is needed", id="line-break",
            ),
            pytest.param(
                {"headers": '{"X-Key": 12}'},
                "CROSSFADE_PROMETHEUS_HEADERS: X-Key: text of printable ASCII is needed", id="number",
            ),
            pytest.param(
                {"headers": "X-Key:"},
                "CROSSFADE_PROMETHEUS_HEADERS: X-Key: text of printable ASCII is needed", id="empty",
            ),
            pytest.param(
                {"headers": "Host: s3cret"}, "CROSSFADE_PROMETHEUS_HEADERS: Host: cannot be set", id="ours"
            ),
        ],
    )  # fmt: skip
    def test_what_cannot_be_meant_is_refused_and_no_secret_shown(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            self.load(monkeypatch, **variables)
        assert str(caught.value).startswith(said)
        assert "s3" not in str(caught.value)

    def test_secrets_are_not_in_any_repr(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.load(monkeypatch, url="https://me:s3cret@prometheus", headers="X-Key: s3cret")
        settings = load_settings()
        for text in (repr(settings), str(settings), repr(settings.prometheus_access)):
            assert "s3cret" not in text
        assert settings.prometheus_access.password == "s3cret"  # noqa: S105


def test_a_password_in_a_bad_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_URL", "ftp://me:secret@prometheus")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "namespaces"),
    [
        (None, ()),
        ("", ()),
        ("shop", ("shop",)),
        (" shop , cart,shop", ("shop", "cart")),
        (["shop", "cart"], ("shop", "cart")),
        ([], ()),
    ],
)
def test_several_namespaces_may_be_looked_after(given: object, namespaces: tuple[str, ...]) -> None:
    assert load_settings(namespace=given).namespaces == namespaces


@pytest.mark.parametrize(
    ("given", "allowed"),
    [(None, "gloo-system"), ("*", "*"), (["*"], "*"), ("gloo, edge", "gloo,edge"), ([], "")],
)
def test_where_canaries_may_name_objects(given: object, allowed: str) -> None:
    assert load_settings(allowed_namespaces=given).allowed_namespaces == allowed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"namespace": "Shop"}, "CROSSFADE_NAMESPACE: found 'Shop'; a namespace looks like shop"),
        ({"namespace": "a,,b"}, "CROSSFADE_NAMESPACE: found ''; a namespace looks like shop"),
        ({"namespace": "a.b"}, "CROSSFADE_NAMESPACE: found 'a.b'"),
        ({"namespace": "a" * 64}, "CROSSFADE_NAMESPACE: found 'aaa"),
        ({"namespace": 5}, "CROSSFADE_NAMESPACE: found 5; namespaces look like shop, cart"),
        ({"namespace": [5]}, "CROSSFADE_NAMESPACE: found 5; a namespace looks like shop"),
        ({"namespace": "*"}, "CROSSFADE_NAMESPACE: found '*'"),
        ({"allowed_namespaces": "*,shop"}, "CROSSFADE_ALLOWED_NAMESPACES: found '*'"),
        ({"selector": "team in shop"}, "CROSSFADE_SELECTOR: found 'team in shop'; a selector looks like"),
        ({"tenancy": "Strict"}, "CROSSFADE_TENANCY: found 'Strict'; must be open or strict"),
    ],
)
def test_who_is_looked_after_and_reached_is_checked_at_the_start(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**settings)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("settings", "followed"),
    [
        pytest.param({}, (), id="all namespaces"),
        pytest.param({"namespace": "shop,cart"}, ("shop", "cart", "gloo-system"), id="some"),
        pytest.param(
            {"namespace": "shop", "allowed_namespaces": "shop,edge"}, ("shop", "edge"), id="once each"
        ),
        pytest.param({"namespace": "shop", "allowed_namespaces": "*"}, (), id="they reach everywhere"),
    ],
)
def test_objects_of_gloo_are_followed_where_canaries_reach(
    settings: dict[str, Any], followed: tuple[str, ...]
) -> None:
    assert load_settings(**settings).gateways == followed
