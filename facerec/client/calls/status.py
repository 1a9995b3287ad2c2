"""Calls about the matcher itself and the caller."""

from facerec.client.results.callers import Caller
from facerec.client.rpc import Call
from facerec.matcher import v1


def get_caller() -> Call[Caller]:
    """Read what the client's key or certificate may do at the matcher. Any key may ask.

    Returns:
        The caller: its roles, collections and rights, and when its key ends.

    Raises:
        FacerecError: Only what any call may raise.

    Example:
        >>> caller = collections.get_caller()
        >>> caller.keys_required, caller.roles[-1]
        (False, 'admin')
    """
    return Call("GetCaller", v1.GetCallerRequest(), Caller.from_message)
