"""The encoder's errors.

FacerecError
+-- ImageError            field `image`
|   +-- ImageInvalid      empty, truncated, undecodable
|   +-- ImageUnsupported  a format or a depth that is not accepted
|   +-- ImageTooLarge     too many bytes or pixels
+-- OptionInvalid         an option or a box out of range, or not offered
+-- IdInvalid             an item of a stream has no id, or an id that is too long
+-- Overloaded            too many images in flight; retry later
+-- ModelUnavailable      models not loaded, failed their self-test, or the server is stopping
WeightsInvalid            a .dat file is missing or not the expected network: the server can't start
ModelDrift                the network does not compute what dlib computes
DeviceMissing             the GPU asked for is not there or does not work
"""

from facerec.errors import FacerecError, Reason


class ImageError(FacerecError):
    """The image can't be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="image")


class ImageInvalid(ImageError):
    """The bytes are not a complete image."""

    reason = Reason.IMAGE_INVALID


class ImageUnsupported(ImageError):
    """The image is of a format or depth that is not accepted."""

    reason = Reason.IMAGE_UNSUPPORTED


class ImageTooLarge(ImageError):
    """The image has more bytes or pixels than the server takes, or is too narrow to be searched."""

    reason = Reason.IMAGE_TOO_LARGE


class OptionInvalid(FacerecError):
    """An option is out of range or not offered; `field` names it."""

    reason = Reason.OPTION_INVALID


class IdInvalid(FacerecError):
    """The id of a stream's item is missing or too long."""

    reason = Reason.ID_INVALID


class Overloaded(FacerecError):
    """Too many images are in flight. `retry_after_seconds` says when to retry."""

    reason = Reason.OVERLOADED


class ModelUnavailable(FacerecError):
    """No model is ready to answer."""

    reason = Reason.MODEL_UNAVAILABLE


class WeightsInvalid(Exception):
    """A weights file is missing, or does not hold the expected network."""


class ModelDrift(Exception):
    """The network's vector of the golden chip is too far from dlib's."""


class DeviceMissing(Exception):
    """The GPU asked for is not there or does not work."""
