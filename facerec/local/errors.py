"""What keeps the local stack from running, each a line that says how to fix it.

StartError (facerec.serving)
+-- LocalError
    +-- FolderInUse        another process holds the data folder
    +-- FolderUnusable     the data folder cannot be made, read or reached
    +-- PostgresFailed     the embedded PostgreSQL did not start
    +-- MigrationFailed    the database cannot be brought to the schema's head
    +-- BackupFailed       a backup cannot be written, or not be restored
    +-- VariableRefused    the environment has a setting that the stack does not take
    +-- ServiceFailed      a service keeps dying, or never became ready
"""

from facerec.serving.server.errors import StartError


class LocalError(StartError):
    """The local stack cannot run; the message is meant for the person who started it."""


class FolderInUse(LocalError):
    """Another process holds the data folder."""


class FolderUnusable(LocalError):
    """The data folder cannot be made, read or reached."""


class PostgresFailed(LocalError):
    """The embedded PostgreSQL did not start."""


class MigrationFailed(LocalError):
    """The database cannot be brought to the schema's head: unreachable, without pgvector, and the like."""


class BackupFailed(LocalError):
    """A backup cannot be written, or not be restored."""


class VariableRefused(LocalError):
    """The environment has a setting that the stack does not take."""


class ServiceFailed(LocalError):
    """A service keeps dying, or never became ready."""
