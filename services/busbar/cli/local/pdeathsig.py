"""Runs a command that dies with its parent: ``python leash.py <parent's pid> <command> …``.

Linux kills a process for which PR_SET_PDEATHSIG is set (prctl(2)) when the thread that started it
ends; the setting outlives ``exec``. This program sets it and becomes the command. It is a program
of its own because code between fork and exec in a process with threads may deadlock. Elsewhere it
only becomes the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become ``command``, which dies with ``parent``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor has gone")
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command, no shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
