"""Small pickles that would be costly for a reader without limits, by name, with their bytes."""

import pickle
import struct

HEAD = b"\x80\x04"
F8 = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR"
ONE_NAME = b"](X\x01\x00\x00\x00xe"


def text(value: str) -> bytes:
    """A text in a pickle."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def put(index: int) -> bytes:
    """Store the top of the stack in the memo, and leave it there."""
    return b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    """Push the memo entry with this index."""
    return b"j" + struct.pack("<I", index)


def pickled(encodings: bytes, names: bytes = ONE_NAME) -> bytes:
    """A pickle of encodings and names, each given as its operations."""
    return HEAD + b"}(" + text("encodings") + encodings + text("names") + names + b"u."


def names(count: int) -> bytes:
    """A list of `count` names."""
    return b"](" + text("x") * count + b"e"


def kept(*values: bytes) -> bytes:
    """A list of values that are each stored in the memo at their index, the list itself after them."""
    each = b"".join(value + put(index) for index, value in enumerate(values))
    return b"](" + each + b"e" + put(len(values))


def array(shape: tuple[int, ...], code: str = "f8", data: bytes = b"") -> bytes:
    """A numpy array of the claimed shape and type."""
    kind = b"cnumpy\ndtype\n(" + text(code) + b"K\x00K\x01tR"
    wire = b"B" + struct.pack("<I", len(data)) + data
    sizes = b"(" + b"".join(pickle.dumps(size, 2)[2:-1] for size in shape) + b"t"
    return b"cnumpy._core.numeric\n_frombuffer\n(" + wire + kind + sizes + text("C") + b"tR"


def _doubled(depth: int) -> bytes:
    lists = [b"](K\x00K\x00e", *(b"](" + get(index) * 2 + b"e" for index in range(depth - 1))]
    return b"](" + kept(*lists) + get(depth - 1) + b"e"


def _objects(count: int) -> bytes:
    kind = b"cnumpy\ndtype\n(" + text("O8") + b"K\x00K\x01tR"
    items = kept(b"](K\x00K\x00e", *(b"](" + get(index) * 2 + b"e" for index in range(count)))
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
    return made + b"(K\x01(K" + bytes([count + 1]) + b"t" + kind + b"\x89" + items + b"tb"


def _copies(name: bytes, arguments: bytes, count: int, size: int) -> bytes:
    """The same bytes given to the same call again and again."""
    data = b"B" + struct.pack("<I", size) + bytes(size) if arguments == b"B" else text("x" * size)
    begun = b"](c" + name + put(0) + data + put(1)
    more = b"" if arguments == b"B" else text("latin1") + put(2)
    call = get(0) + get(1) + (b"\x85R" if arguments == b"B" else get(2) + b"\x86R")
    return begun + more + call * count + b"e"


def _built(count: int, size: int) -> bytes:
    """Arrays that each copy the same text, as Python 2 kept their bytes."""
    state = b"(K\x01" + pickle.dumps((size,), 2)[2:-1].replace(b"q\x00", b"") + F8.replace(b"f8", b"u1")
    state += b"\x89" + text("x" * size) + b"t" + put(0)
    make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
    return b"](" + state + (make + get(0) + b"b") * count + b"e"


def _same_row(count: int, name: bytes = b"X\x01\x00\x00\x00x") -> bytes:
    row = b"](" + b"G" + struct.pack(">d", 0.1) * 1 + put(9) + get(9) * 127 + b"e" + put(1)
    return pickled(
        b"](" + row + get(1) * (count - 1) + b"e", b"](" + name + put(2) + get(2) * (count - 1) + b"e"
    )


def pickles() -> dict[str, bytes]:
    """Pickles."""
    long = b"\x8b" + struct.pack("<I", 2**21) + b"\x01" * 2**21
    many_times = b"N" + (get(0) + b"N") * 200_000 + get(0)
    wide = kept(b"](" + b"K\0" * 4000 + b"e", b"](" + get(0) * 4000 + b"e")
    gaps = b"".join(put(2**32 - 1 - index) for index in range(9))
    one_hash = range(2**61 - 1, 2**61 - 1 << 14, 2**61 - 1)
    keys = b"".join(pickle.dumps(key << 58, 2)[2:-1] + b"N" for key in one_hash)
    shapes = {
        "negative": (-1, 128),
        "2**64": (2**62, 4),
        "2**63 x 2": (2**63 - 1, 2),
        "2**64 x 0": (2**64, 0),
    }
    codes = {
        "long texts": "S2147483647",
        "many fields": "f8," * 100_000 + "f8",
        "a type of arrays": "(2147483647,2147483647)f8",
        "a digit too many": "U5368709119",
    }
    return {
        "lists of two of the list before, 26 deep": pickled(_doubled(26), names(2)),
        "lists of two of the list before, 60 deep": pickled(_doubled(60), names(2)),
        "an array of lists of two of the list before": pickled(_objects(60), names(61)),
        "a row of references to wide lists": pickled(b"](" + wide + b"](" + get(1) * 128 + b"ee", names(2)),
        "copies of 4 MiB by bytearray": pickled(_copies(b"builtins\nbytearray\n", b"B", 4000, 2**22)),
        "copies of 4 MiB by encode": pickled(_copies(b"_codecs\nencode\n", b"U", 4000, 2**22)),
        "arrays of the same 4 MiB": pickled(_built(4000, 2**22)),
        "2,000,000,000 rows of nothing": pickled(array((2_000_000_000, 0))),
        "2,000,000,000 texts of nothing": pickled(array((2_000_000_000,), "U0")),
        "2,000,000,000 records": pickled(array((2_000_000_000,), "V8")),
        **{f"a shape of {name}": pickled(array(shape)) for name, shape in shapes.items()},
        **{f"a type of {name}": pickled(array((0,), code)) for name, code in codes.items()},
        "a whole number of 2 MiB": pickled(b"](" + long + b"e"),
        "a whole number of 2 MiB for every key": HEAD + b"}(" + long + put(0) + many_times + b"Nu.",
        "keys of one hash": HEAD + b"}(" + keys + b"u.",
        "a decimal of 2,000,000 digits": pickled(b"](L" + b"9" * 2_000_000 + b"L\ne"),
        "a fraction of 2,000,000 digits": pickled(b"](F0." + b"9" * 2_000_000 + b"\ne"),
        "a text of 2**62 bytes": HEAD + b"\x8d" + struct.pack("<Q", 2**62) + b"x.",
        "lists in lists, 200,000 deep": pickled(
            b"](" + b"](" * 200_000 + b"e" * 200_000 + b"e"
        ),
        "tuples in tuples, 1,500,000 deep": pickled(b"](" + b")" + b"\x85" * 1_500_000 + b"e"),
        "rows of a name of a million characters": _same_row(100_000, text("n" * 1_000_000)),
        "200,000 rows of one": _same_row(200_000),
        "a list of itself": pickled(b"]" + put(0) + get(0) + b"a"),
        "2,000,000 empty lists": pickled(b"](" + b"]" * 2_000_000 + b"e"),
        "2,000,000 places in the memo": HEAD + b"N" + b"\x94" * 2_000_000 + b".",
        "3,000,000 of None": pickled(b"](" + b"N" * 3_000_000 + b"e"),
        "3,000,000 copies of the top": HEAD + b"N" + b"2" * 3_000_000 + b".",
        "marks": HEAD + b"(" * 2_000_000 + b"1" * 2_000_000 + b"N.",
        "a list of 2,000,000 below no list": HEAD + b"(" + b"N" * 2_000_000 + b"]e.",
        "a memo with gaps": HEAD + b"N" + gaps + get(0) + b".",
        "a name that moves the cursor": HEAD + b"c\x1b[2J\n\x1b]0;x\x07\n.",
        "a frame longer than the file": HEAD + b"\x95" + struct.pack("<Q", 2**63) + b"N.",
        "labels that double": HEAD + b"csklearn.neighbors\nKNeighborsClassifier\n)\x81}("
        + text("_fit_X") + b"]" + text("classes_") + b"]" + text("_y") + _doubled(60) + b"ub.",
        "a classifier of fewer labels than rows": HEAD + b"csklearn.neighbors\nKNeighborsClassifier\n)\x81}("
        + text("_fit_X") + array((2, 128), "f8", bytes(2048)) + text("classes_") + ONE_NAME
        + text("_y") + array((1,), "i8", bytes(8)) + b"ub.",
        "a classifier whose labels are elsewhere": HEAD + b"csklearn.neighbors\nKNeighborsClassifier\n)\x81}("
        + text("_fit_X") + array((1, 128), "f8", bytes(1024)) + text("classes_") + ONE_NAME
        + text("_y") + array((1,), "i8", struct.pack("<q", 2**62)) + b"ub.",
    }  # fmt: skip
