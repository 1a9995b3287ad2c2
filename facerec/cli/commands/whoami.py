"""`facerec whoami`."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
from facerec.cli.terminal.options import (
    ENCODER_ADDRESS,
    MATCHER_ADDRESS,
    Encoder,
    Json,
    Matcher,
    collection_client,
    encoder_client,
)
from facerec.cli.terminal.times import format_time

if TYPE_CHECKING:
    from facerec.client import Caller, CollectionClient, EncoderClient

REFUSED: Final = 1
TIMEOUT_SECONDS: Final = 10


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a service says of the caller; `caller` is None where `problem` says why it does not."""

    address: str
    caller: "Caller | None" = None
    problem: str = ""


def whoami(
    encoder_address: Encoder = ENCODER_ADDRESS, matcher_address: Matcher = MATCHER_ADDRESS, json: Json = False
) -> None:
    """Show what your key may do at both services. Exit code 1 if one doesn't say."""
    answers = {
        "encoder": _ask(encoder_client, encoder_address),
        "matcher": _ask(collection_client, matcher_address),
    }
    if json:
        output.as_json(answers)
    else:
        _show(answers)
    raise typer.Exit(REFUSED if any(answer.problem for answer in answers.values()) else 0)


def _ask(
    client_of: "Callable[[str], AbstractContextManager[EncoderClient | CollectionClient]]", address: str
) -> Answer:
    try:
        with client_of(address) as client:
            return Answer(address, client.with_options(timeout_seconds=TIMEOUT_SECONDS).get_caller())
    except Problem as error:
        return Answer(address, problem=str(error))


def _show(answers: dict[str, Answer]) -> None:
    rows = [
        (
            service,
            caller.name or "no key required",
            ", ".join(caller.roles),
            ", ".join(caller.collection_ids) or "all",
            _people(caller),
            _yes(caller.scores),
            _yes(caller.encodings),
            format_time(caller.expire_time) if caller.expire_time else "never",
        )
        for service, answer in answers.items()
        if (caller := answer.caller)
    ]
    if rows:
        names = ("service", "caller", "roles", "collections", "people", "scores", "encodings", "expires")
        output.table(names, rows)
    for service, answer in answers.items():
        if answer.problem:
            output.line(f"{service}: {answer.problem}")


def _people(caller: "Caller") -> str:
    limits = (f"{key}={' or '.join(values)}" for key, values in sorted(caller.labels.items()))
    return ", ".join(limits) or "all"


def _yes(permitted: bool) -> str:
    return "yes" if permitted else "no"
