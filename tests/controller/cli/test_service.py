"""`crossfade run`: its settings said, checked, and followed while it runs."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.settings import Settings, load_settings
from controller import app
from controller.cli import reload
from controller.cli.program import run
from controller.live import Live


Write = Callable[[str], str]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("CROSSFADE_")]:
        monkeypatch.delenv(name)
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return str(path)

    return write


class TestCheck:
    def test_says_what_is_set_and_where(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        path = write(
            "prometheusUrl: https://me:s3cret@prometheus\nworkers: 3\nprometheusHeaders: {X-Key: s3cret}\n"
        )
        assert run(["run", "--check", "--config", path, "-n", "shop"]) == 0
        said = capsys.readouterr().out
        assert [line.split() for line in said.splitlines()[1:]] == [
            ["namespace", "shop", "(option)"],
            ["prometheusHeaders", "{'X-Key':", "'**********'}", f"({path}:3)"],
            ["prometheusUrl", "https://prometheus", f"({path}:1)"],
            ["workers", "3", f"({path}:2)"],
        ]  # fmt: skip

    def test_shows_presets_by_their_names(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        path = write("presets: {queue: {query: up, min: 1}, load: {query: up, min: 1}}\n")
        assert run(["run", "--check", "--config", path]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == [f"  presets  load, queue  ({path}:1)"]

    def test_without_any_setting_there_is_nothing_to_say(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["run", "--check"]) == 0
        assert capsys.readouterr().out == "These settings can be used.\n"

    def test_fails_with_5_on_what_cannot_be_used(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write("workers: 65\n")
        assert run(["run", "--check", "--config", path]) == 5
        assert capsys.readouterr().err == f"error: {path}:1:1: workers: found 65; must be at most 64\n"

    def test_starts_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(app, "run", lambda _: pytest.fail("started"))
        assert run(["run", "--check"]) == 0


class TestRun:
    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, bool]]:
        """Give the settings that the service was started with, and whether they are followed meanwhile."""
        calls: list[tuple[Settings, bool]] = []

        def record(settings: Settings, live: Live) -> int:
            assert live.presets() == settings.presets
            calls.append((settings, "settings" in {thread.name for thread in threading.enumerate()}))
            return 0

        monkeypatch.setattr(app, "run", record)
        return calls

    @pytest.mark.parametrize("named_by", ["option", "variable"])
    def test_follows_its_file_as_long_as_it_runs(
        self, started: Any, write: Write, monkeypatch: pytest.MonkeyPatch, named_by: str
    ) -> None:
        path = write("workers: 3\npresets: {queue: {query: up, min: 1}}")
        if named_by == "variable":
            monkeypatch.setenv("CROSSFADE_CONFIG", path)
        assert run(["run", *(["--config", path] if named_by == "option" else []), "-n", "shop"]) == 0
        assert started == [(load_settings(path, namespace="shop"), True)]
        assert "settings" not in {thread.name for thread in threading.enumerate()}

    def test_presets_that_cannot_be_used_keep_nobody_from_rolling_back(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[Any] = []

        def record(settings: Settings, live: Live) -> int:
            told.extend([settings.workers, live.presets(), live.valid])
            return 0

        monkeypatch.setattr(app, "run", record)
        assert run(["run", "--config", write("workers: 3\npresets: {queue: {query: 5}}\n")]) == 0
        assert told == [3, {}, False]

    @pytest.mark.parametrize("also", ["workers: 0", "prometheusUrl: nowhere"])
    def test_presets_excuse_nothing_else(
        self, started: Any, write: Write, capsys: pytest.CaptureFixture[str], also: str
    ) -> None:
        assert run(["run", "--config", write(f"{also}\npresets: {{queue: {{query: 5}}}}\n")]) == 1
        said = capsys.readouterr().err
        assert "presets.queue.query: found 5" in said
        assert also.partition(":")[0] in said
        assert started == []

    def test_presets_of_a_variable_have_to_be_right(
        self, started: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CROSSFADE_PRESETS", "{")
        assert run(["run"]) == 1
        assert started == []

    def test_follows_nothing_without_a_file(self, started: Any) -> None:
        assert run(["run"]) == 0
        assert started == [(load_settings(), False)]

    def test_a_bad_file_is_told_and_nothing_started(
        self, started: Any, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["run", "--config", write("workers: 0")]) == 1
        assert "workers: found 0" in capsys.readouterr().err
        assert started == []


class TestReload:
    """The file is edited under a running service."""

    @pytest.fixture
    def live(self) -> Live:
        return Live()

    @pytest.fixture
    def edited(self, write: Write, live: Live) -> Callable[[str], list[Any]]:
        path = write("workers: 3\nlogLevel: info\n")
        logging.getLogger().setLevel("INFO")
        settings = load_settings(path)
        followed = reload.Reload(lambda: load_settings(path), settings, live)

        def edited(text: str) -> list[Any]:
            """Give what is logged when the file is looked at."""
            write(text)
            with capture_logs() as logs:
                followed.look()
            return [tuple(line[key] for key in line if key != "detail") for line in logs]

        return edited

    def test_the_level_of_the_log_follows_at_once(self, edited: Callable[[str], list[Any]]) -> None:
        assert edited("workers: 3\nlogLevel: debug\n") == [(["logLevel"], [], "settings.changed", "info")]
        assert logging.getLogger().level == logging.DEBUG
        assert edited("workers: 3\nlogLevel: debug\n") == []

    def test_what_needs_a_restart_is_named_until_it_is_taken_back(
        self, edited: Callable[[str], list[Any]]
    ) -> None:
        assert edited("workers: 4\n") == [([], ["workers"], "settings.changed", "warning")]
        assert edited("workers: 4\n") == []
        assert edited("workers: 4\nlogLevel: error\n") == [
            (["logLevel"], ["workers"], "settings.changed", "warning")
        ]
        assert edited("workers: 3\n") == [(["logLevel"], [], "settings.changed", "info")]

    def test_presets_follow_as_a_whole_and_whoever_needs_them_is_told(
        self, edited: Callable[[str], list[Any]], live: Live
    ) -> None:
        told: list[object] = []
        live.on_change(lambda: told.append(live.presets()))
        one, other = {"query": "up", "min": 1}, {"query": "up", "min": 2}
        said = edited("workers: 3\npresets: {a: {query: up, min: 1}}\n")
        assert said == [(["presets"], [], "settings.changed", "info")]
        edited("workers: 3\npresets: {a: {query: up, min: 1}}\nlogLevel: debug\n")
        edited("workers: 3\npresets: {a: {query: up, min: 1}, b: {query: 5}}\n")
        assert live.presets() == {"a": one}
        edited("workers: 3\npresets: {b: {query: up, min: 2}}\n")
        assert told == [{"a": one}, {"b": other}]
        edited("workers: 3\n")
        assert live.presets() == {}

    def test_whether_the_file_can_be_used_is_known(
        self, edited: Callable[[str], list[Any]], live: Live
    ) -> None:
        found = []
        for text in ("workers: 3\n", "workers: 0\n", "workers: 0\n", "workers: 4\n"):
            edited(text)
            found.append(live.valid)
        assert found == [True, False, False, True]

    def test_a_broken_file_changes_nothing_and_is_told_once(self, edited: Callable[[str], list[Any]]) -> None:
        ((error, event, level),) = edited("logLevel: debug\nworkers: 0\n")
        assert (event, level) == ("settings.refused", "error")
        assert ":2:1: workers: found 0; must be at least 1" in error
        assert logging.getLogger().level == logging.INFO
        assert edited("logLevel: debug\nworkers: 0\n") == []
        assert len(edited("logLevel: debug\nworkers: -1\n")) == 1
        assert edited("workers: 3\nlogLevel: info\n") == [([], [], "settings.changed", "info")]
        assert edited("workers: 3\nlogLevel: info\n") == []

    def test_the_file_is_looked_at_again_and_again(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = threading.Semaphore(0)

        def load() -> Settings:
            looks.release()
            return settings

        settings = load_settings()
        monkeypatch.setattr(reload, "PERIOD", 0.001)
        with reload.followed(load, settings, Live()):
            for _ in range(3):
                assert looks.acquire(timeout=20)
