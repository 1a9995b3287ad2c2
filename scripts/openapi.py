"""Writes the gateway's OpenAPI document from the contract and its google.api.http annotations.

`python -m scripts.openapi` prints it as JSON: `make stubs` writes it to facerec/gateway/short_paths/, and
`make lint` compares it. Descriptions are the comments of protos/.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.rpc import code_pb2

import facerec
from facerec.gateway.methods import METHODS, Method
from facerec.gateway.short_paths.routes import ROUTES, Route

PROTOS = Path(__file__).parents[1] / "protos"
COMMON_PROTOS = Path(code_pb2.__file__).parents[2]
"""The folder of google/api and google/rpc, which googleapis-common-protos installs."""
SCALARS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_SINT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "pattern": "^[0-9]+$"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
}
PHOTO = {"type": "string", "contentMediaType": "application/octet-stream"}
MAX_DEPTH = 3  # of the fields of a form
ERROR = {
    "type": "object",
    "description": "An error, as the Connect protocol has it.",
    "properties": {
        "code": {"type": "string", "description": "The code, such as not_found."},
        "message": {"type": "string", "description": "A sentence for people that says how to fix it."},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "description": "The name of the detail's message."},
                    "value": {"type": "string", "description": "The message in unpadded base64."},
                    "debug": {"type": "object", "description": "The message as JSON."},
                },
            },
        },
    },
}


def comments() -> dict[str, str]:
    """The comment before each symbol of the contract, by the symbol's full name."""
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{COMMON_PROTOS}"]
        options = ["--include_source_info", f"--descriptor_set_out={out.name}"]
        subprocess.run([*command, *options, *files], check=True)
        found = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    return {name: text for file in found.file for name, text in _comments(file)}


def _comments(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        if location.leading_comments:
            name = _symbol(file, list(location.path))
            text = " ".join(location.leading_comments.split())
            yield f"{file.package}.{name}", text


def _symbol(at: Any, path: list[int]) -> str:
    """The name of what a path of field numbers and indices leads to, within its package."""
    names = []
    while len(path) >= 2:
        number, index, *path = path
        at = getattr(at, at.DESCRIPTOR.fields_by_number[number].name)[index]
        names.append(at.name)
    return ".".join(names)


class Document:
    """The document, to which schemas are added as they are referred to."""

    def __init__(self) -> None:
        self._comments = comments()
        self._schemas: dict[str, Any] = {"Error": ERROR}

    def make(self) -> dict[str, Any]:
        """The whole document."""
        paths: dict[str, dict[str, Any]] = {}
        for route in ROUTES:
            paths.setdefault(route.path, {})[route.verb.lower()] = self._short(route)
        for method in METHODS.values():
            if method.kind == "unary_unary":
                paths[method.path] = {"post": self._connect(method)}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "facerec",
                "version": facerec.__version__,
                "description": "Face verification over HTTP. docs/http.md is the guide.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/"}],
            "security": [{}, {"key": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
                "schemas": dict(sorted(self._schemas.items())),
            },
        }

    def _short(self, route: Route) -> dict[str, Any]:
        name = re.split("[/:{]", route.path.removeprefix("/v1/"))[0]
        operation = self._operation(route.method, f"{route.verb.lower()}_{name}_{route.method.name}")
        fields = dict(self._fields(route.method.request.DESCRIPTOR, set(route.images.values())))
        in_path = {name: fields.pop(name) for name in list(fields) if f"{{{name}}}" in route.path}
        parameters = [_parameter("path", name, schema) for name, schema in in_path.items()]
        if not route.has_body:
            parameters += [_parameter("query", name, schema) for name, schema in fields.items()]
        if parameters:
            operation["parameters"] = parameters
        if route.has_body:
            operation["requestBody"] = {
                "required": True,
                "content": self._bodies(route, fields, set(in_path)),
            }
        return operation

    def _bodies(self, route: Route, fields: dict[str, Any], in_path: set[str]) -> dict[str, Any]:
        """The body of a short path by its content type: a form, or JSON."""
        photos = {name: self._photo(route, name, PHOTO) for name in route.images}
        texts = {name: self._photo(route, name, SCALARS[FieldDescriptor.TYPE_BYTES]) for name in route.images}
        described = route.method.request.DESCRIPTOR
        message = self._message(described) if not in_path else self._object(described, in_path)
        if texts:
            message = {"allOf": [message, {"type": "object", "properties": texts}]}
        return {
            "multipart/form-data": {"schema": {"type": "object", "properties": photos | fields}},
            "application/json": {"schema": message},
        }

    def _photo(self, route: Route, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        described: Any = route.method.request.DESCRIPTOR
        repeated = False
        for step in route.images[name].split("."):
            field = described.fields_by_name[step]
            repeated, described = repeated or field.is_repeated, field.message_type
        text = self._comments.get(field.full_name, "")
        if repeated or name in route.several:
            # A form repeats its part; JSON has a text or a list.
            photos = {"type": "array", "items": schema}
            schema = photos if schema is PHOTO else {"anyOf": [schema, photos]}
        return schema | {"description": text}

    def _connect(self, method: Method) -> dict[str, Any]:
        operation = self._operation(method, method.path.strip("/").replace("/", "_").replace(".", "_"))
        content = {"application/json": {"schema": self._message(method.request.DESCRIPTOR)}}
        return operation | {"requestBody": {"required": True, "content": content}}

    def _operation(self, method: Method, name: str) -> dict[str, Any]:
        answer = {"application/json": {"schema": self._message(method.response.DESCRIPTOR)}}
        error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        return {
            "operationId": name,
            "tags": [method.service.rpartition(".")[2]],
            "description": self._comments.get(f"{method.service}.{method.name}", ""),
            "responses": {
                "200": {"description": "The answer.", "content": answer},
                "default": {"description": "An error.", "content": error},
            },
        }

    def _fields(
        self, described: Any, left_out: set[str], prefix: str = "", depth: int = 1
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The fields of a form or query by their dotted names; `left_out` are those of photos."""
        for field in described.fields:
            name = f"{prefix}{field.name}"
            kind = field.message_type
            leads_on = (
                kind is not None and not kind.GetOptions().map_entry and kind.full_name not in WELL_KNOWN
            )
            if name in left_out:
                continue
            if leads_on and depth < MAX_DEPTH:
                yield from self._fields(kind, left_out, f"{name}.", depth + 1)
            elif not leads_on:
                yield name, self._field(field)

    def _field(self, field: FieldDescriptor) -> dict[str, Any]:
        schema = self._type(field)
        if field.is_repeated and "additionalProperties" not in schema:
            schema = {"type": "array", "items": schema}
        return schema | {"description": self._comments.get(field.full_name, "")}

    def _type(self, field: FieldDescriptor) -> dict[str, Any]:
        kind = field.message_type
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if kind is None:
            return dict(SCALARS[field.type])
        if kind.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._type(kind.fields_by_name["value"])}
        return self._message(kind)

    def _message(self, described: Any) -> dict[str, Any]:
        if described.full_name in WELL_KNOWN:
            return dict(WELL_KNOWN[described.full_name])
        if described.full_name not in self._schemas:
            schema: dict[str, Any] = {}
            self._schemas[described.full_name] = schema  # before its fields, which may refer to it
            schema |= self._object(described, set())
        return {"$ref": f"#/components/schemas/{described.full_name}"}

    def _object(self, described: Any, left_out: set[str]) -> dict[str, Any]:
        """A message's schema without some of its fields."""
        fields = [field for field in described.fields if field.name not in left_out]
        return {
            "type": "object",
            "description": self._comments.get(described.full_name, ""),
            "properties": {field.json_name: self._field(field) for field in fields},
        }

    def _enum(self, described: Any) -> dict[str, Any]:
        self._schemas[described.full_name] = {
            "type": "string",
            "enum": [value.name for value in described.values],
            "description": self._comments.get(described.full_name, ""),
        }
        return {"$ref": f"#/components/schemas/{described.full_name}"}


def _parameter(place: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter in the path or in the query."""
    return {
        "name": name,
        "in": place,
        **({"required": True} if place == "path" else {}),
        "schema": {each: value for each, value in schema.items() if each != "description"},
        "description": schema.get("description", ""),
    }


if __name__ == "__main__":
    print(json.dumps(Document().make(), indent=1))
