"""The local stack: starts PostgreSQL, the schema, the encoder, the matcher and the gateway, in that order."""

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from facerec.local import environment, ports
from facerec.local.child import Child, Command
from facerec.local.errors import MigrationFailed, ServiceFailed, VariableRefused
from facerec.local.folder import DataFolder
from facerec.local.postgres import EmbeddedPostgres
from facerec.local.service import MISUSE_STATUS, CommandService, describe, stop_together
from facerec.local.standby import EmbeddedStandby, copy_folder, remove_copies
from facerec.local.supervisor import IDLE_TICK_SECONDS, Supervisor
from facerec.local.termination import Terminated, Termination
from facerec.serving.server.address import Address

READY_SECONDS = 180.0  # the very first start converts the models
MIGRATE_SECONDS = 120.0
HEALTH_CHECK_SECONDS = 1.0
GRACE_SECONDS = 4.0  # less than STOP_SECONDS, after which a service is killed
CONSOLE_PATH = "/console/"
MODULES = {"gateway": "facerec.gateway"}
Ready = Callable[[Address, Address, Address | None, str], None]
"""Is called with the addresses of the encoder, the matcher and the gateway, if there is one, and with the
console's URL, which is empty if none is served."""
ENCODER, MATCHER = "facerec.encoder.v1.EncoderService", "facerec.matcher.v1.MatcherService"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Where the stack keeps its data and listens; an empty `database_url` means the embedded PostgreSQL.

    An empty `gateway_address` means no gateway. `standbys` is the number of PostgreSQL's standbys, which the
    matcher reads from. `compreface` has the gateway answer CompreFace's paths.
    """

    data_dir: Path
    encoder_address: str
    matcher_address: str
    gateway_address: str = ""
    database_url: str = ""
    insecure: bool = False
    standbys: int = 0
    compreface: bool = False


def run(options: StackOptions, *, ready: Ready, say: Callable[[str], None]) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP; returns when all of it has stopped.

    `ready` is called with the addresses once both services are SERVING, `say` with each message for a
    person. Raises StartError, with nothing left running.
    """
    with Termination() as termination, ExitStack() as cleanup:
        try:
            Stack(options, cleanup, say).run(ready)
        except Terminated:
            say("stopping")
        finally:
            termination.disarm()


class Stack:
    """One run of the stack; `cleanup` stops in reverse order what it has started."""

    def __init__(self, options: StackOptions, cleanup: ExitStack, say: Callable[[str], None]) -> None:
        environment.check(os.environ)
        if options.standbys and options.database_url:
            raise VariableRefused(
                "--standbys are of the embedded PostgreSQL: leave out --database-url or them"
            )
        self._options = options
        insecure = options.insecure
        self._encoder_address = ports.check(
            options.encoder_address, insecure=insecure, option="--encoder-address"
        )
        self._matcher_address = ports.check(
            options.matcher_address, insecure=insecure, option="--matcher-address"
        )
        self._gateway_address = (
            ports.check(options.gateway_address, insecure=insecure, option="--gateway-address")
            if options.gateway_address
            else None
        )
        self._folder = DataFolder.claim(options.data_dir)
        cleanup.callback(self._folder.release)
        remove_copies(self._folder.path)  # of a stack that was killed
        self._postgres = EmbeddedPostgres(self._folder)
        cleanup.callback(self._postgres.stop)
        cleanup.callback(remove_copies, self._folder.path)
        self._standbys = ExitStack()
        cleanup.callback(self._standbys.close)
        self._services: list[CommandService] = []
        cleanup.callback(lambda: stop_together(self._services))
        self._supervisor = Supervisor(say)

    def run(self, ready: Ready) -> None:
        """Start all processes, call `ready`, and keep them running."""
        self._serve("encoder", self._encoder_address, {})
        owning_url, serving_url = self._prepare_database()
        settings = {"DATABASE_URL": serving_url}
        if self._options.standbys:
            settings["READ_DATABASE_URLS"] = " ".join(self._start_standbys())
        encoder_address = str(ports.from_here(self._encoder_address))
        settings["ENCODER_ADDRESS"] = encoder_address
        self._serve("matcher", self._matcher_address, settings)
        if self._gateway_address:
            settings = {"ENCODER_ADDRESS": encoder_address}
            settings["MATCHER_ADDRESS"] = str(ports.from_here(self._matcher_address))
            if self._options.compreface:
                settings["COMPREFACE_PATHS"] = "true"
            self._serve("gateway", self._gateway_address, settings)
        self._wait_until_serving()
        settings = {"DATABASE_URL": owning_url, "MAINTAIN_ONCE": "false"}  # the supervisor restarts what ends
        self._supervise(self._command("matcher", "maintain", settings))
        console = self._gateway_address and _console_url(ports.from_here(self._gateway_address))
        ready(self._encoder_address, self._matcher_address, self._gateway_address, console or "")
        while True:
            self._supervisor.tick(IDLE_TICK_SECONDS)

    def _prepare_database(self) -> tuple[str, str]:
        """Migrate the database to the newest schema; returns the URLs for maintaining and for serving."""
        if url := self._options.database_url:
            self._migrate(url)
            return url, url
        from facerec.local import database  # noqa: PLC0415 - asyncpg loads while the encoder does

        self._postgres.start()
        self._supervisor.add(self._postgres)
        owning_url = database.create(self._postgres)
        self._migrate(owning_url)
        return owning_url, database.create_login(self._postgres)

    def _start_standbys(self) -> list[str]:
        """Copy the database to each standby and start it; returns their URLs for serving."""
        from facerec.local import database  # noqa: PLC0415 - as above

        urls = []
        for number in range(1, self._options.standbys + 1):
            standby = EmbeddedStandby.copy(copy_folder(self._folder.path, number), self._postgres, number)
            self._standbys.callback(standby.stop)
            self._supervisor.add(standby)
            urls.append(standby.url(database.NAME, database.LOGIN_ROLE))
        return urls

    def _serve(self, name: str, address: Address, settings: Mapping[str, str]) -> None:
        listening = {"ADDRESS": str(address), "GRACE_SECONDS": str(GRACE_SECONDS)}
        listening["INSECURE"] = "true" if self._options.insecure else "false"
        self._supervise(self._command(name, "serve", listening | dict(settings)))

    def _supervise(self, command: Command) -> None:
        service = CommandService(command)
        service.start()
        self._services.append(service)
        self._supervisor.add(service)

    def _command(self, service: str, command: str, settings: Mapping[str, str]) -> Command:
        name = service if command == "serve" else f"{service}-{command}"
        return Command(
            name=name,
            argv=(sys.executable, "-P", "-m", MODULES.get(service, f"{service}_service"), command),
            env=environment.with_settings(
                os.environ, {f"{service.upper()}_{key}": value for key, value in settings.items()}
            ),
            log_path=self._folder.logs / f"{name}.log",
        )

    def _migrate(self, url: str) -> None:
        migration = Child.spawn(self._command("matcher", "migrate", {"DATABASE_URL": url}))
        try:
            if not migration.wait(MIGRATE_SECONDS):
                raise MigrationFailed(f"the migration was not done after {MIGRATE_SECONDS:.0f} s")
            if migration.poll() == MISUSE_STATUS:
                raise MigrationFailed(migration.last_line().removeprefix("error: "))
            if migration.poll() != 0:
                raise MigrationFailed(
                    f"the migration {describe(migration.poll())}; {migration.log_excerpt()}"
                )
        finally:
            migration.send(signal.SIGKILL)

    def _wait_until_serving(self) -> None:
        from facerec.serving.health_check import is_serving  # noqa: PLC0415 - gRPC loads while the services do

        deadline = time.monotonic() + READY_SECONDS
        services = {"encoder": (self._encoder_address, ENCODER), "matcher": (self._matcher_address, MATCHER)}
        for name, (address, full_name) in services.items():
            target = str(ports.from_here(address))
            while not is_serving(target, full_name, wait_seconds=HEALTH_CHECK_SECONDS):
                self._supervisor.tick()
                if time.monotonic() > deadline:
                    raise ServiceFailed(
                        f"the {name} was not ready after {READY_SECONDS:.0f} s: "
                        f"see {self._folder.logs / f'{name}.log'}"
                    )
        while self._gateway_address and not _answers(ports.from_here(self._gateway_address), "/ready"):
            self._supervisor.tick()
            if time.monotonic() > deadline:
                raise ServiceFailed(f"the gateway was not ready after {READY_SECONDS:.0f} s")


def _console_url(gateway: Address) -> str:
    return f"http://{gateway}{CONSOLE_PATH}" if _answers(gateway, CONSOLE_PATH) else ""


def _answers(gateway: Address, path: str) -> bool:
    """Whether the gateway answers a path with success."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=HEALTH_CHECK_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
