"""Arguments, output and errors that commands share."""
