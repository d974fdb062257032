"""Files that one run at a time may write."""

from __future__ import annotations

import fcntl


def hold(handle: int) -> bool:
    """Take the exclusive lock of an open file, which ends when the handle is closed; false if another run has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
