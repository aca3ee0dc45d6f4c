"""How far a command is, shown on standard error where somebody looks."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress(words: str) -> Iterator[Callable[[float], None]]:
    """Show a bar while it is open; what it gives is told the share that is done, from 0 to 1."""
    console = Console(stderr=True)
    columns = (
        TextColumn(words),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=1.0)
        yield lambda share: shown.update(task, completed=share)
