"""The role that each method of the encoder requires."""

from facerec.serving.auth.permissions import ANY_ROLE, Role

ROLES = {
    **dict.fromkeys(("Encode", "EncodeStream", "DetectFaces", "GetModel"), Role.ENCODE),
    "GetCaller": ANY_ROLE,
}

LARGE = frozenset({"Encode", "EncodeStream", "DetectFaces"})
"""The methods whose requests carry images."""
