"""What `doctor` examines, each check by itself: settings, database, encoder."""
