"""Fixtures that every test may use."""

pytest_plugins = [
    "tests.fixtures.encoder",
    "tests.fixtures.matcher",
    "tests.fixtures.photos",
    "tests.fixtures.postgres",
]
