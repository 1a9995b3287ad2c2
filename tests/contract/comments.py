"""Reads the contract's comments: the comment of each symbol, and the ranges it states."""

import dataclasses
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2

PROTOS = Path(__file__).parents[2] / "protos"
NUMBER = r"-?\d+(?:\.\d+)?"
RANGE = re.compile(rf"Range: (?:exactly (\d+)|({NUMBER}) to ({NUMBER}))")
Bound = int | float


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A service, RPC, message, field, enum or enum value, with its comment on one line."""

    kind: str
    full_name: str
    comment: str
    field: descriptor_pb2.FieldDescriptorProto | None = None

    @property
    def name(self) -> str:
        return self.full_name.rpartition(".")[2]

    @property
    def bounds(self) -> tuple[Bound, Bound] | None:
        """The minimum and maximum stated, if both are plain numbers."""
        stated = RANGE.search(self.comment)
        if stated is None:
            return None
        exactly, least, greatest = stated.groups()
        return (int(exactly), int(exactly)) if exactly else (_number(least), _number(greatest))


def _number(text: str) -> Bound:
    return float(text) if "." in text else int(text)


def read() -> list[Symbol]:
    """Every symbol of both contracts."""
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    google = Path(field_behavior_pb2.__file__).parents[2]  # the .proto files are beside the modules
    with tempfile.NamedTemporaryFile() as out:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{google}"]
        options = ["--include_source_info", f"--descriptor_set_out={out.name}"]
        subprocess.run([*command, *options, *names], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    return [symbol for file in files.file for symbol in _of_file(file)]


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[Symbol]:
    comments = {
        tuple(location.path): " ".join(location.leading_comments.split())
        for location in file.source_code_info.location
    }

    def symbol(
        kind: str, name: str, path: tuple[int, ...], field: descriptor_pb2.FieldDescriptorProto | None = None
    ) -> Symbol:
        return Symbol(kind, f"{file.package}.{name}", comments.get(path, ""), field)

    for i, message in enumerate(file.message_type):
        yield symbol("message", message.name, (4, i))
        for j, field in enumerate(message.field):
            yield symbol("field", f"{message.name}.{field.name}", (4, i, 2, j), field)
    for i, enum in enumerate(file.enum_type):
        yield symbol("enum", enum.name, (5, i))
        for j, value in enumerate(enum.value):
            yield symbol("value", f"{enum.name}.{value.name}", (5, i, 2, j))
    for i, service in enumerate(file.service):
        yield symbol("service", service.name, (6, i))
        for j, method in enumerate(service.method):
            yield symbol("rpc", f"{service.name}.{method.name}", (6, i, 2, j))
