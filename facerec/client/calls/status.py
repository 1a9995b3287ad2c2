"""Calls about the matcher itself and the caller."""

from facerec.client.results.callers import Caller
from facerec.client.results.statuses import MatcherStatus
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


def get_status() -> Call[MatcherStatus]:
    """Read the state of the replica that answers: its database, encoder, standbys, queues and maintenance.

    It needs a key of the role `admin`. A replica answers also while it is not SERVING.

    Returns:
        The state; of database, standbys and maintenance as of the replica's last check.

    Raises:
        FacerecError: Only what any call may raise.

    Example:
        >>> status = collections.get_status()
        >>> status.serving, status.database.ready, status.database.problem, status.standbys
        (True, True, '', ())
    """
    return Call("GetStatus", v1.GetStatusRequest(), MatcherStatus.from_message)
