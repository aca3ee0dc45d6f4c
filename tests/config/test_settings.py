import datetime as dt
import os

import pytest

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
    ],
)
def test_a_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"CROSSFADE_{variable}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"CROSSFADE_{variable}: {said}")


def test_a_password_in_a_bad_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_URL", "ftp://me:secret@prometheus")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "secret" not in str(caught.value)
