"""Turn into another program that dies with its parent, however the parent dies.

Run as a script, `python -S -E tether.py PARENT PROGRAM ARG...`: no fork hook in a threaded parent, no
third program to install. The kernel sends SIGKILL when the thread that started us ends, so parents
start children from a thread that lives as long as they do. Standard library only: it starts with every pod.
"""

import ctypes
import os
import signal
import sys


PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, *argv = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(1)  # it died before the tie was made
    os.execvp(argv[0], argv)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main()
