"""`facerec status`."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from facerec.cli.commands import status_lines
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
from facerec.cli.terminal.options import (
    ENCODER_ADDRESS,
    MATCHER_ADDRESS,
    Collection,
    Encoder,
    Json,
    Matcher,
    collection_client,
    encoder_client,
)
from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.errors import FacerecError, Reason

if TYPE_CHECKING:
    from facerec.client import EncoderStatus, MatcherStatus, Model

NOT_READY = 1
TIMEOUT_SECONDS = 10
NO_ANSWER = (Reason.UNREACHABLE, Reason.DEADLINE_EXCEEDED)
HIDDEN = "ready; the key may not see more"


@dataclasses.dataclass(frozen=True)
class EncoderState:
    """The state of an encoder, seen by a caller; `problem` is empty if it can be used.

    `replica` is what the encoder says of itself, to a key of the role admin.
    """

    address: str
    reachable: bool
    release: str = ""
    space: str = ""
    problem: str = ""
    replica: "EncoderStatus | None" = None


@dataclasses.dataclass(frozen=True)
class MatcherState:
    """The state of a matcher and a collection, seen by a caller; None if unknown.

    `replica` is what the matcher says of itself, to a key of the role admin.
    """

    address: str
    reachable: bool
    database_ready: bool | None = None
    space: str = ""
    estimated_faces: int | None = None
    problem: str = ""
    replica: "MatcherStatus | None" = None


def status(
    collection: Collection = DEFAULT_COLLECTION_ID,
    encoder_address: Encoder = ENCODER_ADDRESS,
    matcher_address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Show the state of both services. Exit code 1 if one can't be used.

    With a key of the role admin it also shows what they use and what waits.
    """
    model, encoder_state = _encoder(encoder_address)
    encoder_state = dataclasses.replace(encoder_state, replica=_replica(encoder_client, encoder_state))
    matcher_state = _matcher(matcher_address, collection, model)
    matcher_state = dataclasses.replace(matcher_state, replica=_replica(collection_client, matcher_state))
    if json:
        output.as_json({"encoder": encoder_state, "matcher": matcher_state})
    else:
        _show(encoder_state, matcher_state, collection)
    raise typer.Exit(NOT_READY if encoder_state.problem or matcher_state.problem else 0)


def _encoder(address: str) -> "tuple[Model | None, EncoderState]":
    try:
        with encoder_client(address) as client:
            model = client.with_options(timeout_seconds=TIMEOUT_SECONDS).get_model()
    except Problem as error:
        if _lacks_role(error):
            return None, EncoderState(address, True)
        return None, EncoderState(address, error.reason not in NO_ANSWER, problem=str(error))
    return model, EncoderState(address, True, model.server_version, model.space)


def _matcher(address: str, collection: str, model: "Model | None") -> MatcherState:
    try:
        with collection_client(address, collection_id=collection) as client:
            found = client.with_options(timeout_seconds=TIMEOUT_SECONDS).get_collection(collection)
    except Problem as error:
        if _lacks_role(error):
            return MatcherState(address, True)
        ready = {Reason.STORE_UNAVAILABLE: False, Reason.COLLECTION_NOT_FOUND: True}
        database_ready = next((known for reason, known in ready.items() if error.reason == reason), None)
        return MatcherState(address, error.reason not in NO_ANSWER, database_ready, problem=str(error))
    problem = ""
    if model and found.space not in model.spaces:
        problem = f"{collection} has the space {found.space}, which the encoder does not offer"
    return MatcherState(address, True, True, found.space, found.estimated_faces, problem)


def _replica(client_of: Any, state: EncoderState | MatcherState) -> Any:
    """What a service says of itself; None if it does not to this key, or is of a release that cannot."""
    try:
        with client_of(state.address) as client:
            return client.with_options(timeout_seconds=TIMEOUT_SECONDS).get_status()
    except Problem:
        return None


def _lacks_role(error: Problem) -> bool:
    """Whether a service answered that the key has not the role for more; it may have those that it needs.

    An error with a field is about the collection, which the key may not reach at all.
    """
    cause = error.__cause__
    return error.reason == Reason.NOT_PERMITTED and not (isinstance(cause, FacerecError) and cause.field)


def _show(encoder_state: EncoderState, matcher_state: MatcherState, collection: str) -> None:
    if encoder_state.release:
        output.line(
            f"encoder {encoder_state.address}: ready, release {encoder_state.release}, {encoder_state.space}"
        )
    else:
        output.line(_problem("encoder", encoder_state))
    if encoder_state.replica:
        _show_lines(status_lines.encoder_lines(encoder_state.replica))
    _show_matcher(matcher_state, collection)
    if matcher_state.replica:
        _show_lines(status_lines.matcher_lines(matcher_state.replica))


def _show_lines(lines: Iterable[str]) -> None:
    for line in lines:
        output.line(f"  {line}")


def _show_matcher(matcher_state: MatcherState, collection: str) -> None:
    if matcher_state.estimated_faces is None:
        output.line(_problem("matcher", matcher_state))
        return
    faces = output.counted(matcher_state.estimated_faces, "face")
    output.line(
        f"matcher {matcher_state.address}: ready, its database too; {collection} has about {faces}, "
        f"{matcher_state.space}"
    )
    if matcher_state.problem:
        output.line(matcher_state.problem)


def _problem(service: str, state: EncoderState | MatcherState) -> str:
    """What is wrong with a service that has not said more, with its address named once."""
    if not state.problem:
        return f"{service} {state.address}: {HIDDEN}"
    known = state.address in state.problem
    return f"{service}: {state.problem}" if known else f"{service} {state.address}: {state.problem}"
