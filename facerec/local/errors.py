"""Errors of the local stack, each with a message that says how to fix it.

StartError (facerec.serving)
+-- LocalError
    +-- FolderInUse        another process holds the data folder
    +-- FolderUnusable     the data folder cannot be created, read or accessed
    +-- PostgresFailed     the embedded PostgreSQL did not start
    +-- MigrationFailed    the database cannot be migrated to the newest schema
    +-- BackupFailed       a backup cannot be written or restored
    +-- VariableRefused    the environment has a setting that the stack does not support
    +-- ServiceFailed      a service keeps ending, or never became ready
"""

from facerec.serving.server.errors import StartError


class LocalError(StartError):
    """The local stack cannot run; the message is meant for the person who started it."""


class FolderInUse(LocalError):
    """Another process holds the data folder."""


class FolderUnusable(LocalError):
    """The data folder cannot be created, read or accessed."""


class PostgresFailed(LocalError):
    """The embedded PostgreSQL did not start."""


class MigrationFailed(LocalError):
    """The database cannot be migrated to the newest schema, such as for want of pgvector."""


class BackupFailed(LocalError):
    """A backup cannot be written or restored."""


class VariableRefused(LocalError):
    """The environment has a setting that the stack does not support."""


class ServiceFailed(LocalError):
    """A service keeps ending, or never became ready."""
