"""What two ends disagree on about TLS, in a person's words."""

_TROUBLE = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not signed by the CA that is trusted here, or is over",
    "Hostname Verification Check failed": "its certificate is for another name: set server_name to one in it",
    "WRONG_VERSION_NUMBER": "it speaks plain text, not TLS",
    "CERTIFICATE_REQUIRED": "it asks for a client's certificate",
    "Socket closed": "it hung up at once: if it speaks TLS, name its CA, and show a certificate if it asks",
}


def tls_errors(details: str) -> str:
    """What is wrong between two ends by gRPC's words for it, which speak in the tongue of its TLS library.

    "" where it is nothing of TLS.
    """
    return next((meaning for words, meaning in _TROUBLE.items() if words in details), "")
