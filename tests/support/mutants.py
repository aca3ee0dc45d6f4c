"""Single-line mistakes planted into copies of the rollout machine."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from controller import rollout
from machine import Core, Rollouts


LOGIC = ("at_rest", "choice", "commands", "decide", "form", "gates", "going_back", "going_on", "situation")
"""What is copied; the values that go in and out stay the same types."""


class Mutant(NamedTuple):
    """One line of one module, and what it becomes."""

    module: str
    line: str
    becomes: str


@contextmanager
def planted(mutant: Mutant, folder: Path) -> Iterator[type[Rollouts]]:
    """Give the state machine that runs on a copy with this mistake in it."""
    package = f"mutant_{folder.name}"
    source = Path(rollout.__path__[0])
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    for name in LOGIC:
        text = (source / f"{name}.py").read_text()
        if name == mutant.module:
            assert text.count(mutant.line) == 1, f"{mutant.line!r} is no longer the one place to break"
            text = text.replace(mutant.line, mutant.becomes)
        for other in LOGIC:
            text = text.replace(f"from controller.rollout.{other} import", f"from {package}.{other} import")
        text = text.replace("from controller.rollout import", f"from {package} import")
        (folder / package / f"{name}.py").write_text(text)
    sys.path.insert(0, str(folder))
    try:
        decide = importlib.import_module(f"{package}.decide")
        form = importlib.import_module(f"{package}.form")
        core = Core(decide.decide, decide.refuse, form.intended_form)
        yield type("Broken", (Rollouts,), {"core": core})
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]
