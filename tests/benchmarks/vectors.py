"""A seeded generator of vectors shaped like dlib's face encodings, for datasets no test could photograph.

Uniform noise flatters every index and every bound, so the moments here are those of real encodings of
ordinary photos made with dlib's ResNet (66 identities measured):

- norm 1.38 to 1.48;
- different persons 0.86 apart on median, about 1 % of pairs under 0.64;
- same person 0.35 apart on median, most pairs in 0.26 to 0.45;
- correlated dimensions: the covariance's eigenvalues fall about as 1/i, and its participation ratio over
  66 identities is about 20 of 128.

The model: encoding = norm * unit(mean + identity + photo). The mean is common to all faces and carries
most of the norm. `identity` is Gaussian with eigenvalues 1 / (i + 0.5) and a log-normal spread (some faces
lie nearer to the average face, which gives the fat lower tail of the distances between persons). `photo`
is Gaussian with eigenvalues falling as 1 / sqrt(i) in the same basis, and a log-normal spread (some photos
are worse). The free constants were fitted to the figures above; test_vectors.py holds them to it.

Everything is drawn per block of people from (seed, stream, block), so a dataset is the same in whatever
order its parts are requested, and one of millions of people never needs to be in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

DIMENSIONS = 128
BLOCK_PEOPLE = 8192

NORM_MEAN, NORM_DEVIATION = 1.43, 0.02  # 1.38 to 1.48 holds 2.5 deviations
IDENTITY_VARIANCE = 0.33  # with the photo's: a median of 0.86 between persons
IDENTITY_OFFSET = 0.5  # participation ratio 20 over 66 identities, 31 over very many
IDENTITY_SPREAD = 0.15  # 1 % of the pairs of persons under 0.64
PHOTO_VARIANCE = 0.0625  # 0.35 = sqrt(2 * 0.0625) between two photos of one person
PHOTO_FALL = 0.5
PHOTO_SPREAD = 0.15  # 95 % of a person's pairs within 0.26 to 0.45

_BASIS, _PEOPLE, _PHOTOS, _PROBES = range(4)  # streams of random numbers
_UNENROLLED_BLOCKS = 1 << 20  # unenrolled people are of blocks that no dataset reaches

Vectors = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Faces:
    """Encodings, (n, 128) float32, and the person each is of, (n,) counted from 0."""

    people: Keys
    encodings: Vectors


@dataclass(frozen=True)
class Dataset:
    """Generated faces of `people` persons.

    `photos` is the mean number of photos per person: each has exactly so many when `even`, otherwise
    1 to `max_photos`, drawn from a geometric distribution.
    """

    people: int
    photos: float = 2.0
    even: bool = False
    max_photos: int = 100
    seed: int = field(default=1, kw_only=True)

    def blocks(self) -> Iterator[Faces]:
        """Yield every face of the dataset, some ten thousand at a time, in the order of people."""
        for block in range(-(-self.people // BLOCK_PEOPLE)):
            first = block * BLOCK_PEOPLE
            present = min(BLOCK_PEOPLE, self.people - first)
            random = self._random(_PHOTOS, block)
            counts = self._photo_counts(random)[:present]
            rows = np.repeat(np.arange(present), counts)
            encodings = self._photographed(self._identities(block)[rows], random)
            yield Faces((rows + first).astype(np.int64), encodings)

    def all(self) -> Faces:
        """Return all faces in memory: 512 bytes a face."""
        blocks = list(self.blocks())
        return Faces(
            np.concatenate([block.people for block in blocks]),
            np.concatenate([block.encodings for block in blocks]),
        )

    def genuine(self, count: int, *, draw: int = 0) -> Faces:
        """Return probes: one more photo of each of `count` enrolled people, drawn with replacement."""
        random = self._random(_PROBES, 2 * draw)
        people = random.integers(0, self.people, count)
        identities = np.empty((count, DIMENSIONS), np.float32)
        for block in np.unique(people // BLOCK_PEOPLE):
            here = people // BLOCK_PEOPLE == block
            identities[here] = self._identities(int(block))[people[here] % BLOCK_PEOPLE]
        return Faces(people.astype(np.int64), self._photographed(identities, random))

    def non_mated(self, count: int, *, draw: int = 0) -> Vectors:
        """Return a photo of each of `count` people who are not enrolled."""
        blocks = range(-(-count // BLOCK_PEOPLE))
        first = _UNENROLLED_BLOCKS + draw * 1024
        identities = np.concatenate([self._identities(first + block) for block in blocks])[:count]
        return self._photographed(identities, self._random(_PROBES, 2 * draw + 1))

    def _random(self, stream: int, block: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, block))

    @cached_property
    def _basis(self) -> tuple[Vectors, Vectors, Vectors]:
        """The mean, and what turns white noise into an identity and into a photo's deviation."""
        random = self._random(_BASIS, 0)
        rotation, _ = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))
        mean = random.standard_normal(DIMENSIONS)
        mean *= np.sqrt(NORM_MEAN**2 - IDENTITY_VARIANCE - PHOTO_VARIANCE) / np.linalg.norm(mean)
        rank = np.arange(1, DIMENSIONS + 1)
        identity = 1 / (rank + IDENTITY_OFFSET)
        photo = rank**-PHOTO_FALL
        return (
            mean.astype(np.float32),
            (np.sqrt(identity * IDENTITY_VARIANCE / identity.sum())[:, None] * rotation).astype(np.float32),
            (np.sqrt(photo * PHOTO_VARIANCE / photo.sum())[:, None] * rotation).astype(np.float32),
        )

    def _identities(self, block: int) -> Vectors:
        random = self._random(_PEOPLE, block)
        mean, identity, _ = self._basis
        scale = _spread(random, BLOCK_PEOPLE, IDENTITY_SPREAD)
        drawn: Vectors = random.standard_normal((BLOCK_PEOPLE, DIMENSIONS), np.float32)
        return np.asarray(mean + (drawn * scale) @ identity, np.float32)

    def _photographed(self, identities: Vectors, random: np.random.Generator) -> Vectors:
        _, _, photo = self._basis
        scale = _spread(random, len(identities), PHOTO_SPREAD)
        norms = random.normal(NORM_MEAN, NORM_DEVIATION, (len(identities), 1)).astype(np.float32)
        drawn: Vectors = random.standard_normal(identities.shape, np.float32)
        faces = identities + (drawn * scale) @ photo
        return np.asarray(faces * (norms / np.linalg.norm(faces, axis=1, keepdims=True)), np.float32)

    def _photo_counts(self, random: np.random.Generator) -> npt.NDArray[np.int64]:
        if self.even:
            return np.full(BLOCK_PEOPLE, round(self.photos))
        return np.minimum(random.geometric(1 / self.photos, BLOCK_PEOPLE), self.max_photos)


def _spread(random: np.random.Generator, rows: int, deviation: float) -> Vectors:
    """Draw log-normal factors, (rows, 1), whose mean square is 1."""
    return np.exp(random.normal(-(deviation**2), deviation, (rows, 1))).astype(np.float32)
