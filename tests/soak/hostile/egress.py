"""Whether each command connects and writes only as docs/security.md says."""

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from facerec import samples
from facerec.local.postgres import EmbeddedPostgres
from tests.fixtures.process import ROOT
from tests.fixtures.watching.watcher import CannotWatch, Watch
from tests.soak.hostile.commands import BENCHMARK, CONTROL, Commands
from tests.soak.hostile.report import CheckResult

ALWAYS_WRITTEN: Final = ("/dev/null",)
_HERE: Final = re.compile(r"127\.0\.0\.1:\d+|\[?::1\]?:\d+")


@dataclasses.dataclass(frozen=True)
class Stated:
    """What the table says of a command: peers and places, by their words."""

    peers: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def stated() -> dict[str, Stated]:
    """The table of docs/security.md, by command."""
    text = (ROOT / "docs" / "security.md").read_text()
    table = (
        text.partition("## Who is called, and what is written")[2]
        .partition("| --- |")[2]
        .partition("\n\n")[0]
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return {
        command: Stated(_words(peers), _words(places))
        for commands, peers, places in rows
        for command in re.findall("`(.+?)`", commands)
    }


def _words(cell: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in cell.split(",") if word.strip())


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen of a command; `wrong` names what the table does not allow, or has in vain."""

    command: str
    watch: Watch
    wrong: tuple[str, ...]

    @property
    def calls_out(self) -> bool:
        """Whether it looked up a name or tried to connect to another machine."""
        return bool(self.watch.names or self.watch.remote)

    @property
    def figure(self) -> str:
        """It in a line."""
        watch = self.watch
        parts = [f"looked up {_list(watch.names)}", f"would have called {_list(watch.remote)}"]
        parts += [f"called {len(watch.peers)} here", f"wrote {len(watch.written)} files and folders"]
        return "; ".join([f"{self.command}: {', '.join(parts)}", *self.wrong])


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nobody"


class Examination:
    """Compares what commands did with what is stated of them."""

    def __init__(self, commands: Commands, database_url: str) -> None:
        self._commands = commands
        host = parse_qs(urlsplit(database_url).query)["host"][0]
        self._peers = {
            "database": f"{host}/.s.PGSQL.5432",
            "encoder": commands.encoder,
            "matcher": commands.matcher,
            "collector of traces": commands.collector,
        }
        folder = commands.folder
        self._places = {
            "model cache": (folder / "home/.cache/facerec",),
            "data folder": (folder / "data",),
            "temporary folder": (folder / "tmp",),
            "output": (folder / "out",),
            "Matplotlib's folders": (folder / "home/.cache/matplotlib", folder / "home/.config/matplotlib"),
            "shared memory": (Path("/dev/shm"),),
            "benchmarks' cache": (ROOT / ".cache",),
        }

    def seen(self, command: str, said: Stated) -> Seen:
        """Examine one command."""
        watch = self._commands.watches[command]
        wrong = [f"looked up {name}" for name in watch.names] + [f"called {peer}" for peer in watch.remote]
        wrong += [f"unreadable {call}" for call in watch.unreadable]
        wrong += [*self._wrong_peers(watch, said), *self._wrong_files(watch, said)]
        return Seen(command, watch, tuple(sorted(wrong)))

    def _wrong_peers(self, watch: Watch, said: Stated) -> Iterator[str]:
        if said.peers == ("services of its own",):
            yield from (f"called {peer}" for peer in watch.peers if not self._is_its_own(peer))
            return
        peers = {self._peers[word] for word in said.peers}
        yield from (f"called {peer}" for peer in watch.peers - peers)
        yield from (f"never called {peer}, which the table has" for peer in peers - watch.peers)

    def _is_its_own(self, peer: str) -> bool:
        others = peer in self._peers.values()
        return not others and bool(_HERE.fullmatch(peer) or Path(peer).is_relative_to(self._commands.folder))

    def _wrong_files(self, watch: Watch, said: Stated) -> Iterator[str]:
        places = [place for word in said.places for place in self._places[word]]
        # A folder above a place is made on the way to it.
        above = {parent for place in places for parent in place.parents}
        for name in watch.written - set(ALWAYS_WRITTEN):
            path = Path(name)
            if path not in above and not any(path.is_relative_to(place) for place in places):
                yield f"wrote {name}"


def observe(*, short: bool) -> dict[str, Seen]:
    """Run every command of the table under watch, and tell what was seen of each. Raises CannotWatch."""
    said = stated()
    if not short:
        said[BENCHMARK] = Stated(places=("benchmarks' cache", "temporary folder"))
    # Never in shared memory, which is a place that commands may write to.
    folder = Path(tempfile.mkdtemp(prefix="facerec-", dir="/tmp"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    try:
        with EmbeddedPostgres.open(folder / "database") as server:
            photos = samples.sample_photos(ROOT / ".cache" / "samples")
            commands = Commands(folder, database_url=server.url(), photos=photos)
            commands.run(short=short)
            examination = Examination(commands, server.url())
            seen = {command: examination.seen(command, each) for command, each in said.items()}
            return seen | {CONTROL: Seen(CONTROL, commands.watches[CONTROL], ())}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def attack(*, short: bool) -> list[CheckResult]:
    """A finding a command."""
    try:
        seen = observe(short=short)
    except CannotWatch as error:
        return [
            CheckResult("egress", f"not seen, since this machine lets no process be watched: {error}", False)
        ]
    control = seen.pop(CONTROL)
    results = [CheckResult("egress", each.figure, not each.wrong) for each in seen.values()]
    return [*results, CheckResult("egress", f"{control.figure}, as it should be", control.calls_out)]
