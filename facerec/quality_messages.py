"""Converts a face's quality to and from the contract's message; for both services and the client."""

from facerec.encoder.v1 import encoder_pb2
from facerec.quality import Quality

_PREFIX = "QUALITY_REASON_"


def quality_message(quality: Quality) -> encoder_pb2.Quality:
    """The contract's message of a quality."""
    return encoder_pb2.Quality(
        face_pixels=quality.face_pixels,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        contrast=quality.contrast,
        pose=encoder_pb2.Pose(roll_degrees=quality.roll_degrees, yaw=quality.yaw, pitch=quality.pitch),
        outside=quality.outside,
        noise=quality.noise,
        flatness=quality.flatness,
        unevenness=quality.unevenness,
        reasons=[encoder_pb2.QualityReason.Value(f"{_PREFIX}{reason}") for reason in quality.reasons],
    )


def read_quality(message: encoder_pb2.Quality) -> Quality:
    """The quality in the contract's message; reasons that only a newer encoder knows are left out."""
    known = encoder_pb2.QualityReason.values()
    names = (encoder_pb2.QualityReason.Name(reason) for reason in message.reasons if reason in known)
    return Quality(
        face_pixels=message.face_pixels,
        sharpness=message.sharpness,
        brightness=message.brightness,
        contrast=message.contrast,
        roll_degrees=message.pose.roll_degrees,
        yaw=message.pose.yaw,
        pitch=message.pose.pitch,
        outside=message.outside,
        noise=message.noise,
        flatness=message.flatness,
        unevenness=message.unevenness,
        reasons=tuple(name.removeprefix(_PREFIX) for name in names),
    )
