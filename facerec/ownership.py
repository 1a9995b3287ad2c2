"""Whether another user than root could change a path that root uses."""

import os
import stat
import sys
from pathlib import Path


def why_unsafe(path: Path) -> str:
    """A phrase that says who could replace `path` or a folder above it; "" where only root could.

    The path need not exist. "" also for processes of other users, who risk only their own files.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return ""
    path = path.absolute()
    # The path as written, whose links could be replaced, and the path that they lead to.
    for each in (path, path.resolve()):
        for part in (*reversed(each.parents), each):
            why = _why_unsafe(part, may_be_shared=part != each)
            if why:
                return why
    return ""


def _why_unsafe(path: Path, *, may_be_shared: bool) -> str:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):  # nothing can be written there at all
        return ""
    if found.st_uid != 0:
        return f"{path} belongs to user {found.st_uid} and not to root"
    if stat.S_ISLNK(found.st_mode):
        return ""
    is_shared = bool(found.st_mode & stat.S_ISVTX)  # as in /tmp: users cannot replace files of others
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (is_shared and may_be_shared):
        return f"{path} can be written by others than root"
    return ""
