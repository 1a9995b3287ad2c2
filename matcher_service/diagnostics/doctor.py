"""The checks of `matcher_service doctor`: all that `serve` needs."""

from collections.abc import AsyncIterator

from facerec.client import AsyncEncoderClient
from facerec.errors import FacerecError, Reason
from facerec.serving.server.diagnostics import CheckResult, check_serving, check_settings
from facerec.serving.server.errors import StartError
from matcher_service.diagnostics.replication import examine_replication
from matcher_service.diagnostics.restored import examine_newer_extension, examine_restored
from matcher_service.postgres import migrations
from matcher_service.postgres.connections.address import connect, why_not_connected
from matcher_service.postgres.connections.extension import (
    check_extension,
    check_server,
    check_usage,
    server_version,
)
from matcher_service.postgres.connections.pooler import PoolMode, check_pooler
from matcher_service.postgres.connections.verification import why_unverified
from matcher_service.postgres.driver_errors import (
    CONNECTING_ERRORS,
    NO_SCHEMA_ERRORS,
    PRIVILEGE_ERRORS,
    SERVER_ERRORS,
)
from matcher_service.postgres.session import Connection
from matcher_service.settings import MatcherSettings

_CONNECT_SECONDS = 5.0


async def examine(settings: MatcherSettings) -> AsyncIterator[CheckResult]:
    """Check the settings, the database as the serving login, and the encoder."""
    yield check_settings(lambda: _check(settings))
    async for result in _examine_database(settings):
        yield result
    yield await _examine_encoder(settings)


def check_encoder_client(settings: MatcherSettings) -> None:
    """Read the key and certificates for the encoder. Raises StartError."""
    try:
        AsyncEncoderClient(settings.encoder_address, security=settings.encoder_security())
    except FacerecError as error:
        raise StartError(f"{error} (the settings encoder_...)") from None


def _check(settings: MatcherSettings) -> None:
    check_encoder_client(settings)
    check_serving(settings)


async def _examine_database(settings: MatcherSettings) -> AsyncIterator[CheckResult]:
    for url in (settings.database_url.get_secret_value(), *settings.read_urls()):
        if why := why_unverified(url):
            yield CheckResult("certificate", "warn", why)
    try:
        connection = await connect(settings.database_url.get_secret_value(), seconds=_CONNECT_SECONDS)
    except (StartError, ValueError, *CONNECTING_ERRORS) as error:
        yield CheckResult("database", "fail", f"{why_not_connected(error)}; see MATCHER_DATABASE_URL")
        return
    try:
        yield CheckResult("database", "ok", f"connected to Postgres {server_version(connection)}")
        yield await _examine_extension(connection)
        if newer := await examine_newer_extension(connection):
            yield newer
        pooler = await _examine_pooler(connection, settings)
        if pooler is not None:
            yield pooler
            if pooler.state == "fail":  # what is set next could be another connection's too
                return
        role = await _examine_role(connection)
        yield role
        if role.state == "ok":
            schema = await _examine_schema(connection)
            yield schema
            if schema.state == "ok":
                for result in await examine_restored(connection):
                    yield result
                async for result in examine_replication(connection, settings):
                    yield result
        yield await _examine_connections(connection, settings)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)


async def _examine_extension(connection: Connection) -> CheckResult:
    try:
        await check_server(connection)
        schema = await check_extension(connection)
        await check_usage(connection, schema, "facerec_owner", "facerec_serve")
    except StartError as error:
        return CheckResult("pgvector", "fail", str(error))
    version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    return CheckResult("pgvector", "ok", f"version {version}")


async def _examine_pooler(connection: Connection, settings: MatcherSettings) -> CheckResult | None:
    """Check that a pooler's sessions can serve; None if no pooler is between."""
    url = settings.database_url.get_secret_value()
    try:
        schema = await check_extension(connection)
        mode = await check_pooler(
            connection,
            lambda: connect(url, seconds=_CONNECT_SECONDS),
            schema=schema,
            limits=settings.database_options().limits(),
        )
    except (StartError, *CONNECTING_ERRORS) as error:
        return CheckResult("pooler", "fail", why_not_connected(error))
    return None if mode is PoolMode.NO_POOLER else CheckResult("pooler", "ok", mode.value)


async def _examine_role(connection: Connection) -> CheckResult:
    try:
        await connection.execute("SET ROLE facerec_serve")
    except SERVER_ERRORS:
        return CheckResult(
            "role",
            "fail",
            "the login may not act as facerec_serve: run `matcher_service migrate` with a login that may "
            "migrate, then GRANT facerec_serve TO the serving login",
        )
    return CheckResult("role", "ok", "acts as facerec_serve")


async def _examine_schema(connection: Connection) -> CheckResult:
    try:
        version = await migrations.check_applied(connection)
    except NO_SCHEMA_ERRORS:
        version = 0
    except migrations.MigrationError as error:
        return CheckResult("schema", "fail", str(error))
    except PRIVILEGE_ERRORS:
        return CheckResult(
            "schema",
            "fail",
            "facerec_serve may not read facerec.schema_migration: run `matcher_service migrate`, or restore "
            "again with the roles made beforehand and without --no-privileges",
        )
    if version < migrations.head():
        return CheckResult("schema", "fail", migrations.incompatibility(version, version))
    return CheckResult("schema", "ok", f"at version {version}")


async def _examine_connections(connection: Connection, settings: MatcherSettings) -> CheckResult:
    """Check for how many replicas the server has connections."""
    allowed = int(await connection.fetchval("SHOW max_connections"))
    reserved = int(await connection.fetchval("SHOW superuser_reserved_connections"))
    each = settings.max_connections()
    replicas = (allowed - reserved) // each
    text = f"{each} connections a replica of {allowed - reserved} available: enough for {replicas} replicas"
    if replicas < 1:
        return CheckResult(
            "connections", "fail", f"{text}; lower MATCHER_POOL_MAX_SIZE or raise max_connections"
        )
    return CheckResult("connections", "ok" if replicas > 1 else "warn", text)


async def _examine_encoder(settings: MatcherSettings) -> CheckResult:
    try:
        async with AsyncEncoderClient(
            settings.encoder_address, timeout_seconds=_CONNECT_SECONDS, security=settings.encoder_security()
        ) as client:
            model = await client.get_model()
    except FacerecError as error:
        # An unreachable encoder may start later; one that refuses will keep refusing.
        return CheckResult(
            "encoder",
            "warn" if error.reason in (Reason.UNREACHABLE, Reason.DEADLINE_EXCEEDED) else "fail",
            f"{error.message}; until this is fixed images are answered ENCODER_UNAVAILABLE",
        )
    return CheckResult("encoder", "ok", f"{model.space} on {model.execution_provider}")
