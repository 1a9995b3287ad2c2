"""What is stored at the end: straight from SQL, and through the API of every replica."""

import asyncio
import collections
from collections.abc import Sequence

from facerec.client import AsyncMatcherClient
from facerec.errors import FacerecError, Reason
from matcher_service.postgres.statements import partition_name
from tests.soak.matcher.faces import Place, vector
from tests.soak.matcher.ledger import Ledger, Stored
from tests.soak.matcher.stack import connected

READERS = 4  # a replica

# Each face with the table it lies in and the vector's bytes, which tell what face it is.
FACES = """
SELECT f.tableoid::regclass::text AS partition, f.collection_id, p.person_id, f.face_id,
       vector_send(f.encoding) AS encoding
FROM facerec.face f
LEFT JOIN facerec.person p ON p.collection_id = f.collection_id AND p.person_key = f.person_key
"""

Found = dict[int, list[Stored]]


async def from_sql(database_url: str, ledger: Ledger) -> Found:
    """Every face in the database by its number; one that no caller ever sent has a negative one."""
    numbers = {vector(number).astype(">f4").tobytes(): number for number in ledger.entries}
    async with connected(database_url) as connection:
        rows = await connection.fetch(FACES)
    found: Found = collections.defaultdict(list)
    for row in rows:
        number = numbers.get(row["encoding"][4:], -1)  # after the header
        at_home = row["partition"] == f"facerec.{partition_name('face', row['collection_id'])}"
        place = Place(row["collection_id"] if at_home else row["partition"], row["person_id"] or "")
        found[number].append(Stored(place, str(row["face_id"])))
    return found


async def from_api(addresses: Sequence[str], ledger: Ledger) -> Found:
    """Every face that ListFaces tells of each person of the ledger, the replicas asked in turn.

    A face is known by the id it was acknowledged with; another one has a negative number.
    """
    numbers = {entry.face_id: number for number, entry in ledger.entries.items() if entry.face_id}
    places = list({entry.place: None for entry in ledger.entries.values()})
    found: Found = collections.defaultdict(list)

    async def read(client: AsyncMatcherClient, mine: Sequence[Place]) -> None:
        for place in mine:
            for face_id in await _face_ids(client, place):
                found[numbers.get(face_id, -1)].append(Stored(place, face_id))

    clients = [AsyncMatcherClient(address) for address in addresses for _ in range(READERS)]
    try:
        shares = [places[start :: len(clients)] for start in range(len(clients))]
        await asyncio.gather(*map(read, clients, shares))
    finally:
        for client in clients:
            await client.close()
    return found


async def _face_ids(client: AsyncMatcherClient, place: Place) -> list[str]:
    try:
        faces = client.list_faces(place.person_id, collection_id=place.collection_id)
        return [face.face_id async for face in faces]
    except FacerecError as error:
        if error.reason != Reason.PERSON_NOT_FOUND:
            raise
        return []
