"""`facerec encode`."""

from facerec.cli.terminal import output
from facerec.cli.terminal.errors import photo_problems, read_image
from facerec.cli.terminal.options import ENCODER_ADDRESS, Encoder, Image, Json, encoder_client


def encode(image: Image, address: Encoder = ENCODER_ADDRESS, json: Json = False) -> None:
    """Find the faces of a photo and print their encodings."""
    data = read_image(image)
    with encoder_client(address) as client, photo_problems({"image": image}):
        answer = client.encode(data)
    if json:
        output.as_json(output.fields(answer, image=image))
        return
    size = f"{answer.image_width} x {answer.image_height} pixels"
    output.line(f"{image}: {output.counted(len(answer.faces), 'face')}, {size}")
    rows = [
        (
            number,
            *(
                face.bounding_box.top,
                face.bounding_box.right,
                face.bounding_box.bottom,
                face.bounding_box.left,
            ),
            "" if face.detection_score is None else face.detection_score,
            " ".join(f"{value:.4f}" for value in face.encoding.values[:4]) + " ...",
            face.encoding.space,
        )
        for number, face in enumerate(answer.faces, 1)
    ]
    if rows:
        output.table(("face", "top", "right", "bottom", "left", "score", "encoding", "space"), rows)
