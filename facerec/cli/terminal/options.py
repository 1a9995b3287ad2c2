"""The arguments that several commands share."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.terminal.errors import Problem, explaining
from facerec.cli.terminal.loading import while_loading
from facerec.printable import printable

if TYPE_CHECKING:
    from facerec.client import CollectionClient, EncoderClient, MatcherClient

ENCODER_ADDRESS = "127.0.0.1:50051"
MATCHER_ADDRESS = "127.0.0.1:50052"

_VARIABLES = "The key is FACEREC_API_KEY, the CA FACEREC_TLS_CA_FILE; `facerec --help` has the others."
Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        envvar="FACEREC_ENCODER",
        metavar="HOST:PORT",
        help=f"Where the encoder is. {_VARIABLES}",
    ),
]
Matcher = Annotated[
    str,
    typer.Option(
        "--matcher",
        envvar="FACEREC_MATCHER",
        metavar="HOST:PORT",
        help=f"Where the matcher is. {_VARIABLES}",
    ),
]
Collection = Annotated[str, typer.Option("--collection", metavar="ID", help="The collection to use.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
MaxDistance = Annotated[
    float | None,
    typer.Option(
        "--max-distance", min=0, max=4, help="The largest distance that matches.  [default: the collection's]"
    ),
]
LargestFace = Annotated[
    bool,
    typer.Option("--largest-face", help="Take the largest face of a photo that shows several."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the database and the logs. Default: facerec in your data home; for root, "
        "/var/lib/facerec.",
        show_default=False,
    ),
]
Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo; - is standard input.")]


def data_home() -> Path:
    """The data folder of `facerec up` where none is named.

    Root's own home is private, and PostgreSQL, which does not run as root, could not reach into it.
    """
    import platformdirs

    return Path("/var/lib/facerec") if os.geteuid() == 0 else platformdirs.user_data_path("facerec")


@contextlib.contextmanager
def encoder(address: str) -> "Iterator[EncoderClient]":
    """A client of the encoder, whose failures say what to do."""
    with while_loading():
        from facerec.client import EncoderClient, Security

    with (
        explaining("encoder", address),
        EncoderClient(address, security=Security.from_environment()) as client,
    ):
        yield client


@contextlib.contextmanager
def matcher(address: str, **ids: str | None) -> "Iterator[MatcherClient]":
    """A client of the matcher, whose failures say what to do, and of which of the `ids` in its requests."""
    with while_loading():
        from facerec.client import MatcherClient, Security

    with (
        explaining("matcher", address, ids),
        MatcherClient(address, security=Security.from_environment()) as client,
    ):
        yield client


@contextlib.contextmanager
def collections_of(address: str, **ids: str | None) -> "Iterator[CollectionClient]":
    """A client of the matcher's collections, whose failures say what to do, and of which of the `ids`."""
    with while_loading():
        from facerec.client import CollectionClient, Security

    with (
        explaining("matcher", address, ids),
        CollectionClient(address, security=Security.from_environment()) as client,
    ):
        yield client


def confirm(question: str, yes: bool) -> None:
    """Ask before anything is erased. Raises Problem unless somebody says yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem(
            "nothing was erased: nobody is there to ask; --yes erases without asking", "NOT_CONFIRMED"
        )
    if not typer.confirm(printable(question), err=True):
        raise Problem("nothing was erased", "NOT_CONFIRMED")
