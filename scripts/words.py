"""Fails where old, private words are used instead of the field's terms. Run by `make lint`.

Each pattern has the term to use instead; docs/glossary.md defines the terms. The glossary, the
changelog, the migrations, whose text never changes, and this file may name the words.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EVERYWHERE = {
    r"calls? of moments": "short request",
    r"\blull\b": "wait until no short request is in flight",
    r"\bquick look\b": "reduced-probe query",
    r"\b(its|index's) word\b": "the index result is accepted",
    r"\bput on record\b": "append an audit event",
    r"\bpast (its|their) time\b": "expired",
    r"\bkeyring\b": "key store",
    r"\bcheckup\b": "diagnostics",
    r"\btether": "parent-death guard",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bdear(er|est)\b": "costlier, costliest",
    r"\bby and by\b": "in batches, later",
    r"\banew\b|_anew\b": "again, reloaded, rebuilt",
    r"\bwhoever\b": "a caller that, people who",
    r"\b[Ee]nrol(ment|ments|s)?\b": "enrollment, enroll",
    r"\bstrangers?\b": "unenrolled (non-mated) probe",
    r"\bunforeseen\b|\bamiss\b": "unexpected, wrong",
}
IN_CODE = {
    r"\bintake\b": "request reader",
    r"\bclass (Gate|Finding|Turns|Lane)\b": "FairSemaphore, CheckResult, KeyedLocks, FairThreadPool",
    r"\bquick_?look\b|\bself\._look\(": "query",
    r"\bkeeper\b": "maintenance runner",
    r"\bgallery(?!\.npz|\.backup)\b|\bgalleries\b": "collection, or person service",
    r"\bJudge\b": "quality assessor",
    r"\bself\._acceptance\b": "enrollment policy",
    r"\b_?(most|least)_[a-z]\w*\b": "max_, min_",
    r"\bMOST_|\bLEAST_": "MAX_, MIN_",
    r"\bself\.told\b|\btold =": "cursor, reported, logged",
    r"\bFAR\b|\bFRR\b": "FMR, FNMR",
    r"\bQUICK_": "REDUCED_",
    r"\bmoment\(": "future_time, expire_time_of",
}
IN_TESTS = {
    r"(?<!0001_)gallery(?!\.\w|\.{)|galleries|Gallery": "dataset, collection or database",
    r"\btold\b|_told\b": "output, message, reported",
}
NAMED_THEMSELVES = {"docs/glossary.md", "CHANGELOG.md", "scripts/words.py"}
TEXT = {".py", ".js", ".ts", ".go", ".css", ".html", ".sql", ".proto", ".md", ".yaml", ".sh", ".toml"}
PRODUCT = ("facerec/", "encoder_service/", "matcher_service/", "protos/", "scripts/", "deploy/")


def texts() -> list[tuple[str, str]]:
    """The names and texts of the files to check."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [
        (name, (ROOT / name).read_text(encoding="utf-8"))
        for name in listed
        if Path(name).suffix in TEXT
        and name not in NAMED_THEMSELVES
        and "postgres/schema" not in name
        and "_pb2" not in name
        and (ROOT / name).is_file()
    ]


def main() -> int:
    """Print each occurrence with the term to use; return 1 where there is one."""
    found = 0
    for name, text in texts():
        words = {
            **EVERYWHERE,
            **(IN_CODE if name.startswith(PRODUCT) else {}),
            **(IN_TESTS if name.startswith("tests/") else {}),
        }
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, term in words.items():
                if match := re.search(pattern, line):
                    print(f"{name}:{number}: {match[0]!r}: say {term}")
                    found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
