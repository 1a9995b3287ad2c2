"""Files of encodings in other tools' layouts are read, or refused with the name that has to change."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.sources import files, postgres
from facerec.sources.errors import SourceRefused
from facerec.sources.rows import Row

VECTORS = np.random.default_rng(0).random((4, 128)).astype(np.float32)
NAMES = ["ann", "bob", "ann", "cid"]
LISTS = [vector.tolist() for vector in VECTORS]
RECORDS = [{"person_id": name, "encoding": vector} for name, vector in zip(NAMES, LISTS, strict=True)]


def rows(path: Path, format: str = "") -> list[Row]:
    return list(files.rows(path, format or files.format_of(path), lambda *said: pytest.fail(str(said))))


def check(found: list[Row], order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    assert [row.person_id for row in found] == [NAMES[at] for at in order]
    assert np.array_equal(np.stack([row.encoding for row in found]), VECTORS[list(order)])


def by_person(vectors: Any) -> dict[str, Any]:
    people: dict[str, Any] = {}
    for name, vector in zip(NAMES, vectors, strict=True):
        people.setdefault(name, []).append(vector)
    return people


PICKLES: dict[str, Any] = {
    "encodings and names": {"encodings": LISTS, "names": NAMES},
    "known encodings and names": {"known_face_encodings": list(VECTORS), "known_face_names": NAMES},
    "a pair": (list(VECTORS), NAMES),
    "a pair the other way round": (NAMES, LISTS),
    "a pair of arrays": (VECTORS, np.array(NAMES, object)),
    "a list of both": [list(VECTORS), NAMES],
    "dicts of person_id": RECORDS,
    "dicts of name": [{"name": n, "face_encoding": v} for n, v in zip(NAMES, VECTORS, strict=True)],
}


@pytest.mark.parametrize("held", PICKLES.values(), ids=PICKLES)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_of_a_usual_form_is_read(held: Any, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "in.pkl"
    path.write_bytes(pickle.dumps(held, protocol))
    check(rows(path))


@pytest.mark.parametrize("vectors", [LISTS, list(VECTORS)], ids=["lists", "arrays"])
def test_a_pickle_of_each_person_s_vectors_is_read(vectors: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.pkl"
    people = by_person(vectors)
    path.write_bytes(pickle.dumps(people))
    check(rows(path), (0, 2, 1, 3))
    path.write_bytes(pickle.dumps({name: np.array(vectors) for name, vectors in people.items()}))
    check(rows(path), (0, 2, 1, 3))
    path.write_bytes(pickle.dumps({name: vectors[0] for name, vectors in people.items()}))
    check(rows(path), (0, 1, 3))


@pytest.mark.parametrize(
    "held", [{}, [], 7, {"ann": "bob"}, [{"who": "ann"}], (1, 2, 3), [[], []], {"names": NAMES}], ids=str
)
def test_a_pickle_of_another_form_is_refused_with_the_supported_forms(held: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.pkl"
    path.write_bytes(pickle.dumps(held))
    try:
        found = list(files.rows(path, "pickle", lambda *_: None))
    except SourceRefused as error:
        assert "{name: vector or vectors}" in str(error)
    else:
        assert found == []


def test_a_person_with_the_same_list_many_times_over_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.pkl"
    shared = [LISTS[0]] * 1000
    path.write_bytes(pickle.dumps({f"p{number}": shared for number in range(1000)}))
    with pytest.raises(SourceRefused, match="each face once"):
        list(files.rows(path, "pickle", lambda *_: None))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_as_its_lines_would_be(indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text("\ufeff" + json.dumps(RECORDS, indent=indent))
    check(rows(path))
    path.write_text("\n".join(map(json.dumps, RECORDS)))
    check(rows(path))
    path.write_text(" [ ] ")
    assert rows(path) == []


COLUMNS = {"encodings": LISTS, "model": {"name": "small"}, "names": NAMES}
KNOWN_COLUMNS = {"known_face_names": NAMES, "known_face_encodings": LISTS}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("held", [COLUMNS, KNOWN_COLUMNS], ids=["encodings first", "names first"])
def test_a_json_object_of_encodings_and_names_is_read_as_a_pickle_of_them(
    held: dict[str, Any], indent: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(held, indent=indent))
    check(rows(path))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_object_of_each_person_s_vectors_is_read(indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(by_person(LISTS), indent=indent))
    check(rows(path), (0, 2, 1, 3))
    path.write_text(json.dumps(dict(zip(NAMES, LISTS, strict=True)), indent=indent))
    check(rows(path), (2, 1, 3))
    path.write_text(json.dumps({"ann": LISTS * 500}))
    assert len(rows(path)) == 2000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"people": {"ann": [0.5]}}',
            "people is not a list of numbers: write a list of objects with person_id",
        ),
        ('{"encodings": [[0.5]]}', "encodings or names are missing: write a list of objects"),
        ('{"encodings": [], "names": ["ann"]}', "there are 0 encodings and 1 names"),
        ('{"encodings": [], "encodings": []', "there are two of encodings"),
        ('{"encodings": 5, "names": []}', "encodings is a list"),
        ('{"ann": [0.5], 5: []}', "a key is a text"),
        ('{"ann": [0.5]} {}', "there is more after the object"),
        ('{"ann": [[0.5], ', "it is not valid JSON from line 1, column 17 on; the file is cut off"),
    ],
)
def test_an_invalid_json_object_is_refused_with_how_to_fix_it(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text(text)
    with pytest.raises(SourceRefused) as caught:
        list(files.rows(path, "json", lambda *_: None))
    assert said in str(caught.value)


def test_a_vector_of_another_length_in_a_json_object_is_refused_by_its_index(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    for held in ({"encodings": [[0.5] * 512, LISTS[0]], "names": ["ann", "bob"]}, {"ann": [[0.5], LISTS[0]]}):
        path.write_text(json.dumps(held))
        refused: list[tuple[str, str, str]] = []
        assert len(list(files.rows(path, "json", lambda *row, report=refused: report.append(row)))) == 1
        assert [row[:2] for row in refused] == [("face 1", "encoding")]


def test_json_lines_with_fields_of_their_own_are_no_object_of_people(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text("\n".join(json.dumps({"box": [1, 2, 3, 4], **record}) for record in RECORDS))
    check(rows(path))


def test_a_json_array_longer_than_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(RECORDS * 500, indent=1, ensure_ascii=False))
    shares: list[float] = []
    found = list(files.rows(path, "json", lambda *said: pytest.fail(str(said)), shares.append))
    assert len(found) == 2000
    assert shares == sorted(shares)
    assert shares[0] < 0.1 < shares[-1] == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "face 1: it is not valid JSON from line 1, column 2 on; the file is cut off"),
        ("[{}", "line 1, column 4 on; the file is cut off: faces are separated by commas"),
        ("[{},\n  ]", "face 2: it is not valid JSON from line 2, column 3 on: Expecting value"),
        ("[{} {}]", "face 1: it is not valid JSON from line 1, column 5 on: faces are separated by commas"),
        ("[{}, " + "\n" * 70_000 + ' "a" b]', "from line 70001, column 6 on: faces are separated"),
        ('[{"a": [1,', "line 1, column 11 on; the file is cut off"),
        ('[{"a": 1, ', "the file is cut off"),
        ('[{"a', "column 3 on; the file is cut off"),
        ("[] x", "there is more after the array"),
        ('[{"a": 1, "a": 2}]', "face 1: its object has a key twice"),
        ("[" * 100_000, "face 1: it has a number that is too long, or arrays nested too deeply"),
        ('[{"a": "' + "x" * 2**21 + '"}]', "face 1: it takes more than 1 MiB"),
        ('[{"a": "' + "x" * 2**22, "face 1: it takes more than 1 MiB"),
    ],
    ids=range(13),
)
def test_an_invalid_json_array_is_refused_with_the_face_at_fault(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "in.json"
    path.write_text(text)
    refused: list[tuple[str, ...]] = []
    try:
        assert list(files.rows(path, "json", lambda *row: refused.append(row))) == []
    except SourceRefused as error:
        assert said
        assert said in str(error)
    else:
        assert refused


def test_a_json_array_in_a_file_named_jsonl_is_refused_with_the_right_name(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(RECORDS, indent=1))
    with pytest.raises(SourceRefused, match=r"line 1: it is one JSON array: name it \.json"):
        rows(path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "in.jsonl",
            f'\n{{"name": "ann", "encoding": {LISTS[0]}}}',
            "line 2: it has name, and no person_id: name it person_id",
        ),
        ("in.jsonl", '{"person_id": "ann", "vector": []}', "line 1: it has vector, and no encoding"),
        ("in.json", '[{"label": "ann", "encoding": []}]', "face 1: it has label, and no person_id"),
        ("in.csv", "name,encoding\n", "line 1: it has name, and no person_id: name the column person_id"),
        ("in.csv", "person_id,embedding\n", "line 1: it has embedding, and no encoding"),
    ],
)
def test_the_first_line_with_a_field_of_another_name_ends_the_import_and_names_it(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceRefused) as refused:
        rows(tmp_path / name)
    assert said in str(refused.value)


@pytest.mark.parametrize("suffix", ["pkl", "npz", "csv", "jsonl"])
def test_progress_through_a_file_is_reported_face_by_face(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.{suffix}"
    many = LISTS * 50
    if suffix == "pkl":
        path.write_bytes(pickle.dumps((many, NAMES * 50)))
    elif suffix == "npz":
        np.savez(path, encodings=np.array(many), person_ids=np.array(NAMES * 50))
    else:
        lines = [json.dumps(record) for record in RECORDS * 50]
        if suffix == "csv":
            pairs = zip(NAMES * 50, many, strict=True)
            lines = ["person_id,encoding", *(f'{name},"{vector}"' for name, vector in pairs)]
        path.write_text("\n".join(lines))
    shares: list[float] = []
    found = list(files.rows(path, files.format_of(path), lambda *said: pytest.fail(str(said)), shares.append))
    assert (len(found), len(shares)) == (200, 200)
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert 0.9 < shares[-1] <= 1.0


@pytest.mark.parametrize(
    ("record", "numbers"),
    [
        ({"person_id": "ann", "encoding": "[1,2.5,-3e-2]"}, [1, 2.5, -0.03]),
        ({"person_id": "ann", "encoding": [1, 2]}, [1, 2]),
        ({"person_id": "ann", "vec_low": "(1, 2)", "vec_high": "(3, 4)"}, [1, 2, 3, 4]),
        ({"person_id": "ann", "vec_low": "(1, 2)", "vec_high": None}, None),
        ({"person_id": "ann", "encoding": "(1, 2),(3, 4)"}, "(1, 2),(3, 4)"),
    ],
)
def test_a_row_of_a_query_has_a_list_a_vector_or_two_cubes(record: dict[str, Any], numbers: Any) -> None:
    assert postgres.encoding(record, postgres.check_columns(list(record))) == numbers


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["name", "encoding"], "it has name, and no person_id: select it AS person_id"),
        (["person_id", "vector"], "it has vector, and no encoding: select it AS encoding"),
        (["person_id", "vec_low"], "the query must return columns named person_id and encoding"),
    ],
)
def test_a_query_with_another_column_name_is_refused_with_the_expected_name(
    columns: list[str], said: str
) -> None:
    with pytest.raises(SourceRefused, match=said):
        postgres.check_columns(columns)
