"""Whether somebody other than root could change where root writes."""

import os
import stat
import sys
from pathlib import Path


def why_unsafe(path: Path) -> str:
    """Say who could put something else in the place of `path` or of a folder above it; "" for nobody.

    It need not be there yet. Only root is asked about: what others own they can spoil for themselves alone.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return ""
    path = path.absolute()
    # As written, for links that somebody could turn elsewhere, and where those lead to.
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
    is_shared = bool(found.st_mode & stat.S_ISVTX)  # as /tmp: nobody can replace what belongs to others
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (is_shared and may_be_shared):
        return f"{path} can be written by others than root"
    return ""
