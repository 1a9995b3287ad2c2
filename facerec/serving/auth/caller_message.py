"""The answer of GetCaller, which both services have: what the current call's key or certificate may do."""

from facerec.serving.auth.permissions import Credential, Role
from facerec.serving.middleware import call
from facerec.v1 import caller_pb2 as pb


def caller_message() -> pb.Caller:
    """The caller of the current call. Where no key is required, it is anybody, who may do everything."""
    current_call = call.current()
    credential: Credential | None = current_call.credential if current_call else None
    if credential is None:
        return pb.Caller(roles=map(_role, Role), scores=True, encodings=True)
    caller = credential.caller
    message = pb.Caller(
        keys_required=True,
        name=caller.name,
        roles=[_role(role) for role in Role if credential.permits(role)],
        collection_ids=sorted(caller.collections or ()),
        labels={key: pb.LabelLimit(values=values) for key, values in caller.labels.items()},
        scores=caller.scores,
        encodings=caller.encodings,
        probes_per_second=credential.probes_per_second,
        failed_tries_per_day=caller.failed_tries_per_day,
    )
    if credential.expires is not None:
        message.expire_time.FromDatetime(credential.expires)
    return message


def _role(role: Role) -> "pb.Role.ValueType":
    return pb.Role.Value(f"ROLE_{role.name}")
