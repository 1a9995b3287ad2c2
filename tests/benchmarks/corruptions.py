"""Generated people some of whose faces are under a wrong id, and the faces that numpy finds inconsistent."""

import dataclasses

import numpy as np
import numpy.typing as npt

from tests.benchmarks.vectors import Dataset, Faces, Keys, Vectors

PHOTOS = 4  # of a person: even, as some are split in two
SPARE_PHOTOS = 3  # of each person, which others get
POOR_DISPLACEMENT = 0.43  # of a poor photo: half the distance that separates two persons
BLOCK_FACES = 2000

Flags = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Corrupted:
    """Faces with the id that each is under (`faces.people`) and whose it is, (n,) int64.

    `moved` are the faces under another person's id, `poor` those displaced, boolean (n,).
    """

    faces: Faces
    identities: Keys
    moved: Flags
    poor: Flags


@dataclasses.dataclass(frozen=True)
class Nearest:
    """What is nearest to each of n faces; distances are float64 of shape (n,), of nobody infinite.

    `own_faces` counts the other faces of its person, `own_within` those within the near distance;
    `other_person` and `other_face` are the numbers of the nearest face of anybody else and of its person.
    """

    own_distance: Distances
    own_faces: Keys
    own_within: Keys
    other_distance: Distances
    other_person: Keys
    other_face: Keys

    def inconsistent(self, max_distance: float) -> Flags:
        """Which faces are nearer to somebody else's within a distance than to their person's others."""
        near = self.other_distance <= max_distance
        return np.asarray(near & (self.own_faces > 0) & (self.other_distance < self.own_distance))


def corrupt(people: int, *, share: float = 0.01, seed: int = 5) -> Corrupted:
    """Generate people of whom a `share` each has one of four faults, and the others none.

    One photo exchanged with somebody else's of that share; one photo of another person added; two of one
    other person added; one human under two ids, each with half of the photos. A `share` of photos is poor.
    """
    drawn = Dataset(people, PHOTOS + SPARE_PHOTOS, even=True, seed=seed).all()
    photos = drawn.encodings.reshape(people, PHOTOS + SPARE_PHOTOS, -1)
    random = np.random.default_rng(seed)
    each = max(2, round(people * share) // 2 * 2)
    chosen = random.permutation(people)[: 6 * each].reshape(6, each)
    exchanged, split, one_more, two_more, one_giver, two_giver = chosen
    owners = np.repeat(np.arange(people), PHOTOS).reshape(people, PHOTOS)
    owners[exchanged, 0] = exchanged[::-1]
    owners[split, PHOTOS // 2 :] = people + np.arange(each)[:, None]
    givers = np.concatenate([one_giver, two_giver, two_giver])
    spare = np.repeat(PHOTOS + np.arange(SPARE_PHOTOS), each)
    owners = np.concatenate([owners.ravel(), one_more, two_more, two_more])
    identities = np.concatenate([np.repeat(np.arange(people), PHOTOS), givers])
    vectors = np.concatenate([photos[:, :PHOTOS].reshape(people * PHOTOS, -1), photos[givers, spare]])
    poor = random.random(len(vectors)) < share
    vectors[poor] = displaced(vectors[poor], vectors, random)
    order = np.argsort(owners, kind="stable")
    moved = (owners != identities) & (owners < people)
    return Corrupted(Faces(owners[order], vectors[order]), identities[order], moved[order], poor[order])


def displaced(good: Vectors, among: Vectors, random: np.random.Generator) -> Vectors:
    """Poor photos: faces moved in directions in which those `among` differ, at their length."""
    one, other = (among[random.integers(0, len(among), len(good))] for _ in range(2))
    direction = (one - other) / np.maximum(1e-6, np.linalg.norm(one - other, axis=1, keepdims=True))
    moved = good + POOR_DISPLACEMENT * direction
    length = np.linalg.norm(good, axis=1, keepdims=True) / np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved * length, np.float32)


def measure(
    faces: Faces, near_distance: float, probes: Faces | None = None, *, block: int = BLOCK_FACES
) -> Nearest:
    """Compare faces with all others, or `probes`, which are not among them."""
    asked = faces if probes is None else probes
    parts = [
        _measure_block(faces, asked, slice(first, first + block), near_distance, same=probes is None)
        for first in range(0, len(asked.people), block)
    ]
    return Nearest(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _measure_block(
    faces: Faces, asked: Faces, rows: slice, near_distance: float, *, same: bool
) -> tuple[npt.NDArray[np.generic], ...]:
    vectors, people = asked.encodings[rows], asked.people[rows]
    squares = (faces.encodings**2).sum(1)[None] + (vectors**2).sum(1)[:, None]
    distances = np.sqrt(np.maximum(0, squares - 2 * vectors @ faces.encodings.T))
    if same:
        distances[np.arange(len(people)), rows.start + np.arange(len(people))] = np.inf
    mine = faces.people[None] == people[:, None]
    own = np.where(mine, distances, np.inf)
    other = np.where(mine, np.inf, distances)
    nearest = other.argmin(1)
    return (
        own.min(1).astype(np.float64),
        np.isfinite(own).sum(1),
        (own <= near_distance).sum(1),
        other.min(1).astype(np.float64),
        faces.people[nearest],
        nearest.astype(np.int64),
    )
