"""The services' commands for operators: check-config, doctor, version and help."""

import asyncio
import inspect
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from PIL import Image

from facerec.client import EncoderClient
from facerec.errors import FacerecError
from matcher_service.postgres import migrations
from matcher_service.postgres.migrations import MigrationError
from matcher_service.settings import MatcherSettings
from tests.fixtures import commands
from tests.fixtures.commands import Ran
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import NOWHERE, MatcherProcess
from tests.fixtures.postgres import PostgresServer, as_user
from tests.fixtures.waiting import LIMIT_SECONDS

SECRET = "kept-to-oneself"


def run(module: str, *arguments: object, **environment: str) -> Ran:
    return commands.run(module, *arguments, **{"MATCHER_ENCODER_ADDRESS": NOWHERE, **environment})


def test_check_config_prints_each_setting_and_its_origin_and_masks_secrets(tmp_path: Path) -> None:
    file = tmp_path / "matcher.toml"
    file.write_text("pool_max_size = 7\n")
    url = f"postgresql://facerec:{SECRET}@database/facerec"
    checked = run(
        "matcher_service", "check-config", "--config", str(file), "--drain-seconds=3",
        MATCHER_DATABASE_URL=url, MATCHER_SCAN_POOL_SIZE="3",
    )  # fmt: skip
    assert checked.code == 0
    lines = checked.out.splitlines()
    assert "pool_max_size = 7  (file)" in lines
    assert "drain_seconds = 3.0  (flag)" in lines
    assert "scan_pool_size = 3  (MATCHER_SCAN_POOL_SIZE)" in lines
    assert "pool_min_size = 2  (default)" in lines
    assert "database_url = **********  (MATCHER_DATABASE_URL)" in lines
    assert SECRET not in checked.out + checked.err


def test_migrate_waits_as_long_as_its_flag_says(database_url: str) -> None:
    migrated = run("matcher_service", "migrate", "--wait", MATCHER_DATABASE_URL=database_url)
    assert (migrated.code, migrated.err) == (0, "")
    nowhere = {"MATCHER_DATABASE_URL": f"postgresql://facerec@{NOWHERE}/facerec"}
    waited = run("matcher_service", "migrate", "--wait=0.5", **nowhere)
    assert (waited.code, waited.err.splitlines()[-1][:33]) == (2, "error: cannot connect to the data")
    assert "--wait-seconds" in run("matcher_service", "migrate", "--wait=soon", **nowhere).err


def test_check_config_refuses_what_serve_refuses() -> None:
    checked = run("encoder_service", "check-config", "--threads", "0")
    assert checked.code == 2
    assert "--threads (ENCODER_THREADS)" in checked.err


@pytest.fixture
def unusable(tmp_path: Path) -> dict[str, list[str]]:
    """Flags that are well-formed and with which neither service starts."""
    keys = tmp_path / "keys.toml"
    keys.write_text("[keys\n")
    authority = trustme.CA()
    for name in ("one", "other"):
        authority.issue_cert(name).private_key_pem.write_to_path(tmp_path / f"{name}.key")
    authority.issue_cert("one").cert_chain_pems[0].write_to_path(tmp_path / "one.pem")
    files = ["--tls-cert-file", str(tmp_path / "one.pem"), "--tls-key-file", str(tmp_path / "other.key")]
    return {
        "open to others": ["--address", "0.0.0.0:0"],
        "keys that cannot be read": ["--address", "127.0.0.1:0", "--keys-file", str(keys)],
        "another certificate's key": ["--address", "127.0.0.1:0", *files],
    }


@pytest.mark.parametrize("service", ["encoder_service", "matcher_service"])
@pytest.mark.parametrize("name", ["open to others", "keys that cannot be read", "another certificate's key"])
def test_check_config_and_doctor_fail_if_a_service_could_not_start(
    service: str, name: str, unusable: dict[str, list[str]]
) -> None:
    environment = {"MATCHER_DATABASE_URL": "postgresql://facerec@127.0.0.1:1/facerec"}
    served = run(service, "serve", *unusable[name], "--log-level", "error", **environment)
    checked = run(service, "check-config", *unusable[name], **environment)
    assert (served.code, checked.code) == (2, 2)
    assert checked.err == served.err
    if service == "matcher_service":  # the encoder's looks at its models too, which takes seconds
        examined = run(service, "doctor", *unusable[name], **environment)
        assert examined.code == 1
        fault = served.err.removeprefix("error: ").strip()
        assert f"fail  settings: {fault}" in examined.out.splitlines()


def test_a_matcher_does_not_start_if_its_key_would_be_sent_in_plain_text_to_another_machine() -> None:
    started = run(
        "matcher_service", "serve", "--address", "127.0.0.1:0", "--log-level", "error",
        MATCHER_DATABASE_URL="postgresql://facerec@127.0.0.1:1/facerec",
        MATCHER_ENCODER_ADDRESS="127.attacker.example:50051",
        MATCHER_ENCODER_API_KEY=SECRET,
    )  # fmt: skip
    assert (started.code, started.err.count("\n")) == (2, 1)
    assert "the key is not sent to 127.attacker.example:50051 in plain text" in started.err
    assert SECRET not in started.err


@pytest.mark.parametrize("service", ["encoder", "matcher"])
def test_a_service_without_its_packages_names_the_extra_to_install(service: str) -> None:
    script = f"from {service}_service import entry; exit(entry.main())"
    without = f"import sys; sys.modules['structlog'] = None; {script}"
    done = subprocess.run(
        [sys.executable, "-c", without], capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: structlog is not installed: install facerec with its extra")
    assert f"`{service}`" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("service", ["encoder", "matcher"])
def test_version_prints_json_for_programs(service: str) -> None:
    version = json.loads(run(f"{service}_service", "version", "--json").out)
    assert version["service"] == service
    assert version["release"] in run(f"{service}_service", "version").out
    if service == "matcher":
        assert version["schema"] == migrations.head()


def test_the_matchers_doctor_finds_no_problem(database_url: str, encoder_address: str) -> None:
    seen = run(
        "matcher_service",
        "doctor",
        MATCHER_DATABASE_URL=database_url,
        MATCHER_ENCODER_ADDRESS=encoder_address,
    )
    assert seen.code == 0, seen.out
    assert re.search(r"connected to Postgres \d\d\.\d+( |$)", seen.out, re.MULTILINE), seen.out
    found = {line.split()[1].rstrip(":"): line.split()[0] for line in seen.out.splitlines()}
    assert found.pop("replication") == "warn"  # the tests' server has synchronous_commit off, for speed
    assert found == dict.fromkeys(
        ["settings", "database", "pgvector", "role", "schema", "contents", "connections", "encoder"], "ok"
    )


def test_the_matchers_doctor_says_what_to_do_about_a_database_never_migrated(
    make_database: Callable[[str], str],
) -> None:
    seen = run("matcher_service", "doctor", MATCHER_DATABASE_URL=make_database("template0"))
    assert seen.code == 1
    assert "run `matcher_service migrate`" in seen.out
    assert "warn  encoder" in seen.out


def test_the_matchers_doctor_reports_a_schema_that_a_migration_would_refuse(
    database_url: str, postgres_server: PostgresServer
) -> None:
    edited = "UPDATE facerec.schema_migration SET checksum = repeat('0', 64)"
    postgres_server.execute(edited, database=urlsplit(database_url).path.removeprefix("/"))
    with pytest.raises(MigrationError) as refused:
        asyncio.run(migrations.migrate(database_url))
    seen = run("matcher_service", "doctor", MATCHER_DATABASE_URL=database_url)
    assert f"fail  schema: {refused.value}" in seen.out


@pytest.mark.parametrize("service", ["encoder_service", "matcher_service"])
def test_every_command_prints_its_help_in_any_environment(service: str) -> None:
    commands = re.findall(r"^  (\S+)", run(service, "--help").out, re.MULTILINE)
    assert "doctor" in commands
    for command in commands:
        ran = run(service, command, "--help", ENCODER_NOTHING="1", MATCHER_NOTHING="1")
        assert (ran.code, ran.err) == (0, "")
        assert re.match(rf"usage: .*{service} {command} ", ran.out)


def test_the_help_of_a_command_lists_the_settings_that_it_uses() -> None:
    def listed(command: str) -> set[str]:
        output = run("matcher_service", command, "--help").out
        return {flag.replace("-", "_") for flag in re.findall(r"^  --([a-z-]+)", output, re.MULTILINE)}

    options = inspect.getsource(MatcherSettings.maintenance_options)
    used = set(re.findall(r"self\.(\w+)", options)) & set(MatcherSettings.model_fields)
    assert listed("maintain") == used | {"maintain_once", "log_level", "log_format"}
    assert listed("migrate") == {"database_url", "wait_seconds"}
    assert listed("serve") | used | {"maintain_once", "wait_seconds"} == set(MatcherSettings.model_fields)
    assert listed("serve") & used == {"database_url"}
    assert listed("check-config") == set(MatcherSettings.model_fields)
    assert {"database_url", "encoder_address", "pool_max_size"} < listed("doctor") < listed("serve")


def test_the_matchers_doctor_reports_an_unreachable_database() -> None:
    url = f"postgresql://facerec:{SECRET}@127.0.0.1:1/facerec"
    seen = run("matcher_service", "doctor", MATCHER_DATABASE_URL=url)
    assert seen.code == 1
    assert "fail  database" in seen.out
    assert SECRET not in seen.out + seen.err


def test_doctor_and_serve_warn_of_a_remote_database_whose_certificate_is_not_verified() -> None:
    url = f"postgresql://facerec:{SECRET}@database.invalid/facerec?sslmode=require"
    seen = run("matcher_service", "doctor", MATCHER_DATABASE_URL=url)
    assert "warn  certificate: sslmode=require does not verify" in seen.out
    matcher = MatcherProcess(url)
    try:
        assert "sslmode=verify-full" in matcher.event("database_tls_unverified")["why"]
    finally:
        matcher.stop()
    assert SECRET not in seen.out + seen.err + "".join(matcher.lines)


def test_the_matchers_doctor_tells_a_login_without_the_role(
    database_url: str, postgres_server: PostgresServer
) -> None:
    postgres_server.execute("CREATE ROLE doctors_outsider LOGIN")
    try:
        url = as_user(database_url, "doctors_outsider")
        seen = run("matcher_service", "doctor", MATCHER_DATABASE_URL=url)
    finally:
        postgres_server.execute("DROP ROLE doctors_outsider")
    assert seen.code == 1
    assert "fail  role" in seen.out
    assert "GRANT facerec_serve" in seen.out


def test_the_encoders_doctor_finds_all_in_order(model_cache: Path) -> None:
    seen = run("encoder_service", "doctor", "--model-cache-dir", str(model_cache), "--provider", "cpu")
    assert seen.code == 0, seen.out + seen.err
    assert {line.split()[0] for line in seen.out.splitlines()} == {"ok"}
    assert "self-test" in seen.out


def test_the_encoders_doctor_tells_weights_that_are_missing(tmp_path: Path) -> None:
    seen = run(
        "encoder_service", "doctor", "--weights-dir", str(tmp_path), "--model-cache-dir", str(tmp_path)
    )
    assert seen.code == 1
    assert "fail  weights: there is no weights file" in seen.out


def test_an_image_that_holds_its_thread_too_long_ends_the_encoder(model_cache: Path) -> None:
    with io.BytesIO() as out:
        Image.effect_noise((3500, 3500), 64).save(out, "JPEG")
        image = out.getvalue()
    server = EncoderProcess("--stuck-seconds", "1", cache=model_cache)
    server.event("serving")
    with EncoderClient(server.address, timeout_seconds=LIMIT_SECONDS) as client, pytest.raises(FacerecError):
        client.encode(image, full_resolution=True)
    assert server.process.wait(LIMIT_SECONDS) == 70
    assert server.event("stuck_work_detected")["work"] == "image"
    server.kill()
