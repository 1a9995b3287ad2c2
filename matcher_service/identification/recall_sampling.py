"""Probes made of a collection's own faces, to measure its index with."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from matcher_service.postgres.database import Session
from matcher_service.postgres.vectors import read_vectors, vector_wire

PHOTO_STEP = 0.35  # between two photos of a person, on median
# Of a probe so near to a face unlike the person's others a look-alike within the acceptance threshold may be
# answered instead. Farther away hardly anybody is within it.
FAR_STEP = 0.15
PERSONS_PER_FAR_SAMPLE = 20  # looked at for each probe, as what is far is the farthest twentieth

Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class RecallSamples:
    """Vectors, (n, 128), and the keys of the persons whose next photos they could be."""

    person_keys: list[int]
    vectors: Vectors

    @property
    def encoded(self) -> list[bytes]:
        """The vectors as statements take them."""
        return [vector_wire(vector) for vector in self.vectors]


async def draw_recall_samples(session: Session, count: int, *, far: bool) -> RecallSamples:
    """Draw people at random and make a probe of a face of each, up to `count`.

    `far` takes the faces that lie farthest from the nearest center of their person: of the twentieth of
    people who have such, several probes of each where these are fewer. Else it is any face.
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
    """Move faces, (n, 128), so far in the directions in which two of them chosen at random differ.

    Photos differ in few of the 128 dimensions, as people do. Moved in any direction faces are found too
    easily: in 6 % of the lists over 24,000 generated people 0.99 of them, 0.92 so, 0.94 of new photos.
    """
    random = np.random.default_rng()
    others = random.permutation(faces) - random.permutation(faces)
    steps = others + random.normal(scale=1e-6, size=faces.shape)  # two that are equal differ in no direction
    return np.asarray(faces + steps * distance / np.linalg.norm(steps, axis=1, keepdims=True), np.float32)


def move(
    faces: Vectors, means: Vectors, counts: npt.NDArray[np.int64], lone: npt.NDArray[np.bool_]
) -> Vectors:
    """Move faces to where another photo of the person could be.

    Of n faces with variance v about their mean, a face is v (1 - 1/n) from it and another one v (1 + 1/n):
    the offset grows by sqrt((n + 1) / (n - 1)). A face that is far from the mean says nothing of how others
    lie around it, nor does a person's only one: those are `lone`, and move by a typical step. `faces` and
    `means` are (n, 128), `counts` and `lone` (n,); `counts` is how many faces each person has.
    """
    several = np.maximum(counts, 2)[:, None]
    grown = means + (faces - means) * np.sqrt((several + 1) / (several - 1))
    return np.asarray(np.where(lone[:, None], step(faces, PHOTO_STEP), grown), np.float32)
