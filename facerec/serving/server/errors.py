"""Errors that keep a service from starting, each with a message for the person who started it.

StartError
+-- AddressInvalid     not HOST:PORT
+-- AddressInUse       another process listens there
+-- InsecureAddress    plain text on an address others can reach
+-- SettingsInvalid    a flag, variable or file entry that is invalid
"""


class StartError(Exception):
    """The service cannot start; the message says how to fix it."""


class AddressInvalid(StartError):
    """The address is not HOST:PORT."""


class AddressInUse(StartError):
    """Another process listens on the address, or it is not this machine's."""


class InsecureAddress(StartError):
    """Other machines can reach the address, and it is in plain text without --insecure."""


class SettingsInvalid(StartError):
    """A setting is unknown or out of range."""
