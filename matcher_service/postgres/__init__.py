"""The database: connections, statements, migrations and driver errors."""
