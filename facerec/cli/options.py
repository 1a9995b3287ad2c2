"""The arguments that several commands share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.problems import explaining

if TYPE_CHECKING:
    from facerec.client import EncoderClient, MatcherClient

ENCODER_ADDRESS = "127.0.0.1:50051"
MATCHER_ADDRESS = "127.0.0.1:50052"

Encoder = Annotated[
    str,
    typer.Option("--encoder", envvar="FACEREC_ENCODER", metavar="HOST:PORT", help="Where the encoder is."),
]
Matcher = Annotated[
    str,
    typer.Option("--matcher", envvar="FACEREC_MATCHER", metavar="HOST:PORT", help="Where the matcher is."),
]
Collection = Annotated[str, typer.Option("--collection", metavar="ID", help="The gallery to use.")]
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
Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo.")]


@contextlib.contextmanager
def encoder(address: str) -> "Iterator[EncoderClient]":
    """A client of the encoder, whose failures say what to do."""
    from facerec.client import EncoderClient

    with explaining("encoder", address), EncoderClient(address) as client:
        yield client


@contextlib.contextmanager
def matcher(address: str) -> "Iterator[MatcherClient]":
    """A client of the matcher, whose failures say what to do."""
    from facerec.client import MatcherClient

    with explaining("matcher", address), MatcherClient(address) as client:
        yield client
