"""The checks of `doctor` for a database that was restored, replicated or upgraded."""

from facerec.serving.server.diagnostics import CheckResult
from matcher_service.postgres.session import Connection, Session
from matcher_service.postgres.statements import load


async def examine_restored(connection: Connection) -> list[CheckResult]:
    """Check owners, rights, keys and statistics; a single result if all are in order.

    The connection acts as facerec_serve on a schema that is at head. Raises what asyncpg raises.
    """
    found = [
        result
        for result in (
            await _examine_owners(connection),
            await _examine_rights(connection),
            await _examine_statistics(connection),
        )
        if result is not None
    ]
    if not any(result.subject == "rights" for result in found) and (keys := await _examine_keys(connection)):
        found.append(keys)
    return found or [CheckResult("contents", "ok", "owners, rights, keys and statistics are in order")]


async def examine_newer_extension(connection: Connection) -> CheckResult | None:
    """Warn if the server has a newer pgvector than the database uses."""
    newer = await Session(connection, role="doctor").value("newer_extension")
    if newer is None:
        return None
    return CheckResult(
        "pgvector",
        "warn",
        f"the server has {newer} installed: let a superuser run ALTER EXTENSION vector UPDATE in this "
        "database",
    )


async def _examine_owners(connection: Connection) -> CheckResult | None:
    row = await Session(connection, role="doctor").row("other_owners")
    assert row is not None
    if not row["objects"]:
        return None
    return CheckResult(
        "owners",
        "fail",
        f"{row['objects']} objects belong to another role than facerec_owner, {row['first']} to "
        f"{row['owner']}: restore again with the roles made beforehand and without --no-owner, or let a "
        "superuser run ALTER ... OWNER TO facerec_owner for each",
    )


async def _examine_rights(connection: Connection) -> CheckResult | None:
    row = await Session(connection, role="doctor").row("lacking_rights")
    assert row is not None
    if not row["objects"]:
        return None
    return CheckResult(
        "rights",
        "fail",
        f"facerec_serve lacks rights on {row['objects']} objects, {row['first']} among them: restore again "
        "with the roles made beforehand and without --no-privileges",
    )


async def _examine_keys(connection: Connection) -> CheckResult | None:
    session = Session(connection, role="doctor")
    last = await session.value("last_person_key") or 0
    most = 0
    for row in await session.rows("person_tables"):
        statement = load("doctor")["greatest_person_key"].with_identifiers({"person": row["name"]})
        most = max(most, await connection.fetchval(statement.text) or 0)
    if most <= last:
        return None
    return CheckResult(
        "keys",
        "fail",
        f"the sequence facerec.person_key is at {last} and persons have keys up to {most}, as after a "
        f"logical replication: let facerec_owner run SELECT setval('facerec.person_key', {most}), and the "
        "same for the identities of facerec.model and facerec.audit",
    )


async def _examine_statistics(connection: Connection) -> CheckResult | None:
    tables = await Session(connection, role="doctor").value("unmeasured_tables")
    if not tables:
        return None
    return CheckResult(
        "statistics",
        "warn",
        f"{tables} tables have no statistics, as after a restore or pg_upgrade, so queries may be slow: run "
        "vacuumdb --analyze-only as a superuser",
    )
