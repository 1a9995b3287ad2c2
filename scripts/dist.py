"""Builds the wheel and the source distribution of the last commit, and checks both. Run by `make dist`.

Two builds of a commit give the same bytes: times are the commit's, owners and modes are fixed. The wheel is
built from the source distribution, so that one is complete.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    """Build into the folder given, by default dist/, and print the files' checksums."""
    out = Path(arguments[0]) if arguments else ROOT / "dist"
    os.umask(0o022)
    epoch = int(_git("log", "-1", "--format=%ct"))
    if _git("status", "--porcelain"):
        print("dist: what is not committed is left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        _export(source)
        build(source, Path(folder, "built"), epoch)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(folder, "built"), out)
    files = sorted(out.iterdir())
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)
    wheels = [path for path in files if path.suffix == ".whl"]
    subprocess.run([sys.executable, "-m", "check_wheel_contents", *wheels], check=True, cwd=ROOT)
    for path in files:
        print(hashlib.sha256(path.read_bytes()).hexdigest(), "", path.name)
    return 0


def build(source: Path, out: Path, epoch: int) -> None:
    """Build both from a folder with the sources, at a time in seconds since 1970."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    for path in out.glob("*.tar.gz"):
        path.write_bytes(_with_fixed_fields(path.read_bytes(), epoch))


def _export(source: Path) -> None:
    command = ["git", "archive", "HEAD"]
    archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(source, filter="data")
    for path in source.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _with_fixed_fields(archive: bytes, epoch: int) -> bytes:
    """A .tar.gz with its members in order, of one time, mode and owner."""
    tar, packed = io.BytesIO(), io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=epoch) as compressed:
        compressed.write(tar.getvalue())
    return packed.getvalue()


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
