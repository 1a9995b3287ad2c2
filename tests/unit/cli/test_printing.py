"""How untrusted text is printed on a terminal."""

import io
import json
import logging
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import structlog
from PIL import Image

from facerec.cli import main
from facerec.cli.drawing.annotate import draw
from facerec.cli.terminal import output
from facerec.cli.transfer.writing import WRITERS
from facerec.client import BoundingBox, Candidate, FaceBatch, IdentifiedFace
from facerec.printable import printable
from facerec.serving.observability import logs

TITLE, CLEAR, ERASE, CLIPBOARD = "\x1b]0;owned\x07", "\x1b[2J", "\x1b[1A\x1b[2K", "\x1b]52;c;cm0gLXJmIH4=\x07"
HOSTILE = {
    "a window's title": TITLE,
    "clearing": CLEAR,
    "erasing the line above": ERASE,
    "the clipboard": CLIPBOARD,
    "an eight-bit control": "\x9b2J",
    "a line": "Ann\nerased mallory",
    "a carriage return": "Ann\rMallory",
    "a line separator": "Ann\u2028mallory",
    "an override": "ann\u202eevil",
    "an isolate": "ann\u2067evil\u2069",
    "a mark": "ann\u200f",
    "a zero-width space": "an\u200bn",
    "a joiner": "an\u2060n",
    "a byte order mark": "\ufeffann",
    "a filler": "ann\u3164",
    "a variation selector": "ann\ufe01",
    "a tag": "ann\U000e0041",
    "half a pair": "ann\udcff",
    "a soft hyphen": "an\u00adn",
}
COLORS = re.compile(r"\x1b\[\d*m")  # the renderer's own
KEPT = ("Ann O'Neill-Žižek", "山田　太郎", "שלום", "مريم", "Ἀριάδνη", "é", "😀", "C:\\photos", "50\u00a0%")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_control_and_invisible_characters_are_escaped(text: str) -> None:
    shown = printable(text)
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape") == text, "nothing is lost"


@pytest.mark.parametrize("text", KEPT)
def test_letters_of_every_script_are_unchanged(text: str) -> None:
    assert printable(text) == text


def test_no_control_character_passes() -> None:
    passed = {
        unicodedata.category(printable(chr(code)))
        for code in range(0x110000)
        if len(printable(chr(code))) == 1
    }
    assert not passed & {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_lines_tables_and_progress_show_text_escaped(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    output.line(f"erased {text}")
    output.error_line(f"error: {text}")
    output.table((text, "faces"), [(text, 1), (f"{text}[bold]", 2)])
    output.console(stderr=True).print(f"refused {text}.jpg")
    printed = capfd.readouterr()
    for shown in (printed.out, printed.err):
        assert printable(text) in shown
        assert all(printable(line) == line for line in shown.split("\n"))
    assert len(printed.err.split("\n")) == 3, "a line a message"


@pytest.mark.parametrize(
    "text", ["[bold]ann[/bold]", "[link=https://a.example]ann[/link]", "[red]", ":smile:", "[/]"]
)
def test_markup_in_a_name_is_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.line(text)
    output.table(("person",), [(text,)])
    assert capsys.readouterr().out.count(text) == 2


@pytest.mark.parametrize("text", [*HOSTILE.values(), *KEPT])
def test_json_has_the_exact_text_in_ascii(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"name": text})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"name": text}
    assert printed.removesuffix("\n").isprintable()


def annotated(name: str, path: Path, *, person_id: str = "", font: Path | None = None) -> bytes:
    photo = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(photo, "PNG")
    face = IdentifiedFace(
        0, BoundingBox(20, 150, 120, 50), (Candidate(person_id, name, 0.31, ""),), "exact", True, 9
    )
    draw(photo.getvalue(), [face], path, font_file=font)
    with Image.open(path) as drawn:
        return drawn.tobytes()


def test_a_label_in_a_picture_shows_a_name_escaped(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    assert annotated("Ann\nBen", path) == annotated("Ann\\nBen", path)
    assert annotated("Ann\u202eBen", path) == annotated("Ann\\u202eBen", path) != annotated("AnnBen", path)


@pytest.mark.parametrize("name", ["山田太郎", "Иван", "مريم", "आशा", "José"])
def test_a_label_shows_the_id_if_the_font_lacks_letters_of_the_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    assert annotated(name, path, person_id="p-17") == annotated("p-17", path)
    escaped = "".join(c if c.isascii() else c.encode("unicode_escape").decode() for c in name)
    assert annotated(name, path, person_id=name) == annotated(escaped, path) != annotated("p-17", path)


def test_a_given_font_draws_the_letters_it_has(tmp_path: Path) -> None:
    import matplotlib  # every worker that collects tests would import it

    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    path = tmp_path / "out.png"
    drawn = annotated("Иван", path, person_id="p-17", font=font)
    assert drawn != annotated("p-17", path, font=font)
    assert annotated("山田", path, person_id="p-17", font=font) == annotated("p-17", path, font=font)


def test_a_file_that_is_no_font_is_refused_before_any_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (400, 300), "white").save(photo)
    assert main(["identify", str(photo), "--annotate", str(tmp_path / "out.png"), "--font", str(photo)]) == 2
    assert f"error: --font {photo}: it is not a font" in capsys.readouterr().err


def test_an_export_in_json_lines_has_the_exact_text_in_ascii(tmp_path: Path) -> None:
    name = "".join(HOSTILE[kind] for kind in HOSTILE if kind != "half a pair")
    batch = FaceBatch(np.zeros((1, 128), np.float32), ["a"], [name], [""], [None], [""])
    assert WRITERS[".jsonl"](tmp_path / "out.jsonl", [batch]) == 1
    written = (tmp_path / "out.jsonl").read_bytes()
    assert written.isascii()
    assert json.loads(written)["display_name"] == name


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_service_s_log_on_a_terminal_is_escaped(
    text: str, log_format: logs.Format, capfd: pytest.CaptureFixture[str]
) -> None:
    log_everywhere(text, log_format)
    errors = capfd.readouterr().err
    assert not {
        each for line in errors.split("\n") for each in COLORS.sub("", line) if printable(each) != each
    }
    assert errors.count("\n") == 3, "a line an event"


def log_everywhere(text: str, log_format: logs.Format) -> None:
    structlog.reset_defaults()
    logs.configure("info", log_format)
    structlog.get_logger("ours").info("event", name=text, many=[text], **{"key": text})
    logging.getLogger("another").warning("said %s", text)
    logs.write("calls", text, [(1.0, {"caller": text})])


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_that_a_library_logs_shows_neither_message_nor_variables(
    log_format: logs.Format, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    logs.configure("info", log_format)
    vector = "of-a-face"
    try:
        raise ValueError(f"not to be printed: {vector}")
    except ValueError:
        logging.getLogger("another").exception("failed")
    errors = capfd.readouterr().err
    assert "of-a-face" not in errors
    assert "ValueError" in errors
    assert "test_printing.py" in errors
