"""Files are read as they were when opened, and a file without encodings is refused at once."""

import csv
import json
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from facerec.sources import files
from facerec.sources.budget import BASE_BYTES, MAX_LOADED_FILE_BYTES, Budget
from facerec.sources.errors import SourceRefused
from facerec.sources.rows import Row, batches

VECTORS = np.random.default_rng(0).random((5000, 128)).astype(np.float32)


def rows(path: Path, format: str = "") -> list[Row]:
    return list(files.rows(path, format or files.format_of(path), lambda *said: pytest.fail(str(said))))


def lines(count: int) -> str:
    return "".join(
        json.dumps({"person_id": f"p{at}", "encoding": VECTORS[at].tolist()}) + "\n" for at in range(count)
    )


@pytest.mark.parametrize("format", ["pickle", "npz", "csv", "jsonl"])
def test_a_pipe_and_a_device_are_refused_without_waiting(tmp_path: Path, format: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        for read in (lambda: rows(path, format), lambda: files.digest(path)):  # noqa: B023
            with pytest.raises(SourceRefused, match="save its content to a file first"):
                read()


@pytest.mark.parametrize("format", ["pickle", "npz", "csv", "jsonl"])
def test_a_link_to_itself_and_a_folder_are_no_files(tmp_path: Path, format: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="symbolic links"):
        rows(tmp_path / "loop", format)
    with pytest.raises(SourceRefused):
        rows(tmp_path, format)


def test_labels_and_metadata_are_read_as_objects_or_their_text_and_end_a_batch(tmp_path: Path) -> None:
    record = {"person_id": "p", "encoding": VECTORS[0].tolist()}
    given = {"labels": {"site": "a"}, "metadata": {"note": ["é", 1]}}
    (tmp_path / "a.jsonl").write_text(json.dumps(record | given))
    head = ["person_id", "encoding", "labels", "metadata"]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, ["p", *(json.dumps((record | given)[name]) for name in head[1:])]])
    for path in (tmp_path / "a.jsonl", tmp_path / "a.csv"):
        (row,) = rows(path)
        assert (row.labels, row.metadata) == (given["labels"], given["metadata"])
    refused: list[tuple[str, ...]] = []
    for field, value in (
        ("labels", {"a": 1}),
        ("labels", [1]),
        ("metadata", "{"),
        ("metadata", {"a": "x" * 2**15}),
    ):
        (tmp_path / "a.jsonl").write_text(json.dumps(record | {field: value}))
        assert not list(files.rows(tmp_path / "a.jsonl", "jsonl", lambda *said: refused.append(said)))
    assert [field for _, field, _ in refused] == ["labels", "labels", "metadata", "metadata"]
    large = Row("line 1", "p", VECTORS[0], metadata={"a": "x" * 2**14}, attribute_bytes=2**14)
    assert [len(batch.faces) for batch in batches([large] * 10)] == [7, 3]


def test_a_file_changed_while_it_is_read_is_refused_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "growing.jsonl"
    path.write_text(lines(500))
    found = files.rows(path, "jsonl", lambda *_: None)
    assert next(found).person_id == "p0"
    with path.open("a") as file:
        file.write(lines(10))
    with pytest.raises(SourceRefused, match="it changed while it was read: import it again"):
        list(found)


def test_a_file_that_grows_forever_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(lines(500))
    found = files.rows(path, "jsonl", lambda *_: None)
    stopped = threading.Event()

    def write() -> None:
        with path.open("a") as file:
            while not stopped.is_set():
                file.write(lines(1))
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SourceRefused, match="it changed while it was read"):
            list(found)
    finally:
        stopped.set()
        writer.join()


def test_a_file_with_holes_of_terabytes_is_refused_before_it_is_hashed(tmp_path: Path) -> None:
    for format in ("pickle", "npz", "csv", "jsonl"):
        path = tmp_path / format
        path.touch()
        os.truncate(path, 2**40)
        with pytest.raises(SourceRefused):
            rows(path, format)


def test_a_format_that_is_loaded_whole_has_a_size_limit_and_the_refusal_names_another_format() -> None:
    Budget(MAX_LOADED_FILE_BYTES)
    with pytest.raises(SourceRefused, match="write it as CSV or JSON lines"):
        Budget(MAX_LOADED_FILE_BYTES + 1)


def test_memory_and_rows_are_in_proportion_to_the_file() -> None:
    Budget(10**6).spend(built_bytes=BASE_BYTES + 8 * 10**6)
    with pytest.raises(SourceRefused, match="8 times as much memory"):
        Budget(10**6).spend(built_bytes=BASE_BYTES + 8 * 10**6 + 1)
    Budget(10**9).spend_rows(10**9 // 128)
    with pytest.raises(SourceRefused, match="each face once"):
        Budget(10**9).spend_rows(10**9 // 128 + 2**20 // 64 + 1)


@pytest.mark.parametrize(
    "kind", ["<f4", "<f8", ">f4", "<f2"], ids=["float32", "float64", "big-endian", "half"]
)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_read_as_numpy_reads_it(
    tmp_path: Path, kind: str, order: Literal["C", "F"], save: Callable[..., None]
) -> None:
    encodings = VECTORS[:500].astype(kind, order=order)
    path = tmp_path / "gallery.npz"
    names = np.array([f"é{at}" for at in range(len(encodings))])
    save(path, encodings=encodings, names=names, display_names=names, more=np.zeros(3))
    found = rows(path)
    assert np.array_equal(np.stack([row.encoding for row in found]), encodings.astype(np.float32))
    assert [row.person_id for row in found] == [row.display_name for row in found] == names.tolist()


def test_an_npz_of_nobody_has_no_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", encodings=np.empty((0, 128), np.float32), person_ids=np.array([], "U1"))
    assert rows(tmp_path / "none.npz") == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_an_npz_has_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.npz"
    np.savez(path, encodings=VECTORS[:1], person_ids=np.array(["a"]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("encodings.npy", archive.read("encodings.npy"))
    with pytest.raises(SourceRefused, match="encodings: the npz has it twice"):
        rows(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_of_a_spreadsheet_is_read_with_its_byte_order_mark_and_line_ends(
    tmp_path: Path, end: str
) -> None:
    path = tmp_path / "sheet.csv"
    vector = json.dumps(VECTORS[0].tolist())
    header = "encoding,display_name,person_id,remark"
    text = end.join([header, f'"{vector}","Ann\n""A"" B",ann,', "", f'"{vector}",,bob,x'])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = rows(path)
    assert [(row.location, row.person_id, row.display_name) for row in found] == [
        ("line 3", "ann", 'Ann\n"A" B'),
        ("line 5", "bob", ""),
    ]
    assert np.array_equal(found[0].encoding, VECTORS[0])


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "marked.jsonl"
    path.write_text(lines(2), encoding="utf-8-sig")
    assert [row.person_id for row in rows(path)] == ["p0", "p1"]
