"""Arguments, output and errors shared by the commands."""
