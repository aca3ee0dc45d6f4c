"""What people type: `crossfade`, and `kubectl crossfade` by its second name."""

import sys
from typing import NoReturn

from controller.cli.program import run


def main() -> NoReturn:
    """Run the command line of this process, and end it with the exit code."""
    sys.exit(run(sys.argv[1:]))
