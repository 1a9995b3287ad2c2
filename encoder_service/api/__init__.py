"""The contract's service on the wire: messages in and out, checked."""
