"""Who may do what: keys and certificates, roles, rates, TLS."""
