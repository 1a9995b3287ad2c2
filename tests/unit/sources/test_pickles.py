"""A pickle's data is read, and nothing in it is executed."""

import contextlib
import functools
import io
import os
import pickle
import pickletools
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.sources import files
from facerec.sources.budget import Budget
from facerec.sources.errors import SourceRefused
from facerec.sources.pickles import machine
from facerec.sources.pickles.objects import Placeholder
from tests.unit.sources import hostile_pickles

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
VECTORS = np.random.default_rng(0).random((12, 128))
NAMES = ["ann", "bob", "cid"] * 4
CANARY = "FACEREC_PICKLE_CANARY"


def read(data: bytes) -> Any:
    return machine.read(io.BytesIO(data), Budget(len(data)))


def fit(labels: Any, algorithm: str = "auto") -> Any:
    from sklearn.neighbors import KNeighborsClassifier  # every worker that collects tests would import it

    return KNeighborsClassifier(n_neighbors=1, algorithm=algorithm).fit(VECTORS, labels)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("algorithm", ["auto", "ball_tree", "kd_tree", "brute"])
@pytest.mark.parametrize(
    "labels", [NAMES, np.array(NAMES, object), [1, 2, 3] * 4], ids=["text", "object", "int"]
)
def test_a_fitted_classifier_is_read_as_scikit_learn_has_it(
    protocol: int, algorithm: str, labels: Any
) -> None:
    fitted = fit(labels, algorithm)
    found = read(pickle.dumps(fitted, protocol))
    assert isinstance(found, Placeholder)
    assert found.kind.name == "KNeighborsClassifier"
    assert np.array_equal(found.state["_fit_X"], VECTORS)
    assert list(found.state["classes_"]) == list(fitted.classes_)
    assert np.array_equal(found.state["_y"], fitted._y)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "encodings",
    [VECTORS, VECTORS.astype(np.float32), np.asfortranarray(VECTORS), VECTORS.astype(">f8"), list(VECTORS)],
    ids=["float64", "float32", "by columns", "big-endian", "a list"],
)
def test_a_dict_of_encodings_and_names_is_read(protocol: int, encodings: Any) -> None:
    for names in (NAMES, np.array(NAMES), [np.str_(name) for name in NAMES], tuple(NAMES)):
        found = read(pickle.dumps({"encodings": encodings, "names": names}, protocol))
        assert np.array_equal(np.stack(list(found["encodings"])), np.stack(list(encodings)))
        assert list(found["names"]) == NAMES


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_entries_of_a_pickle_are_no_error(protocol: int) -> None:
    more = {
        "pair": (VECTORS, VECTORS),
        "counts": {1: 2.5, None: True},
        "text": "\U0001f600",
        "set": (b"\xff",),
    }
    found = read(pickle.dumps({"encodings": list(VECTORS), "names": NAMES, **more}, protocol))
    assert len(found["encodings"]) == len(NAMES)
    assert found["text"] == more["text"]
    assert np.array_equal(found["pair"], more["pair"])  # type: ignore[arg-type]


class Calls:
    """Pickles to a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


class WithState:
    """Pickles to an object with a state."""


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def hostile() -> dict[str, bytes]:
    shell = f"export {CANARY}=1"
    deep = b"(" * 100_000 + b"I1\n" + b"t" * 100_000 + b"."
    stated = WithState()
    stated.command = shell  # type: ignore[attr-defined]
    return {
        **{f"reduce {p}": pickle.dumps(Calls(os.putenv, CANARY, "1"), p) for p in PROTOCOLS},
        **{f"in a dict {p}": pickle.dumps({"names": [Calls(os.system, shell)]}, p) for p in PROTOCOLS},
        "eval": pickle.dumps(Calls(eval, f"__import__('os').putenv('{CANARY}', '1')")),
        "an object of a class here": pickle.dumps(stated),
        "a name alone": b"cos\nsystem\n.",
        "a name from the stack": b"\x80\x04" + short("os") + short("system") + b"\x93.",
        "inst": b"(S'true'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nS'true'\no.",
        "an extension's code": b"\x80\x02\x82\x01.",
        "a persistent id": b"Psomething\n.",
        "a persistent id from the stack": b"\x80\x02" + short("x") + b"Q.",
        "numpy's loader": b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        "a dotted way out of numpy": b"\x80\x04" + short("numpy") + short("os.system") + b"\x93.",
        "sklearn's name with a call's result inside": b"csklearn.x\ny\n(cos\nsystem\n(S'true'\ntRtR.",
        "codecs of another kind": b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.",
        "build on a name": b"cnumpy\nndarray\n}b.",
        "a length of 2**62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
        "an array larger than its bytes": pickle.dumps(VECTORS, 2).replace(b"K\x0cK\x80", b"K\x7fK\x80"),
        "an array of objects": pickle.dumps(np.array([Calls(os.system, shell)], object)),
        "a buffer out of band": pickle.dumps(VECTORS, 5, buffer_callback=lambda _: None),
        "next buffer": b"\x80\x05\x97.",
        "memo never put": b"\x80\x04h\x07.",
        "a dict for a key": b"}(}K\x01u.",
        "stack underflow": b"\x80\x04R.",
        "no stop": b"\x80\x04N",
        "nothing": b"",
        "not a pickle": b"\x89PNG\r\n\x1a\n",
        "too deep to be damaged": deep[:-1],
    }


@pytest.fixture
def no_canary() -> Iterator[None]:
    os.environ.pop(CANARY, None)
    yield
    assert CANARY not in os.environ
    with os.popen(f"echo ${CANARY}") as shell:
        assert shell.read().strip() == ""


@pytest.mark.usefixtures("no_canary")
@pytest.mark.parametrize("name", hostile())
def test_a_hostile_pickle_executes_nothing_and_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(SourceRefused) as caught:
        read(hostile()[name])
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_unpickling_the_hostile_pickle_would_run_its_code() -> None:
    pickle.loads(hostile()["reduce 4"])
    with os.popen(f"echo ${CANARY}") as shell:
        assert shell.read().strip() == "1"
    os.unsetenv(CANARY)


@functools.cache
def benign() -> list[bytes]:
    kinds = {"encodings": list(VECTORS[:2]), "names": NAMES[:2]}, fit(NAMES)
    return [pickle.dumps(kind, protocol) for kind in kinds for protocol in PROTOCOLS]


@settings(max_examples=400, deadline=None)
@given(
    st.deferred(lambda: st.sampled_from(benign())),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_a_mutated_pickle_gives_faces_or_a_refusal_and_nothing_else(
    intact: bytes, changes: list[tuple[float, int]], cut: float
) -> None:
    mutated = bytearray(intact)
    for where, value in changes:
        mutated[int(where * (len(mutated) - 1))] = value
    if cut < 0.2:
        del mutated[int(len(mutated) * cut * 5) :]
    assert_rows_or_refused(bytes(mutated))


OPERATIONS = [
    operation.code.encode("latin1") + argument
    for operation in pickletools.opcodes
    for argument in ([b""] if operation.arg is None else [b"\0", b"\1\0\0\0", b"1\n", b"x\nx\n", b"\xff" * 8])
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*OPERATIONS, *(hostile_pickles.get(n) for n in range(3))]), max_size=200))
def test_operations_in_any_order_give_faces_or_a_refusal_and_nothing_else(chosen: list[bytes]) -> None:
    assert_rows_or_refused(hostile_pickles.pickled(b"](" + b"".join(chosen) + b"e"))
    assert_rows_or_refused(b"".join(chosen) + b".")


def assert_rows_or_refused(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".pkl") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(SourceRefused):
            for row in files.rows(Path(file.name), "pickle", lambda *_: None):
                assert row.encoding.shape == (128,)


def test_every_pickle_operation_is_either_executed_or_refused() -> None:
    for operation in pickletools.opcodes:
        with io.BytesIO() as out:
            out.write(b"\x80\x05" + operation.code.encode("latin1") + b"\x01\x00\x00\x00x\n\n" * 3 + b".")
            try:
                read(out.getvalue())
            except SourceRefused as refused:
                assert str(refused)


def test_reading_imports_no_module_that_a_pickle_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "sklearn_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text(f"import os; os.environ['{CANARY}'] = '1'")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SourceRefused, match=r"sklearn_of_mine\.model"):
        read(b"csklearn_of_mine\nmodel\n.")
    assert CANARY not in os.environ
