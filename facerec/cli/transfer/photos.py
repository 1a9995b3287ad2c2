"""Finds the photos to enroll, and sends them with a bounded number in flight."""

import asyncio
import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec import signatures
from facerec.cli.terminal.errors import ABOUT_PHOTO, STDIN, Problem, about_photo, read_image
from facerec.errors import FacerecError, Reason

if TYPE_CHECKING:
    from facerec.client import AsyncMatcherClient, Enrollment

# Files with these suffixes are sent whatever their content is, so that a damaged one is reported.
SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".avif",
    }
)

ENROLLED, ALREADY_ENROLLED, REFUSED = "enrolled", "already_enrolled", "refused"

OVERLOAD_TRIES = 30
OVERLOAD_SECONDS = 1.0
MAX_REFERENCE = 256


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo of a person."""

    person_id: str
    path: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a photo; `status` is enrolled, already_enrolled, or refused, which has a reason.

    `duplicate_of` is another person with a face within the duplicate threshold, `inconsistent_with` one to
    whose face it is nearer than to its person's; "" for none.
    """

    person_id: str
    image: Path
    status: str
    face_id: str = ""
    reason: str = ""
    message: str = ""
    duplicate_of: str = ""
    duplicate_distance: float | None = None
    inconsistent_with: str = ""


@dataclasses.dataclass(frozen=True)
class Folder:
    """The photos of a folder, and the files that are not photos by their name and their first bytes."""

    photos: Sequence[Photo]
    skipped: Sequence[Path]


def find_in(folder: Path) -> Folder:
    """Find the photos in a folder that holds a folder per person. Raises Problem if there is none."""
    photos, skipped = [], []
    try:
        people = sorted(entry for entry in folder.iterdir() if _is_shown(entry) and entry.is_dir())
        for person in people:
            # Everybody's photos would be enrolled as those of one person.
            if folder.resolve().is_relative_to(person.resolve()):
                raise Problem(f"{person}: it links to a folder that contains it: remove the link", "FILE")
        for person in people:
            for path in sorted(path for path in person.rglob("*") if _is_shown(path) and path.is_file()):
                if _is_photo(path):
                    photos.append(Photo(person.name, path))
                else:
                    skipped.append(path)
    except OSError as error:
        raise Problem(f"{folder}: {(error.strerror or 'cannot be read').lower()}", "FILE") from error
    if not photos:
        raise Problem(
            f"{folder}: no photos found; it should hold a folder per person, named by the person's id, "
            f"with the photos in it ({folder.name}/ann/1.jpg)",
            "FILE",
        )
    return Folder(photos, skipped)


def _is_photo(path: Path) -> bool:
    """Whether a file has a photo's suffix, or begins with a photo format's signature."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return signatures.is_photo(file.read(signatures.HEAD_BYTES))
    except OSError:  # reported when it is sent
        return True


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")


@dataclasses.dataclass(frozen=True)
class Details:
    """What every photo is enrolled with."""

    collection_id: str
    display_name: str | None = None
    use_largest_face: bool = False
    expire_time: datetime.datetime | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Enroller:
    """Enrolls each photo in a call of its own, so that a refused photo does not affect others."""

    client: "AsyncMatcherClient"
    details: Details
    report: Callable[[Outcome], None]

    async def enroll_all(self, photos: Sequence[Photo], in_flight: int) -> list[Outcome]:
        """Enroll every photo, `in_flight` at a time; outcomes are in the photos' order.

        Raises FacerecError for faults that concern every photo, such as an unreachable service.
        """
        outcomes: dict[Photo, Outcome] = {}
        waiting = iter(photos)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(in_flight):
                    group.create_task(self._work(waiting, outcomes))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [outcomes[photo] for photo in photos]

    async def _work(self, waiting: Iterator[Photo], outcomes: dict[Photo, Outcome]) -> None:
        for photo in waiting:
            outcomes[photo] = await self._outcome(photo)
            self.report(outcomes[photo])

    async def _outcome(self, photo: Photo) -> Outcome:
        try:
            face = (await self._send(photo)).faces[0]
        except FacerecError as error:
            if error.reason not in ABOUT_PHOTO | {Reason.ID_INVALID}:
                raise
            other = error.metadata.get("person_id", "")
            return dataclasses.replace(
                _refused(photo, error.reason, about_photo(error)),
                duplicate_of=other if error.reason is Reason.FACE_DUPLICATE else "",
                inconsistent_with=other if error.reason is Reason.FACE_INCONSISTENT else "",
            )
        except Problem as error:  # about the file; the printed line already names it
            return _refused(photo, error.reason, str(error).removeprefix(f"{photo.path}: "))
        status = ALREADY_ENROLLED if face.already_enrolled else ENROLLED
        outcome = Outcome(photo.person_id, photo.path, status, face_id=face.face.face_id)
        if face.inconsistency is not None:
            outcome = dataclasses.replace(outcome, inconsistent_with=face.inconsistency.person_id)
        if face.duplicate is None:
            return outcome
        return dataclasses.replace(
            outcome, duplicate_of=face.duplicate.person_id, duplicate_distance=face.duplicate.distance
        )

    async def _send(self, photo: Photo) -> "Enrollment":
        from facerec.client import NewFace

        image = await asyncio.to_thread(read_image, photo.path)
        reference = "" if photo.path == STDIN else photo.path.name[-MAX_REFERENCE:]
        face = NewFace(image, external_ref=reference)
        tries = 0
        while True:
            tries += 1
            try:
                return await self.client.enroll(
                    photo.person_id,
                    face,
                    display_name=self.details.display_name,
                    labels=self.details.labels,
                    use_largest_face=self.details.use_largest_face,
                    expire_time=self.details.expire_time,
                    collection_id=self.details.collection_id,
                )
            except FacerecError as error:
                if error.reason is not Reason.OVERLOADED or tries == OVERLOAD_TRIES:
                    raise
                await asyncio.sleep(error.retry_after_seconds or OVERLOAD_SECONDS)


def _refused(photo: Photo, reason: str, message: str) -> Outcome:
    return Outcome(photo.person_id, photo.path, REFUSED, reason=reason, message=message)


def count(outcomes: Iterable[Outcome], status: str) -> int:
    """How many outcomes have a status."""
    return sum(outcome.status == status for outcome in outcomes)
