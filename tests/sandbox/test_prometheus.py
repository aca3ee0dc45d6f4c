"""Where Prometheus comes from, and what it is told."""

from pathlib import Path

import pytest

from sandbox.prometheus import NoPrometheusError, Server, find


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_one_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = program(tmp_path / "bin" / "prometheus")
    monkeypatch.setenv("PATH", str(own.parent))
    assert find(tmp_path / "cache") == own


def test_else_the_one_unpacked_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = program(tmp_path / "cache" / "usr" / "bin" / "prometheus")
    monkeypatch.setenv("PATH", "")
    assert find(tmp_path / "cache") == cached


UNPACK = '#!/bin/sh\n/bin/mkdir -p "$3/usr/bin"\n: > "$3/usr/bin/prometheus"\n'
DOWNLOAD = "#!/bin/sh\n: > prometheus_1_all.deb\n"
DOWNLOAD_AFTER_UPDATE = (
    '#!/bin/sh\ncase "$*" in *Dir::*download*) : > prometheus_1_all.deb;; *Dir::*);; *) exit 100;; esac\n'
)


@pytest.mark.parametrize("apt", [DOWNLOAD, DOWNLOAD_AFTER_UPDATE], ids=["at once", "with lists of its own"])
def test_else_it_is_fetched_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apt: str) -> None:
    program(tmp_path / "bin" / "apt-get", apt)
    program(tmp_path / "bin" / "dpkg", UNPACK)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = find(tmp_path / "cache" / "prometheus")
    assert found.is_file()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["prometheus"]


@pytest.mark.parametrize("tools", [(), ("apt-get", "dpkg")], ids=["no apt-get", "apt-get fails"])
def test_else_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: tuple[str, ...]
) -> None:
    (tmp_path / "bin").mkdir()
    for tool in tools:
        program(tmp_path / "bin" / tool, "#!/bin/sh\nexit 100\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(NoPrometheusError, match="Install it"):
        find(tmp_path / "cache" / "prometheus")


def test_it_scrapes_pods_and_envoy_as_often_as_asked(tmp_path: Path) -> None:
    server = Server(tmp_path, 1, tmp_path / "targets.json", "http://127.0.0.1:2", "500ms")
    configuration = server.configuration()
    assert configuration["global"]["scrape_interval"] == "500ms"
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    assert jobs["pods"]["file_sd_configs"] == [{"files": [str(tmp_path / "targets.json")]}]
    assert jobs["envoy"]["static_configs"] == [{"targets": ["127.0.0.1:2"]}]
