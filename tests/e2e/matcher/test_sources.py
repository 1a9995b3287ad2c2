"""`facerec import` and `export` over a real matcher: every kind of source, refusals, and continuing."""

import asyncio
import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.client import CollectionClient, Encoding, MatcherClient
from tests.benchmarks import vectors as generated
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures import commands
from tests.fixtures.commands import Ran
from tests.fixtures.matcher import MatcherProcess
from tests.unit.sources import hostile

Run = Callable[..., Ran]
PEOPLE = [f"p{index // 2}" for index in range(40)]


@pytest.fixture(scope="module")
def matcher(make_database: Callable[[str], str], template_database: str) -> Any:
    server = MatcherProcess(make_database(template_database))
    server.event("database_ready")
    yield server
    server.stop()


@pytest.fixture
def collection(matcher: MatcherProcess, request: pytest.FixtureRequest) -> str:
    name = f"c{abs(hash(request.node.name))}"
    with CollectionClient(matcher.address) as client:
        client.create_collection(name)
    return name


def run_command(matcher: MatcherProcess, *arguments: object) -> Ran:
    return commands.run("facerec", *arguments, "--matcher", matcher.address)


@pytest.fixture
def run(matcher: MatcherProcess, collection: str) -> Run:
    return lambda *arguments: run_command(matcher, *arguments, "--collection", collection)


def as_pickle(path: Path, faces: Any) -> Path:
    path.write_bytes(pickle.dumps({"encodings": list(faces), "names": PEOPLE}))
    return path


def as_npz(path: Path, faces: Any) -> Path:
    np.savez(path, encodings=faces, names=np.array(PEOPLE))
    return path


def as_csv(path: Path, faces: Any) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person_id", *(f"e{at}" for at in range(128))])
        writer.writerows(
            [person, *map(repr, face.tolist())] for person, face in zip(PEOPLE, faces, strict=True)
        )
    return path


def as_json_lines(path: Path, faces: Any) -> Path:
    lines = [
        json.dumps({"person_id": person, "encoding": face.tolist()})
        for person, face in zip(PEOPLE, faces, strict=True)
    ]
    path.write_text("\n".join(lines))
    return path


def as_json_array(path: Path, faces: Any) -> Path:
    pairs = zip(PEOPLE, faces, strict=True)
    path.write_text(json.dumps([{"person_id": person, "encoding": face.tolist()} for person, face in pairs]))
    return path


WRITERS = {
    "pkl": as_pickle,
    "npz": as_npz,
    "csv": as_csv,
    "jsonl": as_json_lines,
    "json": as_json_array,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_faces_are_imported_once_from_every_kind_of_file(
    run: Run, matcher: MatcherProcess, collection: str, tmp_path: Path, suffix: str
) -> None:
    faces = vectors(40)
    source = WRITERS[suffix](tmp_path / f"gallery.{suffix}", faces)
    tried = run("import", source, "--dry-run", "--json")
    assert (tried.code, tried.json["faces_added"], tried.json["persons_added"]) == (0, 40, 20)
    first = run("import", source, "--json")
    assert (first.code, first.json["faces_added"], first.json["persons_added"]) == (0, 40, 20)
    again = run("import", source)
    assert (again.code, again.out.split(", 0 refused")[0]) == (0, "0 faces added, 40 already there")
    with MatcherClient(matcher.address) as client:
        assert sum(p.face_count for p in client.list_persons(collection_id=collection)) == 40
        answer = client.verify("p3", Encoding(faces[6], SPACE), collection_id=collection)
        assert answer.distance == pytest.approx(0, abs=1e-6)


def test_a_classifier_of_scikit_learn_decides_as_identify_does_after_the_import(
    run: Run, matcher: MatcherProcess, collection: str, tmp_path: Path
) -> None:
    from sklearn.neighbors import KNeighborsClassifier  # every worker that collects tests would import it

    dataset = generated.Dataset(100, photos=4, even=True, seed=3).all()
    faces, people = dataset.encodings, [f"p{number}" for number in dataset.people]
    fitted = KNeighborsClassifier(n_neighbors=1).fit(faces.astype(np.float64), people)
    source = tmp_path / "trained.clf"
    source.write_bytes(pickle.dumps(fitted))
    assert run("import", source, "--json").json["faces_added"] == len(faces)
    noise = np.random.default_rng(5).normal(scale=0.02, size=faces.shape)
    probes = (faces + noise).astype(np.float32)[::4]
    wanted = fitted.predict(probes.astype(np.float64))
    with MatcherClient(matcher.address) as client:
        for probe, person in zip(probes, wanted, strict=True):
            answer = client.identify(Encoding(probe, SPACE), max_distance=4, collection_id=collection)
            assert answer.faces[0].candidates[0].person_id == person


def test_faces_of_another_postgres_are_imported_by_a_query(
    run: Run, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = make_database("template0")
    faces = vectors(10)

    async def fill() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE old (id serial, name text, vector float8[])")
        rows = [(f"p{index}", face.tolist()) for index, face in enumerate(faces)]
        await connection.executemany("INSERT INTO old (name, vector) VALUES ($1, $2)", rows)
        await connection.execute("INSERT INTO old (name, vector) VALUES ('short', '{1,2}')")
        await connection.close()

    asyncio.run(fill())
    query = "SELECT name AS person_id, vector AS encoding FROM old ORDER BY id"
    moved = run("import", "--database-url", url, "--query", query, "--json")
    assert (moved.code, moved.json["faces_added"], moved.json["left_out"]) == (1, 10, 1)
    assert moved.json["refused"][0]["place"] == "row 11"
    wrong = run("import", "--database-url", url, "--query", "SELECT nonsense")
    assert (wrong.code, "the query failed" in wrong.err) == (2, True)


def test_vectors_and_cubes_of_another_postgres_are_imported(
    run: Run, make_database: Callable[[str], str], matcher: MatcherProcess, collection: str
) -> None:
    url = make_database("template0")
    faces = vectors(10)

    async def fill() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE EXTENSION vector; CREATE TABLE old (id serial, vector vector(128))")
        rows = [(str(face.tolist()),) for face in faces]
        await connection.executemany("INSERT INTO old (vector) VALUES ($1::text::vector)", rows)
        await connection.close()

    asyncio.run(fill())
    named = "SELECT id::text AS person_id, {} FROM old ORDER BY id"
    # A cube's text is the same but for its brackets; the server of these tests has no such extension.
    cube = "'(' || array_to_string((vector::float4[])[{}:{}], ', ') || ')' AS {}"
    cubes = ", ".join((cube.format(1, 64, "vec_low"), cube.format(65, 128, "vec_high")))
    for columns, added in (("vector AS encoding", 10), (cubes, 0)):
        moved = run("import", "--database-url", url, "--query", named.format(columns), "--json")
        assert (moved.code, moved.json["faces_added"], moved.json["faces_already_there"]) == (
            0,
            added,
            10 - added,
        )
    with MatcherClient(matcher.address) as client:
        answer = client.verify("3", Encoding(faces[2], SPACE), collection_id=collection)
    assert answer.distance == pytest.approx(0, abs=1e-6)
    named_otherwise = run(
        "import", "--database-url", url, "--query", "SELECT id AS person_id, vector FROM old"
    )
    assert (named_otherwise.code, named_otherwise.err.count("\n")) == (2, 1)
    assert "it has vector, and no encoding: select it AS encoding" in named_otherwise.err


def test_an_import_at_a_terminal_shows_its_progress(run: Run, tmp_path: Path) -> None:
    source = as_json_lines(tmp_path / "gallery.jsonl", vectors(40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORCE_COLOR", "1")
        shown = run("import", source, "--dry-run")
    assert shown.code == 0
    assert "40 faces" in shown.err
    assert "100%" in shown.err


def test_each_refused_row_is_reported_in_a_line_with_its_place_and_reason(run: Run, tmp_path: Path) -> None:
    good = json.dumps({"person_id": "ann", "encoding": vectors(1)[0].tolist()})
    lines = [
        good,
        "no json",
        json.dumps({"person_id": "ann", "encoding": [1, 2]}),
        json.dumps({"person_id": " ann", "encoding": vectors(2)[1].tolist()}),
        json.dumps({"person_id": "ann", "encoding": vectors(1)[0].tolist(), "expire_time": "2001-01-01"}),
        json.dumps({"encoding": vectors(1)[0].tolist()}),
    ]
    (tmp_path / "some.jsonl").write_text("\n".join(lines))
    ran = run("import", tmp_path / "some.jsonl")
    assert ran.code == 1
    messages = sorted(line for line in ran.err.splitlines() if line.startswith("refused"))
    source = tmp_path / "some.jsonl"
    assert [line.split(":")[0] for line in messages] == [
        f"refused {source}, line {n}" for n in (2, 3, 4, 5, 6)
    ]
    assert "1 face added" in ran.out
    assert "5 refused" in ran.out


def test_invalid_numbers_and_texts_are_refused_by_row(run: Run, tmp_path: Path) -> None:
    good = ",".join(map(repr, vectors(1)[0].tolist()))
    rows = [
        ("ann", good),
        ("ann", good.replace(",", ",nan,", 1).rpartition(",")[0]),
        ("ann", good.replace(",", ",1e400,", 1).rpartition(",")[0]),
        ("ann", good.replace(",", f",{'9' * 4000},", 1).rpartition(",")[0]),
        ("a" * 200, good),
        ("a" * 2000, good),
        ("a\x1bb", good),
    ]
    source = tmp_path / "some.csv"
    header = ",".join(["person_id", *(f"e{at}" for at in range(128))])
    source.write_text("\n".join([header, *(",".join(row) for row in rows)]))
    ran = run("import", source, "--json")
    assert (ran.code, ran.json["faces_added"]) == (1, 1)
    refused = {each["place"]: each["field"].removesuffix("s") for each in ran.json["refused"]}
    assert refused == {
        **{f"line {number}": "encoding" for number in (3, 4, 5)},
        **{f"line {number}": "person_id" for number in (6, 7, 8)},
    }


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("latin.csv", b"person_id,encoding\n\xe9,[]\n", ", line 2: it is not UTF-8: convert the file with"),
        ("latin.jsonl", b'{"person_id":"\xe9"}\n', ", line 1: it is not UTF-8: convert the file with"),
        ("quote.csv", b'person_id,encoding\n"' + b"a\n" * 200_000, "close each quote"),
        ("cut.pkl", b"\x80\x04}", ", byte 2: the pickle is not imported: it ends too early"),
        ("rows.npz", hostile.npzs()["2,000,000,000 rows of nothing"], ", encodings: it has shape"),
    ],
)
def test_an_unreadable_file_is_reported_in_one_line_with_its_place_and_how_to_fix_it(
    run: Run, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    ran = run("import", tmp_path / name)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.startswith(f"error: {tmp_path / name}, ")
    assert said in ran.err


def test_the_first_thousand_of_many_refused_rows_are_printed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no.jsonl").write_text("1\n" * 20_000)
    ran = run("import", tmp_path / "no.jsonl")
    assert (ran.code, len([line for line in ran.err.splitlines() if line.startswith("refused ")])) == (
        1,
        1000,
    )
    assert "further refused rows are only counted" in ran.err
    assert "20000 refused" in ran.out
    as_json = run("import", tmp_path / "no.jsonl", "--json").json
    assert (as_json["left_out"], len(as_json["refused"])) == (20_000, 1000)


def test_rows_before_a_fault_are_stored_in_whole_calls_and_only_once_after_a_repair(
    run: Run, matcher: MatcherProcess, collection: str, tmp_path: Path
) -> None:
    line = json.dumps({"person_id": "ann", "encoding": vectors(1)[0].tolist()}).encode() + b"\n"
    source = tmp_path / "broken.jsonl"
    source.write_bytes(line * 20_100 + b"\xff\n" + line)
    broken = run("import", source)
    assert (broken.code, f"{source}, line 20101: it is not UTF-8" in broken.err) == (2, True)
    with MatcherClient(matcher.address) as client:
        assert [p.face_count for p in client.list_persons(collection_id=collection)] == [1]
    source.write_bytes(line * 20_101)
    fixed = run("import", source, "--json")
    assert (fixed.code, fixed.json["faces_added"], fixed.json["faces_already_there"]) == (0, 0, 20_101)


def test_a_symlink_to_its_own_parent_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "people" / "ann").mkdir(parents=True)
    (tmp_path / "people" / "ann" / "1.jpg").write_bytes(b"x")
    (tmp_path / "people" / "all").symlink_to(tmp_path / "people")
    ran = run("import", tmp_path / "people")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "people/all: it links to a folder that contains it" in ran.err


def test_a_hostile_pickle_is_refused_in_one_line_with_exit_code_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    ran = run("import", tmp_path / "evil.pkl")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "it names os.system" in ran.err


@pytest.mark.parametrize("suffix", ["npz", "jsonl"])
def test_an_export_imported_again_gives_the_same_answers(
    run: Run, matcher: MatcherProcess, collection: str, tmp_path: Path, suffix: str
) -> None:
    faces = vectors(200)
    people = [f"p{index // 3}" for index in range(200)]
    np.savez(tmp_path / "in.npz", encodings=faces, person_ids=np.array(people))
    run("import", tmp_path / "in.npz")
    out = tmp_path / f"out.{suffix}"
    exported = run("export", out, "--json")
    assert (exported.code, exported.json["faces"]) == (0, 200)
    assert out.stat().st_mode & 0o077 == 0
    copy = f"{collection}-copy"[-60:].lstrip("-")
    run_command(matcher, "collections", "create", copy)
    moved = run_command(matcher, "import", out, "--collection", copy, "--json")
    assert (moved.code, moved.json["faces_added"]) == (0, 200)
    probes = faces + vectors(200, seed=8) / 10  # one near each face, whose distance decides
    with MatcherClient(matcher.address) as client:

        def answers(name: str) -> list[Any]:
            found = [
                client.identify(Encoding(probe, SPACE), max_distance=4, collection_id=name)
                for probe in probes
            ]
            return [[(c.person_id, c.distance) for c in answer.faces[0].candidates] for answer in found]

        assert answers(collection) == answers(copy)


def test_an_unknown_source_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.xyz").write_text("x")
    (tmp_path / "bad.npz").write_text("x")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    for arguments in (
        [],
        [tmp_path / "odd.xyz"],
        [tmp_path / "bad.npz"],
        [tmp_path / "bad.csv"],
        [tmp_path / "no.npz"],
    ):
        ran = run("import", *arguments)
        assert (ran.code, ran.err.count("\n"), ran.err.startswith("error: ")) == (2, 1, True), ran.err
    assert run("export", tmp_path / "out.txt").code == 2
