"""Become a command that ends when its parent does, however the parent ends.

Run by path, as `python -I -S parent_death_guard.py PARENT_PID SIGNAL UID GID COMMAND...`, so that it costs
10 ms. UID -1 keeps the account. Where there is no prctl (outside Linux) the command runs without the guard
and the next start clears what was left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Give up root's rights, ask for the signal, and turn into the command."""
    parent_pid, signal_number, uid, gid = (int(argument) for argument in argv[:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after the change of account, which would take the request back
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent_pid:
            os._exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the command would inherit that
    os.execv(argv[4], argv[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
