"""Errors as users of a terminal need them: which file or address, and what to do."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from facerec.cli.terminal.suggesting import command
from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.errors import FacerecError, Reason

STDIN = Path("-")
MAX_STDIN_BYTES = 64 * 2**20  # more than a message holds

# Reasons that concern one photo; any other reason would refuse the next photo as well.
ABOUT_PHOTO = frozenset(
    {
        Reason.IMAGE_INVALID,
        Reason.IMAGE_TOO_LARGE,
        Reason.IMAGE_UNSUPPORTED,
        Reason.FACE_NOT_FOUND,
        Reason.FACE_AMBIGUOUS,
        Reason.FACE_QUALITY,
        Reason.FACE_DUPLICATE,
        Reason.FACE_INCONSISTENT,
    }
)

ABOUT_ID = frozenset(
    {
        Reason.ID_INVALID,
        Reason.PERSON_NOT_FOUND,
        Reason.STORED_FACE_NOT_FOUND,
        Reason.ERASURE_NOT_FOUND,
        Reason.COLLECTION_NOT_FOUND,
        Reason.COLLECTION_EXISTS,
    }
)
NO_IDS: Mapping[str, str | None] = MappingProxyType({})


class Problem(Exception):
    """What went wrong and how to fix it, in one line; `reason` is for programs."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@contextlib.contextmanager
def service_problems(service: str, address: str, ids: Mapping[str, str | None] = NO_IDS) -> Iterator[None]:
    """Turn FacerecError into Problem; for a service that can't be reached it says what to change or start.

    `ids` maps fields of the request to the ids that were sent; an error about a field begins with its id.
    """
    try:
        yield
    except FacerecError as error:
        raise Problem(_explained(error, service, address, ids), error.reason) from error


def _explained(error: FacerecError, service: str, address: str, ids: Mapping[str, str | None]) -> str:
    if error.reason in ABOUT_ID and (found := ids.get(error.field)):
        return f"{found}: {error.message}"
    if error.reason is Reason.PERSON_SUSPENDED and (found := ids.get(error.field)):
        collection = ids.get("collection_id") or DEFAULT_COLLECTION_ID
        resume = command("people", "resume", found, collection=collection)
        return f"{found}: the person is suspended; `{resume}` takes it back"
    # INTERNAL too: the client maps UNIMPLEMENTED to it, the status of a call that the server does not have.
    if error.reason in (Reason.UNREACHABLE, Reason.INTERNAL):
        from facerec.cli.terminal.unreachable import UNKNOWN_CALL, cause
        from facerec.client import Security

        if error.reason is Reason.INTERNAL and UNKNOWN_CALL not in error.message:
            return error.message
        why = cause(service, address, error.message, Security.from_environment())
        return f"no {service} is ready at {address}: {why}"
    messages = {
        Reason.KEY_MISSING: f"{error.message}: set FACEREC_API_KEY_FILE (or FACEREC_API_KEY)",
        Reason.DEADLINE_EXCEEDED: f"the {service} at {address} did not answer in time",
        Reason.ENCODER_UNAVAILABLE: f"the matcher at {address} cannot use its encoder: "
        f"{error.message}. `facerec up` starts both; `matcher_service doctor` finds the fault",
        Reason.STORE_UNAVAILABLE: f"the matcher at {address} cannot reach its database: {error.message}",
    }
    return messages.get(error.reason, error.message)


@contextlib.contextmanager
def photo_problems(images: Mapping[str, Path]) -> Iterator[None]:
    """Prefix errors about a photo with its path; `images` maps fields of the request to paths."""
    try:
        yield
    except FacerecError as error:
        if error.reason not in ABOUT_PHOTO:
            raise
        image = next((path for field, path in images.items() if error.field.startswith(field)), None)
        image = image or next(iter(images.values()))
        raise Problem(f"{image}: {about_photo(error)}", error.reason) from error


def about_photo(error: FacerecError) -> str:
    """What is wrong with a photo, with this command line's flags."""
    if error.reason is Reason.FACE_AMBIGUOUS:
        return "it shows several faces; --largest-face uses the largest"
    if error.reason is Reason.FACE_DUPLICATE and "person_id" in error.metadata:
        return f"it is {error.metadata['person_id']}'s face, and the collection refuses duplicates"
    if error.reason is Reason.FACE_INCONSISTENT and "person_id" in error.metadata:
        other = error.metadata["person_id"]
        return f"it is rather {other}'s face than its person's, and the collection refuses those"
    return error.message


def read_image(path: Path) -> bytes:
    """The bytes of an image file, or of standard input for `-`. Raises Problem naming it."""
    try:
        data = _read_stdin() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise Problem(f"{path}: {(error.strerror or 'cannot be read').lower()}", "FILE") from error
    if not data:
        raise Problem(f"{path}: the file is empty", Reason.IMAGE_INVALID)
    return data


def read_images(paths: Sequence[Path]) -> list[bytes]:
    """The bytes of image files, one of which may be `-`. Raises Problem naming one."""
    if sum(path == STDIN for path in paths) > 1:
        raise Problem("only one photo can come from standard input: name files for the others", "USAGE")
    return [read_image(path) for path in paths]


def _read_stdin() -> bytes:
    """Standard input to its end, or as much as is too large for any service."""
    if sys.stdin.isatty():
        raise Problem("-: a photo is read from standard input: pipe one in, or name a file", "USAGE")
    return sys.stdin.buffer.read(MAX_STDIN_BYTES)
