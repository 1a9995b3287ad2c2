"""Measurements: the cost of the services compared with the tools that people used before."""
