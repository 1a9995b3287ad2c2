"""The npm package and the Go module do what their READMEs say."""

import json
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facerec.serving.middleware.status import DOMAIN
from scripts import retry_tables
from tests.e2e.gateway.snippets import CALLS, Writer
from tests.e2e.matcher.documented import all_blocks, page
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ROOT
from tests.languages.building import CLIENTS, go, run

README_WALK = """\
enrolled 1 face
match
found ann
128 numbers
exported 1 face
PERSON_NOT_FOUND person_id
"""
GENERATED_BY = re.compile(r"^// .*protoc-gen-go.* v[\d.]+$", re.MULTILINE)


@pytest.fixture
def gateway(
    make_database: Callable[[str], str], template_database: str, encoder_address: str
) -> Iterator[str]:
    """HOST:PORT of a gateway before a matcher without people."""
    matcher = MatcherProcess(make_database(template_database), "--encoder-address", encoder_address)
    gateway = GatewayProcess(encoder_address, matcher.address)
    try:
        matcher.event("database_ready")
        gateway.event("listening")
        yield gateway.address
    finally:
        gateway.stop()
        matcher.stop()


def install(package: Path, folder: Path) -> None:
    """Install the npm package in a folder, for modules of its own."""
    (folder / "package.json").write_text('{"type": "module"}')
    run(["npm", "install", "--ignore-scripts", package], folder)


def compile_strictly(package: Path, folder: Path, **more: object) -> None:
    """Compile a folder's modules with `strict`, and with further options of the compiler."""
    modules = package.parent / "node_modules"
    options = {"module": "nodenext", "strict": True, "types": ["node"], "typeRoots": [f"{modules}/@types"]}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options | more}))
    run([modules / ".bin" / "tsc"], folder)


@pytest.mark.timeout(900)
def test_the_npm_package_retries_and_fails_as_its_readme_says(package: Path) -> None:
    run(["npm", "test"], package.parent)


@pytest.mark.timeout(900)
def test_the_walk_of_the_npm_package_s_readme(
    package: Path, gateway: str, sample_photos: Path, tmp_path: Path
) -> None:
    ((_, walk),) = [block for block in all_blocks(page("clients/typescript/README.md")) if block[0] == "ts"]
    install(package, tmp_path)
    (tmp_path / "walk.ts").write_text(walk)
    for name, sample in {"ann": "obama", "door": "obama2"}.items():
        shutil.copy(sample_photos / f"{sample}.jpg", tmp_path / f"{name}.jpg")
    compile_strictly(package, tmp_path)
    assert run(["node", "walk.js"], tmp_path, {"FACEREC_URL": f"http://{gateway}"}) == README_WALK


@pytest.mark.timeout(900)
def test_the_console_s_calls_in_typescript_compile_against_the_npm_package(
    package: Path, tmp_path: Path
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    install(package, modules)
    writer = Writer(tmp_path)
    for is_locked in (False, True):
        texts = writer.write(CALLS, "TypeScript", origin="https://a.example", keys_required=is_locked)
        for number, text in enumerate(texts):
            (modules / f"call{number}-{is_locked}.ts").write_text(text)
    compile_strictly(package, modules, noEmit=True)
    (modules / "call0-True.ts").write_text(texts[0].replace("personId", "person"))
    with pytest.raises(AssertionError, match=r"call0-True\.ts.*'person' does not exist"):
        compile_strictly(package, modules, noEmit=True)


def test_the_go_module_has_the_contract_s_stubs(gopath: Path, clone: Path, tmp_path: Path) -> None:
    run([clone / "scripts" / "client_stubs.sh", "go", tmp_path], clone)
    fresh = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.go")}
    checked_in = {path.relative_to(ROOT): path.read_text() for path in CLIENTS.rglob("*.pb.go")}
    used, here = (
        {line for text in each.values() for line in GENERATED_BY.findall(text)}
        for each in (checked_in, fresh)
    )
    if used != here:
        pytest.skip(f"the stubs are by {sorted(used)}, this machine has {sorted(here)}")
    assert {path: text for path, text in fresh.items() if path.name.endswith(".pb.go")} == checked_in


@pytest.mark.timeout(900)
def test_the_go_module_connects_retries_and_fails_as_its_readme_says(gopath: Path) -> None:
    assert run(["gofmt", "-l", "."], CLIENTS / "go") == ""
    go(gopath, "facerec.internal/go", "vet", "./...")
    go(gopath, "facerec.internal/go", "test", "./...")


def test_what_the_go_module_s_readme_shows_is_compiled() -> None:
    ((_, shown_there),) = [block for block in all_blocks(page("clients/go/README.md")) if block[0] == "go"]
    compiled = (CLIENTS / "go" / "facerec" / "example_test.go").read_text(encoding="utf-8")
    assert textwrap.indent(shown_there, "\t") in compiled


def test_the_npm_package_brings_only_packages_under_the_documented_licences() -> None:
    locked = json.loads((CLIENTS / "typescript" / "package-lock.json").read_text())["packages"]
    brought = {each["license"] for name, each in locked.items() if name and not each.get("dev")}
    assert brought == {"Apache-2.0", "(Apache-2.0 AND BSD-3-Clause)"}


def test_every_language_reads_the_errors_of_the_domain_that_is_sent() -> None:
    packages = [CLIENTS / "typescript" / "src" / "errors.ts", CLIENTS / "go" / "facerec" / "errors.go"]
    blocks = all_blocks(page("docs/clients.md"))
    java = "".join(content for language, content in blocks if language == "java")
    for text in (java, *(path.read_text(encoding="utf-8") for path in packages)):
        assert f'"{DOMAIN}"' in text


def test_the_go_module_retries_what_the_python_client_does() -> None:
    checked_in = (CLIENTS / "go" / "facerec" / "retries.go").read_text()
    assert checked_in == retry_tables.go(), (
        "run: python -m scripts.retry_tables go > clients/go/facerec/retries.go"
    )
