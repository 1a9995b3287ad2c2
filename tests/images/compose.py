"""What deploy/compose.yaml runs, started as deploy/README.md says, over a volume of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.fixtures.waiting import wait_until
from tests.images.docker import ROOT, docker, inspect

HERE: Final = Path(__file__).parent
PROJECT: Final = "facerec-check"


class Compose:
    """The containers of compose.yaml, in a copy of deploy/ in `folder`, and a name server beside them."""

    def __init__(self, folder: Path) -> None:
        self.deploy = folder / "deploy"
        shutil.copytree(ROOT / "deploy", self.deploy, ignore=shutil.ignore_patterns("secrets"))
        self._names = ""
        self._variables = {"NETWORK": PROJECT, "NAME_SERVER": "127.0.0.1"}

    def __enter__(self) -> Self:
        try:
            self._start_name_server()
            self.up()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _start_name_server(self) -> None:
        docker("network", "create", PROJECT)
        program = (HERE / "names.py").read_text(encoding="utf-8")
        options = (f"--network={PROJECT}", "--detach", "--entrypoint=python", "facerec-matcher:checked")
        self._names = docker("run", *options, "-c", program)
        address = inspect(self._names)["NetworkSettings"]["Networks"][PROJECT]["IPAddress"]
        self._variables["NAME_SERVER"] = address
        wait_until(lambda: "listening" in docker("logs", self._names))

    def _remove(self) -> None:
        self.run("down", "--volumes")
        if self._names:
            docker("rm", "--force", self._names)
        docker("network", "rm", PROJECT)

    def run(self, *arguments: str, changed: bool = False) -> str:
        """Run a command of docker compose and return its output. Raises CalledProcessError."""
        overlays = [HERE / "check.yaml", *([HERE / "changed.yaml"] if changed else [])]
        named = [f"--file={path}" for path in (self.deploy / "compose.yaml", *overlays)]
        return docker("compose", f"--project-name={PROJECT}", *named, *arguments, **self._variables)

    def up(self, *, changed: bool = False) -> None:
        """What deploy/README.md says to run, until all is healthy; `changed` with another setting."""
        subprocess.run(["sh", self.deploy / "secrets.sh"], check=True)
        self.run("up", "--detach", "--no-build", "--quiet-pull", changed=changed)
        wait_until(
            lambda: all(
                self._health(name) == "healthy" for name in ("postgres", "encoder", "matcher", "gateway")
            )
        )

    def _health(self, service: str) -> str:
        state: dict[str, Any] = self.container(service)["State"]
        return str(state["Health"]["Status"])

    def container(self, service: str) -> Any:
        """What `docker inspect` tells of a service's container, an ended one too."""
        return inspect(self.run("ps", "--all", "--quiet", service))

    def python(self, service: str, program: str) -> Any:
        """Run a program in a service's container and return the JSON that it prints."""
        return json.loads(self.run("exec", "-T", service, "python", "-c", program))

    def asked_names(self) -> list[str]:
        """The names that the containers have asked the name server for."""
        return docker("logs", self._names).splitlines()[1:]

    def facerec(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the command line of this checkout against the containers."""
        command = [str(Path(sys.executable).with_name("facerec")), *map(str, arguments)]
        ports = {"FACEREC_ENCODER": ("encoder", "50051"), "FACEREC_MATCHER": ("matcher", "50052")}
        addresses = {name: self.run("port", *port) for name, port in ports.items()}
        environment = os.environ | addresses
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
