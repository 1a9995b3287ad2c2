"""The server: settings, address, health, reflection, admin port, start and shutdown."""
