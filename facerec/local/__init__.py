"""facerec on one machine: an embedded PostgreSQL and both services, supervised."""
