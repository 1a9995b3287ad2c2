"""`facerec import` of other systems' files and tables: into a collection of their space, or refused."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.client import CollectionClient, Encoding, MatcherClient
from facerec.errors import FacerecError, Reason
from facerec.sources import spaces
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures import commands
from tests.fixtures.commands import Ran
from tests.fixtures.matcher import MatcherProcess

FACES = vectors(4)
PATHS = ("db/ann/1.jpg", "db/ann/2.jpg", "db/bob/1.jpg", "cid")
PEOPLE = ("ann", "ann", "bob", "cid")
OPENCV = spaces.of_deepface("Dlib", "opencv")

DEEPFACE = """
CREATE TABLE {table} (
    id bigserial PRIMARY KEY,
    img_name text NOT NULL,
    face bytea NOT NULL,
    face_shape int[] NOT NULL,
    model_name text NOT NULL,
    detector_backend text NOT NULL,
    aligned boolean DEFAULT true,
    l2_normalized boolean DEFAULT false,
    embedding {type} NOT NULL,
    created_at timestamptz DEFAULT now(),
    face_hash text NOT NULL,
    embedding_hash text NOT NULL,
    UNIQUE (face_hash, embedding_hash)
)
"""
INSERT = """
INSERT INTO {table} (img_name, face, face_shape, model_name, detector_backend, aligned, l2_normalized,
    embedding, face_hash, embedding_hash)
VALUES ($1, '', '{{150,150,3}}', $2, $3, $4, $5, $6::text::{type}, $1, $7)
"""
COMPREFACE = """
CREATE TABLE subject (id uuid PRIMARY KEY, api_key varchar(36), subject_name varchar(255));
CREATE TABLE img (id uuid PRIMARY KEY, content bytea);
CREATE TABLE embedding (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    subject_id uuid NOT NULL REFERENCES subject,
    embedding float8[] NOT NULL,
    calculator varchar(255) NOT NULL,
    img_id uuid REFERENCES img
);
INSERT INTO subject VALUES ('00000000-0000-0000-0000-000000000001', 'key', 'ann');
INSERT INTO embedding (subject_id, embedding, calculator)
SELECT '00000000-0000-0000-0000-000000000001', array_fill(0.1::float8, '{512}'), calculator
FROM unnest('{Facenet2018,arcface_r100_v1}'::text[]) AS calculator;
"""
IMMICH = """
CREATE EXTENSION vector;
CREATE TABLE face_search ("faceId" uuid PRIMARY KEY, embedding vector(512) NOT NULL);
"""


@pytest.fixture(scope="module")
def matcher(make_database: Callable[[str], str], template_database: str) -> Any:
    server = MatcherProcess(make_database(template_database))
    server.event("database_ready")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def run(matcher: MatcherProcess) -> Callable[..., Ran]:
    return lambda *arguments: commands.run("facerec", *arguments, "--matcher", matcher.address)


@pytest.fixture
def database(make_database: Callable[[str], str]) -> str:
    """Another system's database, still empty."""
    return make_database("template0")


Run = Callable[..., Ran]
Faces = tuple[str, Sequence[str], Any, bool, bool]
"""Of deepface: the model, the photos' names, their vectors, whether they are aligned and normalized."""


def fill(url: str, table: str, type: str, *groups: Faces) -> None:
    async def filled() -> None:
        connection = await asyncpg.connect(url)
        if "vector" in type:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        await connection.execute(DEEPFACE.format(table=table, type=type))
        for model, names, faces, aligned, normalized in groups:
            texts = [json.dumps(list(map(float, face))) for face in faces]
            if "vector" not in type:
                texts = [text.replace("[", "{").replace("]", "}") for text in texts]
            await connection.executemany(
                INSERT.format(table=table, type=type),
                [
                    (name, model, "opencv", aligned, normalized, text, model)
                    for name, text in zip(names, texts, strict=True)
                ],
            )
        await connection.close()

    asyncio.run(filled())


def execute(url: str, script: str) -> None:
    async def executed() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(script)
        await connection.close()

    asyncio.run(executed())


def stored(matcher: MatcherProcess, collection: str) -> list[tuple[str, str, list[float]]]:
    with MatcherClient(matcher.address) as client:
        exported = client.export_faces(collection_id=collection)
        return sorted(
            (person, reference, face.tolist())
            for batch in exported
            for person, reference, face in zip(
                batch.person_ids, batch.external_refs, batch.encodings, strict=True
            )
        )


def create(run: Run, collection: str, space: str) -> tuple[str, str]:
    assert run("collections", "create", collection, "--space", space).code == 0
    return "--collection", collection


def test_descriptors_of_face_api_are_imported_into_a_collection_of_their_space_alone(
    run: Run, matcher: MatcherProcess, tmp_path: Path
) -> None:
    source = tmp_path / "people.json"
    people = [
        {"label": "ann", "descriptors": FACES[:2].tolist()},
        {"label": "bob", "descriptors": FACES[2:].tolist()},
    ]
    source.write_text(json.dumps(people))
    mixed = run("import", source)
    assert (mixed.code, mixed.err.count("\n")) == (2, 1)
    assert f"the encodings are of space {spaces.FACE_API} and the collection holds {SPACE}" in mixed.err
    assert "assumed without --space, which says otherwise; `facerec collections create NAME" in mixed.err
    assert "without --space" not in run("import", source, "--space", spaces.FACE_API).err
    assert stored(matcher, "default") == []
    into = create(run, "face-api", spaces.FACE_API)
    assert run("import", source, *into, "--dry-run", "--json").json["faces_added"] == 4
    assert run("import", source, *into, "--json").json["faces_added"] == 4
    assert run("import", source, *into, "--json").json["faces_already_there"] == 4
    with MatcherClient(matcher.address) as client:
        answer = client.verify("bob", Encoding(FACES[3], spaces.FACE_API), collection_id="face-api")
        assert answer.match
        assert answer.distance == pytest.approx(0, abs=1e-6)
        with pytest.raises(FacerecError) as error:
            client.verify("bob", Encoding(FACES[3], SPACE), collection_id="face-api")
        assert error.value.reason is Reason.MODEL_MISMATCH


def test_the_option_space_overrides_that_of_a_file_s_layout(
    run: Run, matcher: MatcherProcess, tmp_path: Path
) -> None:
    source = tmp_path / "own.json"
    source.write_text(json.dumps({"label": "ann", "descriptors": FACES[:2].tolist()}))
    into = create(run, "own", SPACE)
    assert run("import", source, *into, "--space", SPACE, "--json").json["faces_added"] == 2
    assert stored(matcher, "own") == sorted(("ann", "", face) for face in FACES[:2].tolist())


@pytest.mark.parametrize(
    ("table", "type"), [("embeddings", "float8[]"), ("embeddings_dlib_opencv_aligned_raw", "vector(128)")]
)
def test_faces_in_deepface_s_tables_are_imported_as_they_were_written(
    run: Run, matcher: MatcherProcess, database: str, table: str, type: str
) -> None:
    fill(database, table, type, ("Dlib", PATHS, FACES, True, False))
    into = create(run, f"deepface-{len(table)}", OPENCV)
    moved = run("import", "--database-url", database, *into, "--json")
    assert (moved.code, moved.json["faces_added"], moved.json["persons_added"]) == (0, 4, 3)
    assert stored(matcher, into[1]) == sorted(zip(PEOPLE, PATHS, FACES.tolist(), strict=True))
    assert run("import", "--database-url", database, *into, "--json").json["faces_already_there"] == 4
    mixed = run("import", "--database-url", database)
    assert (mixed.code, OPENCV in mixed.err) == (2, True)


def test_of_several_models_in_deepface_s_table_one_is_chosen_by_its_space(
    run: Run, matcher: MatcherProcess, database: str
) -> None:
    unit = FACES / np.linalg.norm(FACES, axis=1, keepdims=True)
    fill(
        database,
        "embeddings",
        "float8[]",
        ("ArcFace", PATHS, np.zeros((4, 512)), True, False),
        ("Dlib", PATHS, FACES, True, False),
    )
    fill(database, "of_unit_length", "float8[]", ("Dlib", PATHS, unit, True, True))
    into = create(run, "several", f"{OPENCV}/l2")
    unchosen = run("import", "--database-url", database, *into)
    assert (unchosen.code, unchosen.err.count("\n")) == (2, 1)
    models = f"ArcFace (4 faces); {OPENCV} (4 faces); {OPENCV}/l2 (4 faces)"
    assert f"it has vectors of {models}: choose a space of dlib's network by --space" in unchosen.err
    assert stored(matcher, "several") == []
    absent = run("import", "--database-url", database, *into, "--space", SPACE)
    assert (absent.code, f"it has vectors of {models}" in absent.err) == (2, True)
    chosen = run("import", "--database-url", database, *into, "--space", f"{OPENCV}/l2", "--json")
    assert chosen.json["faces_added"] == 4
    faces = unit.astype(np.float32).tolist()
    assert stored(matcher, "several") == sorted(zip(PEOPLE, PATHS, faces, strict=True))


def test_an_invalid_row_of_deepface_s_table_is_refused_alone(run: Run, database: str) -> None:
    faces = [*FACES[:2].tolist(), [0.0] * 64, [1e300] * 128]
    fill(database, "embeddings", "float8[]", ("Dlib", PATHS, faces, True, False))
    into = create(run, "invalid-rows", OPENCV)
    moved = run("import", "--database-url", database, *into, "--json")
    assert (moved.code, moved.json["faces_added"]) == (1, 2)
    assert [(each["place"], each["field"]) for each in moved.json["refused"]] == [
        ("row 3", "encoding"),
        ("row 4", "encoding"),
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            COMPREFACE,
            "it is of CompreFace, and its vectors are of Facenet2018, arcface_r100_v1, and not of dlib",
        ),
        (IMMICH, "it is of immich, and its vectors are of an InsightFace model, and not of dlib's network"),
        ("CREATE TABLE faces (id int)", "it has no table of deepface"),
        (DEEPFACE.format(table="embeddings", type="float8[]"), "deepface's tables are empty"),
    ],
    ids=["CompreFace", "immich", "another", "an empty table"],
)
def test_a_database_without_vectors_of_dlib_is_refused_with_their_model(
    run: Run, matcher: MatcherProcess, database: str, script: str, said: str
) -> None:
    execute(database, script)
    ran = run("import", "--database-url", database)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
    assert stored(matcher, "default") == []


def test_deepface_s_table_of_another_model_is_refused_with_its_name(
    run: Run, matcher: MatcherProcess, database: str
) -> None:
    fill(database, "embeddings", "float8[]", ("VGG-Face", PATHS, np.zeros((4, 4096)), True, False))
    ran = run("import", "--database-url", database)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert (
        "its vectors are of VGG-Face (4 faces), and not of dlib's network: enroll its photos instead"
        in ran.err
    )
    assert stored(matcher, "default") == []


def test_a_datastore_of_deepface_is_imported_without_running_its_pickle(
    run: Run, matcher: MatcherProcess, tmp_path: Path
) -> None:
    source = tmp_path / "ds_model_dlib_detector_opencv_aligned_normalization_base_expand_0.pkl"
    source.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    into = create(run, "datastore", OPENCV)
    ran = run("import", source, *into)
    assert (ran.code, "it names os.system" in ran.err) == (2, True)
    with CollectionClient(matcher.address) as client:
        assert client.get_collection("datastore").space == OPENCV
