"""The logins that compose and the dev overlay make: each may do its own work and no more."""

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from facerec.local.postgres import EmbeddedPostgres
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.postgres.database import Database, DatabaseOptions
from tests.contract.test_deploy import DEPLOY, named, needs_kubectl

PASSWORDS = {"migrate-password": 'it\'s a "password"', "serve-password": "another"}

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not on this machine")


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A Postgres made as the images' is: by its superuser, with the file of roles."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        for name, password in PASSWORDS.items():
            (Path(folder) / name).write_text(password + "\n")
        with EmbeddedPostgres.open(Path(folder) / "data") as server:
            command = ["psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-d", server.url()]
            command += ["-f", str(DEPLOY / "postgres" / "roles.sql")]
            subprocess.run(command, check=True, env=os.environ | {"FACEREC_PASSWORDS": folder})
            yield server


async def test_the_logins_migrate_maintain_and_serve_and_none_of_them_is_a_superuser(
    server: EmbeddedPostgres,
) -> None:
    migrating, serving = (server.url("facerec", name) for name in ("facerec_migrate", "facerec_matcher"))
    assert len(await migrations.migrate(migrating)) == migrations.head()
    database = Database(DatabaseOptions(serving))
    assert await database.check() == ""
    await database.close()
    assert await runner.run_once(MaintenanceOptions(migrating, scrub=True))
    administrator = await asyncpg.connect(server.url("facerec"))
    logins = await administrator.fetch(
        "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb, rolpassword IS NOT NULL"
        " FROM pg_authid WHERE rolcanlogin AND rolname LIKE 'facerec%' ORDER BY 1"
    )
    await administrator.close()
    assert [tuple(row) for row in logins] == [
        ("facerec_matcher", False, True),
        ("facerec_migrate", False, True),
    ]


async def test_the_serving_login_cannot_change_the_schema_or_become_another_role(
    server: EmbeddedPostgres,
) -> None:
    await migrations.migrate(server.url("facerec", "facerec_migrate"))
    connection = await asyncpg.connect(server.url("facerec", "facerec_matcher"))
    try:
        for statement in (
            "CREATE TABLE facerec.mine (i int)",
            "CREATE SCHEMA mine",
            "DROP TABLE facerec.model",
            "SET ROLE facerec_owner",
            "SET ROLE facerec_migrate",
            "SELECT pg_read_file('PG_VERSION')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


def test_no_service_of_compose_has_a_login_but_its_own_and_no_password_is_in_the_file() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    given = {name: set(service.get("secrets", ())) for name, service in services.items()}
    assert given == {
        "postgres": {"superuser-password", "migrate-password", "serve-password"},
        "migrate": {"migrate-url"},
        "maintain": {"migrate-url"},
        "matcher": {"serve-url"},
        "encoder": set(),
        "gateway": {"session-secret"},
    }
    for name in ("migrate", "maintain", "matcher"):
        (secret,) = given[name]
        assert services[name]["environment"]["MATCHER_DATABASE_URL_FILE"] == f"/run/secrets/{secret}"
        assert services[name]["environment"]["MATCHER_ENCODER_ADDRESS"] == "encoder:50051"
    assert "postgresql://" not in text


def test_the_secrets_of_compose_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "secrets.sh", tmp_path)
    command = ["sh", str(tmp_path / "secrets.sh")]
    subprocess.run(command, check=True)
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    made = {path.name: path.read_text().strip() for path in folder.iterdir()}
    asked = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"]
    assert set(made) == set(asked) == {Path(each["file"]).name for each in asked.values()}
    for name, login in (("migrate", "facerec_migrate"), ("serve", "facerec_matcher")):
        url = f"postgresql://{login}:{made[f'{name}-password']}@postgres:5432/facerec"
        assert made[f"{name}-url"] == url
    assert len(set(made.values())) == 6
    subprocess.run(command, check=True)  # the database was made with these passwords
    assert {path.name: path.read_text().strip() for path in folder.iterdir()} == made


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


@needs_kubectl
def test_the_dev_overlay_makes_the_logins_that_its_urls_name() -> None:
    passwords = decoded(named("dev", "Secret", "postgres"))
    urls = decoded(named("dev", "Secret", "facerec-database"))
    for name, login in (("migrate", "facerec_migrate"), ("serve", "facerec_matcher")):
        password = passwords[f"{name}-password"]
        assert urls[f"{name}-url"] == f"postgresql://{login}:{password}@postgres:5432/facerec"
    pod = named("dev", "StatefulSet", "postgres")["spec"]["template"]["spec"]
    (roles,) = [each["configMap"]["name"] for each in pod["volumes"] if each["name"] == "roles"]
    assert (
        named("dev", "ConfigMap", roles)["data"]["roles.sql"]
        == (DEPLOY / "postgres" / "roles.sql").read_text()
    )
