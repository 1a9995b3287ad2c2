"""Turns the tree into a release: `make release VERSION=0.1.0`. It commits and tags, and pushes nothing.

It writes the version where it stands, dates the change log's section, lists the migrations that are released,
and keeps the contract as it is released, against which `make lint` compares the next ones.
"""

import datetime
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("facerec/__init__.py")
# Where the version stands besides: labels and names of images.
NAMED = ("deploy/docker/*.Dockerfile", "deploy/kubernetes/base/*.yaml",
         "deploy/kubernetes/components/gateway/*.yaml", "deploy/helm/facerec/Chart.yaml",
         "deploy/helm/facerec/README.md", "deploy/README.md", "docs/cli.md",
         "tests/cluster/test_cluster.py")  # fmt: skip
# Where it stands after the name of the npm package, among the versions of others.
NPM = ("clients/typescript/package.json", "clients/typescript/package-lock.json",
       "examples/typescript/package-lock.json")  # fmt: skip
CHANGES = Path("CHANGELOG.md")
MIGRATIONS = Path("matcher_service/postgres/schema")
CONTRACTS = Path("protos/released")
HEADINGS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Migrations")
_NPM_VERSION = re.compile(r'(?<="name": "@facerec/client",)(\s+"version": )"[^"]*"')
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_UNRELEASED = "## Unreleased\n"


def main(arguments: list[str]) -> int:
    """Make the release that is named, and say what to do next; 1 with a reason where there can be none."""
    version = arguments[0] if arguments else ""
    text = (ROOT / CHANGES).read_text(encoding="utf-8")
    tags, status = _run("git", "tag", "--list").split(), _run("git", "status", "--porcelain")
    if why := refused(version, text, tags, status):
        print(f"release: {why}", file=sys.stderr)
        return 1
    write(ROOT, version, datetime.datetime.now(datetime.UTC).date())
    _run("git", "add", "--all")
    _run("git", "commit", "--quiet", "--message", f"chore: release {version}")
    for tag in (f"v{version}", f"clients/go/v{version}"):  # the latter is how Go names it
        _run("git", "tag", "--annotate", tag, "--message", f"facerec {version}")
    print(f"committed and tagged v{version}; nothing is pushed. Next: docs/releasing.md")
    return 0


def refused(version: str, changes: str, tags: list[str], status: str) -> str:
    """Why there can be no release of this version; empty where there can."""
    if not _VERSION.fullmatch(version):
        return f"{version!r} is no version such as 0.1.0: make release VERSION=0.1.0"
    newest = max((_numbers(tag[1:]) for tag in tags if _VERSION.fullmatch(tag[1:])), default=())
    if _numbers(version) <= newest:
        return f"{version} is not newer than {'.'.join(map(str, newest))}"
    if status.strip():
        return "the tree has changes that are not committed"
    if not _unreleased(changes).startswith("\n### "):
        return "CHANGELOG.md lists nothing under Unreleased, or not under headings such as ### Added"
    return ""


def write(root: Path, version: str, date: datetime.date) -> None:
    """Write all that a release changes into a checkout."""
    package = root / PACKAGE
    (old,) = re.findall(r'__version__ = "(.*)"', package.read_text(encoding="utf-8"))
    for path in [package, *(path for pattern in NAMED for path in sorted(root.glob(pattern)))]:
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(rf"(?<![\d.]){re.escape(old)}(?![\d.])", version, text), encoding="utf-8")
    for name in NPM:
        text = (root / name).read_text(encoding="utf-8")
        (root / name).write_text(_NPM_VERSION.sub(rf'\1"{version}"', text), encoding="utf-8")
    changes = root / CHANGES
    changes.write_text(dated(changes.read_text(encoding="utf-8"), version, date), encoding="utf-8")
    (root / MIGRATIONS / "released.sha256").write_text(checksums(root / MIGRATIONS))
    for path in (root / CONTRACTS).glob("*.binpb"):
        path.unlink()
    (root / CONTRACTS).mkdir(exist_ok=True)
    image = root / CONTRACTS / f"v{version}.binpb"
    with tempfile.TemporaryDirectory() as contract:
        environment = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
        subprocess.run(
            [ROOT / "scripts" / "protos.sh", contract, root / "protos"], check=True, env=environment
        )
        command: list[str | Path] = ["buf", "build", contract, "--exclude-source-info", "--output", image]
        subprocess.run(command, check=True, env=environment)


def dated(changes: str, version: str, date: datetime.date) -> str:
    """The change log with what was unreleased as the section of a version, each heading once."""
    before, after = changes.split(_UNRELEASED)
    section = _unreleased(changes)
    listed = "\n".join(f"### {heading}\n\n{body}" for heading, body in _sections(section).items())
    written = f"{before}{_UNRELEASED}\n## [{version}] - {date}\n\n{listed}\n{after.removeprefix(section)}"
    return written.rstrip("\n") + "\n"


def checksums(folder: Path) -> str:
    """What `sha256sum` prints of a folder's migrations, in their order."""
    migrations = sorted(folder.glob("[0-9]*.sql"))
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in migrations)


def _unreleased(changes: str) -> str:
    after = changes.split(_UNRELEASED)[1]
    return re.split(r"^(?=## )", after, maxsplit=1, flags=re.MULTILINE)[0]


def _sections(section: str) -> dict[str, str]:
    """The bodies of a section by heading, those of one heading as one, in the order of HEADINGS."""
    found: dict[str, list[str]] = {}
    for heading, body in re.findall(r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL):
        found.setdefault(heading, []).append(body.strip("\n") + "\n")
    order = [*HEADINGS, *found]
    return {heading: "".join(found[heading]) for heading in dict.fromkeys(order) if heading in found}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
