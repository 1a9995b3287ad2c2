"""Why a service could not start, each a line for the person who started it.

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
    """The address can be reached by others and nothing protects it."""


class SettingsInvalid(StartError):
    """A setting is unknown or out of range."""
