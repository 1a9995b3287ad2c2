"""The arguments that several commands share."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.terminal.errors import Problem, service_problems
from facerec.cli.terminal.loading import while_loading
from facerec.printable import printable

if TYPE_CHECKING:
    from facerec.client import CollectionClient, EncoderClient, MatcherClient

ENCODER_ADDRESS = "127.0.0.1:50051"
MATCHER_ADDRESS = "127.0.0.1:50052"

_VARIABLES = "FACEREC_API_KEY is the key, FACEREC_TLS_CA_FILE the CA; `facerec --help` names all variables."
Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        envvar="FACEREC_ENCODER",
        metavar="HOST:PORT",
        help=f"The encoder's address. {_VARIABLES}",
    ),
]
Matcher = Annotated[
    str,
    typer.Option(
        "--matcher",
        envvar="FACEREC_MATCHER",
        metavar="HOST:PORT",
        help=f"The matcher's address. {_VARIABLES}",
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
MaxStaleness = Annotated[
    float | None,
    typer.Option(
        "--max-staleness",
        min=0,
        metavar="SECONDS",
        help="How old what the matcher reads may be; above 0.  [default: not at all]",
    ),
]
LargestFace = Annotated[
    bool,
    typer.Option("--largest-face", help="Use the largest face of a photo that shows several."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the database and the logs. Default: facerec in your data home; for root, "
        "/var/lib/facerec.",
        show_default=False,
    ),
]
Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo; - is standard input.")]

Images = Annotated[
    list[Path],
    typer.Argument(metavar="IMAGE...", help="A photo, or several of one face. - is stdin."),
]


def data_home() -> Path:
    """The default data folder of `facerec up`.

    For root it is not in the home folder, which PostgreSQL, running as another user, could not read.
    """
    import platformdirs

    return Path("/var/lib/facerec") if os.geteuid() == 0 else platformdirs.user_data_path("facerec")


@contextlib.contextmanager
def encoder_client(address: str) -> "Iterator[EncoderClient]":
    """A client of the encoder, whose errors become Problem and say what to do."""
    with while_loading():
        from facerec.client import EncoderClient, Security

    with (
        service_problems("encoder", address),
        EncoderClient(address, security=Security.from_environment()) as client,
    ):
        yield client


@contextlib.contextmanager
def matcher_client(address: str, **ids: str | None) -> "Iterator[MatcherClient]":
    """A client of the matcher, whose errors become Problem; `ids` are those of `service_problems`."""
    with while_loading():
        from facerec.client import MatcherClient, Security

    with (
        service_problems("matcher", address, ids),
        MatcherClient(address, security=Security.from_environment()) as client,
    ):
        yield client


@contextlib.contextmanager
def collection_client(address: str, **ids: str | None) -> "Iterator[CollectionClient]":
    """A client of the matcher's collections, whose errors become Problem.

    `ids` are those of `service_problems`.
    """
    with while_loading():
        from facerec.client import CollectionClient, Security

    with (
        service_problems("matcher", address, ids),
        CollectionClient(address, security=Security.from_environment()) as client,
    ):
        yield client


def confirm(question: str, yes: bool) -> None:
    """Ask before anything is erased. Raises Problem unless the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem(
            "nothing was erased: there is no terminal to ask on; --yes erases without asking", "NOT_CONFIRMED"
        )
    if not typer.confirm(printable(question), err=True):
        raise Problem("nothing was erased", "NOT_CONFIRMED")
