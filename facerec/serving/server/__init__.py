"""A server: settings, address, health, reflection, the admin port, start and end."""
