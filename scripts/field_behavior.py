"""Annotates the fields of protos/ with google.api.field_behavior, by what their comments say.

Run without arguments it rewrites the protos, and changes nothing if they are right already. The
behaviors are those of AIP-203 (https://google.aip.dev/203):

- REQUIRED: in a request, or a message within one, what a call is refused without. The comment says `Must be
  set`, or gives a text, bytes or a list a range that begins above 0; or it is an id of a UUID's form, or a
  Probe. A field with a `Default:` is not required, nor is a choice of a oneof, nor what `Must be set unless`
  another field is.
- IDENTIFIER, IMMUTABLE, OUTPUT_ONLY: in RESOURCES. What the request that updates a resource does not have is
  OUTPUT_ONLY.

OPTIONAL, the default, is not written.
"""

import dataclasses
import re
from pathlib import Path
from typing import Final

PROTOS: Final = Path(__file__).parents[1] / "protos"
IMPORT: Final = 'import "google/api/field_behavior.proto";'
CONDITIONAL: Final = "Must be set unless"
OPTION: Final = "(google.api.field_behavior)"

_MESSAGE = re.compile(r"^message (\w+) \{")
_FIELD = re.compile(
    r"^ +(?:(?P<label>repeated|optional) )?(?P<type>map<[\w., ]+>|[\w.]+) (?P<name>\w+) = (?P<number>\d+)"
    r"(?: \[(?P<options>[^\]]*)\])?;$"
)
_RANGE = re.compile(r"Range: (?:exactly )?(\d+)\b")
_COUNTED = ("string", "bytes")  # whose range is a length
_UUIDS = ("face_id", "erasure_id", "calibration_id")


@dataclasses.dataclass(frozen=True)
class Resource:
    """A message of what is stored: its id, the request that updates it, and what never changes."""

    identifier: str
    updated_by: str
    immutable: tuple[str, ...] = ()


RESOURCES: Final = {
    "facerec.matcher.v1.Person": Resource("person_id", "facerec.matcher.v1.UpdatePersonRequest"),
    "facerec.matcher.v1.Face": Resource("face_id", "facerec.matcher.v1.UpdateFaceRequest", ("space",)),
    "facerec.matcher.v1.Collection": Resource(
        "collection_id", "facerec.matcher.v1.UpdateCollectionRequest", ("space",)
    ),
}


@dataclasses.dataclass(frozen=True)
class Field:
    """A field: `type` is the full name of a message, of a map's values too, or a scalar's name; `comment` is
    on one line.
    """

    message: str
    name: str
    type: str
    label: str
    comment: str
    in_oneof: bool
    file: str
    line: int

    @property
    def full_name(self) -> str:
        """PACKAGE.MESSAGE.FIELD."""
        return f"{self.message}.{self.name}"


def behaviors() -> dict[str, str]:
    """The behavior of every field that has one, of all files, by the field's full name."""
    fields = [field for path in files() for field in _fields(path)]
    inputs = _inputs(fields)
    found = {field.full_name: "REQUIRED" for field in fields if _is_required(field, inputs)}
    for message, resource in RESOURCES.items():
        changeable = {field.name for field in fields if field.message == resource.updated_by}
        for field in fields:
            if field.message != message:
                continue
            if field.name == resource.identifier:
                found[field.full_name] = "IDENTIFIER"
            elif field.name in resource.immutable:
                found[field.full_name] = "IMMUTABLE"
            elif field.name not in changeable:
                found[field.full_name] = "OUTPUT_ONLY"
    return found


def annotated(path: str) -> str:
    """The text of a file, one of `files`, with the annotations that its fields should have."""
    lines = (PROTOS / path).read_text(encoding="utf-8").splitlines()
    found, package = behaviors(), _package(lines)
    has_any = False
    for field in _fields(path):
        match = _FIELD.match(lines[field.line])
        assert match
        others = [
            option.strip()
            for option in (match["options"] or "").split(",")
            if option.strip() and OPTION not in option
        ]
        behavior = found.get(field.full_name)
        if behavior:
            has_any = True
            others.append(f"{OPTION} = {behavior}")
        bare = re.sub(r"(?: \[[^\]]*\])?;$", "", lines[field.line])
        lines[field.line] = f"{bare} [{', '.join(others)}];" if others else f"{bare};"
    return "\n".join(_with_import(lines, package, wanted=has_any)) + "\n"


def main() -> None:
    """Rewrite the files whose annotations are others."""
    for path in files():
        text = annotated(path)
        if text != (PROTOS / path).read_text(encoding="utf-8"):
            (PROTOS / path).write_text(text, encoding="utf-8")
            print(f"annotated {path}: run make stubs")


def files() -> list[str]:
    """The paths of the contract's files below protos/."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("facerec/**/*.proto"))


def _package(lines: list[str]) -> str:
    (line,) = (line for line in lines if line.startswith("package "))
    return line.removeprefix("package ").rstrip(";")


def _fields(path: str) -> list[Field]:
    """The fields of a file; the protos have no messages within messages."""
    lines = (PROTOS / path).read_text(encoding="utf-8").splitlines()
    package, message, comment = _package(lines), "", list[str]()
    in_oneof = False
    found = []
    for number, line in enumerate(lines):
        stripped = line.strip()
        if opened := _MESSAGE.match(line):
            message = f"{package}.{opened[1]}"
        elif line == "}":
            message = ""
        elif stripped.startswith("oneof "):
            in_oneof = True
        elif stripped == "}":
            in_oneof = False
        elif message and (field := _FIELD.match(line)):
            kind = field["type"].rpartition(", ")[2].rstrip(">")
            kind = f"{package}.{kind}" if kind[0].isupper() else kind
            label, text = field["label"] or "", " ".join(comment)
            found.append(Field(message, field["name"], kind, label, text, in_oneof, path, number))
        comment = [*comment, stripped.removeprefix("//").strip()] if stripped.startswith("//") else []
    return found


def _inputs(fields: list[Field]) -> set[str]:
    """The messages that callers send: requests, and what is in them."""
    inputs = {field.message for field in fields if field.message.endswith("Request")}
    while more := {field.type for field in fields if field.message in inputs} - inputs:
        inputs |= more
    return inputs


def _is_required(field: Field, inputs: set[str]) -> bool:
    if field.message not in inputs or field.in_oneof:
        return False
    if "Default: " in field.comment or CONDITIONAL in field.comment:
        return False
    if "ust be set" in field.comment or field.name in _UUIDS:
        return True
    if field.type == "facerec.matcher.v1.Probe" and not field.label:
        return True
    counted = field.label == "repeated" or (field.type in _COUNTED and not field.label)
    stated = _RANGE.search(field.comment)
    return counted and stated is not None and int(stated[1]) >= 1


def _with_import(lines: list[str], package: str, *, wanted: bool) -> list[str]:
    """The lines with or without the import of the annotation, imports in their order."""
    imports = {line for line in lines if line.startswith("import ")} - {IMPORT}
    others = [line for line in lines if not line.startswith("import ")]
    after = others.index(f"package {package};") + 1
    while others[after] == "":
        del others[after]
    chosen = sorted(imports | {IMPORT} if wanted else imports)
    return [*others[:after], "", *chosen, *([""] if chosen else []), *others[after:]]


if __name__ == "__main__":
    main()
