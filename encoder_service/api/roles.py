"""The role that each method of the encoder requires."""

from facerec.serving.auth.permissions import Role

ROLES = dict.fromkeys(("Encode", "EncodeStream", "DetectFaces", "GetModel"), Role.ENCODE)

LARGE = frozenset({"Encode", "EncodeStream", "DetectFaces"})
"""The methods whose requests carry images."""
