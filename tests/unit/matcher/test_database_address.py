"""Parsing a database's URL: how to connect, and whether the server's certificate is verified."""

import ssl
from pathlib import Path

import pytest

from matcher_service.postgres.connections.address import UrlInvalid, read_address
from matcher_service.postgres.connections.verification import why_unverified

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
def test_a_local_server_and_one_with_a_verified_certificate_are_accepted(url: str) -> None:
    assert why_unverified(url, {}) == ""


@pytest.mark.parametrize("url", UNVERIFIED)
def test_every_unverified_address_is_reported_with_what_to_do_and_without_the_url(url: str) -> None:
    why = why_unverified(url, {})
    assert "sslmode=verify-full" in why
    assert "example" not in why
    assert "u:p" not in why


def test_missing_parts_of_the_url_are_read_from_libpqs_environment() -> None:
    assert why_unverified("postgresql:///facerec", {"PGHOST": "db.example"})
    assert not why_unverified("postgresql://db.example/facerec", {"PGSSLMODE": "verify-full"})


def test_the_certificates_that_the_system_trusts_verify_a_server() -> None:
    assert why_unverified("postgresql://u:p@db.example/facerec?sslrootcert=system", {}) == ""


KEPT = {  # what hosted services and libpq's own pages write, and what the driver is given
    "postgres://u:p@db.example/facerec": "postgresql://u:p@db.example/facerec",
    "postgresql://u:p%40%2F%3F@db.example/facerec?": "postgresql://u:p%40%2F%3F@db.example/facerec",
    "postgresql://u:p@db.example:/facerec": "postgresql://u:p@db.example:/facerec",
    "postgresql://u@[2001:db8::1]:5433/facerec": "postgresql://u@[2001:db8::1]:5433/facerec",
    "postgresql://u@[2001:db8::1]/facerec": "postgresql://u@[2001:db8::1]/facerec",
    "postgresql://u@%2Frun%2Fpostgresql/facerec": "postgresql://u@%2Frun%2Fpostgresql/facerec",
    "postgresql:///facerec?host=/tmp&port=5433": "postgresql:///facerec?host=/tmp&port=5433",
    "postgresql://u:p@h/d?sslmode=require&channel_binding=prefer": "postgresql://u:p@h/d?sslmode=require",
    "postgresql://u:p@h/d?ssl=true": "postgresql://u:p@h/d?sslmode=require",
    "postgresql://u:p@h/d?sslmode=require&options=endpoint%3Dep-cool": (
        "postgresql://u:p@h/d?sslmode=require&options=endpoint%3Dep-cool"
    ),
    "postgresql://u:p@h/d?options=-csearch_path%3Dx": "postgresql://u:p@h/d?options=-csearch_path%3Dx",
    "postgresql://u:p@h/d?application_name=a+b&client_encoding=UTF8": (
        "postgresql://u:p@h/d?application_name=a%2Bb"
    ),
    "postgresql://u:p@h/d?keepalives=1&keepalives_idle=5&tcp_user_timeout=9&gssencmode=disable&": (
        "postgresql://u:p@h/d"
    ),
    "postgresql://u:p@h/d?sslmode=": "postgresql://u:p@h/d",
}
SECRET = "sEcReT"
REFUSED = {
    "": "must be postgresql://",
    f"jdbc:postgresql://h/d?password={SECRET}": "must be postgresql://",
    f"postgresql+asyncpg://u:{SECRET}@h/d": "must be postgresql://",
    f"host=h user=u password={SECRET}": "must be postgresql://",
    f"postgresql://u:{SECRET}@1@h/d": "write @ as %40",
    f"postgresql://u:1/{SECRET}@h/d": "/ as %2F",
    f"postgresql://u:{SECRET}/1@h/d": "/ as %2F",
    f"postgresql://u:1?{SECRET}=1@h/d": "? as %3F",
    f"postgresql://u:{SECRET}?1@h/d": "? as %3F",
    f"postgresql://u:1#{SECRET}@h/d": "# as %23",
    f"postgresql://u:1%{SECRET}@h/d": "% as %25",
    f"postgresql://u:1[{SECRET}@h/d": "[ as %5B",
    f"postgresql://u:1 {SECRET}@h/d": "no blank",
    f"postgresql://u:{SECRET}@h:port/d": "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    f"postgresql://u:{SECRET}@h:70000/d": "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    f"postgresql://u:{SECRET}@h/d?sslmode=require&channel_binding=require": "not support channel binding",
    f"postgresql://u:{SECRET}@h/d?pgbouncer=true": "whether a pooler is between",
    f"postgresql://u:{SECRET}@h/d?endpoint=ep-cool": "write it as options=endpoint%3DID",
    f"postgresql://u:{SECRET}@h/d?connection_limit=5": "a parameter connection_limit that is not supported",
    f"postgresql://u:{SECRET}@h/d?statement_timeout=5": "options=-c%20NAME%3DVALUE",
    f"postgresql://u:{SECRET}@h/d?connect_timeout=5s": "connect_timeout in the database's URL must be whole",
    f"postgresql://u:{SECRET}@h/d?sslmode": "must be NAME=VALUE",
    f"postgresql://u:{SECRET}@h/d?sslmode=require&sslrootcert=system": "requires sslmode=verify-full",
    f"postgresql://u:{SECRET}@h/d?sslrootcert=/nowhere/ca.pem": "there is no file /nowhere/ca.pem",
}


@pytest.mark.parametrize("url", KEPT)
def test_url_forms_of_libpq_are_converted_for_the_driver(url: str) -> None:
    assert read_address(url).servers == [KEPT[url]]


@pytest.mark.parametrize("url", REFUSED)
def test_an_unusable_url_is_reported_in_one_line_with_what_to_change_and_no_password(url: str) -> None:
    with pytest.raises(UrlInvalid) as caught:
        read_address(url)
    message = str(caught.value)
    assert REFUSED[url] in message
    assert SECRET not in message
    assert "\n" not in message


def test_the_connect_timeout_is_that_of_the_url_and_0_means_the_services_own() -> None:
    assert read_address("postgresql://h/d?connect_timeout=7").connect_seconds == 7
    assert read_address("postgresql://h/d?connect_timeout=0").connect_seconds is None


def test_the_systems_certificates_are_trusted_and_the_name_is_verified() -> None:
    address = read_address("postgresql://u:p@h/d?sslrootcert=system")
    assert address.trust is not None
    assert (address.trust.check_hostname, address.trust.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_a_verified_server_takes_the_file_of_its_ca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    with pytest.raises(UrlInvalid, match="requires sslrootcert=FILE"):
        read_address("postgresql://u:p@h/d?sslmode=verify-full")
    root = tmp_path / ".postgresql" / "root.crt"
    root.parent.mkdir()
    root.write_text("")
    read_address("postgresql://u:p@h/d?sslmode=verify-full")


SPLIT = {
    "postgresql://u@a:1,b:2/d?target_session_attrs=read-write": [
        "postgresql://u@a:1/d?target_session_attrs=read-write",
        "postgresql://u@b:2/d?target_session_attrs=read-write",
    ],
    "postgresql://u@/d?host=/a,/b&port=1,2": [
        "postgresql://u@/d?host=/a&port=1",
        "postgresql://u@/d?host=/b&port=2",
    ],
    "postgresql://u@/d?host=a%2Cb&port=7": [
        "postgresql://u@/d?host=a&port=7",
        "postgresql://u@/d?host=b&port=7",
    ],
    "postgresql://u@a,b/d?target_session_attrs=prefer-standby": [
        "postgresql://u@a,b/d?target_session_attrs=prefer-standby"
    ],
}


@pytest.mark.parametrize("url", SPLIT)
def test_each_of_several_hosts_is_a_server(url: str) -> None:
    assert read_address(url).servers == SPLIT[url]


def test_ports_must_be_as_many_as_hosts() -> None:
    with pytest.raises(UrlInvalid, match="one for each host"):
        read_address("postgresql://u@/d?host=/a,/b,/c&port=1,2")
