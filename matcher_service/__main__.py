"""`matcher_service serve | migrate | version`."""

import sys

import structlog

import facerec
from facerec.serving import logs, loop
from facerec.serving.errors import StartError
from facerec.serving.server import wait_for_termination
from facerec.serving.settings import load
from matcher_service import migrations
from matcher_service.service import MatcherService
from matcher_service.settings import MatcherSettings

USAGE = """usage: matcher_service COMMAND [--help] [flags]

  serve     answer gRPC
  migrate   bring the database's schema to this release
  version   print the release and the schema it needs"""

log = structlog.get_logger("matcher_service")


async def serve(argv: list[str]) -> None:
    """Answer until SIGTERM or SIGINT. Raises StartError."""
    settings = load(MatcherSettings, argv, prog="matcher_service serve")
    logs.configure(settings.log_level, settings.log_format)
    service = MatcherService(settings)
    await service.start()
    log.info("listening", address=service.server.address, encoder=settings.encoder_address)
    await wait_for_termination()
    log.info("stopping")
    await service.stop()


async def migrate(argv: list[str]) -> None:
    """Bring the schema to head and say what was applied. Raises StartError."""
    settings = load(MatcherSettings, argv, prog="matcher_service migrate")
    applied = await migrations.migrate(settings.database_url.get_secret_value())
    for name in applied:
        print(f"applied {name}")
    print(f"the schema is at version {migrations.head()}")


async def version(argv: list[str]) -> None:
    """Print the release and the schema it needs. Raises StartError."""
    if argv:
        raise StartError("version takes no arguments")
    print(f"facerec matcher {facerec.__version__}, schema {migrations.head()}")


COMMANDS = {"serve": serve, "migrate": migrate, "version": version}


def main(argv: list[str]) -> int:
    """Run one command and return the exit code: 0, or 2 for what a person must mend."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(f"error: there is no command {argv[0]}\n{USAGE}", file=sys.stderr)
        return 2
    return loop.run(COMMANDS[argv[0]](argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
