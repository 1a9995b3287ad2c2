"""Small files that would be costly for a reader without limits, by name, with their bytes."""

import functools
import io
import struct
import zipfile
from collections.abc import Callable, Mapping

import numpy as np

from tests.unit.sources.hostile_pickles import pickles

Data = bytes | Callable[[], bytes]
"""A file's bytes; a function makes those that take long to compress."""


def npy(shape: object, code: str = "<f4", data: bytes = b"", *, header_bytes: int | None = None) -> bytes:
    """An array as numpy writes it, by its own account."""
    header = repr({"descr": code, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    length = len(header) if header_bytes is None else header_bytes
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", length) + header + data


def npz(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of arrays."""
    with io.BytesIO() as out:
        with zipfile.ZipFile(out, "w", compression, compresslevel=1) as archive:
            for name, data in members.items():
                archive.writestr(f"{name}.npy", data)
        return out.getvalue()


def _zeros(head: bytes = b"") -> bytes:
    """100 MiB of zeros, after a header's bytes."""
    return head + bytes(100 * 2**20)


def _lying(good: Mapping[str, bytes]) -> bytes:
    """An archive whose array is larger than its entry says."""
    zeros = npy((200 * 2**10, 128), data=_zeros())
    lying = npz({**good, "encodings": zeros})
    return lying.replace(struct.pack("<I", len(zeros)), struct.pack("<I", len(good["encodings"])))


def _members(count: int) -> bytes:
    """An archive of that many empty members."""
    with io.BytesIO() as out:
        with zipfile.ZipFile(out, "w") as archive:
            for number in range(count):
                archive.writestr(str(number), b"")
        return out.getvalue()


def npzs() -> dict[str, Data]:
    """Archives of arrays."""
    name = npy((1,), "<U1", b"a\0\0\0")
    good = {"encodings": npy((1, 128), data=bytes(512)), "person_ids": name}
    stored = npz(good, zipfile.ZIP_STORED)
    encrypted = bytearray(stored)
    for sign, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.find(sign) + flags] |= 1
    with io.BytesIO() as out:
        np.savez(out, encodings=np.array([[None] * 128]), person_ids=np.array(["a"]))
        objects = out.getvalue()
    return {
        "100 MiB of zeros": lambda: npz({**good, "encodings": npy((200 * 2**10, 128), data=_zeros())}),
        "100 MiB of zeros that say they are 600 bytes": lambda: _lying(good),
        "2,000,000,000 rows of nothing": npz(
            {"encodings": npy((2_000_000_000, 0)), "person_ids": npy((2_000_000_000,), "<U0")}
        ),
        "a name of 26 million characters": lambda: npz(
            {**good, "person_ids": npy((1,), f"<U{25 * 2**20}", _zeros())}
        ),
        "more rows than bytes": npz({**good, "encodings": npy((2**40, 128))}),
        "a negative shape": npz({**good, "encodings": npy((-1, 128))}),
        "a shape that is no number": npz({**good, "encodings": npy("x")}),
        "a header longer than its file": npz({**good, "encodings": npy((1, 128), header_bytes=2**32 - 1)}),
        "a header of 100 MiB": lambda: npz({**good, "encodings": _zeros(b"\x93NUMPY\x02\x00\0\0\x40\x06")}),
        "a header deep in brackets": npz({**good, "encodings": npy("(" * 9000)}),
        "a type of 2 GiB": npz({**good, "person_ids": npy((1,), "<U536870911")}),
        "a record": npz({**good, "encodings": npy((1,), "V512", bytes(512))}),
        "bytes for names": npz({**good, "person_ids": npy((1,), "S1", b"a")}),
        "objects": objects,
        "an array that is cut off": npz({**good, "encodings": good["encodings"][:-8]}),
        "a checksum that is wrong": stored.replace(name, name[:-4] + b"b\0\0\0"),
        "encrypted": bytes(encrypted),
        "compressed by lzma": npz(good, zipfile.ZIP_LZMA),
        "40,000 members": lambda: _members(40_000),
        "an array that is no archive": npy((1, 128), data=bytes(512)),
        "an end without an archive": b"PK\x05\x06" + b"\xff" * 18,
    }


def csvs() -> dict[str, bytes]:
    """Tables."""
    head = b"person_id,encoding\n"
    numbered = ("person_id," + ",".join(f"e{at}" for at in range(128)) + "\n").encode()
    return {
        "a field of 400,000 characters": head + b'ann,"[' + b"0," * 200_000 + b'0]"\n',
        "a quote that is never closed": head + b'"' + b"a\n" * 300_000,
        "a quote that is closed at once": head + b'"a"b,[]\n',
        "quotes that go on from line to line": head + b'"' + b'a\n","' * 1_000_000,
        "a line of 3,000,000 characters": head + b"a" * 3_000_000,
        "a header of 500,000 columns": b"a," * 500_000 + b"b\n",
        "a column twice": b"person_id,person_id,encoding\na,b,[]\n",
        "a column too few": numbered.replace(b",e64", b""),
        "Latin-1": head + b"\xe9,[]\n",
        "UTF-16": (head + b"ann,[]\n").decode().encode("utf-16"),
        "UTF-16 without its mark": (head + b"ann,[]\n").decode().encode("utf-16-le"),
        "NUL": head + b"\0,\0\n",
        "line ends of CR": b"person_id,encoding\rann,[]\r",
        "rows of other lengths": head + b"ann\n" + b"ann,[],x\n",
        "lists in lists": head + b'ann,"' + b"[" * 60_000 + b']"\n',
        "numbers that are none": numbered + b"ann" + b",1e" * 128 + b"\n",
        "100,000 empty rows": head + b",\n" * 100_000,
        "nothing": b"",
    }


def json_lines() -> dict[str, bytes]:
    """Objects a line."""
    begun = b'{"person_id":"a","encoding":'
    vector = b"[" + b",".join([b"0.1"] * 128) + b"]"
    return {
        "lists in lists": begun + b"[" * 400_000 + b"]" * 400_000 + b"}\n",
        "a number of 4,000 digits": begun + b"[" + b",".join([b"9" * 4000] * 128) + b"]}\n",
        "a number of 5,000 digits": begun + b"[" + b"9" * 5000 + b"]}\n",
        "a person of 5,000 digits": b'{"person_id":' + b"9" * 4300 + b',"encoding":' + vector + b"}\n",
        "a line of 3,000,000 characters": begun + b"[" + b"0," * 1_500_000 + b"0]}\n",
        "Latin-1": b'{"person_id":"\xe9"}\n',
        "UTF-16": '{"person_id":"a"}\n'.encode("utf-16"),
        "a key twice": begun + vector + b',"person_id":"b"}\n',
        "half a character": b'{"person_id":"\\ud800","encoding":' + vector + b"}\n",
        "a time before all time": begun + vector + b',"expire_time":"0001-01-01T00:00:00+23:59"}\n',
        "a name of a million characters": b'{"person_id":"'
        + b"n" * 1_000_000
        + b'","encoding":'
        + vector
        + b"}\n",
        "nothing in numbers": begun + b"[" + b",".join([b"null"] * 128) + b"]}\n",
        "texts for numbers": begun + b"[" + b",".join([b'"1"'] * 128) + b"]}\n",
        "numbers beyond all": begun + b"[" + b",".join([b"1e300"] * 128) + b"]}\n",
        "100,000 lines of no object": b"1\n" * 100_000,
        "no JSON": b"\x7fELF\n",
    }


def json_arrays() -> dict[str, bytes]:
    """Arrays of objects."""
    return {
        "lists in lists": b"[" * 1_000_000,
        "a face that never ends": b'[{"encoding":[' + b"0," * 3_000_000,
        "100,000 empty objects": b"[" + b"{}," * 100_000 + b"{}]",
        "100,000 numbers": b"[" + b"1," * 100_000 + b"1]",
        "nothing but spaces": b"[" + b" " * 3_000_000,
        "UTF-16": '[{"person_id":"a"}]'.encode("utf-16"),
        "Latin-1": b'[{"person_id":"\xe9"}]',
        "an array that is cut off": b'[{"person_id":"a","encoding":[0',
        "people in people": b'{"labeledDescriptors":[' * 100_000,
        "300,000 descriptors before a label": b'[{"descriptors":[' + b"[]," * 300_000 + b'[]],"label":"a"}]',
        "a descriptor of 100,000 keys": b'{"label":"a","descriptors":[{'
        + b",".join(b'"%d":0' % key for key in range(100_000))
        + b"}]}",
        "a label that never ends": b'{"label":"' + b"a" * 3_000_000,
        "300,000 fields before descriptors": b'{"label":"a",' + b'"x":1,' * 300_000 + b'"descriptors":7}',
    }


@functools.cache
def _sources() -> dict[str, Data]:
    kinds: dict[str, Mapping[str, Data]] = {
        "pkl": pickles(),
        "npz": npzs(),
        "csv": csvs(),
        "jsonl": json_lines(),
        "json": json_arrays(),
    }
    return {f"{name}.{suffix}": data for suffix, each in kinds.items() for name, data in each.items()}


def names() -> tuple[str, ...]:
    """The names of all of them, which end in their format's suffix."""
    return tuple(_sources())


def files() -> dict[str, bytes]:
    """All of them, by name."""
    return {name: data if isinstance(data, bytes) else data() for name, data in _sources().items()}
