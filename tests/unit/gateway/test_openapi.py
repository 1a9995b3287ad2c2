"""The OpenAPI document is valid, and has every short path and unary method with the contract's comments."""

import json

from openapi_spec_validator import validate

from facerec.gateway.methods import METHODS
from facerec.gateway.short_paths.openapi import document
from facerec.gateway.short_paths.routes import ROUTES


def test_the_document_is_valid_and_has_every_path() -> None:
    found = json.loads(document())
    validate(found)
    unary = {path for path, method in METHODS.items() if method.kind == "unary_unary"}
    assert set(found["paths"]) == unary | {route.path for route in ROUTES}


def test_every_field_is_described() -> None:
    schemas = json.loads(document())["components"]["schemas"]
    for name, schema in schemas.items():
        if name.startswith("facerec."):
            assert schema["description"], name
            for field in schema.get("properties", {}).values():
                assert field["description"], (name, field)


def test_a_form_has_the_photo_and_the_request_s_other_fields() -> None:
    verify = json.loads(document())["paths"]["/v1/verify"]["post"]["requestBody"]["content"]
    fields = verify["multipart/form-data"]["schema"]["properties"]
    assert set(fields) >= {"image", "person_id", "max_distance", "probe.use_largest_face"}
    assert fields["image"]["items"]["contentMediaType"] == "application/octet-stream"
