"""Turns into a command that ends when its parent does, even when the parent is killed.

Run by path, as `python -I -S parent_death_guard.py PARENT_PID SIGNAL UID GID COMMAND...`, which takes
10 ms. UID -1 keeps the account. Without prctl (outside Linux) the command runs unguarded, and the next start
cleans up after it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Drop root's privileges, request the signal, and execute the command."""
    parent_pid, signal_number, uid, gid = (int(argument) for argument in argv[:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after the change of account, which resets the request
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent_pid:
            os._exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, which the command would inherit
    os.execv(argv[4], argv[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
