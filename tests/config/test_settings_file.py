"""Settings in a file: the same names, weaker than the environment, and errors with lines."""

import datetime as dt
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

from config.settings import Settings, SettingsError, differing, load_settings, load_with_origins


Write = Callable[[str], str]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CROSSFADE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return str(path)

    return write


EVERYTHING = """\
prometheusUrl: https://prometheus.example:9090/base/
prometheusTimeout: 1m30s
prometheusHeaders:
  X-Scope-OrgID: "shop"
prometheusBearerTokenFile: /token
namespace: shop
listenPort: 0
logLevel: debug
workers: 3
"""


def test_the_file_says_what_the_environment_could(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = load_settings(write(EVERYTHING))
    for name, value in {
        "PROMETHEUS_URL": "https://prometheus.example:9090/base",
        "PROMETHEUS_TIMEOUT": "90s",
        "PROMETHEUS_HEADERS": "X-Scope-OrgID: shop",
        "PROMETHEUS_BEARER_TOKEN_FILE": "/token",
        "NAMESPACE": "shop",
        "LISTEN_PORT": "0",
        "LOG_LEVEL": "debug",
        "WORKERS": "3",
    }.items():
        monkeypatch.setenv(f"CROSSFADE_{name}", value)
    assert from_file == load_settings()
    assert from_file.prometheus_access.headers == {"X-Scope-OrgID": "shop"}


def test_options_win_over_variables_and_these_over_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("namespace: file\nworkers: 3\nlogLevel: debug\n")
    monkeypatch.setenv("CROSSFADE_WORKERS", "4")
    monkeypatch.setenv("CROSSFADE_NAMESPACE", "variable")
    loaded = load_with_origins(path, namespace="option", context=None)
    assert (loaded.settings.namespace, loaded.settings.workers) == ("option", 4)
    assert loaded.origins == {
        "namespace": "option",
        "workers": "CROSSFADE_WORKERS",
        "log_level": f"{path}:3",
    }


def test_a_variable_names_the_file_and_an_option_another(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CROSSFADE_CONFIG", write("workers: 3"))
    other = tmp_path / "other.yaml"
    other.write_text("workers: 4")
    assert load_settings().workers == 3
    assert load_settings(str(other)).workers == 4


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{}", "---\n", 'namespace: ""\nworkers: null\nprometheusUrl:\n']
)
def test_what_is_empty_says_nothing(write: Write, text: str) -> None:
    loaded = load_with_origins(write(text))
    assert loaded.settings == load_settings()
    assert loaded.origins == {}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_a_field(write: Write, name: str) -> None:
    path = write(f"{to_camel(name)}: [Wrong!]\n")
    with pytest.raises(SettingsError, match=r"settings\.yaml:1:1: "):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("logLevel: info\nworker: 2", ":2:1: worker: unknown field; did you mean workers?; allowed: "),
        ("prometheus_url: http://x", ":1:1: prometheus_url: unknown field; did you mean prometheusUrl?; "),
        ("workers: 0", ":1:1: workers: found 0; must be at least 1"),
        ("workers: yes", ":1:1: workers: found true; a whole number is needed"),
        ("workers: many", ":1:1: workers: found 'many'; a whole number is needed"),
        ("prometheusTimeout: 5", ":1:1: prometheusTimeout: found 5; a duration looks like 30s"),
        ("prometheusUrl: prometheus:9090", ":1:1: prometheusUrl: found 'prometheus:9090'; an address looks"),
        ("leaseName: [shop]", ":1:1: leaseName: found a list of 1; text is needed"),
        ("# ours\n\nlogLevel: warn", ":3:1: logLevel: found 'warn'; must be debug, info, warning or error;"),
        ("prometheusHeaders: [a]", ":1:1: prometheusHeaders: a mapping is needed; headers look like {"),
        ("prometheusHeaders: {X-Key: 5}", ":1:1: prometheusHeaders: X-Key: text of printable ASCII is"),
        ("prometheusHeaders: {Host: a}", ":1:1: prometheusHeaders: Host: cannot be set"),
        (
            "prometheusUsername: me\nprometheusBearerTokenFile: /t",
            ":2:1: prometheusBearerTokenFile: found beside prometheusUsername; set one of them",
        ),
        (
            "prometheusUsername: me",
            ":1:1: prometheusUsername: needs prometheusPassword or prometheusPasswordFile too",
        ),
        ("prometheusUrl: http://a\nprometheusCaFile: /a", ":2:1: prometheusCaFile: needs an address with https://"),
        ("- workers", ": found a list of 1; settings look like prometheusUrl: http://"),
        ("workers: 1\n---\nworkers: 2", ": found 2 documents; one is needed"),
        ("workers: 1\nworkers: 2", ':2:1: not valid YAML: found duplicate key "workers"'),
        ("workers: [", "not valid YAML: "),
        ("workers: !x 1", ":1:1: workers: found the tag; plain values only"),
        ("1: 2", "found the key 1; keys are text"),
    ],
)  # fmt: skip
def test_an_error_names_file_line_and_field(write: Write, text: str, said: str) -> None:
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value).startswith(path)
    assert said in str(caught.value)


def test_all_faults_are_told_each_by_its_own_place(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("workers: 0\nlistenPort: 70000\nlogLevel: loud\n")
    monkeypatch.setenv("CROSSFADE_LOG_LEVEL", "quiet")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    places = [fault.partition(": found")[0] for fault in str(caught.value).split("; ") if "found" in fault]
    assert sorted(places) == [f"{path}:1:1: workers", f"{path}:2:1: listenPort", "CROSSFADE_LOG_LEVEL"]


def test_a_variable_and_the_file_may_contradict_each_other(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("prometheusBearerTokenFile: /t")
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_BEARER_TOKEN", "s3cret")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value) == (
        f"{path}:1:1: prometheusBearerTokenFile: "
        "found beside CROSSFADE_PROMETHEUS_BEARER_TOKEN; set one of them"
    )


@pytest.mark.parametrize(
    "text",
    [
        "prometheusPassword: 53373",
        "prometheusBearerToken: [53373]",
        "prometheusBearerToken: {a: 53373}",
        "prometheusPassword: 53373\nprometheusPassword: 53373",
        "prometheusHeaders: {X-Key: 53373}",
        'prometheusHeaders: {X-Key: "53373\\n"}',
        "prometheusUrl: ftp://me:53373@prometheus",
        "prometheusUrl: http://me:533/73@prometheus",
        "prometheusUsername: me\nprometheusPassword: '53373'\nprometheusBearerToken: '53373'",
        "prometheusPassword: *53373",
        "prometheusPassword: !53373 x",
        "prometheusPassword: [!53373 x]",
        "prometheusPassword 53373",
        "prometheusPassword: '53373",
        'prometheusPassword: "\\q53373"',
        "prometheusPassword: @53373",
        "prometheusPassword: {53373",
        f"prometheusPassword: {'53373' * 1000}",
        "prometheusPassword: 53373: 53373",
    ],
)
def test_no_secret_is_shown(write: Write, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(text))
    assert "533" not in str(caught.value).partition("settings.yaml")[2]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"namespace: caf\xe9")
    for name, said in {
        "none": "No such file or directory",
        "": "Is a directory",
        "latin": "not a text in UTF-8",
    }.items():
        with pytest.raises(SettingsError) as caught:
            load_settings(f"{tmp_path}/{name}")
        assert str(caught.value) == f"{tmp_path}/{name}: {said}"


def test_what_differs_is_named_as_the_file_has_it() -> None:
    one = load_settings(workers=3, prometheus_url="http://one", prometheus_timeout=dt.timedelta(seconds=5))
    assert differing(one, load_settings(workers=4, prometheus_url="http://two")) == (
        "prometheusUrl",
        "workers",
    )
    assert differing(one, one) == ()


OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()


@pytest.mark.parametrize(
    "name", [name for name in Settings.model_fields if not name.startswith("prometheus_")]
)
def test_the_documentation_has_both_names_in_one_row(name: str) -> None:
    assert f"| `CROSSFADE_{name.upper()}` | `{to_camel(name)}` |" in OPERATING


def test_the_file_of_the_documentation_can_be_used(write: Write) -> None:
    (text,) = re.findall(r"```yaml\n(prometheusUrl: .*?)```", OPERATING, re.DOTALL)
    assert len(load_with_origins(write(text)).origins) == 4
