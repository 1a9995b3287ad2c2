"""The contract's services on the wire: messages in and out, checked; nothing is decided here."""
