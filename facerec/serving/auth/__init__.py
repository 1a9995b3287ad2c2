"""Authentication and authorization: keys and certificates, roles, rates, TLS."""
