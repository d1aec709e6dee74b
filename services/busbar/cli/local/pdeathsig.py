"""Run a command that is killed when its parent dies: ``python pdeathsig.py <parent's pid> …``.

Linux kills a process for which PR_SET_PDEATHSIG is set (prctl(2)) when the thread that started it
ends; the setting survives ``exec``. This program sets it and becomes the command. It is a program
of its own because code between fork and exec in a process with threads (``preexec_fn``) can
deadlock.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """Return the command line that runs ``command`` until this process ends, even by kill -9.

    Start it from a thread that lives as long as the command. On other systems than Linux this is
    the command itself, which outlives a parent that is killed.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent process has ended")
    os.execvp(command[0], command)  # noqa: S606 - the parent's own command, no shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
