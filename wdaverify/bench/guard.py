"""Becomes the program of an instance, after it has bound itself to the life of who started it and to a memory limit.

Run as ``python -I -S guard.py PARENT MEMORY PROGRAM ARGUMENTS``: it imports nothing heavy, so that limits hold from the first
moment. Limits of the kernel are a second line of defence; the first is the watch in `bench.process`.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the limits, then replace this process."""
    parent, memory, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before the line above
            sys.exit(1)
    if memory and sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
