"""Five minutes in which everything goes wrong: bad releases, hasty humans, faults, kills, two controllers."""

import subprocess
import sys
from pathlib import Path

import pytest


SEED = 2
"""An even one: two controllers take turns."""


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_five_minutes_of_chaos_breach_nothing() -> None:
    """The records of a run that fails are kept, and it says where."""
    command = [sys.executable, "-m", "chaos", f"--seed={SEED}", "--minutes=5", "--applications=4"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
