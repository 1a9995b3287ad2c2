"""The matcher under kills, outages and tenants that come and go: `make soak-matcher`."""
