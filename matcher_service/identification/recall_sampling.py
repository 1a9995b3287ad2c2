"""Samples made of a collection's own faces, to measure the recall of its index."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from matcher_service.postgres.database import Session
from matcher_service.postgres.vectors import read_vectors, vector_wire

PHOTO_STEP = 0.35  # the median distance of two photos of a person
# For a sample this near to a face unlike the person's others, the index may return a similar person within
# the acceptance threshold instead. Farther away hardly anybody is within it.
FAR_STEP = 0.15
PERSONS_PER_FAR_SAMPLE = 20  # drawn per sample: far faces are the farthest twentieth

Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class RecallSamples:
    """Vectors, (n, 128), each like a new photo of a person, and the persons' keys."""

    person_keys: list[int]
    vectors: Vectors

    @property
    def encoded(self) -> list[bytes]:
        """The vectors as parameters of a statement."""
        return [vector_wire(vector) for vector in self.vectors]


async def draw_recall_samples(session: Session, count: int, *, far: bool) -> RecallSamples:
    """Draw people at random and make a sample of a face of each, up to `count`.

    With `far` these are the faces farthest from the nearest center of their person, of the twentieth of
    people with the farthest ones; each is used several times if there are fewer than `count`. Else it is any
    face.
    """
    persons = count * (PERSONS_PER_FAR_SAMPLE if far else 1)
    rows = await session.rows("draw_recall_samples", max_persons=persons, farthest=far)
    if far and rows:
        rows = list(itertools.islice(itertools.cycle(rows), count))
    faces, means = (read_vectors([row[name] for row in rows]) for name in ("encoding", "centroid"))
    keys = [row["person_key"] for row in rows]
    if far:
        return RecallSamples(keys, step(faces, FAR_STEP))
    lone = np.array([row["is_center"] or row["faces"] == 1 for row in rows], bool)
    counts = np.array([row["faces"] for row in rows], np.int64)
    return RecallSamples(keys, move(faces, means, counts, lone))


def step(faces: Vectors, distance: float) -> Vectors:
    """Move faces, (n, 128), by `distance` in the directions in which random pairs of them differ.

    Photos differ in few of the 128 dimensions, as people do. Moved in random directions, faces are found too
    easily: with 6 % of the lists of 24,000 generated people, recall is 0.99 then, 0.92 with these directions
    and 0.94 for new photos.
    """
    random = np.random.default_rng()
    others = random.permutation(faces) - random.permutation(faces)
    steps = others + random.normal(scale=1e-6, size=faces.shape)  # two equal faces have no direction
    return np.asarray(faces + steps * distance / np.linalg.norm(steps, axis=1, keepdims=True), np.float32)


def move(
    faces: Vectors, means: Vectors, counts: npt.NDArray[np.int64], lone: npt.NDArray[np.bool_]
) -> Vectors:
    """Move faces to where another photo of the person could be.

    For n faces with variance v about their mean, the squared distance of a face to the mean is v (1 - 1/n),
    and that of another face v (1 + 1/n): the offset grows by sqrt((n + 1) / (n - 1)). A face far from the
    mean, or a person's only one, has no such variance: those are `lone`, and move by PHOTO_STEP. `faces` and
    `means` are (n, 128), `counts` and `lone` (n,); `counts` is the number of faces of each person.
    """
    several = np.maximum(counts, 2)[:, None]
    grown = means + (faces - means) * np.sqrt((several + 1) / (several - 1))
    return np.asarray(np.where(lone[:, None], step(faces, PHOTO_STEP), grown), np.float32)
