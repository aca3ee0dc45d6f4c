"""Log lines: JSON for machines, columns for people; libraries' lines look like our own."""

import logging
import sys
from typing import Literal, TextIO

import structlog


Format = Literal["auto", "json", "console"]

_STRUCTURED = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # they may hold credentials
)


def configure(style: Format, level: str, stream: TextIO = sys.stderr) -> None:
    """Set up structlog and the standard library's logging, once per process.

    `auto` is `console` on a terminal and `json` elsewhere; `level` is debug, info, warning or error.
    """
    for_people = style == "console" or (style == "auto" and stream.isatty())
    own: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[structlog.typing.Processor] = (
        [_console(colors=stream.isatty())]
        if for_people
        else [_STRUCTURED, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=own,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    set_level(level)
    for name in ("urllib3", "kubernetes", "uvicorn", "starlette"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # controller.schedule tells of its ticks itself; a run that APScheduler skips is one that it has queued.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *own,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def set_level(level: str) -> None:
    """Show events from this level on: debug, info, warning or error."""
    logging.getLogger().setLevel(level.upper())


def _console(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
