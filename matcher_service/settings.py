"""The settings of the matcher's commands."""

from pathlib import Path

import pydantic
from pydantic_settings import SettingsConfigDict

from facerec.client.security import Security
from facerec.serving.server.settings import ServingSettings
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.database import DatabaseOptions


class MatcherSettings(ServingSettings):
    """Settings of the matcher; times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="MATCHER_")

    address: str = "127.0.0.1:50052"
    """HOST:PORT to listen on; port 0 lets the system choose."""

    database_url: pydantic.SecretStr
    """postgresql://USER:PASSWORD@HOST:PORT/DATABASE of a Postgres 15 or newer with pgvector 0.8.4 or newer.

    On another machine followed by ?sslmode=verify-full&sslrootcert=FILE, the CA of the server's certificate.
    `serve` acts as the role facerec_serve, of which USER must be a member. Behind PgBouncer USER
    needs settings that a connection cannot bring: docs/operations.md, PgBouncer. A file that
    MATCHER_DATABASE_URL_FILE names is read again when it changes, and connections of the old URL are
    replaced.
    """

    read_database_urls: pydantic.SecretStr = pydantic.SecretStr("")
    """URLs of streaming standbys, as database_url, separated by blanks or line ends. Identify, Calibrate,
    MeasureRecall, ListDuplicates and ExportFaces read from one that has replayed all that was committed when
    the call began, else from the primary. Each has connections of its own: search_pool_size, scan_pool_size
    and transfer_pool_size, and one. A file that MATCHER_READ_DATABASE_URLS_FILE names is read again when it
    changes.
    """

    replay_wait_seconds: float = pydantic.Field(0.05, ge=0, le=10)
    """Maximum wait of a read for a standby to replay what is committed, in seconds; then another standby is
    asked, or the primary."""

    max_staleness_seconds: float = pydantic.Field(300.0, ge=0, le=3600)
    """The most staleness that a request may allow, in seconds: for so long a person who was erased may be
    found by such requests, and they go on while the primary is lost; 0 refuses them."""

    encoder_address: str = "127.0.0.1:50051"
    """HOST:PORT of the encoder, called for requests with an image."""

    encoder_api_key: pydantic.SecretStr = pydantic.SecretStr("")
    """API key of the encoder, with the role encode."""

    encoder_tls_ca_file: Path | None = None
    """PEM file of the CA that signed the encoder's certificate; setting it enables TLS to the encoder."""

    encoder_tls_cert_file: Path | None = None
    """PEM file of the matcher's client certificate, for an encoder that requires one."""

    encoder_tls_key_file: Path | None = None
    """PEM file of that certificate's key."""

    encoder_server_name: str = ""
    """Name to expect in the encoder's certificate, if it is not the address's host."""

    encoder_plaintext_key: bool = False
    """Send the key unencrypted to an encoder on another machine, over a network that is trusted."""

    encoder_timeout_seconds: float = pydantic.Field(20.0, gt=0, le=600)
    """Maximum wait for the encoder, in seconds; the caller's deadline shortens it."""

    encoder_max_images: int = pydantic.Field(32, ge=1, le=65536)
    """Images sent to the encoder at once, at most three quarters of them of one caller; replicas times this
    should be within the encoders' max_images."""

    pool_min_size: int = pydantic.Field(2, ge=1, le=1000)
    """Connections to Postgres kept open."""

    pool_max_size: int = pydantic.Field(10, ge=1, le=1000)
    """Maximum number of connections to Postgres for calls. The sum of this, scan_pool_size,
    transfer_pool_size and one, times the replicas, must be below Postgres's max_connections."""

    pool_wait_seconds: float = pydantic.Field(1.0, gt=0, le=60)
    """Maximum wait for a free connection before a call is refused as OVERLOADED, in seconds."""

    search_pool_size: int = pydantic.Field(4, ge=1, le=1000)
    """Concurrent searches by index and pages of lists; the pool's other connections are left to short
    requests. Each waits at most pool_wait_seconds."""

    scan_pool_size: int = pydantic.Field(2, ge=1, le=64)
    """Concurrent exact scans of large collections, on connections of their own pool."""

    scan_wait_seconds: float = pydantic.Field(5.0, gt=0, le=600)
    """Maximum wait of an exact scan for a connection, in seconds; one that would wait longer is refused as
    OVERLOADED immediately."""

    scan_workers: int = pydantic.Field(1, ge=0, le=64)
    """Parallel workers of Postgres that an exact scan may use."""

    scan_timeout_seconds: float = pydantic.Field(30.0, gt=0, le=3600)
    """Maximum duration of an exact scan, and maximum wait of Calibrate and the lists of
    duplicates and inconsistent faces, in seconds."""

    transfer_pool_size: int = pydantic.Field(3, ge=1, le=64)
    """Connections for imports, exports and deletions of collections, in a pool of their own. An import waits
    for one at each chunk. A deletion and an export hold one until they end; exports may hold all but one (or
    the only one), one caller's half of those. A further export is refused as OVERLOADED after
    pool_wait_seconds.
    """

    max_faces_per_person: int = pydantic.Field(1000, ge=1, le=1_000_000)
    """Maximum number of faces of a person; more are refused as PERSON_FULL. Verify compares all of them."""

    export_timeout_seconds: float = pydantic.Field(3600.0, gt=0, le=86400)
    """Maximum duration of an export, in seconds: until it ends, its snapshot keeps vacuum from removing rows.
    """

    scan_apart_above_faces: int = pydantic.Field(2000, ge=0, le=1_000_000)
    """Faces up to which a collection without an index is scanned on a connection for calls, without waiting
    for scan_pool_size.
    """

    statement_timeout_seconds: float = pydantic.Field(10.0, gt=0, le=3600)
    """Maximum duration of a statement, in seconds."""

    lock_timeout_seconds: float = pydantic.Field(3.0, gt=0, le=3600)
    """Maximum wait of a statement for a lock, in seconds."""

    schema_check_seconds: float = pydantic.Field(1.0, ge=0.05, le=60)
    """How often the schema's version is checked, the primary's position is asked for, and each standby is
    checked, in seconds."""

    wait_seconds: float = pydantic.Field(0.0, ge=0)
    """How long `migrate` waits for a database that cannot be migrated yet, in seconds; inf for ever. In short
    `migrate --wait` for inf, and `--wait=SECONDS`."""

    maintain_interval_seconds: float = pydantic.Field(60.0, ge=0.1, le=86400)
    """Pause of `maintain` between two runs, in seconds."""

    maintain_once: bool = False
    """End `maintain` after one run, for a CronJob."""

    scrub: bool = False
    """With `maintain`: rewrite the files of collections with erased data, so that no byte of it is left
    there; each table is locked while it is rewritten.
    """

    audit_decisions: bool = True
    """Write audit events of Verify, Identify and Compare, in batches; those of changes are always written."""

    audit_retention_days: int = pydantic.Field(365, ge=0, le=36500)
    """How long `maintain` keeps the record of changes, in days; 0 for ever."""

    decision_retention_days: int = pydantic.Field(30, ge=0, le=36500)
    """How long `maintain` keeps the record of decisions, in days; 0 for ever."""

    request_retention_days: int = pydantic.Field(30, ge=0, le=36500)
    """How long `maintain` keeps the request ids of enrollments, those of long calls with their answers, and
    the progress of imports, in days; 0 for ever. A request id that is used again later counts as new."""

    recall_check_seconds: float = pydantic.Field(6 * 3600.0, ge=1, le=30 * 86400)
    """How often `maintain` measures an index's recall, in seconds; sooner if the number of people has changed
    by more than 5 %."""

    maintain_index_memory_mib: int = pydantic.Field(1024, ge=64, le=1024 * 1024)
    """Maximum memory of Postgres for building an index, in MiB; it limits the number of an index's lists."""

    @pydantic.model_validator(mode="after")
    def _check_pool_sizes(self) -> "MatcherSettings":
        if self.pool_min_size > self.pool_max_size:
            raise ValueError("pool_min_size is larger than pool_max_size: lower it")
        return self

    def max_connections(self) -> int:
        """The most connections to the primary of one matcher: its pools', and one for readiness, and with
        standbys one for the commit position.
        """
        standbys = bool(self.read_urls() or self.file_of("read_database_urls"))
        return self.pool_max_size + self.scan_pool_size + self.transfer_pool_size + 1 + standbys

    def read_urls(self) -> list[str]:
        """The URLs of the standbys."""
        return self.read_database_urls.get_secret_value().split()

    def encoder_security(self) -> Security:
        """The settings of the connection to the encoder."""
        return Security(
            api_key=self.encoder_api_key.get_secret_value(),
            ca_file=self.encoder_tls_ca_file,
            cert_file=self.encoder_tls_cert_file,
            key_file=self.encoder_tls_key_file,
            server_name=self.encoder_server_name,
            plaintext_key=self.encoder_plaintext_key,
        )

    def maintenance_options(self) -> MaintenanceOptions:
        """The settings of `maintain`."""
        return MaintenanceOptions(
            url=self.database_url.get_secret_value(),
            url_file=self.file_of("database_url"),
            interval_seconds=self.maintain_interval_seconds,
            scrub=self.scrub,
            index_memory_bytes=self.maintain_index_memory_mib * 1024 * 1024,
            recall_check_seconds=self.recall_check_seconds,
            audit_retention_days=self.audit_retention_days,
            decision_retention_days=self.decision_retention_days,
            request_retention_days=self.request_retention_days,
        )

    def database_options(self) -> DatabaseOptions:
        """The settings of the database."""
        return DatabaseOptions(
            url=self.database_url.get_secret_value(),
            url_file=self.file_of("database_url"),
            pool_min_size=self.pool_min_size,
            pool_max_size=self.pool_max_size,
            pool_wait_seconds=self.pool_wait_seconds,
            search_pool_size=self.search_pool_size,
            statement_timeout_seconds=self.statement_timeout_seconds,
            lock_timeout_seconds=self.lock_timeout_seconds,
            scan_pool_size=self.scan_pool_size,
            scan_workers=self.scan_workers,
            scan_wait_seconds=self.scan_wait_seconds,
            scan_timeout_seconds=self.scan_timeout_seconds,
            transfer_pool_size=self.transfer_pool_size,
            read_urls=self.read_database_urls.get_secret_value(),
            read_urls_file=self.file_of("read_database_urls"),
            replay_wait_seconds=self.replay_wait_seconds,
            standby_check_seconds=self.schema_check_seconds,
            max_staleness_seconds=self.max_staleness_seconds,
        )


# The settings that each command uses; every command accepts a file or environment with all of them.
_MAINTENANCE_ONLY = frozenset(
    {
        "maintain_interval_seconds",
        "maintain_once",
        "scrub",
        "audit_retention_days",
        "decision_retention_days",
        "request_retention_days",
        "recall_check_seconds",
        "maintain_index_memory_mib",
    }
)
MIGRATING = frozenset({"database_url", "wait_seconds"})
SERVING = frozenset(MatcherSettings.model_fields) - _MAINTENANCE_ONLY - {"wait_seconds"}
MAINTAINING = _MAINTENANCE_ONLY | {"database_url", "log_level", "log_format"}
DIAGNOSING = frozenset(name for name in SERVING if name.startswith("encoder_")) | {
    *(
        "database_url",
        "read_database_urls",
        "pool_max_size",
        "scan_pool_size",
        "transfer_pool_size",
        "log_format",
    ),
}
