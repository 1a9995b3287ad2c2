"""The whole of facerec on one machine: an embedded PostgreSQL and both services, kept running."""
