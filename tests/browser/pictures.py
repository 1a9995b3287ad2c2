"""Pictures to give to the page Try, and what it shows of them."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.console import Console

NOTHING = Image.new("RGB", (320, 240), (120, 140, 160))


def file(picture: Image.Image | Path, kind: str = "png", **options: Any) -> dict[str, Any]:
    """A picture as a file to choose."""
    if isinstance(picture, Path):
        return {"name": picture.name, "mimeType": "image/jpeg", "buffer": picture.read_bytes()}
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return {"name": f"picture.{kind}", "mimeType": f"image/{kind}", "buffer": data.getvalue()}


def two_faces(sample_photos: Path) -> Image.Image:
    """A picture of Obama, at the left, and Biden."""
    both = [Image.open(sample_photos / name).convert("RGB") for name in ("obama.jpg", "biden.jpg")]
    scaled = [each.resize((600, 600 * each.height // each.width)).crop((0, 0, 600, 640)) for each in both]
    joined = Image.new("RGB", (1200, 640))
    for at, each in enumerate(scaled):
        joined.paste(each, (600 * at, 0))
    return joined


def shown(console: Console) -> Any:
    """The mode that is shown."""
    return console.main.locator("[role=tabpanel]:not([hidden])")


def give(console: Console, *files: dict[str, Any], place: int = 0) -> None:
    """Choose files for a place of the mode that is shown."""
    console.main.locator("[role=tabpanel]:not([hidden]) input[type=file]").nth(place).set_input_files(
        list(files)
    )


def faces(console: Console) -> list[str]:
    """The headings of the faces found."""
    console.main.locator(".faces").first.wait_for()
    return console.main.locator(".face h3").all_inner_texts()  # type: ignore[no-any-return]


def boxes(console: Console) -> list[list[float]]:
    """The boxes over the picture: left, top, width and height in percent."""
    lines = console.main.locator(".boxes .line")
    lines.first.wait_for(state="attached")
    found = lines.evaluate_all(
        "all => all.map(e => ['x', 'y', 'width', 'height'].map(n => parseFloat(e.getAttribute(n))))"
    )
    return sorted(found)
