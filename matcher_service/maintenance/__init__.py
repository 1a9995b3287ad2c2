"""The maintenance runner: builds and checks indexes and erases what has expired. One run at a time."""
