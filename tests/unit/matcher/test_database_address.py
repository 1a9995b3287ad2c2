"""Whether the server at a database's URL is known by its certificate."""

import pytest

from matcher_service.database_address import why_unverified

HERE = [
    "postgresql://u:p@127.0.0.1:5432/db",
    "postgresql://u:p@127.8.9.1/db",
    "postgresql://u@localhost/db",
    "postgresql://u@[::1]:5432/db",
    "postgresql://u@/db?host=/var/run/postgresql&port=5432",
    "postgresql:///db",
    "postgresql://u@localhost:1,127.0.0.1:2/db",
]
UNVERIFIED = [
    "postgresql://u:p@db.example/facerec",
    "postgresql://u:p@db.example/facerec?sslmode=require",
    "postgresql://u:p@db.example/facerec?sslmode=verify-ca&sslrootcert=ca.crt",
    "postgresql://u:p@localhost,db.example/facerec",
    "postgresql://u:p@127.0.0.1.example:5432/facerec",
    "postgresql://u:p@10.0.0.1/facerec",
    "postgresql://u:p@[fd00::1]:5432/facerec",
    "postgresql://u:p@/facerec?host=db.example",
]


@pytest.mark.parametrize(
    "url", [*HERE, "postgresql://u:p@db.example/facerec?sslmode=verify-full&sslrootcert=ca.crt"]
)
def test_this_machine_and_a_server_known_by_its_certificate_are_in_order(url: str) -> None:
    assert why_unverified(url, {}) == ""


@pytest.mark.parametrize("url", UNVERIFIED)
def test_every_other_way_is_told_with_what_to_do_and_without_the_url(url: str) -> None:
    why = why_unverified(url, {})
    assert "sslmode=verify-full" in why
    assert "example" not in why
    assert "u:p" not in why


def test_what_the_url_leaves_out_is_read_from_the_environment_of_libpq() -> None:
    assert why_unverified("postgresql:///facerec", {"PGHOST": "db.example"})
    assert not why_unverified("postgresql://db.example/facerec", {"PGSSLMODE": "verify-full"})
