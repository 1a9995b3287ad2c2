"""The database: connections, statements, migrations, and the driver's errors."""
