"""Every command, run beside the others, with all that it connects to, looks up and writes under watch."""

import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np

from tests.fixtures.process import ROOT, ServiceProcess
from tests.fixtures.watching.environment import fresh
from tests.fixtures.watching.watcher import Watch

COMMAND_SECONDS: Final = 120
TELEMETRY_SECONDS: Final = 60  # after 6 to 10 s ONNX Runtime by itself calls its vendor
PEOPLE: Final = 20
CONTROL: Final = "ONNX Runtime by itself"
BENCHMARK: Final = "tests.benchmarks.encoder"

_READY: Final = re.compile(r"ready: encoder \S+, matcher \S+, gateway \S+;")
_CONTROL_CODE: Final = "import onnxruntime, sys; sys.stdin.read()"
_BENCHMARK: Final = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "client")


class Commands:
    """Runs the commands in a home of their own; `watches` has what was seen, by command."""

    def __init__(self, folder: Path, *, database_url: str, photos: Path) -> None:
        self.folder = folder
        self.watches: defaultdict[str, Watch] = defaultdict(Watch)
        self.encoder = self.matcher = self.collector = ""
        self._environment = fresh(folder)
        self._database = ("--database-url", database_url)
        self._photos = photos
        self._out = folder / "out"
        self._out.mkdir()

    def run(self, *, short: bool) -> None:
        """Run them all, with services that stay until ONNX Runtime by itself has called its vendor.

        That shows that such a call is seen, and that there was time for it. The benchmarks are left out of
        the short form. Raises CannotWatch.
        """
        self._run("matcher_service migrate", "-m", "matcher_service", "migrate", *self._database)
        self._run("encoder_service doctor", "-m", "encoder_service", "doctor")
        with ExitStack() as cleanup, ThreadPoolExecutor() as pool:
            self.collector = cleanup.enter_context(_collector())
            beside = [pool.submit(self._up), pool.submit(self._demo)]
            self._serve(cleanup)
            beside.append(pool.submit(self._control))
            self._call()
            if not short:
                self._run(BENCHMARK, *_BENCHMARK, str(ROOT / "tests" / "benchmarks" / "encoder"))
            for each in beside:
                each.result()
        for watch in self.watches.values():
            watch.end()

    def _serve(self, cleanup: ExitStack) -> None:
        tracing = ("--trace-endpoint", self.collector)
        encoder = self._service("encoder_service", *tracing)
        cleanup.callback(encoder.stop)
        self.encoder = encoder.address
        flags = (*self._database, "--encoder-address", self.encoder, *tracing)
        matcher = self._service("matcher_service", *flags)
        cleanup.callback(matcher.stop)
        self.matcher = matcher.address
        encoder.event("serving", COMMAND_SECONDS)
        matcher.event("database_ready", COMMAND_SECONDS)
        self._environment |= {"FACEREC_ENCODER": self.encoder, "FACEREC_MATCHER": self.matcher}

    def _call(self) -> None:
        obama, again, biden = (str(self._photos / f"{name}.jpg") for name in ("obama", "obama2", "biden"))
        self._facerec("enroll", "obama", obama, again)
        self._facerec("enroll", "biden", biden)
        self._facerec("verify", "obama", again)
        self._facerec("identify", again)
        self._facerec("encode", again)
        self._facerec("status")
        self._facerec("import", str(_people(self.folder / "people.npz")))
        self._facerec("export", str(self._out / "export.npz"))
        self._facerec("calibrate", "--target-fmr", "0.1", "--plot", str(self._out / "plot.png"))
        doctor = (*self._database, "--encoder-address", self.encoder)
        self._run("matcher_service doctor", "-m", "matcher_service", "doctor", *doctor)
        maintain = (*self._database, "--maintain-once")
        self._run("matcher_service maintain", "-m", "matcher_service", "maintain", *maintain)

    def _facerec(self, command: str, *arguments: str) -> None:
        self._run(f"facerec {command}", "-m", "facerec", command, *arguments)

    def _demo(self) -> None:
        self._facerec("demo", "--out", str(self._out), "--photos", str(self._photos))

    def _up(self) -> None:
        ports = [f"--{name}-address=127.0.0.1:0" for name in ("encoder", "matcher", "gateway")]
        command = ("-m", "facerec", "up", "--data", str(self.folder / "data"), *ports)
        with self._start("facerec up", *command) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if _READY.match(line):
                    process.send_signal(signal.SIGINT)
        assert process.returncode == 0, said
        data = ("--data", str(self.folder / "data"))
        self._facerec("backup", str(self._out / "gallery.backup"), *data)
        self._facerec("restore", str(self._out / "gallery.backup"), *data, "--replace")

    def _control(self) -> None:
        with self._start(CONTROL, "-c", _CONTROL_CODE, stdin=subprocess.PIPE):
            self.watches[CONTROL].wait_for_call(TELEMETRY_SECONDS)

    def _run(self, name: str, *arguments: str) -> None:
        with self._start(name, *arguments) as process:
            said, _ = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == 0, f"{name}: {said}"

    def _start(self, name: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = (sys.executable, *arguments)
        return self.watches[name].start(command, env=self._environment, cwd=self.folder, **output, **options)

    def _service(self, module: str, *flags: str) -> ServiceProcess:
        def start(command: list[str], **options: Any) -> "subprocess.Popen[str]":
            return self.watches[f"{module} serve"].start(command, env=self._environment, **options)

        return ServiceProcess(module, *flags, start=start)


def _people(path: Path) -> Path:
    """A file of as many generated people, two faces each, as a calibration takes."""
    rng = np.random.default_rng(1)
    middles = np.repeat(rng.normal(0, 0.08, (PEOPLE, 128)), 2, axis=0)
    names = np.repeat([f"person {number}" for number in range(PEOPLE)], 2)
    np.savez(path, encodings=middles + rng.normal(0, 0.01, middles.shape), person_ids=names)
    return path


@contextmanager
def _collector() -> Iterator[str]:
    """HOST:PORT of a server that answers, and refuses what it is sent."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()
