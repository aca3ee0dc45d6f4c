"""One line per event: readable by machines or by people, and without what must not leave the process."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from controller.telemetry.logging import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_become_json_with_their_keys() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    structlog.get_logger("some.module").info("weight.raised", canary="shop/web", weight=25)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "weight.raised",
        "canary": "shop/web",
        "weight": 25,
        "level": "info",
        "logger": "some.module",
    }


def test_lines_of_libraries_look_the_same() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    logging.getLogger("some.library").warning("gave up after %d tries", 3)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == (
        "gave up after 3 tries",
        "warning",
        "some.library",
    )


def test_a_traceback_is_told_without_the_values_of_variables() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    password = "hunter2"  # noqa: S105  # what must not be told
    try:
        int(password[:1])
    except ValueError:
        structlog.get_logger("m").exception("tick.crashed")
        logging.getLogger("library").exception("failed")
    for line in lines(stream):
        assert line["exception"][0]["exc_type"] == "ValueError"
        assert line["exception"][0]["frames"][-1]["filename"] == __file__
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    ("style", "stream", "as_json"),
    [
        pytest.param("auto", io.StringIO(), 1, id="auto in a file"),
        pytest.param("auto", Terminal(), 0, id="auto on a terminal"),
        pytest.param("json", Terminal(), 1, id="json on a terminal"),
        pytest.param("console", io.StringIO(), 0, id="console in a file"),
    ],
)
def test_the_style_follows_the_setting_then_the_terminal(
    style: Literal["auto", "json", "console"], stream: io.StringIO, as_json: int
) -> None:
    configure(style, "info", stream)
    structlog.get_logger("m").info("weight.raised", weight=25)
    text = stream.getvalue()
    assert text.startswith("{") == as_json
    assert "weight.raised" in text
    assert ("\x1b[" in text) == (style == "auto" and stream.isatty())


@pytest.mark.parametrize(("level", "told"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_what_lies_below_the_level_is_not_told(level: str, told: int) -> None:
    stream = io.StringIO()
    configure("json", level, stream)
    logger = structlog.get_logger("m")
    logger.debug("a")
    logger.info("b")
    logging.getLogger("library").warning("c")
    assert len(lines(stream)) == told


def test_chatty_libraries_are_quiet() -> None:
    stream = io.StringIO()
    configure("json", "debug", stream)
    logging.getLogger("urllib3.connectionpool").debug("Starting new HTTP connection")
    logging.getLogger("apscheduler.executors.default").warning("skipped: maximum number of instances reached")
    assert stream.getvalue() == ""


def test_setting_up_twice_does_not_tell_twice() -> None:
    stream = io.StringIO()
    for _ in range(2):
        configure("json", "info", stream)
    structlog.get_logger("m").info("once")
    assert len(lines(stream)) == 1
