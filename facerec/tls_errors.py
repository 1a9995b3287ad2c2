"""Explains TLS errors between client and server."""

_EXPLANATIONS = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate has expired, or no CA trusted here has signed it",
    "Hostname Verification Check failed": "its certificate is for another name: set server_name to one in it",
    "WRONG_VERSION_NUMBER": "it uses plain text, not TLS",
    "CERTIFICATE_REQUIRED": "it requires a client certificate",
    "Socket closed": (
        "it closed the connection at once: if it uses TLS, name its CA, and a client certificate if required"
    ),
}


def tls_errors(details: str) -> str:
    """An explanation of gRPC's error details, which quote its TLS library; "" where TLS is not the cause."""
    return next((meaning for words, meaning in _EXPLANATIONS.items() if words in details), "")
