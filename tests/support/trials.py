"""Runs tests on other copies of a package: a process forks for each, so that the rest is imported only once.

Reads a JSON list from every line of the input, the folder that holds the copy
and pytest's arguments, and answers with the exit code on a line of the output.
Must not import the package that is tried.
"""

import json
import os
import sys

import hypothesis  # noqa: F401  # imported before the forks, and used in them
import pytest

import config.canary
import config.status  # noqa: F401  # as above


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        folder, *arguments = json.loads(line)
        sys.stdout.write(f"{_trial(folder, arguments)}\n")
        sys.stdout.flush()


def _trial(folder: str, arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{folder}/examples"
        sys.path.insert(0, folder)
        os._exit(pytest.main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
