"""What other languages' generators take from the protos: packages, namespaces, and names that clash."""

import importlib
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from tests.fixtures.process import ROOT

PROTOS = sorted(path.relative_to(ROOT / "protos") for path in (ROOT / "protos").rglob("*.proto"))

on_every_proto = pytest.mark.parametrize("proto", PROTOS, ids=str)


def described(proto: Path) -> FileDescriptorProto:
    """A proto as its stub describes it."""
    module = importlib.import_module(".".join(proto.with_name(f"{proto.stem}_pb2").parts))
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def messages(found: FileDescriptorProto | DescriptorProto) -> list[DescriptorProto]:
    """The messages of a proto, with those inside of others."""
    own = list(found.message_type if isinstance(found, FileDescriptorProto) else found.nested_type)
    return [*own, *(inner for each in own for inner in messages(each))]


@on_every_proto
def test_a_proto_s_package_is_that_of_java_go_and_c_sharp(proto: Path) -> None:
    found = described(proto)
    options, parts = found.options, proto.parent.parts
    assert (options.java_package, options.java_multiple_files) == (found.package, True)
    assert options.csharp_namespace == ".".join(part.capitalize() for part in parts)
    assert options.go_package == f"facerec.internal/go/{'/'.join(parts)};{''.join(parts[-2:])}"


@on_every_proto
def test_no_field_has_the_name_of_its_message(proto: Path) -> None:
    for message in messages(described(proto)):  # C# would call the property `Face_`
        assert message.name.lower() not in {field.name.replace("_", "") for field in message.field}
